"""Agents that come back with other options than before, or meet a peer that is not like them."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import (
    OUTAGE,
    Handshake,
    left_behind,
    link_line,
    ping,
    ping_suite,
    shm_path,
    start_fails,
    until,
)
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

WAITS = ("adaptive", "poll", "sleep")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("reconf") as lab:
        yield lab


def start_both(lab: Lab, *options: str) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side, *options)
    lab.wait_up()


def with_size(lab: Lab, size: str) -> str:
    """Let agents that start from now on ask for ``size``; the old URL."""
    old, lab.window = lab.window, f"{lab.url}{size}"
    return old


# --- sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "options", "first", "second"),
    [("+64K", (), "64 KiB", "8 MiB"), ("", ("--queue-bytes", "64K"), "64 KiB", "1 MiB")],
    ids=["window", "queue"],
)
def test_another_size_is_refused_while_the_peer_runs(
    lab: Lab, size: str, options: tuple[str, ...], first: str, second: str
) -> None:
    start_both(lab)
    lab.stop(L.CARD, signal.SIGKILL)
    usual = with_size(lab, size)
    status, errors = start_fails(lab, L.CARD, *options)
    assert status == 2
    assert first in errors and second in errors and errors.count("\n") == 1
    lab.window = usual
    lab.start(L.CARD)
    lab.wait_up()
    ping(lab, L.CARD)


@pytest.mark.parametrize(
    ("size", "options", "rings"),
    [("+64K", (), "rings of 16 KiB"), ("", ("--queue-bytes", "64K"), "rings of 64 KiB")],
    ids=["window", "queue"],
)
def test_another_size_lays_the_window_out_again_when_no_agent_runs(
    lab: Lab, size: str, options: tuple[str, ...], rings: str
) -> None:
    start_both(lab)
    for side in (L.HOST, L.CARD):
        lab.stop(side, signal.SIGKILL)
    assert shm_path(lab).exists()
    with_size(lab, size)
    lab.start(L.CARD, *options)
    lab.start(L.HOST)  # takes what the card asked for, unless it asks for the same
    lab.wait_up()
    assert rings in lab.status(L.HOST)["window"]["geometry"]
    ping_suite(lab)
    assert_ledgers_balance(lab)
    assert [lab.stop(side) for side in (L.HOST, L.CARD)] == [0, 0]
    assert left_behind(lab) == []


# --- MTU ---------------------------------------------------------------------------------------------


def is_reason(lab: Lab, side: int, words: str) -> bool:
    """Whether ``words`` are in the reason for the state of the link."""
    return words in lab.status(side)["link"]["reason"]


def mtus(lab: Lab) -> list[int]:
    """As the kernel has it, on both sides."""
    return [int(re.findall(r" mtu (\d+)", link_line(lab, side))[0]) for side in (L.HOST, L.CARD)]


def fits(lab: Lab, side: int, mtu: int) -> None:
    """A packet of exactly ``mtu`` bytes goes through whole, one of a byte more does not."""
    for size, answered, wait in ((mtu - 28, True, "20"), (mtu - 27, False, "1")):
        command = ["ping", "-q", "-c", "1", "-W", wait, "-M", "do", "-s", str(size), ADDRESSES[1 - side]]
        done = subprocess.run(run_in(lab.namespaces[side], command), capture_output=True, text=True, check=False)
        assert (", 1 received" in done.stdout) is answered, done.stdout + done.stderr


@pytest.mark.parametrize("persist", [(), ("--persist",)], ids=["", "persist"])
def test_smaller_mtu_is_used_and_the_larger_one_restored(lab: Lab, persist: tuple[str, ...]) -> None:
    lab.start(L.HOST, "--mtu", "9000", *persist)
    for card, agreed in ((1401, 1401), (9000, 9000), (577, 577), (65000, 9000)):
        lab.start(L.CARD, "--mtu", str(card), *persist)
        lab.wait_up()
        assert mtus(lab) == [agreed, agreed]
        for side in (L.HOST, L.CARD):
            assert lab.status(side)["link"]["mtu"] == agreed
        fits(lab, card % 2, agreed)
        lab.stop(L.CARD, signal.SIGKILL if card == 9000 else signal.SIGTERM)


# --- wait modes --------------------------------------------------------------------------------------


def test_each_wait_mode_works_with_each_other_one(lab: Lab) -> None:
    for host in WAITS:
        lab.start(L.HOST, "--wait", host)
        for card in WAITS:
            lab.start(L.CARD, "--wait", card)
            lab.wait_up()
            for side in (L.HOST, L.CARD):
                ping(lab, side, count=10, size=1000)
            assert_ledgers_balance(lab, allow=OUTAGE)
            lab.stop(L.CARD)
        lab.stop(L.HOST)


# --- another wire format -----------------------------------------------------------------------------


def test_a_window_of_another_wire_format_is_refused(lab: Lab) -> None:
    start_both(lab)
    for side in (L.HOST, L.CARD):
        lab.stop(side, signal.SIGKILL)
    with shm_path(lab).open("r+b") as file:
        file.seek(L.SUPERBLOCK.offset("version_min"))
        file.write((7).to_bytes(4, "little") + (9).to_bytes(4, "little"))
    status, errors = start_fails(lab, L.HOST)
    assert status == 2
    assert "7 to 9" in errors and f"speaks {L.VERSION}" in errors and str(shm_path(lab)) in errors
    assert shm_path(lab).exists(), "it may belong to newer software"


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_peer_of_another_wire_format_is_refused_until_it_is_valid(lab: Lab, side: int) -> None:
    lab.start(side)
    peer = Handshake(lab)
    for version, epoch in ((2, 0x1234), (77, 0x1234), (77, 0x5678)):
        peer.poke(1 - side, "version", version)
        peer.poke(1 - side, "epoch", epoch)
        view = lab.wait_for(side, "refused")
        until(partial(is_reason, lab, side, f"wire format {version}"), "both versions in words")
        assert f"this side {L.VERSION}" in lab.status(side)["link"]["reason"]
        assert not view["link"]["up"]
        assert "NO-CARRIER" in link_line(lab, side)
    lab.start(1 - side)
    lab.wait_up()
    for at in (L.HOST, L.CARD):
        ping(lab, at)
    assert_ledgers_balance(lab, allow=OUTAGE)


@pytest.mark.parametrize(("word", "values"), [("mtu", (0, 67, 65536, 0xFFFFFFFF))])
def test_peer_with_invalid_values_is_refused_until_they_are_valid(lab: Lab, word: str, values: tuple[int, ...]) -> None:
    lab.start(L.HOST)
    peer = Handshake(lab)
    for value, epoch in zip(values, itertools.count(100), strict=False):
        peer.poke(L.CARD, "version", L.VERSION)
        peer.poke(L.CARD, word, value)
        peer.poke(L.CARD, "epoch", epoch)
        peer.poke(L.CARD, "answered", peer.word(L.HOST, "epoch"))
        lab.wait_for(L.HOST, "refused")
        until(partial(is_reason, lab, L.HOST, str(value)), "the value in words")
    lab.start(L.CARD)
    lab.wait_up()
    ping(lab, L.HOST)
