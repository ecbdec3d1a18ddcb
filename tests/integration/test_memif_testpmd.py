"""A TAP pings DPDK's testpmd over a link and memif: both roles, chained buffers, kills, with exact accounts."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.dpdk import net_memif, running_testpmd
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from tests.harness.ring_links import RingLab, ping, ring_lab
from tests.harness.traffic import pinging
from vnetcard.codes.link import LinkReason
from vnetcard.ring.layout import CARD

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIZES = [56, 57, 63, 64, 65, 576, 1024, 1471, 1472]
"""testpmd answers a whole packet only."""
EARLY = frozenset({"drop_link_down", "drop_port_down"})
THEIRS = {"client": "server", "server": "client"}


@contextlib.contextmanager
def link_to(role: str, folder: Path, *, options: str = "") -> Iterator[tuple[RingLab, str]]:
    """A link whose card's agent is a memif of ``role``; and the path where the other one is expected."""
    with tempfile.TemporaryDirectory(prefix="vnc-") as place, (folder / "log").open("w+") as log:
        url = f"memif:{place}/port?role={role}{options}"
        with ring_lab("testpmd", CARD, url, log) as lab:
            lab.start_tap()
            lab.start_ring_port()
            yield lab, f"{place}/port"


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(("ours", "theirs"), [("", ""), ("&ring=6&buffer=256", ",bsize=256,rsize=6")])
def test_testpmd_answers_pings_and_counts_as_the_agent_does(tmp_path: Path, role: str, ours: str, theirs: str) -> None:
    """Also with small buffers, of which a frame takes several: the client chooses them."""
    client = role == "client"
    with (
        link_to(role, tmp_path, options=ours if client else "") as (lab, path),
        running_testpmd(net_memif(THEIRS[role], path, "" if client else theirs)) as pmd,
    ):
        pmd.await_start()
        lab.await_carrier()
        results = ping(lab.lab, SIZES)
        assert [result.size for result in results if result.ok] == SIZES, results
        lab.silence()
        pmd.settle()
        card = assert_ledgers_balance(lab.lab, allow=EARLY)[CARD]["sides"][CARD]
        assert pmd.stop() == (card["rx"]["rx_delivered"], card["tx"]["tx_taken"])


@pytest.mark.parametrize("role", ["client", "server"])
def test_either_program_may_be_killed(tmp_path: Path, role: str) -> None:
    with link_to(role, tmp_path) as (lab, path), contextlib.ExitStack() as running:

        def taken() -> int:
            return int(lab.lab.status(CARD)["sides"][CARD]["tx"]["tx_taken"])

        def await_answers() -> None:
            lab.await_carrier()
            wanted = taken() + 20
            until(lambda: taken() >= wanted, "testpmd answers")

        pmd = running.enter_context(running_testpmd(net_memif(THEIRS[role], path)))
        with pinging(lab.lab, "-s", "1000"):
            await_answers()
            pmd.kill()
            lab.await_reason(LinkReason.PEER_PORT_DOWN)
            if role == "client":
                Path(path).unlink()  # DPDK does not listen where it left a socket
            pmd = running.enter_context(running_testpmd(net_memif(THEIRS[role], path)))
            await_answers()
            lab.stop_ring_port(signal.SIGKILL)
            lab.start_ring_port()
            if role == "server":  # a client of DPDK connects again only when its program asks for the link's state
                pmd.kill()
                running.enter_context(running_testpmd(net_memif(THEIRS[role], path)))
            await_answers()
        assert_ledgers_balance(lab.lab, allow=OUTAGE | EARLY)
