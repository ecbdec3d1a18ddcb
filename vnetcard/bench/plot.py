"""The results as a picture: for each figure a bar a way, with its spread, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from vnetcard.bench.figures import OURS

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
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{y}" fill="#ffffff"/>',
        _text(8, 18, title),
        _text(8, 34, f"Medians of {told['rounds']} rounds; the thin line goes from the least to the most."),
    ]
    return "\n".join([*head, *out, "</svg>", ""])


def _bar(way: str, spread: Mapping[str, float], y: int, scale: float) -> list[str]:
    """One way: its name, its median as a bar, its spread as a line, its value."""
    middle = y + _ROW // 2
    ends = [_LEFT + spread[end] * scale for end in ("median", "least", "most")]
    size = f'width="{ends[0] - _LEFT:.1f}" height="{_ROW - 4}"'
    return [
        _text(_LEFT - 8, y + 13, way, anchor="end"),
        f'<rect x="{_LEFT}" y="{y + 2}" {size} fill="{_COLOURS[way == OURS]}"/>',
        f'<path d="M{ends[1]:.1f} {middle}H{ends[2]:.1f}" stroke="#202020"/>',
        _text(_LEFT + _WIDE + 8, y + 13, f"{spread['median']:g} ({spread['least']:g}-{spread['most']:g})"),
    ]


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="#202020">{escape(text)}</text>'
