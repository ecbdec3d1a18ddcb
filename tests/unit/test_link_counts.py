"""A ping counts only if the link's own counters moved by it."""

from __future__ import annotations

from typing import Any

import pytest

from vnetcard.errors import PeerGone
from vnetcard.ping import link_counts, suite
from vnetcard.ping.link_counts import LinkCounts
from vnetcard.ping.suite import Target, Transcript, run_suite
from vnetcard.ring import layout as L

WINDOW = "shm:counts"


def view(side: int, address: str, sent: int) -> dict[str, Any]:
    """An agent's status, of an agent in this process's namespace."""
    name = L.SIDES[side]
    return {
        "side": name,
        "pid": 0,
        "port": {"addresses": [address], "netns": None},
        "sides": [{"side": name, "tx": {"tx_sent": sent}}, {"side": L.SIDES[1 - side], "tx": {"tx_sent": 999}}],
    }


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, Any]]:
    """The agents that answer, by side."""
    views: dict[int, dict[str, Any]] = {}

    def ask(window: str, side: int, question: str) -> dict[str, Any]:
        assert (window, question) == (WINDOW, "status")
        if side not in views:
            raise PeerGone("no agent")
        return views[side]

    monkeypatch.setattr(link_counts, "ask", ask)
    monkeypatch.setattr(link_counts, "SETTLE_LIMIT", 0.05)
    return views


def test_packets_of_the_agent_in_whose_network_the_target_is_are_counted(agents: dict[int, dict[str, Any]]) -> None:
    agents[L.HOST] = view(L.HOST, "10.10.10.1/24", 40)
    counts = LinkCounts(WINDOW)
    assert counts.sent(Target("10.10.10.5")) == 40
    assert counts.sent(Target("192.0.2.5")) is None
    assert counts.sent(Target("10.10.10.5", netns="/proc/1/ns/mnt")) is None
    agents[L.HOST]["sides"][0]["tx"]["tx_sent"] = 47
    assert counts.crossed(Target("10.10.10.5"), 40, 5) == 7


def test_without_an_agent_here_no_ping_is_judged_by_counters(agents: dict[int, dict[str, Any]]) -> None:
    assert not agents
    assert LinkCounts(WINDOW).sent(Target("10.10.10.5")) is None
    assert LinkCounts(WINDOW).crossed(Target("10.10.10.5"), None, 5) is None


def test_agents_of_one_namespace_count_together(agents: dict[int, dict[str, Any]]) -> None:
    agents[L.HOST] = view(L.HOST, "10.10.10.1/24", 3)
    agents[L.CARD] = view(L.CARD, "10.10.10.5/24", 4)
    assert LinkCounts(WINDOW).sent(Target("10.10.10.5")) == 7


class Link:
    """A link that has carried ``moved`` packets for all pings."""

    def __init__(self, moved: int | None) -> None:
        self.moved = moved

    def sent(self, target: Target) -> int | None:
        return 100

    def crossed(self, target: Target, before: int | None, wanted: int) -> int | None:
        assert (before, wanted) == (100, 5)
        return self.moved


@pytest.mark.parametrize(("moved", "ok"), [(None, True), (5, True), (12, True), (4, False), (0, False)])
def test_replies_that_the_link_did_not_carry_fail_the_ping(
    monkeypatch: pytest.MonkeyPatch, moved: int | None, ok: bool
) -> None:
    def answered(argv: list[str], transcript: Transcript, limit: float) -> None:
        del argv, limit
        lines = [b"64 bytes from 10.10.10.5: icmp_seq=%d ttl=64 time=0.05 ms" % n for n in range(1, 6)]
        transcript.feed(b"\n".join([*lines, b"5 packets transmitted, 5 received", b""]))

    monkeypatch.setattr(suite, "_ping", answered)
    monkeypatch.setattr(suite, "command", lambda target: ["ping"])
    (result,) = run_suite([Target("10.10.10.5")], [56], count=5, link=Link(moved))
    assert result.received == 5
    assert result.ok is ok
    assert ok or "crossed the link" in str(result.error)
