"""Real agents on either side of a DMA driver's devices, which files stand for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger import assert_books_balance
from restarts import ping, ping_suite
from sim_kills import start_both
from xdmalab import XdmaLab

from vnetcard import layout as L

pytestmark = pytest.mark.root


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[XdmaLab]:
    with XdmaLab(tmp_path) as lab:
        yield lab
    assert lab.left_behind() == []


def test_every_size_crosses_both_ways_and_the_books_balance(lab: XdmaLab) -> None:
    start_both(lab)
    ping_suite(lab)
    host, card = assert_books_balance(lab)
    assert host["engine"]["state"] == "run" and host["engine"]["halts"] == 0
    assert card["engine"] is None, "the card's side needs to know nothing of the mover"
    assert [side["side"] for side in host["sides"]] == ["host", "card"]


def test_card_that_starts_first_and_restarts_is_found_again(lab: XdmaLab) -> None:
    lab.start(L.CARD)
    lab.wait_for(L.CARD, "waiting")
    lab.start(L.HOST)
    lab.wait_up()
    for side in (L.CARD, L.HOST, L.CARD):
        assert lab.stop(side) == 0
        assert lab.wait_for(1 - side, "waiting")["link"]["reason"] == "the peer has stopped"
        lab.start(side)
        lab.wait_up()
        ping(lab, side)
