"""An agent's status: the data, and its text for people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vnetcard.agent.config import Config
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason
from vnetcard.errors import WindowUnavailable
from vnetcard.link.link import Link
from vnetcard.link.types import LinkState
from vnetcard.ring import layout as L
from vnetcard.ring.counters import Balance
from vnetcard.ring.window_dump import describe_balance, queue_of, ring_name, view_balance, view_rings, view_side
from vnetcard.terminal.escape import printable
from vnetcard.window import Window

ALL_CAPABILITIES = 38
"""At least, of a process that holds all: Linux 5.4 has 38."""

if TYPE_CHECKING:
    from vnetcard.engine.transport import EngineTransport


def collect(config: Config, window: Window, link: Link | None, *, port: dict[str, Any], since: float) -> dict[str, Any]:
    """The agent's whole state, as the control socket sends it; sizes in bytes, times in seconds.

    ``port`` is the interface's part (``view_port``).  ``link`` is None between two windows; ``since`` is the time since
    the last change of the carrier.  With an engine the peer's counters are in the peer's memory: ``sides`` then has
    this side alone and ``balance`` is empty, see ``complete``.
    """
    memory, geometry, engine = window.memory, window.geometry, window.engine
    both = engine is None or engine.has_peer_ledger
    rings = view_rings(memory, geometry)
    queues = len(geometry.rings)
    return {
        **_view_agent(config, port),
        "window": {"url": window.url, "geometry": geometry.describe(), "futex_wake": window.futex_wake},
        "engine": view_engine(engine, link) if engine else None,
        "link": _view_link(link, since)
        if link
        else {
            "state": LinkState.DOWN.value,
            "reason": "no window",
            "reason_code": LinkReason.NOT_STARTED.value,
            "fault_code": "",
            "up": False,
        },
        "rings": [asdict(ring) for ring in rings],
        "sides": [view_side(memory, side, queues) for side in ((L.HOST, L.CARD) if both else (config.side,))],
        "balance": view_balance(memory, rings) if both else [],
    }


def collect_lost(config: Config, url: str, reason: str, code: LinkReason, *, port: dict[str, Any]) -> dict[str, Any]:
    """The state of an agent whose window is lost, for the reason ``reason``, and which waits for the next one."""
    return {
        **_view_agent(config, port),
        "window": {"url": url, "geometry": "gone", "futex_wake": False},
        "engine": None,
        "link": {
            "state": LinkState.GONE.value,
            "reason": reason,
            "reason_code": code.value,
            "fault_code": "",
            "up": False,
        },
        "rings": [],
        "sides": [],
        "balance": [],
    }


def port_problems(views: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What is wrong with the interfaces of a link's agents, each and together: ``code`` and ``message``."""
    ports = [view["port"] for view in views if "addresses" in view.get("port", {})]
    problems = [problem for port in ports for problem in port.get("problems", [])]
    if len(ports) == 2:
        one, other = ports
        both = {text.partition("/")[0] for text in one["addresses"]} & {
            text.partition("/")[0] for text in other["addresses"]
        }
        if both:
            words = f"both ends have the address {', '.join(sorted(both))}: give each its own --address"
            problems.append({"code": ErrorCode.ADDRESS_CONFLICT.value, "message": words})
        if one.get("netns_id") and one.get("netns_id") == other.get("netns_id"):
            words = "both agents' interfaces are in one network namespace: the kernel delivers packets between their "
            words += "addresses itself and none crosses the link; give one agent another --netns"
            problems.append({"code": ErrorCode.SAME_NAMESPACE.value, "message": words})
    return problems


