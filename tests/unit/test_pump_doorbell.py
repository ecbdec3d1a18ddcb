"""Pumps with a DMA engine write each index that they publish into its doorbells, and leave wake-ups to the engine."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator

import pytest

from tests.unit import pump_harness
from tests.unit.pump_harness import GEOMETRY
from vnetcard import _core
from vnetcard._core import Doorbell, Memory
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L

PROD, CONS, PROD_COUNT, CONS_COUNT, WAKE, SLEEPS = range(0, 24, 4)
RECORD = L.align_record(len(b"E packet"))


class Host(pump_harness.Host):
    """A ``pump_harness.Host`` whose pumps have doorbells, on a page of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoints.close()
        self.page = Memory(mmap.mmap(-1, 4096))
        self.doorbells = (
            Doorbell(self.page, PROD, count_word=PROD_COUNT, wake_word=WAKE, sleep_word=SLEEPS),
            Doorbell(self.page, CONS, count_word=CONS_COUNT, wake_word=WAKE, sleep_word=SLEEPS),
        )
        self.reopen()

    def page_reads(self, **expected: int) -> bool:
        """Wait until the page has these values; a pump writes a doorbell after it has published.  False: it has not."""
        places = {"prod": PROD, "cons": CONS, "prod_count": PROD_COUNT, "cons_count": CONS_COUNT, "wake": WAKE}
        deadline = time.monotonic() + 10
        while {name: self.page.load32(places[name]) for name in expected} != expected:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    host.begin(1, 2)
    yield host
    host.close()


def test_each_published_index_is_written_into_the_doorbell(host: Host) -> None:
    host.take(3)
    assert host.page_reads(prod=3 * RECORD, prod_count=3, cons_count=0)
    host.deliver(2)
    assert host.page_reads(cons=2 * RECORD, cons_count=2, prod_count=3)


def test_only_a_simulator_that_sleeps_is_woken(host: Host) -> None:
    host.take(1)
    assert host.page_reads(prod_count=1, wake=0)
    host.page.store32(SLEEPS, 1)
    host.take(1)
    assert host.page_reads(prod_count=2, wake=1)


def test_pump_with_a_doorbell_does_not_wake_the_peer(host: Host) -> None:
    consumer = L.queue_offset(0) + L.QUEUE_LINES["h2c_cons"]
    host.memory.store32(consumer + L.CONS_LINE.offset("need_wakeup"), 1)
    host.take(5)
    sent, suppressed = (L.TX_STATS.index(f"wakeups_{name}") for name in ("sent", "suppressed"))
    assert host.page_reads(prod_count=5)
    assert (host.endpoints.tx.stats[sent], host.endpoints.tx.stats[suppressed]) == (0, 0)


def test_page_of_the_doorbells_stays_mapped_until_the_pumps_are_closed(host: Host) -> None:
    host.doorbells = ()  # type: ignore[assignment]
    with pytest.raises(BufferError):
        host.page.close()
    host.endpoints.close()
    host.page.close()


def test_pump_refuses_another_doorbell() -> None:
    port = PairPort("host")
    memory = Memory(mmap.mmap(-1, GEOMETRY.window_bytes))
    with pytest.raises(TypeError, match=r"_core\.Doorbell or None"):
        PumpEndpoints(
            memory,
            GEOMETRY,
            L.HOST,
            port,
            attention_fd=0,
            wait="sleep",
            futex=True,
            doorbells=(lambda value: None, lambda value: None),
        )
    port.close()


def test_fifo_endpoints_write_doorbells_as_pumps_do() -> None:
    memory = Memory(mmap.mmap(-1, GEOMETRY.window_bytes))
    rung: list[tuple[str, int]] = []
    host = FifoEndpoints(
        memory,
        GEOMETRY,
        L.HOST,
        doorbells=(lambda value: rung.append(("prod", value)), lambda value: rung.append(("cons", value))),
    )
    card = FifoEndpoints(memory, GEOMETRY, L.CARD)
    for endpoints in (host, card):
        endpoints.reset()
        endpoints.begin(own_epoch=0, peer_epoch=0, features=0, packet_max=1500)
        endpoints.run()
    assert host.send(b"E packet") and host.send(b"E packet")
    assert card.send(b"E packet") and host.receive() == b"E packet" and host.receive() is None
    assert rung == [("prod", RECORD), ("prod", 2 * RECORD), ("cons", RECORD)]
    while host.send(bytes(1000)):
        pass
    assert rung[-1][1] == memory.load32(L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]), "a full ring writes no doorbell"
    assert len({value for what, value in rung if what == "prod"}) == sum(what == "prod" for what, _ in rung)


@pytest.mark.parametrize("places", [{"count_word": 4096}, {"wake_word": 2, "sleep_word": 0}, {"wake_word": 8}])
def test_doorbell_with_words_outside_the_page_is_refused(places: dict[str, int]) -> None:
    page = Memory(mmap.mmap(-1, 4096))
    with pytest.raises((IndexError, ValueError)):
        _core.Doorbell(page, 0, **places)
    page.close()


def test_wait_for_a_word_that_has_changed_returns_at_once() -> None:
    page = Memory(mmap.mmap(-1, 4096))
    began = time.monotonic()
    page.wait32(0, 1, 60)
    assert time.monotonic() - began < 30
    with pytest.raises(ValueError, match="0 to 3600"):
        page.wait32(0, 0, -1)
    page.close()
