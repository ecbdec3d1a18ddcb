"""From counters to causes: what is wrong with a link, in words, the likeliest first.

Each rule looks at what the agents said and names one cause.  It works on totals since ``errors`` was cleared, so
clear first, then wait, to judge the present.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.ring.window_dump import queue_of, ring_name

FULL_SHARE: Final = 0.02
"""A full ring counts as a cause from this share of all records on: now and then it only means a burst."""
WAIT_SHARE: Final = 0.8
"""A pump that waits for a CPU for this share of the time in which it wants one is starved."""
WAIT_LEAST_NS: Final = 500_000_000
WAIT_OF_ALL: Final = 0.05
"""... if that is so long at least, and such a share of all the time: a pump that hardly has to run waits, too."""
STUCK_S: Final = 1.5
"""A ring with records from which nobody takes any for so long has a stuck consumer."""
SMALL_RING: Final = 16
"""A ring for fewer of the largest packets than this is small."""
TINY_RING: Final = 4
"""A ring for fewer than this is too small whatever else is wrong."""


LIMITS: Final = ("slow-consumer", "ring-too-small", "cpu-starved")
"""Causes that make a link slow and lose nothing: under a full load there always is one."""


@dataclass(frozen=True, slots=True)
class Cause:
    """``name`` is for programs; ``side`` is where it lies; ``words`` say what, and what to do."""

    name: str
    side: str
    words: str


def causes(sight: Snapshot) -> list[Cause]:
    """What seems to be wrong; empty when nothing is, or nobody answers."""
    if not sight.views:
        return []
    return [cause for rule in RULES for cause in rule(sight)]


def _count(sight: Snapshot) -> dict[str, dict[str, int]]:
    """All counters of each side under one name, over all queues."""
    return {
        side: {name: int(n) for part in ("tx", "rx", "link") for name, n in parts[part].items()}
        for side, parts in sight.figures("errors").items()
    }


def _other(side: str) -> str:
    return L.SIDES[1 - L.SIDES.index(side)]


def _refused(sight: Snapshot) -> Iterator[Cause]:
    for view in sight.views:
        if view["link"]["state"] == "refused":
            name = "version-mismatch" if "wire format" in view["link"]["reason"] else "mtu-mismatch"
            yield Cause(name, _other(view["side"]), view["link"]["reason"])


def _engine(sight: Snapshot) -> Iterator[Cause]:
    for view in sight.views:
        halts = [change for change in view["link"]["history"] if change["state"] == "halted"]
        if not halts or not _count(sight).get(view["side"], {}).get("engine_halt"):
            continue
        reason = halts[-1]["reason"]
        stalled = "TIMEOUT" in reason
        yield Cause(
            "engine-stalled" if stalled else "engine-bus-error",
            view["side"],
            f"the DMA engine halted {len(halts)} times: {reason}",
        )


def _silent(sight: Snapshot) -> Iterator[Cause]:
    for side, why in sight.unresponsive().items():
        yield Cause("agent-unresponsive", side, why)


def _gone(sight: Snapshot) -> Iterator[Cause]:
    for view in sight.views:
        if view["link"]["state"] == "gone":
            yield Cause("device-gone", view["side"], view["link"]["reason"])


def _side_blocks(sight: Snapshot) -> Iterator[Cause]:
    """Before the indices: a peer that believes in a new epoch begins its own anew, which is impossible here."""
    for side, counts in _count(sight).items():
        if counts.get("viol_side_block"):
            yield Cause("corrupt-side-block", _other(side), f"the {side}'s view of the side blocks was scribbled on")


def _violations(sight: Snapshot) -> Iterator[Cause]:
    for side, counts in _count(sight).items():
        records = sum(counts.get(name, 0) for name in ("viol_len", "viol_header", "viol_seq"))
        if records:
            yield Cause(
                "corrupt-records",
                _other(side),
                f"the {side} found {records} corrupt records in {L.DIRECTIONS[L.SIDES.index(_other(side))]}: "
                f"the bus or the {_other(side)}'s program damages them",
            )
        if counts.get("viol_prod") or counts.get("viol_cons"):
            yield Cause(
                "corrupt-index",
                _other(side),
                f"the {_other(side)} published impossible indices ({counts['viol_prod']} prod, "
                f"{counts['viol_cons']} cons): something else writes into its lines",
            )
        if counts.get("drop_bad_frame"):
            yield Cause(
                "bad-frames",
                _other(side),
                f"{counts['drop_bad_frame']} packets from the {_other(side)} had an impossible virtio_net_hdr",
            )


def _peer(sight: Snapshot) -> Iterator[Cause]:
    counts = _count(sight)
    for view in sight.views:
        side = view["side"]
        if view["link"]["state"] == "peer-dead" or counts.get(side, {}).get("peer_dead"):
            now = "gives" if view["link"]["state"] == "peer-dead" else "gave"
            yield Cause(
                "peer-dead", _other(side), f"the {_other(side)}'s agent {now} no heartbeat: stopped, or starved"
            )
        restarts = counts.get(side, {}).get("peer_restart", 0)
        if restarts and not counts[side].get("own_restart"):
            lost = counts[side].get("lost_restart", 0)
            yield Cause(
                "peer-restarts",
                _other(side),
                f"the {_other(side)}'s agent was restarted {restarts} times; {lost} records in flight were lost",
            )
        if view["link"]["state"] in ("waiting", "handshake"):
            drops = counts.get(side, {}).get("drop_link_down", 0)
            yield Cause(
                "no-peer", _other(side), f"no agent answers on the {_other(side)}'s side; {drops} packets were dropped"
            )


def _mtu(sight: Snapshot) -> Iterator[Cause]:
    for view in sight.views:
        agreed, own = view["link"].get("mtu"), view["mtu"]
        if agreed and agreed < own:
            yield Cause(
                "mtu-mismatch",
                _other(view["side"]),
                f"the {view['side']} is set to an MTU of {own}, the {_other(view['side'])} to {agreed}: "
                f"{agreed} counts; give both the same --mtu",
            )


def _offload(sight: Snapshot) -> Iterator[Cause]:
    for side, counts in _count(sight).items():
        if counts.get("offload_refused") or counts.get("drop_port_refused"):
            yield Cause(
                "port-refused",
                side,
                f"the {side}'s kernel refused {counts['drop_port_refused']} packets; offloads withdrawn: "
                f"{counts['offload_refused']}",
            )
        if counts.get("drop_port_down"):
            yield Cause(
                "interface-down",
                side,
                f"the {side}'s interface is down, or was: {counts['drop_port_down']} packets dropped; `ip link set up`",
            )


def _doorbell(sight: Snapshot) -> Iterator[Cause]:
    for side, counts in _count(sight).items():
        late = counts.get("tx_late_wakeups", 0) + counts.get("rx_late_wakeups", 0)
        if late > 2:
            yield Cause(
                "lost-doorbell",
                _other(side),
                f"{late} times the {side}'s pumps slept on though the {_other(side)} had moved: its wake-ups get lost",
            )


def _starved(sight: Snapshot) -> Iterator[Cause]:
    for side, share in sorted(starved(sight).items(), key=lambda pair: -pair[1]):
        yield Cause(
            "cpu-starved", side, f"the {side}'s pumps waited for a CPU for {share:.0%} of the time they wanted one"
        )


def starved(sight: Snapshot) -> dict[str, float]:
    """The sides whose pumps wait for a CPU, with the share of the time."""
    found = {}
    for side, counts in _count(sight).items():
        waited = sum(counts.get(f"{pump}_cpu_wait_ns", 0) for pump in ("tx", "rx"))
        ran = sum(counts.get(f"{pump}_cpu_ns", 0) for pump in ("tx", "rx"))
        long = max(WAIT_LEAST_NS, WAIT_OF_ALL * 1e9 * _watched(sight, side))
        if waited > long and waited / (waited + ran) > WAIT_SHARE:
            found[side] = waited / (waited + ran)
    return found


def _watched(sight: Snapshot, side: str) -> float:
    """Seconds for which the counters of ``side`` have been counted: since they were cleared, or the agent's start."""
    view = sight.by_side.get(side)
    if view is None:
        return 0.0
    cleared = view["cleared"].get("errors")
    began = cleared["at"] if cleared else min((one["at"] for one in view["link"]["history"]), default=view["at"])
    return float(view["at"] - began)


