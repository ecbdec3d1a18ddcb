"""``vnetcard stack``: lwIP as one side of a link, with a shell."""

from __future__ import annotations

import argparse
import signal
import sys
from ipaddress import IPv4Address, IPv4Interface

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.firmware.build import library
from vnetcard.firmware.shell import HELP, Shell
from vnetcard.firmware.stack import Stack
from vnetcard.port.mac import Mac, own_mac
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import DEFAULT_WINDOW, Subparsers, add_command

EPILOG = f"""\
commands of the shell, which -c and standard input give as well:
{"".join(f"  {line}" for line in HELP.splitlines(keepends=True))}
examples:
  vnetcard stack                                          the card of shm:vnetcard0, as 10.10.10.5
  vnetcard stack --window shm:lab0 -c up -c 'ping 10.10.10.1 9000 20'
  vnetcard stack -c echo -c discard -c 'iperf server' -c wait
  vnetcard stack --side host --address 10.10.10.1/24 --json -c up -c netstat

exit status: 0 all commands succeeded, 1 one had a negative result (such as a lost ping), 2 bad input
"""
_BAD = ErrorCode.BAD_ADDRESS
DEFAULT_ADDRESSES = {L.HOST: "10.10.10.1/24", L.CARD: "10.10.10.5/24"}


def add_parser(subparsers: Subparsers) -> None:
    """Add ``stack`` to the commands."""
    parser = add_command(
        subparsers,
        "stack",
        help="lwIP as one side of a link, without a kernel's interface: ping, echo, iperf and a shell",
        description="Run the lwIP stack of the firmware (firmware/) as one side of a window, in place of its agent. "
        "The C compiler and liblwip-dev build it at the first start.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--window", default=DEFAULT_WINDOW, metavar="URL", help="shm:, file: or memfd: (%(default)s)")
    parser.add_argument("--side", choices=L.SIDES, default=L.SIDES[L.CARD], help="host or card (default: %(default)s)")
    parser.add_argument(
        "--address", metavar="IP/BITS", help="IPv4 address (default: 10.10.10.5/24, or 10.10.10.1/24 for the host)"
    )
    parser.add_argument("--gateway", metavar="IP", help="gateway to other networks (default: none)")
    parser.add_argument("--mtu", type=int, default=L.MTU_DEFAULT, metavar="BYTES", help="MTU (default: %(default)s)")
    parser.add_argument("--ethernet", action="store_true", help="Ethernet frames, for an agent with a tap: port")
    parser.add_argument("--mac", metavar="MAC", help="with --ethernet (default: made of machine and window)")
    parser.add_argument(
        "-c", "--command", action="append", metavar="COMMAND", help="run this, then end; may be given several times"
    )
    parser.add_argument("--json", action="store_true", help="print each result as a JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Run the commands, or a shell; raises ConfigError and what ``open_window`` raises."""
    side = L.SIDES.index(args.side)
    address = _address(args.address or DEFAULT_ADDRESSES[side])
    gateway = _gateway(args.gateway) if args.gateway else None
    if not L.MTU_MIN <= args.mtu <= L.MTU_MAX:
        raise ConfigError(f"--mtu {args.mtu} is out of range ({L.MTU_MIN} to {L.MTU_MAX})", code=ErrorCode.OUT_OF_RANGE)
    if args.mac and not args.ethernet:
        raise ConfigError("--mac needs --ethernet")
    mac = Mac.parse(args.mac) if args.mac else own_mac(side, args.window)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: stopped.append(number))
    built = library(lambda text: print(text, end="", file=sys.stderr, flush=True))
    frames = L.FRAMES["ETHERNET" if args.ethernet else "IP"]
    with Stack(built, args.window, side, mtu=args.mtu, frames=frames, mac=mac.raw) as stack:
        stack.set_address(address, gateway)
        if args.command is None and not args.json:
            print(f"vnetcard stack ready: {args.side} of {stack.window.url}, {address}", flush=True)
        shell = Shell(stack, as_json=args.json, stopped=lambda: bool(stopped))
        if args.command is None:
            prompt = "vnetcard> " if sys.stdin.isatty() and not args.json else ""
            shell.interact(sys.stdin.fileno(), prompt)
        for line in args.command or ():
            if stopped or not shell.run(line):
                break
    return 130 if signal.SIGINT in stopped else int(shell.failed)


def _address(text: str) -> IPv4Interface:
    try:
        address = IPv4Interface(text)
    except ValueError as error:
        raise ConfigError(
            f"--address {text} is not IPv4/BITS, as in 10.10.10.5/24", code=ErrorCode.BAD_ADDRESS
        ) from error
    if address.is_multicast or address.is_unspecified or "/" not in text:
        raise ConfigError(f"--address {text} is not IPv4/BITS of one host", code=ErrorCode.BAD_ADDRESS)
    return address


def _gateway(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise ConfigError(f"--gateway {text} is no IPv4 address", code=ErrorCode.BAD_ADDRESS) from error
