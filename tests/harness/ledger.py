"""Whether the ledgers balance, which tests of the data path and of its disturbances check at their end.

Every packet that an agent took is delivered, or counted under a name.  The figures come from each agent's status, not
from the window: they are those that a user sees.
"""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import time
from collections.abc import Set
from typing import Any

from vnetcard.agent.status import complete
from vnetcard.lab.lab import Lab
from vnetcard.observe.views import gather
from vnetcard.port import open_port
from vnetcard.port.interface import Interface
from vnetcard.ring import layout as L

REST_S = 0.1
"""Seconds without a change after which a link counts as at rest."""
LIMIT_S = 30.0
"""Seconds within which it comes to rest on a busy machine."""

View = dict[str, Any]


def assert_ledgers_balance(lab: Lab, *, allow: Set[str] = frozenset()) -> list[View]:
    """Wait until the link is at rest, then assert that the ledger balances; returns the status of each agent that runs.

    Balanced: on both sides no packet is unaccounted for, in both directions what is in flight lies in the ring (and,
    while the link is up, nothing does), and no counter called ``drop_*``, ``viol_*`` or ``lost_restart`` moved but
    those in ``allow``.
    """
    views, wrong = wait_for_rest(lab)
    for view in views:
        wrong += [f"{name}: {count}" for name, count in losses(view).items() if name.split()[-1] not in allow]
    if wrong:
        samples = gather(lab.url).errors()
        raise AssertionError(
            f"the ledgers do not balance: {'; '.join(wrong)}\n{samples}\n{json.dumps(views, indent=1)}"
        )
    return views


def wait_for_rest(lab: Lab, *, limit: float = LIMIT_S) -> tuple[list[View], list[str]]:
    """The status of each running agent, and what does not balance: [] at rest, the rest after the limit."""
    deadline = time.monotonic() + limit
    before: list[Any] = []
    while True:
        views = complete([lab.status(side) for side in (L.HOST, L.CARD) if lab.agents[side] is not None])
        assert views, "no agent runs"
        unbalanced = [line for view in views for line in _unbalanced(view)]
        now = [side[end] for view in views for side in view["sides"] for end in ("tx", "rx")]
        moving = [] if _packets(now) == _packets(before) else ["packets were still moving"]
        if not unbalanced + moving or time.monotonic() > deadline:
            return views, unbalanced + moving
        before = now
        time.sleep(REST_S)


def losses(view: View) -> dict[str, int]:
    """Every counter of ``view`` that says that a packet was lost or the format violated, and is not 0."""
    found: dict[str, int] = {}
    for side in view["sides"]:
        for end in ("tx", "rx", "link"):
            for name, count in side[end].items():
                if count and name.startswith(("drop_", "viol_", "lost_")):
                    found[f"{side['side']} {end} {name}"] = count
    return found


def kernel_counters(lab: Lab, side: int, name: str | None = None) -> dict[str, int]:
    """The kernel's counters of the agent's interface on ``side``: ``tx_packets``, ``rx_dropped``, ``tx_errors`` ..."""
    command = ["ip", "-n", lab.namespaces[side], "-s", "-j", "link", "show", name or lab.status(side)["port"]["name"]]
    (link,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    stats = link["stats64"]
    return {f"{direction}_{name}": count for direction in stats for name, count in stats[direction].items()}


def kernel_minus_ledger(lab: Lab, views: list[View]) -> list[tuple[int, int]]:
    """For each side: packets that the kernel handed out and no agent counted; packets given to it and not counted."""
    found = []
    for side in (L.HOST, L.CARD):
        kernel, own = kernel_counters(lab, side), views[0]["sides"][side]
        found.append((kernel["tx_packets"] - own["tx"]["tx_taken"], kernel["rx_packets"] - own["rx"]["rx_delivered"]))
    return found


def assert_kernel_agrees(lab: Lab, *, allow: Set[str] = frozenset(), limit: float = LIMIT_S) -> None:
    """Assert that both kernels counted what their agents counted, and lost nothing; for agents never restarted.

    ``allow`` names counters of the kernel that may be non-zero: ``tx_dropped`` is its own queue before the TUN,
    too short for a TCP that segments in software.
    """
    kind = lab.status(L.HOST)["port"]["url"].partition(":")[0]
    probes = _probes_taken(lab.namespaces[L.HOST], kind)
    deadline = time.monotonic() + limit
    while wrong := [word for view in assert_ledgers_balance(lab) for word in _disagreements(lab, view, probes, allow)]:
        assert time.monotonic() < deadline, "; ".join(wrong)  # else a packet came between the two reads
        time.sleep(REST_S)


def _disagreements(lab: Lab, view: View, probes: int, allow: Set[str]) -> list[str]:
    side = L.SIDES.index(view["side"])
    own, kernel = view["sides"][side], kernel_counters(lab, side)
    sent, got = kernel["tx_packets"], kernel["rx_packets"] - probes  # the kernel counts probes as received, too
    taken, given = own["tx"]["tx_taken"], own["rx"]["rx_delivered"]
    bad = {name: n for name, n in kernel.items() if n and name.endswith(("dropped", "errors")) and name not in allow}
    wrong = [f"{view['side']}: the kernel counts {name} {n}" for name, n in bad.items()]
    if sent != taken:
        wrong.append(f"{view['side']}: the kernel sent {sent} packets, the agent took {taken}")
    if got != given:
        wrong.append(f"{view['side']}: the kernel got {got} packets and {probes} probes, the agent delivered {given}")
    return wrong


@functools.cache
def _probes_taken(namespace: str, kind: str) -> int:
    """How many of the packets by which an agent probes a TUN or TAP at its start this kernel takes, and counts."""
    port = open_port(f"{kind}:probe0", netns=namespace)
    try:
        with contextlib.closing(Interface(port.name, netns=namespace)) as interface:
            interface.up(mtu=L.MTU_DEFAULT)
        return sum(not refusal for refusal in port.probe_offload().values())
    finally:
        port.close()


def _unbalanced(view: View) -> list[str]:
    """What is unaccounted for, or in flight, at a link that should be at rest."""
    found = []
    for side in view["sides"]:
        for end in ("tx", "rx"):
            if side[end]["unaccounted"]:
                found.append(f"{side['side']} {end} has {side[end]['unaccounted']} packets unaccounted for")
    for row in view["balance"]:
        if not row["even"]:
            found.append(f"{row['direction']} has {row['in_flight']} in flight but {row['in_ring']} in its rings")
        if view["link"]["up"] and row["in_flight"]:
            found.append(f"{row['direction']} still has {row['in_flight']} in flight")
    found += [f"{ring['direction']}: {ring['problem']}" for ring in view["rings"] if ring["problem"]]
    return found


def _packets(ends: list[dict[str, int]]) -> list[dict[str, int]]:
    """``ends`` without the counters that also grow on an idle link, such as the pumps' polls of an empty ring."""
    return [{name: n for name, n in end.items() if name.startswith(("tx_taken", "rx_rec", "drop_"))} for end in ends]
