"""``vnetcard ivshmem-server``: shared memory with interrupts for agents and virtual machines."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.terminal.sizes import human, parse_size
from vnetcard.window.interrupts import VECTORS
from vnetcard.window.ivshmem_protocol import Server

EPILOG = f"""\
examples:
  vnetcard ivshmem-server /run/vnetcard/card0.sock
  vnetcard-x86 --window ivshmem:/run/vnetcard/card0.sock
  qemu-system-aarch64 ... -chardev socket,path=/run/vnetcard/card0.sock,id=card0 \\
      -device ivshmem-doorbell,chardev=card0,vectors={VECTORS}

It serves until SIGINT or SIGTERM; the memory exists only while it runs.  Exit status: 0 stopped, 2 bad input.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``ivshmem-server`` to the commands."""
    parser = add_command(
        subparsers,
        "ivshmem-server",
        help="serve shared memory with interrupts to agents and virtual machines",
        description="Serve one memory, and interrupts between its users, with the protocol of QEMU's ivshmem-doorbell.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("socket", metavar="SOCKET", type=Path, help="path of the socket, created with mode 0600")
    parser.add_argument(
        "--size", metavar="SIZE", default="8M", help="size of the memory, a power of two from 16K to 1G (8M)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; raises ConfigError for an invalid size or socket."""
    size = parse_size(args.size)
    if size & (size - 1) or not L.WINDOW_MIN <= size <= L.WINDOW_MAX:
        raise ConfigError(f"--size {args.size} is invalid: expected a power of two from 16K to 1G")
    until, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    server = Server(args.socket, size)
    try:
        print(f"vnetcard ivshmem-server ready: {args.socket}, {human(size)}", flush=True)
        server.serve(until)
    finally:
        server.close()
    return 0
