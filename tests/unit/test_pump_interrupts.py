"""Pumps that wake one another by interrupts: they sleep on an eventfd, and interrupt the peer if it sleeps."""

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
"""Without a wake-up a pump polls after 0.1 s.  Medians are compared, because a busy machine stalls at times."""


class Interrupts:
    """``Interrupts`` of a window whose peer is the test; the peer's are eventfds, or registers in a file."""

    number = 1

    def __init__(self, registers: int = -1) -> None:
        self.eventfds = (os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK))
        self.raised = (os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK))
        self._registers = registers

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        if number != 2:
            return None
        if self._registers >= 0:
            return IrqTrigger(self._registers, 12, 0x10000), IrqTrigger(self._registers, 12, 0x10001)
        return IrqTrigger(fd=self.raised[0]), IrqTrigger(fd=self.raised[1])

    def close(self) -> None:
        for fd in (*self.eventfds, *self.raised):
            os.close(fd)


class Host(pump_harness.Host):
    """A ``pump_harness.Host`` in a window without futexes."""

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
            assert time.monotonic() < deadline, "the pump does not set need_wakeup"
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


def test_interrupt_ends_the_sleep_of_a_pump(host: Host) -> None:
    took = []
    for _ in range(PACKETS):
        host.until_asleep("c2h_cons")
        began = time.monotonic()
        assert host.to_host.try_push(b"E packet")
        os.eventfd_write(host.interrupts.eventfds[0], 1)
        assert select.select([host.port.far], [], [], 5)[0]
        host.port.far.recv(100)
        took.append(time.monotonic() - began)
    assert median(took) < SLEEP / 2, "most records were found by polling, after the whole sleep"
    wakeups = read_end(host.memory, "c2h", tx=False).stats["irq_wakeups"]
    assert PACKETS / 2 < wakeups <= PACKETS, "the pump does not count the interrupts that woke it"


def test_command_ends_the_sleep_on_interrupts(host: Host) -> None:
    took = []
    for _ in range(20):
        host.until_asleep("c2h_cons")
        began = time.monotonic()
        host.endpoints.hold()
        took.append(time.monotonic() - began)
        host.endpoints.run()
    assert median(took) < SLEEP / 2, "most commands waited for the end of the sleep"


def test_only_a_peer_that_sleeps_is_interrupted(host: Host) -> None:
    prod, cons = host.interrupts.raised
    host.port.far.send(b"E packet")
    assert _next(host) == b"E packet"
    assert not select.select([prod], [], [], 0.05)[0], "interrupted although it is awake"
    host.memory.store32(SLEEPS["h2c_cons"], 1)
    host.port.far.send(b"E packet")
    assert select.select([prod], [], [], 5)[0]
    host.memory.store32(SLEEPS["c2h_prod"], 1)
    assert host.to_host.try_push(b"E packet")
    os.eventfd_write(host.interrupts.eventfds[0], 1)
    assert select.select([cons], [], [], 5)[0], "a producer that waits for room is not interrupted"


def _next(host: Host) -> bytes:
    deadline = time.monotonic() + 5
    while (packet := host.from_host.try_pop()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    return packet


def test_register_that_interrupts_gets_its_value(tmp_path: Path) -> None:
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


def test_pump_polls_for_a_peer_with_an_unknown_number(interrupts: Interrupts) -> None:
    host = Host(interrupts, peer=9)
    assert not host.reached
    for _ in range(5):
        assert host.to_host.try_push(b"E packet")
        assert select.select([host.port.far], [], [], 5)[0]
        host.port.far.recv(100)
    assert not host.memory.load32(SLEEPS["c2h_cons"]), "it set need_wakeup, but the peer cannot wake it"
    host.close()
