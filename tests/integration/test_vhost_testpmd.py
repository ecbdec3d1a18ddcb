"""A TAP pings DPDK's testpmd over a link and vhost-user: both roles, kinds of queues, kills, with exact accounts."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.documented import ROOT
from tests.harness.dpdk import running_testpmd, virtio_user
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


def test_documents_show_the_device_of_these_tests() -> None:
    assert f"--vdev={virtio_user('client', '/run/vnetcard-vm')} " in (ROOT / "docs/ports.md").read_text()


@contextlib.contextmanager
def link_to(role: str, folder: Path) -> Iterator[tuple[RingLab, str]]:
    """A link whose card's agent is a vhost-user back-end of ``role``; and the path where the front-end is expected."""
    with (
        tempfile.TemporaryDirectory(prefix="vnc-") as place,
        (folder / "log").open("w+") as log,
        ring_lab("testpmd", CARD, f"vhost-user:{place}/port?role={role}", log) as lab,
    ):
        lab.start_tap()
        lab.start_ring_port()
        yield lab, f"{place}/port"


@pytest.mark.parametrize(
    ("role", "options"),
    [("client", ""), ("server", ""), ("server", ",mrg_rxbuf=0,in_order=0"), ("server", ",queue_size=64")],
)
def test_testpmd_answers_pings_and_counts_as_the_agent_does(tmp_path: Path, role: str, options: str) -> None:
    """Also without mergeable buffers, and with queues that are full again and again."""
    with (
        link_to(role, tmp_path) as (lab, path),
        running_testpmd(virtio_user(THEIRS[role], path, options)) as pmd,
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

        pmd = running.enter_context(running_testpmd(virtio_user(THEIRS[role], path)))
        with pinging(lab.lab, "-s", "1000"):
            await_answers()
            pmd.kill()
            lab.await_reason(LinkReason.PEER_PORT_DOWN)
            if role == "client":
                Path(path).unlink()  # DPDK does not listen where it left a socket
            pmd = running.enter_context(running_testpmd(virtio_user(THEIRS[role], path)))
            await_answers()
            lab.stop_ring_port(signal.SIGKILL)
            lab.start_ring_port()
            if role == "server":  # a client of DPDK connects again only when its program asks for the link's state
                pmd.kill()
                running.enter_context(running_testpmd(virtio_user(THEIRS[role], path)))
            await_answers()
        assert_ledgers_balance(lab.lab, allow=OUTAGE | EARLY)
