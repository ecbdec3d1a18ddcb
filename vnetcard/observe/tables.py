"""What ``vnetcard show`` prints: a section of a ``Snapshot`` as lines for people, 80 columns wide where it can be."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from vnetcard.observe.causes import causes
from vnetcard.observe.port_lines import port_lines
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.ring.derived import of_queue
from vnetcard.ring.window_dump import queue_of, ring_name
from vnetcard.terminal.escape import printable

WIDTH: Final = 80
"""Columns of the smallest terminal that is supported."""
BAR: Final = 20
"""Characters of a full ring's bar."""
NARROW_BAR: Final = 13
"""The same beside the number of a queue."""


def runtime(snapshot: Snapshot) -> list[str]:
    """A table of the tx pumps and one of the rx pumps, a column per side; for several queues the sums, then each."""
    figures = snapshot.figures("runtime")
    queues = range(snapshot.queues) if snapshot.queues > 1 else ()
    tables = [(pump, pump, f"{pump} pump" + (", all queues" if queues else "")) for pump in ("tx", "rx")]
    tables += [(pump, of_queue(pump, n), f"{pump} pump, queue {n}") for n in queues for pump in ("tx", "rx")]
    lines = []
    for pump, part, title in tables:
        columns = {
            f"{side} {_direction(side, pump)}": {
                name: n for name, n in parts[part].items() if not name.startswith(("drop_", "viol_", "lost_"))
            }
            for side, parts in figures.items()
            if part in parts
        }
        if columns:
            lines += ["", *_table(title, columns)]
    return lines[1:]


def _direction(side: str, pump: str) -> str:
    index = L.SIDES.index(side)
    return L.DIRECTIONS[index if pump == "tx" else 1 - index]


