"""Plots as SVG inside a page; the page's style sheet gives the colours, so that they follow light and dark themes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from vnetcard.terminal import svg

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 54, 45
"""Pixels: the plot and its margins."""
TICK_DISTANCE: Final = 36
"""Least pixels between the labels of two ticks."""
BAR_START, BAR_LENGTH, ROW, HEAD = 198, 300, 22, 30
"""Pixels of a bar chart: where bars begin, the longest bar, a bar's row, the title."""
Series = Sequence[tuple[float, float]]
"""Points (x, y)."""


def lines(title: str, series: Mapping[str, Series], *, x: str, y: str) -> str:
    """A curve per series: x on a logarithmic scale, y from 0.  ``x`` and ``y`` name the axes with their units."""
    points = [point for one in series.values() for point in one]
    if not points:
        return _nothing(title)
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    top = _round_up(max(y for _, y in points))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        share = math.log(max(point[0], 1) / max(low, 1)) / (math.log(max(high, 1) / max(low, 1)) or 1)
        return (
            LEFT + share * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - point[1] / top * (HEIGHT - TOP - BOTTOM),
        )

    body = _axes(title, x, y, top)
    last = -math.inf
    for value in sorted({x for x, _ in points}):
        across, _ = place((value, 0))
        if across - last >= TICK_DISTANCE:
            last = across
            body.append(svg.text(across, HEIGHT - BOTTOM + 16, _short(value), class_="tick"))
    for number, (name, one) in enumerate(series.items()):
        spots = [place(point) for point in one]
        body.append(svg.path(*spots, class_=f"curve c{number}"))
        body += [
            svg.element(
                "circle",
                svg.title(f"{name}: {_short(at)} {x}, {value:.4g} {y}"),
                class_=f"dot c{number}",
                cx=across,
                cy=down,
                r=3,
            )
            for (across, down), (at, value) in zip(spots, one, strict=True)
        ]
        key = LEFT + 10 + 150 * number
        body.append(svg.rect(key, TOP - 20, 12, 4, class_=f"key c{number}"))
        body.append(svg.text(key + 18, TOP - 14, name, class_="legend"))
    return _plot(title, body, HEIGHT)


def bars(title: str, values: Mapping[str, float], *, unit: str) -> str:
    """A bar per value, in the order of ``values``; the largest value has the full length."""
    if not values:
        return _nothing(title)
    longest = max(values.values()) or 1
    body = [svg.text(10, 18, title, class_="title")]
    for number, (name, value) in enumerate(values.items()):
        down, length = HEAD + ROW * number, value / longest * BAR_LENGTH
        body += [
            svg.text(BAR_START - 8, down + 14, name, class_="name"),
            svg.rect(BAR_START, down + 3, length, 14, class_="bar c0"),
            svg.text(BAR_START + 6 + length, down + 14, f"{value:.3g} {unit}", class_="value"),
        ]
    return _plot(title, body, HEAD + ROW * len(values) + 10)


def _axes(title: str, x: str, y: str, top: float) -> list[str]:
    body = [svg.text(10, 18, title, class_="title")]
    for n in range(5):
        down = HEIGHT - BOTTOM - n / 4 * (HEIGHT - TOP - BOTTOM)
        body.append(svg.path((LEFT, down), (WIDTH - RIGHT, down), class_="grid"))
        body.append(svg.text(LEFT - 8, down + 4, f"{top * n / 4:.3g}", class_="scale"))
    body.append(svg.text((LEFT + WIDTH) // 2, HEIGHT - 8, x, class_="axis"))
    body.append(svg.text(WIDTH - RIGHT, 14, y, class_="unit"))
    return body


def _plot(title: str, body: list[str], height: int) -> str:
    return svg.document(WIDTH, height, *body, role="img", aria_label=title)


def _nothing(title: str) -> str:
    return f'<p class="none">{escape(title)}: nothing was measured</p>'


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _short(value: float) -> str:
    return f"{value / 1024:g}K" if value >= 1024 and value % 1024 == 0 else f"{value:g}"
