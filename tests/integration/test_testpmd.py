"""A TAP pings DPDK's testpmd over a link and a ring port, memif or vhost-user: roles, kinds of queues, kills.

The accounts of both programs are equal.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.documented import ROOT
from tests.harness.dpdk import net_memif, running_testpmd, virtio_user
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
DEVICES = {"memif": net_memif, "vhost-user": virtio_user}
THEIRS = {"client": "server", "server": "client"}


@dataclass(frozen=True, slots=True)
class Joined:
    """How the card's agent and testpmd are joined: kind and role of our port, its options, and those of testpmd."""

    kind: str
    role: str
    ours: str = ""
    theirs: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.role} {self.ours or self.theirs}".rstrip()

    def device(self, path: str) -> str:
        """The device of testpmd, with its socket at ``path``."""
        return DEVICES[self.kind](THEIRS[self.role], path, self.theirs)


PINGED = (
    Joined("memif", "client", ours="&ring=6&buffer=256"),  # a frame takes several buffers; the client chooses them
    Joined("memif", "server"),
    Joined("vhost-user", "client"),
    Joined("vhost-user", "server", theirs=",mrg_rxbuf=0,in_order=0"),
)
PINGED_BY_CAMPAIGN = (
    Joined("memif", "client"),
    Joined("memif", "server", theirs=",bsize=256,rsize=6"),
    Joined("vhost-user", "server"),
    Joined("vhost-user", "server", theirs=",queue_size=64"),  # full again and again
)
KILLED = (Joined("memif", "server"), Joined("vhost-user", "client"))
KILLED_BY_CAMPAIGN = (Joined("memif", "client"), Joined("vhost-user", "server"))


def each(always: tuple[Joined, ...], campaign: tuple[Joined, ...]) -> pytest.MarkDecorator:
    """Parametrize a test with ``joined``."""
    rare = [pytest.param(one, marks=pytest.mark.campaign) for one in campaign]
    return pytest.mark.parametrize("joined", [*always, *rare], ids=str)


def test_documents_show_the_device_of_these_tests() -> None:
    assert f"--vdev={virtio_user('client', '/run/vnetcard-vm')} " in (ROOT / "docs/ports.md").read_text()


@contextlib.contextmanager
def link_to(joined: Joined, folder: Path) -> Iterator[tuple[RingLab, str]]:
    """A link whose card's agent has a ring port; and the path where testpmd is expected."""
    with tempfile.TemporaryDirectory(prefix="vnc-") as place, (folder / "log").open("w+") as log:
        url = f"{joined.kind}:{place}/port?role={joined.role}{joined.ours}"
        with ring_lab("testpmd", CARD, url, log) as lab:
            lab.start_tap()
            lab.start_ring_port()
            yield lab, f"{place}/port"


@each(PINGED, PINGED_BY_CAMPAIGN)
def test_testpmd_answers_pings_and_counts_as_the_agent_does(tmp_path: Path, joined: Joined) -> None:
    with link_to(joined, tmp_path) as (lab, path), running_testpmd(joined.device(path)) as pmd:
        pmd.await_start()
        lab.await_carrier()
        results = ping(lab.lab, SIZES)
        assert [result.size for result in results if result.ok] == SIZES, results
        lab.silence()
        pmd.settle()
        card = assert_ledgers_balance(lab.lab, allow=EARLY)[CARD]["sides"][CARD]
        assert pmd.stop() == (card["rx"]["rx_delivered"], card["tx"]["tx_taken"])


@each(KILLED, KILLED_BY_CAMPAIGN)
def test_either_program_may_be_killed(tmp_path: Path, joined: Joined) -> None:
    with link_to(joined, tmp_path) as (lab, path), contextlib.ExitStack() as running:

        def taken() -> int:
            return int(lab.lab.status(CARD)["sides"][CARD]["tx"]["tx_taken"])

        def await_answers() -> None:
            lab.await_carrier()
            wanted = taken() + 20
            until(lambda: taken() >= wanted, "testpmd answers")

        pmd = running.enter_context(running_testpmd(joined.device(path)))
        with pinging(lab.lab, "-s", "1000"):
            await_answers()
            pmd.kill()
            lab.await_reason(LinkReason.PEER_PORT_DOWN)
            if joined.role == "client":
                Path(path).unlink()  # DPDK does not listen where it left a socket
            pmd = running.enter_context(running_testpmd(joined.device(path)))
            await_answers()
            lab.stop_ring_port(signal.SIGKILL)
            lab.start_ring_port()
            if joined.role == "server":  # a client of DPDK connects again only when its program asks for it
                pmd.kill()
                running.enter_context(running_testpmd(joined.device(path)))
            await_answers()
        assert_ledgers_balance(lab.lab, allow=OUTAGE | EARLY)
