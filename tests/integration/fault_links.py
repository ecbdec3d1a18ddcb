"""Links that the fault table injects its faults into, and the loads on them."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.harness.faulty_peer import FaultyPeer
from tests.harness.needs import need_simulator
from vnetcard.lab.lab import Lab, run_in
from vnetcard.lab.sim import SimProcess
from vnetcard.ring import layout as L

LIMIT_S = 60.0
"""Seconds until a link is up or a cause is found, on a machine that is very busy."""


@contextlib.contextmanager
def joined(host: tuple[str, ...] = (), card: tuple[str, ...] = (), *, size: str = "") -> Iterator[Lab]:
    """Two agents with their links up, and no traffic."""
    with Lab("fault") as lab:
        lab.window += size
        lab.start(L.HOST, *host)
        lab.start(L.CARD, *card)
        lab.wait_up()
        yield lab


@contextlib.contextmanager
def simulated(*options: str) -> Iterator[tuple[SimProcess, Lab]]:
    """Two agents with the simulated engine between them, and pings through it."""
    need_simulator()
    with SimProcess(f"fault-{os.getpid()}", *options) as simulator, Lab("fault", window=simulator.url) as lab:
        lab.start(L.HOST)
        lab.start(L.CARD)
        lab.wait_up(limit=LIMIT_S)
        with pinging(lab, "-i", "0.01"):
            yield simulator, lab


@contextlib.contextmanager
def faulty_card(*host: str, **how: bool | int | bytes) -> Iterator[Lab]:
    """The host's agent, and a ``FaultyPeer`` as the card."""
    with Lab("fault") as lab:
        lab.start(L.HOST, *host)
        peer = FaultyPeer(lab.url, **how)  # type: ignore[arg-type]
        try:
            lab.wait_for(L.HOST, "run")
            yield lab
        finally:
            peer.close()


@contextlib.contextmanager
def pinging(lab: Lab, *options: str, side: int = L.HOST) -> Iterator[None]:
    """A ping from ``side`` while the body runs."""
    command = run_in(lab.namespaces[side], ["ping", "-n", "-q", *options, ("10.10.10.5", "10.10.10.1")[side]])
    ping = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        ping.terminate()
        ping.wait()


@contextlib.contextmanager
def flood(lab: Lab) -> Iterator[None]:
    """UDP as fast as the kernel takes it."""
    sends = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect(('10.10.10.5', 9))\n"
    sends += "while True:\n try: s.send(b'v' * 1400)\n except OSError: pass\n"
    sender = subprocess.Popen(run_in(lab.namespaces[L.HOST], [sys.executable, "-c", sends]))
    try:
        yield
    finally:
        sender.kill()
        sender.wait()


@contextlib.contextmanager
def stuttering(pid: int) -> Iterator[None]:
    stutter = (
        "import os, signal, sys, time\npid = int(sys.argv[1])\nwhile True:\n"
        " os.kill(pid, signal.SIGSTOP); time.sleep(0.098); os.kill(pid, signal.SIGCONT); time.sleep(0.002)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", stutter, str(pid)])
    try:
        yield
    finally:
        process.kill()
        process.wait()
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def counting(name: str) -> Iterator[Lab]:
    """A card that has counted drops which no test can provoke in a kernel."""
    with faulty_card(sends=False) as lab, Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory:
        slots = [L.queue_offset(0) + L.QUEUE_LEDGERS["c2h_tx"] + L.LEDGER_SLOT_BYTES * n for n in range(2)]
        stamps = [struct.unpack("<Q", os.pread(memory.fileno(), 8, at))[0] for at in slots]
        newer = stamps.index(max(stamps))
        os.pwrite(memory.fileno(), struct.pack("<Q", 5), slots[newer] + 8 * L.TX_LEDGER.index(name))
        os.pwrite(memory.fileno(), struct.pack("<Q", stamps[newer] or 1), slots[newer])
        yield lab
