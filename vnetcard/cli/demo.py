"""``vnetcard demo``: two computers that share only memory ping each other."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.lab.lab import ADDRESSES, Lab, LabError
from vnetcard.lab.sim import SimProcess
from vnetcard.lab.sweep import sweep
from vnetcard.ping import report, suite
from vnetcard.port.tun import CLONE_DEVICE
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.terminal.arguments import Subparsers, add_command, interrupt
from vnetcard.window import WindowUrl

EPILOG = """\
examples:
  vnetcard demo
  vnetcard demo --window shm:small+16K --count 5
  vnetcard demo --sim                     through the DMA engine, simulated from its RTL
  vnetcard demo --qemu                    the card is an ARM64 guest in QEMU, behind a PCI BAR
  vnetcard demo --qemu --both             the host is a guest, too (x86-64): both agents use pci:auto
  vnetcard demo --pci                     the host is a guest; its PCI function is the engine, simulated from its RTL

Without root it uses a user namespace, if the system allows that and /dev/net/tun may be opened.
exit status: 0 no ping was lost, 1 a ping was lost, 2 bad input, or the demo cannot run here
"""
REST_LIMIT = 5.0
"""Seconds for the packets that are in flight after the last ping; a simulated engine may need some."""
GUEST = "vnetcard.sim.guest.show"
"""The module that runs the guest; imported by name, as the library does not depend on sim/."""
PCI = "vnetcard.sim.guest.show_pci"
"""Likewise, with the engine as a PCI function of the guest."""
_INSIDE = "VNETCARD_DEMO_INSIDE"


def add_parser(subparsers: Subparsers) -> None:
    """Add ``demo`` to the commands."""
    parser = add_command(
        subparsers,
        "demo",
        help="start two agents in two namespaces and ping at every size",
        description="Start both agents in two network namespaces and run the ping-size suite in both directions.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--window", metavar="URL", help="the shared memory (default: a new one of 8 MiB)")
    parser.add_argument("--sim", action="store_true", help="put a live simulation of the DMA engine between the agents")
    parser.add_argument("--qemu", action="store_true", help="the card is an ARM64 guest in QEMU, behind a PCI BAR")
    parser.add_argument("--both", action="store_true", help="with --qemu: the host is a guest too, x86-64")
    parser.add_argument(
        "--pci", action="store_true", help="the host is a guest in QEMU; the engine is its PCI function"
    )
    parser.add_argument(
        "--data-width", type=int, choices=(64, 128, 256, 512), help="bits of the simulated engine (512)"
    )
    parser.add_argument("--count", type=int, default=20, metavar="N", help="pings of each size (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run the demo, which leaves nothing behind; 0, or 1 when a ping was lost."""
    _check_arguments(args)
    _check_tun()
    if args.pci:
        import_module(PCI).prepare(args.data_width)
    elif args.qemu:
        import_module(GUEST).prepare(both=args.both)  # now: a new namespace has no network for downloads
    if os.geteuid() != 0:
        return _enter_user_namespace()
    if os.environ.get(_INSIDE):
        _own_run_netns()
    signal.signal(signal.SIGTERM, interrupt)
    if gone := sweep("demo"):
        print(f"removed what a killed demo had left: {', '.join(gone)}")
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        try:
            return _show(args, log, started)
        except LabError:
            log.seek(0)
            sys.stderr.write(log.read())
            raise


def _show(args: argparse.Namespace, log: IO[str], started: float) -> int:
    if args.both:
        results = import_module(GUEST).show_pair(args.count, started)
    elif args.pci:
        results = import_module(PCI).show(args.count, args.data_width, log, started)
    elif args.qemu:
        results = import_module(GUEST).show(args.count, log, started)
    else:
        results = _show_two_namespaces(args, log, started)
    print(f"done in {time.monotonic() - started:.0f} s; namespaces, interfaces and shared memory are gone again")
    return 0 if all(result.ok for result in results) else 1


def _show_two_namespaces(args: argparse.Namespace, log: IO[str], started: float) -> Sequence[suite.PingResult]:
    with contextlib.ExitStack() as stack:
        window, simulator = args.window or f"memfd:vnetcard-demo-{os.getpid()}", None
        if args.sim:
            simulator = stack.enter_context(_simulator(args.data_width))
            window = simulator.url
        lab = stack.enter_context(Lab(window=window, log=log))
        results = _ping(lab, args.count, started, simulator)
        if simulator is not None:
            print(_engine_line(simulator.stop()))
    return results


def _simulator(width: int | None) -> SimProcess:
    """Start a private simulation, which reports its progress and errors on this process's stderr."""
    options = [] if width is None else ["--data-width", str(width)]
    return SimProcess(f"demo-{os.getpid()}", *options)


