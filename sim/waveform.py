"""Draws the path of one record through the engine, from a trace of the simulator, as an SVG with named steps.

``python -m vnetcard.sim.waveform TRACE.fst PICTURE.svg`` takes the record of the last doorbell of the host's tx_prod.
"""

from __future__ import annotations

import argparse
import bisect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.engine import registers as R
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.ring import layout as L
from vnetcard.sim.library import NS_PER_CYCLE
from vnetcard.sim.wrapper import SCOPE
from vnetcard.terminal import svg
from vnetcard.terminal.arguments import complain

PS_PER_CYCLE: Final = round(NS_PER_CYCLE * 1000)
LONGEST: Final = 400
"""Cycles within which the record must reach the card."""
_BEFORE, _AFTER = 2, 6
"""Cycles drawn before the first and after the last step."""
_LEFT, _TOP, _STEP, _ROW, _HIGH = 178, 64, 17, 30, 18
"""Pixels: widths of the names and of a cycle, heights of the heading, a row and a signal."""

ROWS: Final = (
    ("doorbell, host", "s_axil_host_awvalid", "s_axil_host_wdata"),
    ("AR, host's memory", "m_axi_host_arvalid", "m_axi_host_araddr"),
    ("R, host's memory", "m_axi_host_rvalid", "m_axi_host_rlast"),
    ("AW, card's memory", "m_axi_card_awvalid", "m_axi_card_awaddr"),
    ("W, card's memory", "m_axi_card_wvalid", "m_axi_card_wlast"),
    ("B, card's memory", "m_axi_card_bvalid", "m_axi_card_bid"),
    ("interrupt, card", "irq_card_o", None),
)
"""(name, valid signal, signal whose value is drawn while valid is 1); for R and W the latter is `last`."""


class Trace:
    """The signals of an FST at the end of each cycle, just before the next rising edge."""

    def __init__(self, path: Path) -> None:
        """Read the file at ``path``; raises ConfigError when it is unreadable, or pywellen is missing."""
        try:
            import pywellen
        except ImportError as error:
            raise ConfigError(
                "pywellen, which reads traces, is missing: pip install 'vnetcard[hdl]'", code=ErrorCode.TOOL_MISSING
            ) from error
        try:
            found = pywellen.Waveform(path=str(path)).all_vars()
        except Exception as error:  # the compiled reader documents no exceptions
            raise ConfigError(f"{path}: not a readable trace ({error})") from error
        self._signals = {var.full_name: var for var in found}
        self._changes: dict[str, tuple[list[int], list[int]]] = {}

    def changes(self, name: str) -> tuple[list[int], list[int]]:
        """The times in ps at which the engine's port ``name`` changes, and its values from then on."""
        if name not in self._changes:
            if f"{SCOPE}.{name}" not in self._signals:
                raise ConfigError(f"the trace has no signal {name}: it was made with another design")
            pairs = self._signals[f"{SCOPE}.{name}"].tv
            self._changes[name] = [at for at, _ in pairs], [int(value) for _, value in pairs]
        return self._changes[name]

    def value(self, name: str, cycle: int) -> int:
        """The value of a port at the end of ``cycle``, when all signals have settled."""
        times, values = self.changes(name)
        place = bisect.bisect_right(times, cycle * PS_PER_CYCLE + PS_PER_CYCLE // 4) - 1
        return values[place] if place >= 0 else 0


@dataclass(frozen=True, slots=True)
class Step:
    """A named event and its cycle."""

    name: str
    cycle: int


def record_steps(trace: Trace) -> list[Step]:
    """The steps of the last record from host to card, in time order; raises ConfigError without a complete one."""
    times, values = trace.changes("s_axil_host_awvalid")
    address = R.offset("tx_prod")
    doorbells = [at // PS_PER_CYCLE for at, value in zip(times, values, strict=True) if value]
    doorbells = [cycle for cycle in doorbells if trace.value("s_axil_host_awaddr", cycle + 1) == address]
    if not doorbells:
        raise ConfigError("the trace has no doorbell of tx_prod on the host's side")
    start = _next(doorbells[-1], lambda at: trace.value("s_axil_host_awvalid", at) == 1, "doorbell")
    steps = [Step("doorbell", start)]
    prod_line = (L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]) & 0xFFF

    def wait(name: str, *signals: str, index: bool | None = None) -> None:
        def now(cycle: int) -> bool:
            here = index is None or (trace.value("m_axi_card_awaddr", cycle) & 0xFFF == prod_line) == index
            return here and all(trace.value(signal, cycle) for signal in signals)

        steps.append(Step(name, _next(steps[-1].cycle + 1, now, name)))

    wait("AR", "m_axi_host_arvalid")
    wait("R", "m_axi_host_rvalid")
    wait("last R", "m_axi_host_rvalid", "m_axi_host_rlast")
    wait("AW", "m_axi_card_awvalid", index=False)
    wait("last W", "m_axi_card_wvalid", "m_axi_card_wlast")
    wait("B", "m_axi_card_bvalid")
    wait("index", "m_axi_card_awvalid", index=True)
    wait("its B", "m_axi_card_bvalid")
    wait("interrupt", "irq_card_o")
    return steps


def _next(start: int, now: Callable[[int], bool], name: str) -> int:
    for cycle in range(start, start + LONGEST):
        if now(cycle):
            return cycle
    raise ConfigError(f"the trace does not show the whole path of the record: no {name} within {LONGEST} cycles")


def draw(trace: Trace, steps: Sequence[Step]) -> str:
    """The SVG of ``steps``."""
    first, last = steps[0].cycle - _BEFORE, steps[-1].cycle + _AFTER
    width, height = _LEFT + (last - first) * _STEP + 16, _TOP + len(ROWS) * _ROW + 40
    bottom = _TOP + len(ROWS) * _ROW
    out = [svg.rect(0, 0, width, height, fill="#ffffff")]
    for number, step in enumerate(steps):
        x = _LEFT + (step.cycle - first) * _STEP
        y = 14 + 15 * (number % 3)
        out.append(svg.path((x, y + 4), (x, bottom), stroke="#c05020", stroke_dasharray="2 3"))
        out.append(svg.text(x + 2, y, step.name, fill="#c05020"))
    for number, (name, valid, value) in enumerate(ROWS):
        y = _TOP + number * _ROW
        out.append(svg.text(_LEFT - 10, y + 14, name, text_anchor="end", fill="#202020"))
        out.append(_line(trace, valid, first, last, y))
        if value is not None:
            out += _values(trace, (valid, value), range(first, last), y)
    for cycle in range(steps[0].cycle, last + 1, 5):
        x = _LEFT + (cycle - first) * _STEP
        label = f"{(cycle - steps[0].cycle) * NS_PER_CYCLE:.0f} ns"
        out.append(svg.path((x, bottom), (x, bottom + 5), stroke="#808080"))
        out.append(svg.text(x, bottom + 18, label, text_anchor="middle", fill="#606060", font_size=10))
    page = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "sans-serif"}
    return svg.document(width, height, *out, width=width, height=height, font_size=12, **page) + "\n"


