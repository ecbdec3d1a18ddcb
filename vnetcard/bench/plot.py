"""The results as a picture: for each figure a bar a way, with its spread, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vnetcard.bench.figures import OURS
from vnetcard.terminal import svg

_LEFT, _WIDE, _RIGHT = 110, 420, 170
_TOP, _HEAD, _ROW, _GAP = 48, 20, 18, 14
"""Pixels: names, bars, values; title, a figure's name, a bar, what is between two figures."""
_COLOURS = {True: "#c05020", False: "#7090b0"}
"""Of our bars and of the others'."""


def draw(told: Mapping[str, Any]) -> str:
    """The SVG of what ``report.as_json`` gave."""
    figures = {name: figure for name, figure in told["figures"].items() if figure["ways"]}
    out, y = [], _TOP
    for name, figure in figures.items():
        good = "more" if figure["more_is_better"] else "less"
        out.append(_text(8, y + 13, f"{name}, {figure['unit']} ({good} is better)", weight="bold"))
        y += _HEAD
        longest = max(way["most"] for way in figure["ways"].values()) or 1
        for way, spread in figure["ways"].items():
            out += _bar(way, spread, y, _WIDE / longest)
            y += _ROW
        y += _GAP
    width = _LEFT + _WIDE + _RIGHT
    machine = told["machine"]
    title = f"{told['software']} on {machine['cores']} cores, Linux {machine['kernel']}, {told['date']}"
    head = [
        svg.rect(0, 0, width, y, fill="#ffffff"),
        _text(8, 18, title),
        _text(8, 34, f"Medians of {told['rounds']} rounds; the thin line goes from the least to the most."),
    ]
    page = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "sans-serif"}
    return svg.document(width, y, *head, *out, width=width, height=y, font_size=12, **page) + "\n"


def _bar(way: str, spread: Mapping[str, float], y: int, scale: float) -> list[str]:
    """One way: its name, its median as a bar, its spread as a line, its value."""
    middle = y + _ROW // 2
    ends = [_LEFT + spread[end] * scale for end in ("median", "least", "most")]
    return [
        _text(_LEFT - 8, y + 13, way, anchor="end"),
        svg.rect(_LEFT, y + 2, ends[0] - _LEFT, _ROW - 4, fill=_COLOURS[way == OURS]),
        svg.path((ends[1], middle), (ends[2], middle), stroke="#202020"),
        _text(_LEFT + _WIDE + 8, y + 13, f"{spread['median']:g} ({spread['least']:g}-{spread['most']:g})"),
    ]


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return svg.text(x, y, text, text_anchor=anchor, font_weight=weight, fill="#202020")