def complete(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Status of both agents of an engine, each completed with what only the other one has; others unchanged."""
    if len(views) < 2 or any(len(view["sides"]) != 1 for view in views):
        return views
    sides = [view["sides"][0] for view in views]
    rows = []
    for sender, direction in enumerate(L.DIRECTIONS):
        tx, rx, ring = sides[sender]["tx"], sides[1 - sender]["rx"], views[sender]["rings"][sender]
        rows.append(describe_balance(Balance.of(direction, tx, rx, ring["records"])))
    return [{**view, "sides": sides, "balance": rows} for view in views]


def view_engine(engine: EngineTransport, link: Link | None) -> dict[str, Any]:
    """The engine's state; ``error`` where it cannot be read."""
    if link is not None and link.state is LinkState.GONE:  # a read would take a time-out
        return {"engine": engine.describe(), "error": link.reason}
    try:
        view = {"engine": engine.describe(), "fault": engine.fault(), **asdict(engine.statistics())}
    except WindowUnavailable as error:
        return {"engine": engine.describe(), "error": str(error)}
    if (irq := engine.irq) is not None:
        view["irq"] = {"source": irq.name, "interrupts": irq.interrupts, "polls": irq.polls, "problem": irq.problem}
    return view


def _view_agent(config: Config, port: dict[str, Any]) -> dict[str, Any]:
    return {"program": config.program, "side": L.SIDES[config.side], "pid": os.getpid(), "port": port}


def view_port(config: Config, frames: int) -> dict[str, Any]:
    """The port as it was configured; of an interface the kernel's state replaces these values.

    ``frames``: the kind of its packets, of layout.FRAMES.
    """
    return {
        "url": config.port,
        "frames": next(name.lower() for name, number in L.FRAMES.items() if number == frames),
        "name": config.name,
        "netns": config.netns,
        "addresses": [str(address) for address in config.addresses],
        "allow": [str(network) for network in config.allow],
        "peer_trusted": config.trust_peer,
        "problems": [],
    }


def _view_link(link: Link, since: float) -> dict[str, Any]:
    agreement = link.agreement
    return {
        "state": link.state.value,
        "up": link.state is LinkState.RUN,
        "reason": link.reason,
        "reason_code": link.reason_code.value,
        "fault_code": link.fault_code,
        "braked": round(link.braked_for(), 3),
        "since": round(since, 3),
        "epoch": link.epoch,
        "peer_epoch": link.answered,
        "mtu": agreement.mtu if agreement else None,
        "queues": agreement.queues if agreement else None,
        "queues_offered": link.offer.queues,
        "features": {name: _verdict(link, name) for name in L.OFFLOADS},
        "wake": _verdict(link, "WAKE"),
        "irq": _verdict(link, "IRQ"),
    }


def _verdict(link: Link, name: str) -> str:
    """``on``, or why a feature is off."""
    if name in link.offer.refusals:
        return link.offer.refusals[name]
    if not link.offer.features & L.FEATURES[name]:
        return "the port does not support it"
    if link.agreement is None:
        return "the link is not up"
    if link.agreement.features & L.FEATURES[name]:
        return "on"
    return "the peer does not offer it"


def _in_bridge(port: Mapping[str, Any]) -> str:
    return f"; port of bridge {port['bridge']}" if port.get("bridge") else ""


def text(view: dict[str, Any]) -> str:
    """The status as lines for people."""
    link, window, port = view["link"], view["window"], view["port"]
    place = f" in {port['netns']}" if port["netns"] else ""
    lost = view.get("log", {}).get("lost", 0)
    lines = [
        f"{view['program']} (pid {view['pid']}): {port['name']} {' '.join(port['addresses'])}{place}",
        *(f"  PROBLEM   {problem['message']}" for problem in port.get("problems", [])),
        *([f"  PROBLEM   {lost:,} lines of its log were lost: nobody reads it"] if lost else []),
        *peer_lines(port),
        *holding_lines(view.get("privileges")),
        *([f"  ethernet  MAC {port['mac']}" + _in_bridge(port)] if "mac" in port else []),
        f"  window    {window['url']}: {window['geometry']}",
        f"  link      {'UP' if link['up'] else 'DOWN'} ({link['state']}: {link['reason']})",
    ]
    if "epoch" in link:
        lines.append(f"  epochs    own {link['epoch']:08x}, peer answered {link['peer_epoch']:08x}; mtu {link['mtu']}")
        lines += queue_lines(view)
        verdicts = link["features"] | {"WAKE": link["wake"], "IRQ": link["irq"]}
        lines += [f"  {name:9} {verdict}" for name, verdict in verdicts.items()]
    if view["engine"]:
        lines += engine_lines(view["engine"])
    lines += ring_lines(view["rings"])
    lines += balance_lines(view["balance"])
    for side in view["sides"]:
        lines += side_lines(side)
    lines += kernel_lines(port)
    return "\n".join(map(printable, lines))


def peer_lines(port: dict[str, Any]) -> list[str]:
    """What the peer's packets may do, where that is not the default."""
    lines = [f"  allow     sources {' '.join(port['allow'])}"] if port.get("allow") else []
    return (
        [*lines, "  trust     the peer may configure this machine (--trust-peer)"]
        if port.get("peer_trusted")
        else lines
    )


def holding_lines(held: dict[str, Any] | None) -> list[str]:
    """What the agent's process may do; nothing for an agent of an older version."""
    if held is None:
        return []
    powers = "all capabilities" if len(held["capabilities"]) >= ALL_CAPABILITIES else " ".join(held["capabilities"])
    limits = [name for name in ("no_new_privs", "seccomp") if held.get(name)]
    if held.get("landlock"):
        limits.append(f"landlock (ABI {held['landlock_abi']})")
    elif limits and held.get("landlock_abi") == 0:
        limits.append("no landlock in this kernel")
    return [
        f"  holds     user {held['user']}, {powers or 'no capability'}; {', '.join(limits) or 'without restrictions'}"
    ]


def kernel_lines(port: dict[str, Any]) -> list[str]:
    """What the kernel discarded outside the link since that came up: on the interface, and in its namespace."""
    kernel = port.get("kernel")
    if kernel is None or kernel["problem"] or kernel["since"] is None:
        return [f"  kernel    PROBLEM {kernel['problem']}"] if kernel and kernel["problem"] else []
    lines = []
    for mine, place in ((True, port["name"]), (False, "its namespace, all interfaces together")):
        counts = {code: kernel["counters"].get(code, 0) for code in DiscardCode if code.of_interface is mine}
        found = {name: n for name, n in counts.items() if n}
        words = ", ".join(f"{name} {n}" for name, n in found.items()) or "0"
        lines.append(f"  kernel    discarded outside the link, {place}: {words}")
    return lines


def queue_lines(view: dict[str, Any]) -> list[str]:
    """How many queue pairs are in use, for a window with several; they are the first ones."""
    link, there = view["link"], 1 + max(map(queue_of, view["rings"]), default=0)
    if there == 1:
        return []
    peers = [side["queues"] for side in view["sides"] if side["side"] != view["side"]]
    serve = f"this side serves {link['queues_offered']}" + "".join(f", the peer {n}" for n in peers)
    return [f"  queues    {link['queues'] or 'none'} of {there} in use; {serve}"]


def engine_lines(engine: dict[str, Any]) -> list[str]:
    """The engine, its fault, and one line per direction."""
    lines = [f"  engine    {engine['engine']}"]
    if wrong := engine.get("error") or engine["fault"]:
        lines.append(f"    PROBLEM {wrong}")
    if (irq := engine.get("irq")) and irq["problem"]:
        lines.append(f"    PROBLEM {irq['problem']} ({irq['interrupts']} interrupts, {irq['polls']} polls)")
    if "error" in engine:
        return lines
    if "cycles" not in engine:
        return lines + mover_lines(engine)
    lines[0] += f"; side block {engine['side']}"
    for one in (engine["tx"], engine["rx"]):
        lines += [
            f"    {one['direction']}     {one['state']}; prod {one['published']:#x}, cons {one['returned']:#x}; "
            f"{one['bytes']} bytes, {one['bursts']} bursts, {one['publications']} publications "
            f"({one['suppressed']} without an interrupt), {one['errors']} errors",
            f"            stalls: read {one['stall_read']}, write {one['stall_write']}, ack {one['stall_ack']} cycles; "
            f"latency {one['latency']}, at most {one['latency_max']} cycles",
        ]
    return lines


def mover_lines(mover: dict[str, Any]) -> list[str]:
    """A mover in software: one line per direction, and its polls, retries and halts."""
    lines = [
        f"    {one['direction']}     {mover['state']}; moved {one['moved']:#x}, freed {one['freed']:#x}; "
        f"{one['bytes']} bytes, {one['bursts']} bursts, {one['publications']} publications"
        for one in (mover["tx"], mover["rx"])
    ]
    return [*lines, f"            {mover['polls']} polls, {mover['retries']} retries, {mover['halts']} halts"]


def ring_lines(rings: list[dict[str, Any]]) -> list[str]:
    """One line per ring: a bar of its fill, and its state."""
    lines, queues = [], len(rings) // len(L.DIRECTIONS)
    for ring in rings:
        share = min(1.0, ring["fill"] / ring["size"])
        bar = "#" * round(share * 20)
        sleeping = [who for who in ("producer", "consumer") if ring[f"{who}_sleeps"]]
        note = ring["problem"] or (f"{' and '.join(sleeping)} sleeping" if sleeping else "both awake")
        lines.append(
            f"  ring {ring_name(queues, queue_of(ring), ring['direction'])}  [{bar:20}] "
            f"{ring['fill']} of {ring['size']} bytes, "
            f"{ring['records']} records; {note}"
        )
    return lines


def balance_lines(rows: list[dict[str, Any]]) -> list[str]:
    """One line per direction: the ledger across the link."""
    return [
        f"  {row['direction']}       sent {row['sent']} = received {row['received']} + lost in restarts "
        f"{row['lost_restart']} + in flight {row['in_flight']}{_doubt(row)}"
        for row in rows
    ]


def _doubt(row: dict[str, Any]) -> str:
    if row.get("restarted"):
        return "  (counters began again: in flight is that of this generation)"
    return "" if row["even"] else "  (moving, or uneven)"


def side_lines(side: dict[str, Any]) -> list[str]:
    """A side's identity, its main sums, and each of its other counters that is not 0."""
    tx, rx = side["tx"], side["rx"]
    drops = {name: n for name, n in (tx | rx).items() if name.startswith(("drop_", "viol_")) and n}
    events = {name: n for name, n in side["link"].items() if n}
    lines = [
        f"  {side['side']:4}      {side['state']}, pid {side['pid']}, {side['software']} on {side['machine']}; "
        f"mtu {side['mtu']}, offers {' '.join(side['features']) or 'no offload'}",
        f"    in      {tx['tx_taken']} packets taken = {tx['tx_sent']} sent + drops (unaccounted {tx['unaccounted']})",
        f"    out     {rx['rx_received']} packets received = {rx['rx_delivered']} delivered + drops"
        f" (unaccounted {rx['unaccounted']})",
    ]
    lines += [
        f"    PROBLEM another program overwrote its {name} counters in the window: shown as 0"
        for name in side.get("ruined", ())
    ]
    for title, figures in (("drops", drops), ("events", events)):
        if figures:
            lines.append(f"    {title:7} " + ", ".join(f"{name} {n}" for name, n in figures.items()))
    return lines
