"""SVG elements as text: what the plots of ``report`` and ``bench`` are written with.

Attribute names are Python's: ``font_size`` is written ``font-size``, ``class_`` is written ``class``.  Numbers that
are floats are rounded to a tenth of a pixel.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

Value = str | int | float


def element(tag: str, /, *content: str, **attributes: Value) -> str:
    """``<tag attributes>content</tag>``; ``content`` is markup already, attribute values are escaped."""
    named = "".join(f" {_name(name)}={quoteattr(_text(value))}" for name, value in attributes.items())
    return f"<{tag}{named}>{''.join(content)}</{tag}>" if content else f"<{tag}{named}/>"


def text(x: Value, y: Value, words: str, **attributes: Value) -> str:
    """A line of text with its baseline at ``y``."""
    return element("text", escape(words), x=x, y=y, **attributes)


def rect(x: Value, y: Value, width: Value, height: Value, **attributes: Value) -> str:
    """A rectangle whose upper left corner is at (``x``, ``y``)."""
    return element("rect", x=x, y=y, width=width, height=height, **attributes)


def path(*points: tuple[float, float], **attributes: Value) -> str:
    """An open line through ``points``."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), **attributes)


def title(words: str) -> str:
    """What a browser shows for the enclosing element when the pointer is on it."""
    return element("title", escape(words))


def document(width: int, height: int, /, *content: str, **attributes: Value) -> str:
    """The outermost element, one child per line; add ``width`` and ``xmlns`` for a file of its own."""
    return element("svg", "\n", "\n".join(content), "\n", viewBox=f"0 0 {width} {height}", **attributes)


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _text(value: Value) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
