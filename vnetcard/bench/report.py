"""The results as a table for people, ratios first, and as an object for JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from vnetcard.bench import rings
from vnetcard.bench.figures import OURS, Results, Spread, kind_of
from vnetcard.bench.runner import Plan
from vnetcard.bench.targets import TARGETS
from vnetcard.ring.sideblock import SOFTWARE

BUSY_MAX = 0.1
"""Share of all cores that others may take without a word."""


def lines(plan: Plan, results: Results, absent: Mapping[str, str]) -> Iterator[str]:
    """Ratios, the figures themselves, the targets, and what is missing or was refused."""
    for ring in (False, True):
        figures = [figure for figure in results.figures() if (results.load_of(figure) == rings.LOAD) == ring]
        if figures:
            yield from _tables(rings.WAYS if ring else plan.ways, figures, results)
    for row in targets(results):
        seen = "not measured" if row["seen"] is None else f"{row['seen']:.3g}"
        yield f"{row['state']:8} {row['target']}: {seen}"
    for way, why in absent.items():
        yield f"absent   {way}: {why}"
    if busy(results) > BUSY_MAX:
        yield f"BUSY     other programs took {busy(results):.0%} of this machine: these figures are worth little"
    for (way, load), why in results.refused.items():
        yield f"REFUSED  {way}, {load}: {why}"


def busy(results: Results) -> float:
    """The share of the machine that other programs took, the mean of all looks; 0 without any."""
    return statistics.fmean(results.busy) if results.busy else 0.0


def _tables(ways: Sequence[str], figures: Sequence[str], results: Results) -> Iterator[str]:
    """Ours against each way, and each way."""
    others = [way for way in ways if way != OURS]
    if OURS in ways and others:
        yield f"{OURS} against each way: median of the rounds' ratios (least-most)"
        yield from _table(["figure", *others], (_ratios(results, figure, others) for figure in figures))
        yield ""
    yield "each way: median of the rounds (least-most)"
    rows = ([_name(figure), *(_plain(results, figure, way) for way in ways)] for figure in figures)
    yield from _table(["figure", *ways], rows)
    yield ""


def targets(results: Results) -> list[dict[str, Any]]:
    """Each target, what was seen, and ``reached``, ``short`` or ``open``."""
    rows = []
    for target in TARGETS:
        seen = target.seen(results)
        state = "open" if seen is None else "reached" if target.reached(seen) else "short"
        rows.append({"target": target.text, "seen": seen, "state": state})
    return rows


def as_json(plan: Plan, results: Results, absent: Mapping[str, str], *, label: str) -> dict[str, Any]:
    """Everything, with what it was measured with."""
    origin: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "label": label,
        "rounds": plan.rounds,
    }
    origin["busy_elsewhere"] = round(busy(results), 3)
    return {
        "date": origin["date"],
        "label": label,
        "software": SOFTWARE,
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "architecture": platform.machine()},
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "busy_elsewhere": round(busy(results), 3),
        "figures": {figure: _figure(results, figure) | origin for figure in results.figures()},
        "targets": targets(results),
        "absent": dict(absent),
        "refused": [{"way": way, "load": load, "why": why} for (way, load), why in results.refused.items()],
    }


def _figure(results: Results, figure: str) -> dict[str, Any]:
    kind = kind_of(figure)
    return {
        "unit": kind.unit,
        "more_is_better": kind.more_is_better,
        "ways": {way: _rounded(spread) for way in results.ways(figure) if (spread := results.spread(figure, way))},
        "ratios": {
            way: _rounded(ratio)
            for way in results.ways(figure)
            if way != OURS and (ratio := results.ratio(figure, way))
        },
    }


def _rounded(spread: Spread) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in asdict(spread).items()}


def _name(figure: str) -> str:
    return f"{figure} [{kind_of(figure).unit}]"


def _ratios(results: Results, figure: str, others: Iterable[str]) -> list[str]:
    good = "more" if kind_of(figure).more_is_better else "less"
    return [f"{figure} ({good} is better)", *(_spread(results.ratio(figure, way), 2) for way in others)]


def _plain(results: Results, figure: str, way: str) -> str:
    if (way, results.load_of(figure)) in results.refused:
        return "refused"
    return _spread(results.spread(figure, way), kind_of(figure).digits)


def _spread(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.{digits}f} ({spread.least:.{digits}f}-{spread.most:.{digits}f})"


def _table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """Columns as wide as they must be."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        first, *rest = (
            text.ljust(width) if n == 0 else text.rjust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *rest]).rstrip()
