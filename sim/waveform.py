"""Draws how one record crosses the engine, from a trace of the simulator: an SVG with the steps named.

``python -m vnetcard.sim.waveform TRACE.fst PICTURE.svg`` takes the last doorbell of the host's tx_prod in the trace.
"""

from __future__ import annotations

import argparse
import bisect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from vnetcard.engine import registers as R
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.ring import layout as L
from vnetcard.sim.library import NS_A_CYCLE
from vnetcard.sim.wrapper import SCOPE
from vnetcard.terminal.arguments import complain

PS_A_CYCLE: Final = round(NS_A_CYCLE * 1000)
LONGEST: Final = 400
"""Cycles in which a record must have crossed to be drawn."""
_BEFORE, _AFTER = 2, 6
"""Cycles drawn around it."""
_LEFT, _TOP, _STEP, _ROW, _HIGH = 178, 64, 17, 30, 18
"""Pixels: names, heading, a cycle, a row, a signal."""

ROWS: Final = (
    ("doorbell, host", "s_axil_host_awvalid", "s_axil_host_wdata"),
    ("AR, host's memory", "m_axi_host_arvalid", "m_axi_host_araddr"),
    ("R, host's memory", "m_axi_host_rvalid", "m_axi_host_rlast"),
    ("AW, card's memory", "m_axi_card_awvalid", "m_axi_card_awaddr"),
    ("W, card's memory", "m_axi_card_wvalid", "m_axi_card_wlast"),
    ("B, card's memory", "m_axi_card_bvalid", "m_axi_card_bid"),
    ("interrupt, card", "irq_card_o", None),
)
"""Name, the signal that says valid, and the one whose value is written while it does (R and W: is it the last?)."""