def _full(sight: Snapshot) -> Iterator[Cause]:
    counts, slow = _count(sight), starved(sight)
    for sender, direction in enumerate(L.DIRECTIONS):
        source, sink = L.SIDES[sender], L.SIDES[1 - sender]
        tx = counts.get(source, {})
        full, records = tx.get("tx_ring_full", 0), tx.get("tx_sent", 0)
        rings, packet = sight.rings(direction), _largest(sight)
        if not rings or (sink in slow and rings[0]["size"] >= TINY_RING * packet):
            continue
        if stuck := [ring for ring in rings if _stuck(sight, ring, sink)]:
            name = ring_name(sight.queues, queue_of(stuck[0]), direction)
            yield Cause(
                "stuck-consumer", sink, f"{name} holds {stuck[0]['records']} records, and the {sink} takes none"
            )
        elif full and full > FULL_SHARE * records:
            if rings[0]["size"] < SMALL_RING * packet:
                yield Cause(
                    "ring-too-small",
                    source,
                    f"{direction} was full {full} times in {records} records, and holds only "
                    f"{rings[0]['size'] // packet} packets of {packet} bytes: take a larger window or --queue-bytes",
                )
            else:
                yield Cause(
                    "slow-consumer",
                    sink,
                    f"{direction} was full {full} times in {records} records: the {sink} takes them too slowly",
                )


def _largest(sight: Snapshot) -> int:
    """Bytes of the largest record that the link may carry."""
    link = sight.views[0]["link"]
    super_packets = any(verdict == "on" for name, verdict in link.get("features", {}).items() if name != "CSUM")
    return L.align_record(L.FRAME_MAX if super_packets else link.get("mtu") or L.MTU_DEFAULT)


def _stuck(sight: Snapshot, ring: dict[str, Any], sink: str) -> bool:
    """By what the producer's agent saw of cons: it need not believe the consumer's own figures."""
    view = sight.by_side.get(_other(sink)) or sight.views[0]
    if view["link"]["state"] != "run" or not ring["records"]:
        return False
    began = view["at"] - view["link"]["since"]
    return bool(view["at"] - max(ring["cons_moved_at"] or 0.0, began) > STUCK_S)


RULES: Final[tuple[Callable[[Snapshot], Iterator[Cause]], ...]] = (
    _silent,
    _gone,
    _refused,
    _engine,
    _side_blocks,
    _violations,
    _peer,
    _offload,
    _doorbell,
    _mtu,
    _full,
    _starved,
)
