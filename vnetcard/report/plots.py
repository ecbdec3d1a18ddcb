"""Plots as SVG that stands in a page: colours are the page's, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 54, 45
TICK: Final = 36
"""Pixels between two ticks, at least."""
Series = Sequence[tuple[float, float]]
"""Points (x, y)."""


def lines(title: str, series: Mapping[str, Series], *, x: str, y: str) -> str:
    """A curve a series; x on a logarithmic scale, y from 0."""
    points = [point for one in series.values() for point in one]
    if not points:
        return f'<p class="none">{escape(title)}: nothing was measured</p>'
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    most = _round_up(max(y for _, y in points))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        share = math.log(max(point[0], 1) / max(low, 1)) / (math.log(max(high, 1) / max(low, 1)) or 1)
        return (
            LEFT + share * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - point[1] / most * (HEIGHT - TOP - BOTTOM),
        )

    body = _frame(title, x, y, most)
    last = -math.inf
    for at in sorted({x for x, _ in points}):
        across, _ = place((at, 0))
        if across - last < TICK:
            continue
        last = across
        body.append(f'<text class="tick" x="{across:.1f}" y="{HEIGHT - BOTTOM + 16}">{_short(at)}</text>')
    for number, (name, one) in enumerate(series.items()):
        spots = [place(point) for point in one]
        path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in spots)
        body.append(f'<path class="curve c{number}" d="{path}"/>')
        body += [
            f'<circle class="dot c{number}" cx="{across:.1f}" cy="{up:.1f}" r="3">'
            f"<title>{escape(name)}: {_short(at)} {escape(x)}, {value:.4g} {escape(y)}</title></circle>"
            for (across, up), (at, value) in zip(spots, one, strict=True)
        ]
        across = LEFT + 10 + 150 * number
        body.append(f'<rect class="key c{number}" x="{across}" y="{TOP - 20}" width="12" height="4"/>')
        body.append(f'<text class="legend" x="{across + 18}" y="{TOP - 14}">{escape(name)}</text>')
    return _svg(title, body, HEIGHT)


def bars(title: str, values: Mapping[str, float], *, unit: str) -> str:
    """A bar a value, the longest on top of the scale."""
    if not values:
        return f'<p class="none">{escape(title)}: nothing was measured</p>'
    most, row, top = max(values.values()) or 1, 22, 30
    height = top + row * len(values) + 10
    body = [f'<text class="title" x="10" y="18">{escape(title)}</text>']
    for number, (name, value) in enumerate(values.items()):
        down = top + row * number
        body += [
            f'<text class="name" x="{LEFT + 120}" y="{down + 14}">{escape(name)}</text>',
            f'<rect class="bar c0" x="{LEFT + 128}" y="{down + 3}" width="{value / most * 300:.1f}" height="14"/>',
            f'<text class="value" x="{LEFT + 134 + value / most * 300:.1f}" y="{down + 14}">{value:.3g} '
            f"{escape(unit)}</text>",
        ]
    return _svg(title, body, height)


def _frame(title: str, x: str, y: str, most: float) -> list[str]:
    body = [f'<text class="title" x="10" y="18">{escape(title)}</text>']
    for n in range(5):
        up = HEIGHT - BOTTOM - n / 4 * (HEIGHT - TOP - BOTTOM)
        body.append(f'<path class="grid" d="M{LEFT} {up:.1f}H{WIDTH - RIGHT}"/>')
        body.append(f'<text class="scale" x="{LEFT - 8}" y="{up + 4:.1f}">{most * n / 4:.3g}</text>')
    body.append(f'<text class="axis" x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 8}">{escape(x)}</text>')
    body.append(f'<text class="unit" x="{WIDTH - RIGHT}" y="14">{escape(y)}</text>')
    return body


def _svg(title: str, body: list[str], height: int) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    return "\n".join([head, *body, "</svg>"])


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _short(value: float) -> str:
    return f"{value / 1024:g}K" if value >= 1024 and value % 1024 == 0 else f"{value:g}"
