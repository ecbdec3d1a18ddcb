"""How many transfers a packet takes over a DMA channel, and when the cons that frees records crosses."""

from __future__ import annotations

import pytest

from tests.unit.copier_harness import LINE, RINGS, CopierHarness, used_link
from vnetcard.x86_side.xdma.dma_copier import CONS_AFTER, POLL_EVERY


@pytest.fixture
def harness() -> CopierHarness:
    return used_link()


def test_answered_packet_takes_four_transfers_besides_polls_that_find_nothing(harness: CopierHarness) -> None:
    """Records and prod to the card, index lines and records from it; a cons for every quarter of the ring."""
    packets = 4 * RINGS["c2h"].size // 64
    empty = 0
    harness.clock.now += POLL_EVERY  # the block, then not again, as no time passes
    harness.carry()
    harness.transfers.log.clear()
    for _ in range(packets):
        polls = harness.host.copier.stats.polls
        assert harness.host.send()
        harness.carry()
        assert harness.card.receive() and harness.card.send()
        harness.carry()
        assert harness.host.receive()
        empty += harness.host.copier.stats.polls - polls - 1
    assert len(harness.transfers.log) - empty <= 4 * packets + 4 * 4


def test_cons_of_few_records_waits_and_then_crosses(harness: CopierHarness) -> None:
    assert harness.card.send()
    harness.carry()
    assert harness.host.receive()
    harness.transfers.log.clear()
    harness.carry()
    assert not any(what == "write" for what, _, _ in harness.transfers.log)
    harness.clock.now += 2 * CONS_AFTER
    harness.carry()
    assert [at for what, at, _ in harness.transfers.log if what == "write"] == [LINE["c2h_cons"]]


def test_card_that_waits_for_a_quarter_of_its_ring_gets_it_at_once(harness: CopierHarness) -> None:
    sent = 0
    while harness.card.send():
        sent += 1
    assert sent >= RINGS["c2h"].size // 64 - 1
    harness.drain()
    assert harness.card.send(), "no time has passed"