def _table(title: str, columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [f"{title:<26}" + "".join(f"{name:>20}" for name in columns)]
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    for name in names:
        if "_batch_" in name and not any(figures.get(name) for figures in columns.values()):
            continue  # most batch sizes never occur
        cells = ("-" if name not in figures else f"{_number(name, figures[name])}" for figures in columns.values())
        lines.append(f"  {name:<24}" + "".join(f"{cell:>20}" for cell in cells))
    return lines


def _number(name: str, value: float) -> str:
    if name.endswith("_at_ns"):
        return ago(value / 1e9) if value else "never"
    return str(int(value) if value == int(value) else value)


def ago(at: float, now: float | None = None) -> str:
    """``0.3 s ago``, ``12 min ago``; ``at`` and ``now`` in seconds since 1970."""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"


def ring(snapshot: Snapshot) -> list[str]:
    """Each ring: its fill and high-water mark, its indices, which end sleeps, when it last moved."""
    lines, width = [], BAR if snapshot.queues == 1 else NARROW_BAR
    for one in snapshot.rings():
        sleeping = [end for end in ("producer", "consumer") if one[f"{end}_sleeps"]]
        note = one["problem"] or (f"{' and '.join(sleeping)} sleeping" if sleeping else "both awake")
        name = ring_name(snapshot.queues, queue_of(one), one["direction"])
        lines += [
            f"{name}  [{bar(one['fill'], one['size'], width):{width}}] {one['fill']} of {one['size']} bytes, "
            f"{one['records']} records; {note}",
            f"     prod {one['prod']:#010x}  cons {one['cons']:#010x}",
        ]
        known = [f"{name} {_number(name, one[name])}" for name in _RING_NAMES if name in one]
        lines += ["     " + "  ".join(known[n : n + 2]) for n in range(0, len(known), 2)]
        if "rx_high_water" in one:
            lines.append(f"     rx_high_water {one['rx_high_water']}, the most bytes that the consumer found")
    return lines or ["no rings: the window is gone"]


_RING_NAMES: Final = ("tx_ring_full", "rx_ring_empty", "tx_moved_at_ns", "rx_moved_at_ns")


def bar(fill: int, size: int, width: int = BAR) -> str:
    """``fill`` of ``size`` as up to ``width`` characters ``#``."""
    return "#" * round(width * min(1.0, fill / size))


def port(snapshot: Snapshot) -> list[str]:
    """Each side's port: what it is, its state and queue, and what the kernel counts about its interface."""
    lines = []
    for side in L.SIDES:
        if view := snapshot.port(side):
            lines += ["", f"{side}: {printable(view['url'])}"]
            lines += [f"  {name:<12}{printable(words)}" for name, words in port_lines(view)]
        elif side in snapshot.by_side:
            lines += ["", f"{side}: its port is not known, as its agent does not answer"]
    return lines[1:]


NO_ERRORS: Final = "lost inside the link: 0, dropped by the agents: 0, violations of the format: 0"
"""Of the kernels' own queues, firewalls and sockets it says nothing: see ``discards``."""


def discards(snapshot: Snapshot) -> list[str]:
    """What each side's kernel discarded beside the link, as far as its agent counts it."""
    rows, lines = snapshot.discards(), []
    if rows:
        lines = ["discarded by the kernels, outside the link:"]
        for row in rows:
            where = row.where or "whole namespace"
            last = ago(row.last) if row.last else "-"
            lines.append(f"{row.side:<6}{row.code:<30}{row.count:>10}  {last:<13}{where}"[:WIDTH])
    for side in L.SIDES:
        kernel = snapshot.kernel(side)
        if kernel is None:
            later = side in snapshot.by_side and "kernel" in snapshot.by_side[side]["port"]
            known = "is counted from when the link comes up" if later else "is not known here"
            lines.append(f"{side}: what its kernel discards {known}")
        elif kernel["problem"]:
            lines.append(f"{side}: {printable(kernel['problem'])}")
        elif not any(row.side == side for row in rows):
            name = snapshot.by_side[side]["port"]["name"]
            lines.append(f"{side}: discarded by the kernel on {name} and in its namespace: 0")
    return lines


def errors(snapshot: Snapshot) -> list[str]:
    """Every drop, loss and violation, what the kernels discarded outside the link, then the causes."""
    rows = snapshot.errors()
    lines = [f"{'side':<6}{'name':<20}{'count':>10}  {'last':<13}last of its kind"] if rows else []
    for row in rows:
        line = f"{row.side:<6}{row.name:<20}{row.count:>10}  {ago(row.last) if row.last else '-':<13}"
        sample = printable(row.sample)
        lines += [line + sample] if len(line + sample) <= WIDTH else [line, f"{'':6}{sample}"]
    lines = [*(lines or [NO_ERRORS]), "", *discards(snapshot)]
    found = causes(snapshot)
    if found:
        lines += ["", "probable causes, most probable first:"]
        for cause in found:
            lines += textwrap.wrap(
                f"{cause.code}: {printable(cause.words)}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
    return lines


NO_REGISTERS: Final = "this window has no engine with registers"


def registers(snapshot: Snapshot) -> list[str]:
    """Each side's register page of the DMA engine."""
    lines = []
    for view in snapshot.views:
        if view["registers"]:
            lines += ["", f"{view['side']}'s registers: {view['engine']['engine']}"]
            for row in snapshot.registers(view["side"]):
                more = f" (+{row['since']})" if "since" in row else ""
                lines.append(f"  {row['offset']:#05x} {row['name']:<20}{row['value']:#010x}  {row['words']}{more}")
        else:
            why = snapshot.unresponsive().get(view["side"]) or (view["engine"] or {}).get("error", NO_REGISTERS)
            lines += ["", f"{view['side']}: {printable(why)}"]
    return lines[1:]


def link(snapshot: Snapshot) -> list[str]:
    """Each agent's link: its state, the counters of its changes, and the latest changes with their reasons."""
    figures = snapshot.figures("link")
    lines = []
    for view in snapshot.views:
        now, side = view["link"], view["side"]
        counters = {name: int(n) for name, n in figures.get(side, {}).get("link", {}).items() if n}
        lines += [
            "",
            f"{side}: link {'UP' if now['up'] else 'DOWN'} ({now['state']}: {printable(now['reason'])})",
            "  " + ("  ".join(f"{name} {n}" for name, n in counters.items()) or "no change of state was counted"),
        ]
        lines += [
            f"  {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(change['at']))}"
            f".{int(change['at'] * 1000) % 1000:03d}  {change['state']:<10} {printable(change['reason'])}"
            for change in now["history"]
        ]
    return lines[1:]


SECTIONS: Final[dict[str, Callable[[Snapshot], list[str]]]] = {
    "runtime": runtime,
    "ring": ring,
    "port": port,
    "errors": errors,
    "registers": registers,
    "link": link,
}


def as_json(snapshot: Snapshot, what: str) -> dict[str, Any]:
    """The section ``what`` for programs."""
    figures = snapshot.figures(what)
    content: Any
    if what == "runtime":
        content = {side: {part: parts[part] for part in parts if part != "link"} for side, parts in figures.items()}
    elif what == "ring":
        content = snapshot.rings()
    elif what == "port":
        content = {side: view for side in L.SIDES if (view := snapshot.port(side))}
    elif what == "errors":
        content = {
            "errors": [
                {"side": row.side, "name": row.name, "count": row.count, "last": row.last, "sample": row.sample}
                for row in snapshot.errors()
            ],
            "kernel": [
                {"side": row.side, "name": row.code.value, "count": row.count, "last": row.last, "interface": row.where}
                for row in snapshot.discards()
            ],
            "causes": [cause.as_json() for cause in causes(snapshot)],
        }
    elif what == "registers":
        content = {view["side"]: snapshot.registers(view["side"]) for view in snapshot.views}
    else:
        content = {
            view["side"]: {**view["link"], "counters": figures.get(view["side"], {}).get("link", {})}
            for view in snapshot.views
        }
    return {what: content, "cleared_at": snapshot.cleared_at(what), "unresponsive": snapshot.unresponsive()}
