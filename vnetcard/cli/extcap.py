"""Wireshark's extcap protocol: the tap points of the links on this machine as interfaces of Wireshark.

``vnetcard install-extcap`` puts a script that runs this into Wireshark's folder.  Wireshark calls it with options: to
list interfaces, link types and settings, and then to capture into a pipe.
See Wireshark's doc/extcap_example.py and wireshark.org/docs/wsdg_html_chunked/ChCaptureExtcap.html.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import Final

from vnetcard import __version__
from vnetcard.agent.control import ask_all_agents
from vnetcard.cli import capture
from vnetcard.errors import VnetcardError
from vnetcard.port.bpf import compile_filter
from vnetcard.ring import layout as L
from vnetcard.tap.pcap_sink import POINTS
from vnetcard.tap.source import moves_ethernet
from vnetcard.terminal.arguments import Parser, complain

PREFIX: Final = "vnetcard"
DLTS: Final = {False: (101, "RAW", "Raw IP"), True: (1, "EN10MB", "Ethernet")}
"""By whether the link moves Ethernet frames."""


def interface_name(window: str, side: str, point: str) -> str:
    """Wireshark's name of a tap point, which identifies it."""
    return f"{PREFIX}:{side}:{point}:{window}"


def parse_name(name: str) -> tuple[str, str, str]:
    """(window, side, point) of an interface's name; raises ValueError for any other name."""
    prefix, side, point, window = name.split(":", 3)
    if prefix != PREFIX or side not in L.SIDES or point not in POINTS:
        raise ValueError(name)
    return window, side, point


def list_interfaces() -> list[str]:
    """A line for the program, and one per tap point."""
    lines = [f"extcap {{version={__version__}}}{{display=vnetcard}}"]
    for view in ask_all_agents("status"):
        for point in POINTS:
            if point == "engine" and not view["window"]["url"].startswith("sim:"):
                continue
            name = interface_name(view["window"]["url"], view["side"], point)
            words = f"vnetcard {view['side']} {point}: {view['port']['name']}, {view['window']['url']}"
            lines.append(f"interface {{value={name}}}{{display={words}}}")
    return lines


def config_lines() -> list[str]:
    """The settings of Wireshark's dialogue."""
    return [
        "arg {number=0}{call=--snaplen}{display=Bytes of each packet}{type=unsigned}"
        f"{{range=1,{L.FRAME_MAX}}}{{default={L.FRAME_MAX}}}",
        "arg {number=1}{call=--segment}{display=Cut GSO packets as a wire would carry them}{type=boolflag}"
        "{default=false}",
    ]


def build_parser() -> argparse.ArgumentParser:
    """The options that Wireshark passes."""
    parser = Parser(prog="vnetcard-extcap", description=__doc__.splitlines()[0] if __doc__ else "", allow_abbrev=False)
    for flag in ("interfaces", "dlts", "config", "cleanup-postkill"):
        parser.add_argument(f"--extcap-{flag}", action="store_true")
    parser.add_argument("--capture", action="store_true")
    for option in ("--extcap-interface", "--extcap-version", "--extcap-capture-filter", "--extcap-reload-option"):
        parser.add_argument(option, nargs="?", default="")
    parser.add_argument("--fifo")
    parser.add_argument("--snaplen", default=str(L.FRAME_MAX))
    parser.add_argument("--segment", nargs="?", const="true", default="false")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Answer one call of Wireshark's; 0, or 2 when it cannot be answered."""
    args = build_parser().parse_args(argv)
    try:
        return answer(args)
    except VnetcardError as error:
        complain("vnetcard", error)
        if args.capture and args.fifo:
            end_of(args.fifo)
        return 2


def end_of(fifo: str) -> None:
    """Open and close the pipe, so that its reader sees an end instead of waiting indefinitely for a writer."""
    with contextlib.suppress(OSError):  # it has no reader
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def answer(args: argparse.Namespace) -> int:
    """Do what the options request."""
    if args.extcap_interfaces:
        print("\n".join(list_interfaces()))
        return 0
    try:
        window, side, point = parse_name(args.extcap_interface or "")
    except ValueError:
        complain("vnetcard", f"no interface {args.extcap_interface!r}: --extcap-interfaces lists them")
        return 2
    if args.extcap_dlts:
        print("dlt {{number={}}}{{name={}}}{{display={}}}".format(*DLTS[moves_ethernet(window)]))
    elif args.extcap_config:
        print("\n".join(config_lines()))
    elif args.capture and args.fifo:
        words = ["-w", args.fifo, "--window", window, "--side", side, "--tap", point, "--snaplen", args.snaplen]
        words += ["--segment"] if args.segment == "true" else []
        words += [args.extcap_capture_filter] if args.extcap_capture_filter else []
        return run_capture(words)
    elif args.extcap_capture_filter:  # check it
        compile_filter([args.extcap_capture_filter], ethernet=moves_ethernet(window))
    return 0


def run_capture(words: list[str]) -> int:
    """Run ``vnetcard capture`` with ``words``."""
    parser: argparse.ArgumentParser = Parser(prog="vnetcard")
    capture.add_parser(parser.add_subparsers(metavar="COMMAND", required=True))
    status: int = capture.run(parser.parse_args(["capture", *words]))
    return status


if __name__ == "__main__":
    sys.exit(main())
