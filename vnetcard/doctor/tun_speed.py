"""Measures a TUN alone: the kernel's time per packet in each direction, and which offloads it accepts.

Run as a process of its own (``python -m vnetcard.doctor.tun_speed``), in a network namespace of its own, which
is gone with it; without root in a user namespace of its own.  Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time
from typing import Any

from vnetcard.doctor.timing import MOMENT, Stage, gbit, seconds_each
from vnetcard.errors import VnetcardError
from vnetcard.port.tun import open_port

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
"""Linux include/uapi/linux/sched.h"""
LIMIT = 30.0
"""Seconds for the process, on a machine that is very busy."""
SIZES = {"small": 1500, "large": 65000}
COUNT = 100
"""Packets that wait together at most; the interface's queue holds more."""
HEADER = bytes(10)
"""A virtio_net_hdr that asks for nothing."""


def measure() -> tuple[list[Stage], dict[str, str], str]:
    """The stages, each offload kind with '' or why it is refused, and '' or why nothing could be measured."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return [], {}, f"it took longer than {LIMIT:.0f} s"
    if done.returncode:
        return [], {}, (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    measured = json.loads(done.stdout)
    note = "one system call per packet, of 1500 and of 65000 bytes"
    rows = []
    for call, each in measured["seconds"].items():
        small, large = (gbit(SIZES[name], each[name]) for name in SIZES)
        rows.append(Stage(f"TUN {call}", each["small"] * 1e6, small, large, note))
    return rows, measured["offloads"], ""


def _child() -> dict[str, Any]:
    from vnetcard.port.address import parse_address
    from vnetcard.port.interface import Interface

    _enter_own_namespace()
    port = open_port("tun0")
    port.set_carrier(True)
    interface = Interface("tun0")
    interface.up(mtu=SIZES["large"])
    port.set_carrier(True)
    interface.add_address(parse_address("10.0.0.1/24"))
    interface.wait_open()
    offloads = port.probe_offload()
    seconds = {
        "read": {name: _read(port.fds[0], size) for name, size in SIZES.items()},
        "write": {name: _write(port.fds[0], size) for name, size in SIZES.items()},
    }
    interface.close()
    port.close()
    return {"seconds": seconds, "offloads": offloads}


def _enter_own_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        raise PermissionError(ctypes.get_errno(), "cannot make a network namespace to measure a TUN in; run as root")


def _read(fd: int, size: int) -> float:
    """Seconds for one read, of packets that wait in the interface's queue."""
    payload = bytes(size - 28)
    taken, count = 0.0, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(("10.0.0.2", 9))
        for _ in range(COUNT):
            with contextlib.suppress(BlockingIOError):  # its buffer holds few large packets
                for _ in range(COUNT):
                    sender.send(payload)
            start = time.perf_counter()
            got = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    got += len(os.read(fd, size + len(HEADER))) >= size
            taken, count = taken + time.perf_counter() - start, count + got
            if taken > MOMENT:
                break
    if not count:
        raise OSError("no packet came out of the TUN")
    return taken / count


def _write(fd: int, size: int) -> float:
    """Seconds for one write, of packets that the IP layer throws away for their header checksum."""
    wrong_checksum = 0xDEAD
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 1, 17, wrong_checksum, bytes(4), bytes(4))
    packet = HEADER + ip + bytes(size - len(ip))
    return seconds_each(lambda: os.write(fd, packet))


def main() -> int:
    """In the child: 0 and a JSON object, or 1 and a line on stderr."""
    try:
        print(json.dumps(_child()))
    except (OSError, VnetcardError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
