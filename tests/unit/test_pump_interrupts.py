"""Pumps that wake one another by interrupts: they sleep on an eventfd, and ring the peer's bell if it sleeps."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.unit import pump_harness
from tests.unit.pump_harness import GEOMETRY, PEER_EPOCH
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end
from vnetcard.window.interrupts import IrqTrigger

SLEEPS = {line: L.queue_offset(0) + at + L.PROD_LINE.offset("need_wakeup") for line, at in L.QUEUE_LINES.items()}
PACKETS, SLEEP = 60, 0.1
"""A pump that nobody wakes looks by itself after 0.1 s; a median stands a machine that now and then stalls."""


class Interrupts:
    """``Interrupts`` of a window whose peer is the test; its interrupts are eventfds or a file of registers."""

    number = 1

    def __init__(self, registers: int = -1) -> None:
        self.eventfds = (os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK))
        self.rung = (os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK))
        self._registers = registers

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        if number != 2:
            return None
        if self._registers >= 0:
            return IrqTrigger(self._registers, 12, 0x10000), IrqTrigger(self._registers, 12, 0x10001)
        return IrqTrigger(fd=self.rung[0]), IrqTrigger(fd=self.rung[1])

    def close(self) -> None:
        for fd in (*self.eventfds, *self.rung):
            os.close(fd)


class Host(pump_harness.Host):
    """... in a window whose words nobody can sleep on."""

    def __init__(self, interrupts: Interrupts, peer: int = 2) -> None:
        super().__init__()
        self.endpoints.close()
        self.interrupts = interrupts
        self.endpoints = PumpEndpoints(
            self.memory, GEOMETRY, L.HOST, self.port, attention_fd=self.attention, wait="sleep", futex=False
        )
        self.endpoints.hold()
        self.reached = self.endpoints.use_interrupts(interrupts, peer)
        self.memory.store32(PEER_EPOCH, 7)
        self.endpoints.reset()
        self.endpoints.begin(own_epoch=5, peer_epoch=7, features=L.FEATURES["IRQ"], packet_max=1500)
        self.endpoints.run()

    def until_asleep(self, line: str) -> None:
        deadline = time.monotonic() + 10
        while not self.memory.load32(SLEEPS[line]):
            assert time.monotonic() < deadline, "the pump does not say that it sleeps"
            time.sleep(0.0005)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    interrupts = Interrupts()
    yield interrupts
    interrupts.close()


@pytest.fixture
def host(interrupts: Interrupts) -> Iterator[Host]:
    host = Host(interrupts)
    yield host
    host.close()


def test_sleeping_pump_is_woken_by_its_ear_and_not_by_its_clock(host: Host) -> None:
    took = []
    for _ in range(PACKETS):
        host.until_asleep("c2h_cons")
        began = time.monotonic()
        assert host.to_host.try_push(b"E packet")
        os.eventfd_write(host.interrupts.eventfds[0], 1)
        assert select.select([host.port.far], [], [], 5)[0]
        host.port.far.recv(100)
        took.append(time.monotonic() - began)
    assert median(took) < SLEEP / 2, "most were found by looking, after the whole sleep"
    heard = read_end(host.memory, "c2h", tx=False).stats["wakeups_heard"]
    assert PACKETS / 2 < heard <= PACKETS, "the pump does not count what woke it"


def test_command_ends_the_sleep_by_ear(host: Host) -> None:
    took = []
    for _ in range(20):
        host.until_asleep("c2h_cons")
        began = time.monotonic()
        host.endpoints.hold()
        took.append(time.monotonic() - began)
        host.endpoints.run()
    assert median(took) < SLEEP / 2, "most waited for the end of the sleep"


def test_peer_that_sleeps_is_rung_and_one_that_is_awake_is_not(host: Host) -> None:
    prod, cons = host.interrupts.rung
    host.port.far.send(b"E packet")
    assert _next(host) == b"E packet"
    assert not select.select([prod], [], [], 0.05)[0], "rung although it is awake"
    host.memory.store32(SLEEPS["h2c_cons"], 1)
    host.port.far.send(b"E packet")
    assert select.select([prod], [], [], 5)[0]
    host.memory.store32(SLEEPS["c2h_prod"], 1)
    assert host.to_host.try_push(b"E packet")
    os.eventfd_write(host.interrupts.eventfds[0], 1)
    assert select.select([cons], [], [], 5)[0], "a producer that waits for room is not rung"


def _next(host: Host) -> bytes:
    deadline = time.monotonic() + 5
    while (packet := host.from_host.try_pop()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    return packet


def test_bell_that_is_a_register_gets_its_value(tmp_path: Path) -> None:
    with (tmp_path / "registers").open("w+b", buffering=0) as registers:
        interrupts = Interrupts(registers.fileno())
        host = Host(interrupts)
        host.memory.store32(SLEEPS["h2c_cons"], 1)
        host.port.far.send(b"E packet")
        deadline = time.monotonic() + 5
        while os.pread(registers.fileno(), 100, 0) != bytes(12) + (0x10000).to_bytes(4, "little"):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        host.close()
        interrupts.close()


def test_peer_whom_nobody_knows_is_looked_for_as_without_bells(interrupts: Interrupts) -> None:
    host = Host(interrupts, peer=9)
    assert not host.reached
    for _ in range(5):
        assert host.to_host.try_push(b"E packet")
        assert select.select([host.port.far], [], [], 5)[0]
        host.port.far.recv(100)
    assert not host.memory.load32(SLEEPS["c2h_cons"]), "it says that it sleeps, and nobody can wake it"
    host.close()