def _ping(lab: Lab, count: int, started: float, simulator: SimProcess | None) -> Sequence[suite.PingResult]:
    """Start both agents, run the suite and print the results."""
    joined = f"{lab.url} alone" if simulator is None else f"{lab.url} alone, the simulated DMA engine"
    print(f"two network namespaces: {' and '.join(lab.namespaces)}, joined by {joined}", flush=True)
    for side in (L.HOST, L.CARD):
        lab.start(side)
    lab.wait_up()
    view = lab.status(L.HOST)
    on = " ".join(name for name, verdict in view["link"]["features"].items() if verdict == "on") or "none"
    print(f"link up after {time.monotonic() - started:.2f} s: {view['window']['geometry']}; offloads: {on}\n")
    host, card = lab.namespaces
    targets = [
        suite.Target(ADDRESSES[L.CARD], netns=host, label="host to card"),
        suite.Target(ADDRESSES[L.HOST], netns=card, label="card to host"),
    ]
    print(report.header(targets), flush=True)
    results = suite.run_suite(
        targets, count=count, on_result=lambda result: print(report.row(result, targets), flush=True)
    )
    print(report.summary(results))
    print("\n".join(_ledger(lab)))
    return results


def _ledger(lab: Lab) -> Iterator[str]:
    """The ledger of both directions, once no packet is in flight: ping may send one more than it waits for."""
    deadline = time.monotonic() + REST_LIMIT
    while any(sent != received for _, sent, received in _counts(lab)) and time.monotonic() < deadline:
        time.sleep(0.01)
    for direction, sent, received in _counts(lab):
        yield f"ledger {direction}: sent {sent}, received {received}, lost {sent - received}"


def _counts(lab: Lab) -> list[tuple[str, int, int]]:
    """(direction, records sent, records received), each counted by the agent of that end."""
    views = [lab.status(side) for side in (L.HOST, L.CARD)]
    own = [next(side for side in view["sides"] if side["side"] == view["side"]) for view in views]
    return [
        (direction, own[side]["tx"]["tx_sent"], own[1 - side]["rx"]["rx_received"])
        for side, direction in enumerate(L.DIRECTIONS)
    ]


def _engine_line(totals: dict[str, Any]) -> str:
    """The line about the simulated engine at the end."""
    sides, engine = totals["sides"], totals["engine"]
    moved = [
        f"{direction} {sides[L.SIDES[side]]['read_bytes']} bytes in {engine[direction]['publications']} publications"
        for side, direction in enumerate(L.DIRECTIONS)
    ]
    return f"engine: {', '.join(moved)}; {totals['cycles']} cycles, {totals['simulated_ms']:.1f} ms simulated"


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuse arguments that the agents or the pings would refuse later, in the middle of the demo."""
    chosen = [option for option in ("sim", "qemu", "pci") if getattr(args, option)]
    if chosen and args.window:
        raise ConfigError(f"--{chosen[0]} has its own window: omit --window")
    if len(chosen) > 1:
        raise ConfigError(f"--{chosen[0]} and --{chosen[1]} exclude each other: omit one of them")
    if args.both and not args.qemu:
        raise ConfigError("--both is for two guests: add --qemu")
    if args.data_width is not None and not (args.sim or args.pci):
        raise ConfigError("--data-width applies to the simulated engine: add --sim")
    if args.window and (size := WindowUrl.parse(args.window).size) is not None:
        Geometry.plan(size, instance=1, removable=True)
    least, most, unit = suite.LIMITS["count"]
    if not least <= args.count <= most:
        raise ConfigError(f"--count {args.count} is out of range ({least} to {most} {unit})")


def _check_tun() -> None:
    try:
        os.close(os.open(CLONE_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise ConfigError(
            f"the demo needs {CLONE_DEVICE} ({error.strerror}): run it as root, load the module with `modprobe tun`, "
            "or pass the device into the container",
            code=ErrorCode.TUN_UNUSABLE,
        ) from error


def _enter_user_namespace() -> int:
    """Run this program again as root of a new user namespace; does not return."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ConfigError("the demo needs root, or `unshare` (package util-linux)", code=ErrorCode.TOOL_MISSING)
    command = [unshare, "--user", "--map-root-user", "--net", "--mount"]
    probe = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        why = probe.stderr.strip() or f"status {probe.returncode}"
        raise ConfigError(
            f"the demo needs root: this system does not let users create namespaces ({why})", code=ErrorCode.NOT_ROOT
        )
    print("not root: using a user namespace", flush=True)
    os.environ[_INSIDE] = "1"
    os.execv(unshare, [*command, sys.executable, "-m", "vnetcard.cli.main", *sys.argv[1:]])


def _own_run_netns() -> None:
    """Mount an empty /run in this mount namespace: the system's is not writable from a user namespace."""
    mount = shutil.which("mount")
    folder = "/run"
    command = [mount or "mount", "-t", "tmpfs", "tmpfs", folder]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        raise ConfigError(
            "the demo cannot mount a private /run in its user namespace: run it as root", code=ErrorCode.NOT_ROOT
        )
    Path(folder, "netns").mkdir()