def _line(trace: Trace, name: str, first: int, last: int, y: int) -> str:
    """The line of a signal of one bit."""
    points: list[tuple[float, float]] = []
    for cycle in range(first, last):
        x = _LEFT + (cycle - first) * _STEP
        height = y + (0 if trace.value(name, cycle) else _HIGH)
        points += [(x, height), (x + _STEP, height)]
    return svg.path(*points, fill="none", stroke="#1050a0", stroke_width="1.5")


def _values(trace: Trace, names: tuple[str, str], cycles: range, y: int) -> list[str]:
    """A box for each cycle in which the first of ``names`` is 1, with the value of the second."""
    valid, name = names
    first, last = cycles.start, cycles.stop
    out, cycle = [], first
    while cycle < last:
        begun = cycle
        cycle += 1
        if not trace.value(valid, begun):
            continue
        x, text = _LEFT + (begun - first) * _STEP, f"{trace.value(name, begun):x}"
        out.append(svg.rect(x, y, _STEP, _HIGH, fill="#d8e6f8", stroke="#1050a0"))
        style: dict[str, str | int] = {"font_size": 10, "fill": "#202020"}
        if len(text) == 1:
            out.append(svg.text(x + _STEP // 2, y + 13, text, text_anchor="middle", **style))
        else:
            out.append(svg.text(x + _STEP + 4, y + 13, text, **style))
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the picture; 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="vnetcard.sim.waveform", description=__doc__.partition("\n")[0])
    parser.add_argument("trace", type=Path, metavar="TRACE.fst")
    parser.add_argument("picture", type=Path, metavar="PICTURE.svg")
    args = parser.parse_args(argv)
    try:
        trace = Trace(args.trace)
        args.picture.write_text(draw(trace, record_steps(trace)))
    except OSError as error:
        complain(parser.prog, f"{args.picture}: cannot write it ({error.strerror})")
        return 2
    except VnetcardError as error:
        complain(parser.prog, error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
