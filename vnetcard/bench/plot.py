"""The results as SVG: for each figure one bar per contender, with its spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vnetcard.bench.figures import OURS
from vnetcard.terminal import svg

_LEFT, _WIDE, _RIGHT = 110, 420, 170
_TOP, _HEAD, _ROW, _GAP = 48, 20, 18, 14
"""Pixels: widths of names, bars and values; heights of the title, a figure's name, a bar and a gap between figures."""
_COLOURS = {True: "#c05020", False: "#7090b0"}
"""The colours of vnetcard's bars (True) and of the others'."""


def draw(results: Mapping[str, Any]) -> str:
    """The SVG of what ``report.as_json`` returned."""
    figures = {name: figure for name, figure in results["figures"].items() if figure["contenders"]}
    out, y = [], _TOP
    for name, figure in figures.items():
        good = "more" if figure["more_is_better"] else "less"
        out.append(_text(8, y + 13, f"{name}, {figure['unit']} ({good} is better)", weight="bold"))
        y += _HEAD
        longest = max(contender["most"] for contender in figure["contenders"].values()) or 1
        for contender, spread in figure["contenders"].items():
            out += _bar(contender, spread, y, _WIDE / longest)
            y += _ROW
        y += _GAP
    width = _LEFT + _WIDE + _RIGHT
    machine = results["machine"]
    title = f"{results['software']} on {machine['cores']} cores, Linux {machine['kernel']}, {results['date']}"
    head = [
        svg.rect(0, 0, width, y, fill="#ffffff"),
        _text(8, 18, title),
        _text(8, 34, f"Medians of {results['rounds']} rounds; the thin line reaches from the minimum to the maximum."),
    ]
    page = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "sans-serif"}
    return svg.document(width, y, *head, *out, width=width, height=y, font_size=12, **page) + "\n"


def _bar(contender: str, spread: Mapping[str, float], y: int, scale: float) -> list[str]:
    """One contender: its name, its median as a bar, its spread as a line, its values."""
    middle = y + _ROW // 2
    ends = [_LEFT + spread[end] * scale for end in ("median", "least", "most")]
    return [
        _text(_LEFT - 8, y + 13, contender, anchor="end"),
        svg.rect(_LEFT, y + 2, ends[0] - _LEFT, _ROW - 4, fill=_COLOURS[contender == OURS]),
        svg.path((ends[1], middle), (ends[2], middle), stroke="#202020"),
        _text(_LEFT + _WIDE + 8, y + 13, f"{spread['median']:g} ({spread['least']:g}-{spread['most']:g})"),
    ]


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return svg.text(x, y, text, text_anchor=anchor, font_weight=weight, fill="#202020")
