"""Offloads: super-packets cross whole where both sides take them, and nowhere else; what arrives is always right."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.harness.arrivals import arriving
from tests.harness.ledger import assert_kernel_agrees
from tests.harness.needs import need
from tests.harness.traffic import assert_no_bad_checksums, assert_stream_arrives, joined
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

KINDS = {"TSO4": ("tcp", 4), "TSO6": ("tcp", 6), "USO4": ("udp", 4), "USO6": ("udp", 6)}
"""The transfer, protocol and IP version, whose packets each kind makes large."""
NAMES = {"CSUM", *KINDS}
MTU = 1500
BYTES = 2 << 20
SEGMENTS = 40
KERNEL_QUEUE = {"tx_dropped"}
OFF = "switched off by --offload"
ONLY_TOGETHER = "the kernel accepts USO4 and USO6 only together"
NOT_OFFERED = "the peer does not offer it"


@pytest.fixture(autouse=True)
def tools() -> None:
    for tool in ("ip", "tcpdump"):
        need(tool)


def verdicts(lab: Lab, side: int) -> dict[str, str]:
    """What the status of ``side`` says about each kind."""
    found: dict[str, str] = lab.status(side)["link"]["features"]
    return found


def check_all_transfers(lab: Lab, folder: Path, *, large: set[str]) -> list[str]:
    """Run each kind's transfer in both directions, hashes compared: ``large`` ones cross as super-packets, no other
    does.

    Returns the packets that arrived with a checksum that tcpdump calls wrong.
    """
    bad: list[str] = []
    for sender in (L.HOST, L.CARD):
        with arriving(lab, 1 - sender, folder) as arrivals:
            for protocol, version in KINDS.values():
                segments = SEGMENTS if protocol == "udp" else 1
                assert_stream_arrives(lab, protocol, BYTES, version=version, sender=sender, segments=segments)
        crossed = {kind for kind, transfer in KINDS.items() if arrivals.largest[transfer] > MTU}
        assert crossed == large, f"from the {L.SIDES[sender]}: largest packets on arrival {arrivals.largest}"
        bad += arrivals.bad_checksums
    assert_no_bad_checksums(lab)
    assert_kernel_agrees(lab, allow=KERNEL_QUEUE)
    return bad


def test_everything_is_on_by_default_and_super_packets_cross(tmp_path: Path) -> None:
    with joined() as lab:
        for side in (L.HOST, L.CARD):
            assert verdicts(lab, side) == dict.fromkeys(NAMES, "on")
        unfinished = check_all_transfers(lab, tmp_path, large=set(KINDS))
        # The device that forwards a packet completes its checksum; no device does here, so that tcpdump reports it as
        # wrong, and the receiving kernel accepts it (no *CsumErrors).  Without any, no checksum was left out.
        assert unfinished


@pytest.fixture(params=[L.HOST, L.CARD], ids=["host", "card"])
def one_side(request: pytest.FixtureRequest) -> int:
    """The side on which something is switched off."""
    side: int = request.param
    return side


def limited(side: int, kinds: str) -> AbstractContextManager[Lab]:
    """A lab whose ``side`` has ``--offload kinds``."""
    options = ["--offload", kinds]
    return joined(host=options) if side == L.HOST else joined(card=options)


def test_one_side_without_offload_means_plain_packets_with_right_checksums(one_side: int, tmp_path: Path) -> None:
    with limited(one_side, "off") as lab:
        assert verdicts(lab, one_side) == dict.fromkeys(NAMES, OFF)
        assert verdicts(lab, 1 - one_side) == dict.fromkeys(NAMES, NOT_OFFERED)
        assert check_all_transfers(lab, tmp_path, large=set()) == []


@pytest.mark.parametrize(
    ("side", "kinds"),
    [
        (L.HOST, "csum"),
        (L.CARD, "csum,tso4"),
        (L.HOST, "csum,tso6"),
        (L.CARD, "csum,tso4,tso6"),
        (L.HOST, "csum,uso4,uso6"),
        (L.CARD, "csum,tso4,uso4,uso6"),
    ],
)
def test_each_kind_can_be_enabled_alone(side: int, kinds: str, tmp_path: Path) -> None:
    on = set(kinds.upper().split(","))
    with limited(side, kinds) as lab:
        assert verdicts(lab, side) == {name: "on" if name in on else OFF for name in NAMES}
        assert verdicts(lab, 1 - side) == {name: "on" if name in on else NOT_OFFERED for name in NAMES}
        check_all_transfers(lab, tmp_path, large=on & set(KINDS))


@pytest.mark.parametrize(
    ("kinds", "reasons"),
    [
        ("tso4,tso6", {"CSUM": OFF, "TSO4": "needs CSUM", "TSO6": "needs CSUM", "USO4": OFF, "USO6": OFF}),
        (
            "csum,uso4",
            {"CSUM": "on", "TSO4": OFF, "TSO6": OFF, "USO4": ONLY_TOGETHER, "USO6": OFF},
        ),
    ],
    ids=["without CSUM", "half of USO"],
)
def test_kind_that_needs_another_one_reports_it(kinds: str, reasons: dict[str, str], tmp_path: Path) -> None:
    with limited(L.HOST, kinds) as lab:
        assert verdicts(lab, L.HOST) == reasons
        bad = check_all_transfers(lab, tmp_path, large=set())
        assert reasons["CSUM"] == "on" or bad == []