class Trace:
    """The signals of an FST at the end of each cycle, just before the next rising edge."""

    def __init__(self, path: Path) -> None:
        """ConfigError when there is no such file, or nothing that reads it."""
        try:
            import pywellen
        except ImportError as error:
            raise ConfigError("traces are read with pywellen: pip install 'vnetcard[hdl]'") from error
        try:
            found = pywellen.Waveform(path=str(path)).all_vars()
        except Exception as error:  # what a compiled reader raises is its own affair
            raise ConfigError(f"{path}: this is no trace that can be read ({error})") from error
        self._signals = {var.full_name: var for var in found}
        self._changes: dict[str, tuple[list[int], list[int]]] = {}

    def changes(self, name: str) -> tuple[list[int], list[int]]:
        """Times in ps, and values from then on, of the engine's port ``name``."""
        if name not in self._changes:
            if f"{SCOPE}.{name}" not in self._signals:
                raise ConfigError(f"the trace has no signal {name}: it is of another design")
            pairs = self._signals[f"{SCOPE}.{name}"].tv
            self._changes[name] = [at for at, _ in pairs], [int(value) for _, value in pairs]
        return self._changes[name]

    def value(self, name: str, cycle: int) -> int:
        """The port in the second half of the low phase of ``cycle``, when everything has settled."""
        times, values = self.changes(name)
        place = bisect.bisect_right(times, cycle * PS_A_CYCLE + PS_A_CYCLE // 4) - 1
        return values[place] if place >= 0 else 0


@dataclass(frozen=True, slots=True)
class Step:
    """A thing that happened, and in which cycle."""

    name: str
    cycle: int


def crossing(trace: Trace) -> list[Step]:
    """The steps of the last record from host to card, in the order of time; ConfigError when there is none whole."""
    times, values = trace.changes("s_axil_host_awvalid")
    address = R.offset("tx_prod")
    interrupts = [at // PS_A_CYCLE for at, value in zip(times, values, strict=True) if value]
    interrupts = [cycle for cycle in interrupts if trace.value("s_axil_host_awaddr", cycle + 1) == address]
    if not interrupts:
        raise ConfigError("the trace has no doorbell of tx_prod on the host's side")
    start = _next(interrupts[-1], lambda at: trace.value("s_axil_host_awvalid", at) == 1, "doorbell")
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
    raise ConfigError(f"the trace does not show the whole crossing: no {name} within {LONGEST} cycles")


def draw(trace: Trace, steps: Sequence[Step]) -> str:
    """The SVG of ``steps``."""
    first, last = steps[0].cycle - _BEFORE, steps[-1].cycle + _AFTER
    width, height = _LEFT + (last - first) * _STEP + 16, _TOP + len(ROWS) * _ROW + 40
    bottom = _TOP + len(ROWS) * _ROW
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, step in enumerate(steps):
        x = _LEFT + (step.cycle - first) * _STEP
        y = 14 + 15 * (number % 3)
        out.append(f'<path d="M{x} {y + 4}V{bottom}" stroke="#c05020" stroke-dasharray="2 3"/>')
        out.append(f'<text x="{x + 2}" y="{y}" fill="#c05020">{escape(step.name)}</text>')
    for number, (name, valid, value) in enumerate(ROWS):
        y = _TOP + number * _ROW
        out.append(f'<text x="{_LEFT - 10}" y="{y + 14}" text-anchor="end" fill="#202020">{escape(name)}</text>')
        out.append(_line(trace, valid, first, last, y))
        if value is not None:
            out += _values(trace, (valid, value), range(first, last), y)
    for cycle in range(steps[0].cycle, last + 1, 5):
        x = _LEFT + (cycle - first) * _STEP
        label = f"{(cycle - steps[0].cycle) * NS_A_CYCLE:.0f} ns"
        out.append(f'<path d="M{x} {bottom}v5" stroke="#808080"/>')
        out.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#606060" font-size="10">{label}</text>')
    return "\n".join([*out, "</svg>", ""])


def _line(trace: Trace, name: str, first: int, last: int, y: int) -> str:
    """A signal of one bit."""
    path, level = "", -1
    for cycle in range(first, last):
        x, now = _LEFT + (cycle - first) * _STEP, trace.value(name, cycle)
        if now != level:
            path += f"{'M' if level < 0 else 'L'}{x} {y + (0 if now else _HIGH)}"
            level = now
        path += f"H{x + _STEP}"
        if cycle + 1 < last and trace.value(name, cycle + 1) != now:
            path += f"V{y + (_HIGH if now else 0)}"
    return f'<path d="{path}" fill="none" stroke="#1050a0" stroke-width="1.5"/>'


def _values(trace: Trace, names: tuple[str, str], cycles: range, y: int) -> list[str]:
    """A box for each cycle in which the first of ``names`` is valid, with the value of the second."""
    valid, name = names
    first, last = cycles.start, cycles.stop
    out, cycle = [], first
    while cycle < last:
        begun = cycle
        cycle += 1
        if not trace.value(valid, begun):
            continue
        x, text = _LEFT + (begun - first) * _STEP, f"{trace.value(name, begun):x}"
        out.append(f'<rect x="{x}" y="{y}" width="{_STEP}" height="{_HIGH}" fill="#d8e6f8" stroke="#1050a0"/>')
        place = f'x="{x + _STEP // 2}" text-anchor="middle"' if len(text) == 1 else f'x="{x + _STEP + 4}"'
        out.append(f'<text {place} y="{y + 13}" font-size="10" fill="#202020">{text}</text>')
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="vnetcard.sim.waveform", description=__doc__.partition("\n")[0])
    parser.add_argument("trace", type=Path, metavar="TRACE.fst")
    parser.add_argument("picture", type=Path, metavar="PICTURE.svg")
    args = parser.parse_args(argv)
    try:
        trace = Trace(args.trace)
        args.picture.write_text(draw(trace, crossing(trace)))
    except OSError as error:
        complain(parser.prog, f"{args.picture}: cannot write it ({error.strerror})")
        return 2
    except VnetcardError as error:
        complain(parser.prog, error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
