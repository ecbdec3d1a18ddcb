"""The results as tables for people, ratios first, and as an object for JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from vnetcard.bench import profile
from vnetcard.bench.figures import OURS, Results, Spread, kind_of
from vnetcard.bench.iperf import tcp_limits
from vnetcard.bench.runner import BUSY_MAX, Plan
from vnetcard.bench.standalone import STANDALONE
from vnetcard.bench.targets import TARGETS
from vnetcard.ring.sideblock import SOFTWARE

WIDTH = 120
"""Columns of the widest table; contenders that do not fit go into another table below it."""


def lines(plan: Plan, results: Results, absent: Mapping[str, str]) -> Iterator[str]:
    """Ratios, figures, targets, and what is absent (by contender, or by "LOAD CONTENDER") or was refused."""
    figures = [figure for figure in results.figures() if results.load_of(figure) not in STANDALONE]
    if figures:
        yield from _tables([name for name in plan.contenders if name not in absent], figures, results)
    for load, standalone in STANDALONE.items():
        if figures := [figure for figure in results.figures() if results.load_of(figure) == load]:
            names = [name for name in standalone.CONTENDERS if f"{load} {name}" not in absent]
            yield from _tables(names, figures, results)
    for (load, contender), stages in results.profiles.items():
        yield from profile.lines(load, contender, stages)
    for row in targets(results):
        seen = "not measured" if row["seen"] is None else f"{row['seen']:.3g}"
        yield f"{row['state']:8} {row['target']}: {seen}"
    for contender, why in absent.items():
        yield f"absent   {contender}: {why}"
    if busy(results) > BUSY_MAX:
        yield f"BUSY     other programs took {busy(results):.0%} of this machine: these figures are worth little"
    for (contender, load), why in results.refused.items():
        yield f"REFUSED  {contender}, {load}: {why}"


def busy(results: Results) -> float:
    """The share of the machine that other programs took: the mean of all samples, 0 without any."""
    return statistics.fmean(results.busy) if results.busy else 0.0


def _tables(names: Sequence[str], figures: Sequence[str], results: Results) -> Iterator[str]:
    """The ratios of vnetcard to each other contender, and the figures of each."""
    others = [contender for contender in names if contender != OURS]
    if OURS in names and others:
        yield f"{OURS} divided by each contender: median of the rounds' ratios (minimum-maximum)"
        yield from _table(["figure", *others], (_ratios(results, figure, others) for figure in figures))
        yield ""
    yield "each contender: median of the rounds (minimum-maximum)"
    rows = ([_name(figure), *(_plain(results, figure, contender) for contender in names)] for figure in figures)
    yield from _table(["figure", *names], rows)
    yield ""


def targets(results: Results) -> list[dict[str, Any]]:
    """Each target with the measured value and its state: ``reached``, ``short`` or ``open`` (not measured)."""
    rows = []
    for target in TARGETS:
        seen = target.seen(results)
        state = "open" if seen is None else "reached" if target.reached(seen) else "short"
        rows.append({"target": target.text, "seen": seen, "state": state})
    return rows


def as_json(plan: Plan, results: Results, absent: Mapping[str, str], *, label: str) -> dict[str, Any]:
    """All results, with the machine, the software and the plan that they were measured with."""
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
        "congestion": list(plan.congestion),
        "tcp_limits": tcp_limits(),
        "busy_elsewhere": round(busy(results), 3),
        "figures": {figure: _figure(results, figure) | origin for figure in results.figures()},
        "profiles": [
            {"load": load, "contender": contender, "stages": stages}
            for (load, contender), stages in results.profiles.items()
        ],
        "targets": targets(results),
        "absent": dict(absent),
        "refused": [
            {"contender": contender, "load": load, "why": why} for (contender, load), why in results.refused.items()
        ],
    }


def _figure(results: Results, figure: str) -> dict[str, Any]:
    kind = kind_of(figure)
    return {
        "unit": kind.unit,
        "more_is_better": kind.more_is_better,
        "contenders": {
            contender: _rounded(spread)
            for contender in results.contenders(figure)
            if (spread := results.spread(figure, contender))
        },
        "ratios": {
            contender: _rounded(ratio)
            for contender in results.contenders(figure)
            if contender != OURS and (ratio := results.ratio(figure, contender))
        },
    }


def _rounded(spread: Spread) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in asdict(spread).items()}


def _name(figure: str) -> str:
    return f"{figure} [{kind_of(figure).unit}]"


def _ratios(results: Results, figure: str, others: Iterable[str]) -> list[str]:
    good = "more" if kind_of(figure).more_is_better else "less"
    return [f"{figure} ({good} is better)", *(_spread(results.ratio(figure, contender), 2) for contender in others)]


def _plain(results: Results, figure: str, contender: str) -> str:
    if (contender, results.load_of(figure)) in results.refused:
        return "refused"
    return _spread(results.spread(figure, contender), kind_of(figure).digits)


def _spread(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.{digits}f} ({spread.least:.{digits}f}-{spread.most:.{digits}f})"


def _table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """Columns as wide as their content, at most WIDTH in total; the rest of the columns follow in tables below."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for group in _groups(widths):
        for row in table:
            yield "  ".join(
                [row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in group)]
            ).rstrip()


def _groups(widths: Sequence[int]) -> list[list[int]]:
    """The columns after the first, in groups that fit into WIDTH beside the first."""
    groups: list[list[int]] = []
    room = 0
    for column, width in enumerate(widths[1:], start=1):
        if not groups or width + 2 > room:
            groups.append([])
            room = WIDTH - widths[0]
        groups[-1].append(column)
        room -= width + 2
    return groups
