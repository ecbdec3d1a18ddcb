"""What ``vnetcard show`` prints: a section of a ``Snapshot`` as lines for people, 80 columns wide where it can be."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from vnetcard.observe.causes import causes
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.ring.derived import of_queue
from vnetcard.ring.window_dump import queue_of, ring_name
from vnetcard.terminal.arguments import printable

WIDTH: Final = 80
"""Columns of a terminal that anybody has."""
BAR: Final = 20
"""Characters of a ring's bar."""


def runtime(sight: Snapshot) -> list[str]:
    """A table of the tx pumps and one of the rx pumps, a column a side; of several queues the sums, then each."""
    figures = sight.figures("runtime")
    queues = range(sight.queues) if sight.queues > 1 else ()
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
            continue  # most sizes never happen
        cells = ("-" if name not in figures else f"{_number(name, figures[name])}" for figures in columns.values())
        lines.append(f"  {name:<24}" + "".join(f"{cell:>20}" for cell in cells))
    return lines


def _number(name: str, value: float) -> str:
    if name.endswith("_at_ns"):
        return ago(value / 1e9) if value else "never"
    return str(int(value) if value == int(value) else value)


def ago(at: float, now: float | None = None) -> str:
    """``0.3 s ago``, ``12 min ago``."""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"


def ring(sight: Snapshot) -> list[str]:
    """Each ring: how full it is and was, its indices, who sleeps, when it last moved."""
    lines = []
    for one in sight.rings():
        sleeping = [who for who in ("producer", "consumer") if one[f"{who}_sleeps"]]
        note = one["problem"] or (f"{' and '.join(sleeping)} sleeping" if sleeping else "both awake")
        name = ring_name(sight.queues, queue_of(one), one["direction"])
        lines += [
            f"{name}  [{bar(one['fill'], one['size']):{BAR}}] {one['fill']} of {one['size']} bytes, "
            f"{one['records']} records; {note}",
            f"     prod {one['prod']:#010x}  cons {one['cons']:#010x}",
        ]
        known = [f"{name} {_number(name, one[name])}" for name in _RING_NAMES if name in one]
        lines += ["     " + "  ".join(known[n : n + 2]) for n in range(0, len(known), 2)]
        if "rx_high_water" in one:
            lines.append(f"     rx_high_water {one['rx_high_water']}, the most that the consumer found")
    return lines or ["no ring: the window is gone"]


_RING_NAMES: Final = ("tx_ring_full", "rx_ring_empty", "tx_moved_at_ns", "rx_moved_at_ns")


def bar(fill: int, size: int, width: int = BAR) -> str:
    """``#`` for each full part of ``width``."""
    return "#" * round(width * min(1.0, fill / size))


def errors(sight: Snapshot) -> list[str]:
    """Every drop, loss and violation, then what seems to cause it."""
    rows = sight.errors()
    lines = [f"{'side':<6}{'name':<20}{'count':>10}  {'last':<13}last of its kind"] if rows else []
    for row in rows:
        line = f"{row.side:<6}{row.name:<20}{row.count:>10}  {ago(row.last) if row.last else '-':<13}"
        sample = printable(row.sample)
        lines += [line + sample] if len(line + sample) <= WIDTH else [line, f"{'':6}{sample}"]
    lines = lines or ["nothing was dropped or lost, and nothing violated"]
    found = causes(sight)
    if found:
        lines += ["", "likely causes, the first one first:"]
        for cause in found:
            lines += textwrap.wrap(
                f"{cause.name}: {printable(cause.words)}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
    return lines


NO_REGISTERS: Final = "this window has no engine with registers"


def registers(sight: Snapshot) -> list[str]:
    """Each side's page of the DMA engine."""
    lines = []
    for view in sight.views:
        if view["registers"]:
            lines += ["", f"{view['side']}'s registers: {view['engine']['engine']}"]
            for row in sight.registers(view["side"]):
                more = f" (+{row['since']})" if "since" in row else ""
                lines.append(f"  {row['offset']:#05x} {row['name']:<20}{row['value']:#010x}  {row['words']}{more}")
        else:
            why = sight.unresponsive().get(view["side"]) or (view["engine"] or {}).get("error", NO_REGISTERS)
            lines += ["", f"{view['side']}: {printable(why)}"]
    return lines[1:]


def link(sight: Snapshot) -> list[str]:
    """Each agent's link: its state, the counters of its changes, and the last of them with their reasons."""
    figures = sight.figures("link")
    lines = []
    for view in sight.views:
        now, side = view["link"], view["side"]
        counters = {name: int(n) for name, n in figures.get(side, {}).get("link", {}).items() if n}
        lines += [
            "",
            f"{side}: link {'UP' if now['up'] else 'DOWN'} ({now['state']}: {printable(now['reason'])})",
            "  " + ("  ".join(f"{name} {n}" for name, n in counters.items()) or "no change was counted"),
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
    "errors": errors,
    "registers": registers,
    "link": link,
}


def as_json(sight: Snapshot, what: str) -> dict[str, Any]:
    """The same section for programs."""
    figures = sight.figures(what)
    content: Any
    if what == "runtime":
        content = {side: {part: parts[part] for part in parts if part != "link"} for side, parts in figures.items()}
    elif what == "ring":
        content = sight.rings()
    elif what == "errors":
        content = {
            "errors": [
                {"side": row.side, "name": row.name, "count": row.count, "last": row.last, "sample": row.sample}
                for row in sight.errors()
            ],
            "causes": [{"name": cause.name, "side": cause.side, "words": cause.words} for cause in causes(sight)],
        }
    elif what == "registers":
        content = {view["side"]: sight.registers(view["side"]) for view in sight.views}
    else:
        content = {
            view["side"]: {**view["link"], "counters": figures.get(view["side"], {}).get("link", {})}
            for view in sight.views
        }
    return {what: content, "cleared_at": sight.cleared_at(what), "unresponsive": sight.unresponsive()}
