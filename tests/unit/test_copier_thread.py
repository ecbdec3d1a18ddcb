"""The copier in its thread: doorbells, interrupts, slow and hanging transfers, and a removed device."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.copier_harness import BASE, Transfers, laid_out
from tests.unit.link_harness import GEOMETRY, WINDOW
from vnetcard._core import Memory
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock
from vnetcard.x86_side.xdma import copier_thread
from vnetcard.x86_side.xdma.channel import CardMemory
from vnetcard.x86_side.xdma.copier_thread import CopierThread
from vnetcard.x86_side.xdma.dma_copier import DmaCopier

LIMIT = 10.0
PROD = L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]


class Bench:
    """A host's copier that runs, and a card that answered it; the test is both agents."""

    def __init__(self, *, events: Path | None = None) -> None:
        mapped, self.card_map = mmap.mmap(-1, WINDOW), laid_out()
        self.memory, self.card = Memory(mapped), Memory(self.card_map)
        self.transfers = Transfers(self.card_map)
        memory = CardMemory(self.transfers.to_card, self.transfers.from_card, base=BASE, size=WINDOW)
        copier = DmaCopier(self.memory, memoryview(mapped), GEOMETRY, memory, wake=self.memory.wake32)
        self.copier = CopierThread(copier, "a copier under test", events=events)

    def come_up(self) -> None:
        """Both sides have answered each other."""
        host, card = SideBlock(self.memory, L.HOST), SideBlock(self.card, L.CARD)
        for block, own, peer in ((host, 5, 7), (card, 7, 5)):
            block.store("epoch", own)
            block.store("answered", peer)
        self.copier.attach()
        self.copier.announce()
        until(lambda: self.copier.not_ready() is None)

    def publish(self, prod: int) -> None:
        self.memory.store32(PROD, prod)

    def crossed(self, prod: int) -> bool:
        return self.card.load32(PROD) == prod


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.transfers.before = lambda: None
    assert bench.copier.close()


def test_published_index_is_copied_after_the_doorbell(bench: Bench) -> None:
    bench.come_up()
    ring, _ = bench.copier.doorbells()
    for prod in range(64, 64 * 50, 64):
        bench.publish(prod)
        ring(prod)
        until(lambda prod=prod: bench.crossed(prod))  # type: ignore[misc]
    assert bench.copier.statistics().state == "run" and bench.copier.fault() is None
    del ring


def test_idle_copier_still_polls_and_wakes_a_sleeping_pump(bench: Bench) -> None:
    bench.come_up()
    at = L.queue_offset(0) + L.QUEUE_LINES["c2h_prod"]
    time.sleep(0.05)
    sleeper = threading.Thread(target=bench.memory.wait32, args=(at, 0, LIMIT))
    sleeper.start()
    time.sleep(0.05)
    bench.card.store32(at, 64)
    sleeper.join(LIMIT / 2)
    assert not sleeper.is_alive() and bench.memory.load32(at) == 64


def test_copier_with_an_interrupt_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events")
    bench = Bench(events=tmp_path / "events")
    bench.come_up()
    interrupt = os.open(tmp_path / "events", os.O_WRONLY)
    at = L.queue_offset(0) + L.QUEUE_LINES["c2h_prod"]
    for prod in range(64, 64 * 20, 64):
        bench.card.store32(at, prod)
        os.write(interrupt, b"\1\0\0\0")
        until(lambda prod=prod: bench.memory.load32(at) == prod)  # type: ignore[misc]
    time.sleep(0.5)
    polls = bench.copier.statistics().polls
    time.sleep(0.5)
    assert bench.copier.statistics().polls - polls <= 10, "it polls as often as without an interrupt"
    assert bench.copier.close()
    os.close(interrupt)


def test_slow_channel_only_costs_time(bench: Bench) -> None:
    bench.transfers.before = lambda: time.sleep(0.005)
    bench.come_up()
    ring, _ = bench.copier.doorbells()
    bench.publish(640)
    ring(640)
    until(lambda: bench.crossed(640))
    bench.copier.publish()
    del ring


def test_hanging_transfer_is_reported_and_does_not_hang_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier_thread, "CALL_LIMIT", 0.2)
    monkeypatch.setattr(copier_thread, "STOP_LIMIT", 0.2)
    bench, held = Bench(), threading.Event()
    bench.come_up()
    bench.transfers.before = lambda: held.wait(LIMIT)
    hangs = r"within 0 s: a (write|read) over .* at card address 0x\w+ has not returned"
    with pytest.raises(WindowUnavailable, match=hangs):
        bench.copier.publish()
    bench.copier.publish(wait=False)
    assert not bench.copier.close(), "the transfer still writes: its memory must stay mapped"
    held.set()
    until(bench.copier.close)


def test_gone_device_is_raised_by_each_call(bench: Bench) -> None:
    bench.come_up()
    bench.card_map[:] = b"\xff" * WINDOW
    until(lambda: bench.copier._copier.gone is not None)
    for call in (bench.copier.attach, bench.copier.announce, bench.copier.publish, bench.copier.reset_directions):
        with pytest.raises(WindowUnavailable, match="reads as all ones"):
            call()
    with pytest.raises(WindowUnavailable):
        bench.copier.fault()
    bench.copier.detach()
