"""What ``vnetcard-sim --stats`` prints: a line per second and a table at the end, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.library import CLOCK_HZ, Stats

ENGINE_ROWS: Final = (
    "publications",
    "bursts",
    "errors",
    "stall_read",
    "stall_write",
    "stall_ack",
    "suppressed",
    "latency",
    "latency_max",
)
"""The registers of a direction in the table; reading them changes none."""
SIDE_ROWS: Final = ("read_bytes", "write_bytes", "read_bursts", "write_bursts", "index_words", "errors", "outside")
PAGE_ROWS: Final = ("doorbells", "mailbox", "interrupts")
Read = Callable[[int, int], int | None]
"""A function from (side, offset) to a register's value; None when the simulator does not answer."""


@dataclass(frozen=True, slots=True)
class Line:
    """What happened since the line before; ``seconds`` and ``simulated_ms`` count from the start."""

    seconds: float
    simulated_ms: float
    mcycles_per_s: float
    idle: float
    """The share of the time in which the simulator slept."""
    h2c_mbytes_per_s: float
    c2h_mbytes_per_s: float
    doorbells: int
    interrupts: int
    errors: int

    @classmethod
    def between(cls, old: Stats, new: Stats, *, span: float, seconds: float) -> Line:
        """The line for two samples that are ``span`` seconds apart."""
        asleep = (new.asleep_ns - old.asleep_ns) / 1e9

        def moved(name: str, *sides: int) -> int:
            return sum(getattr(new.side[side], name) - getattr(old.side[side], name) for side in sides)

        return cls(
            round(seconds, 2),
            round(new.cycles * 1e3 / CLOCK_HZ, 3),
            round((new.cycles - old.cycles) / span / 1e6, 2),
            round(min(1.0, asleep / span), 3),
            round(moved("read_bytes", L.HOST) / span / 1e6, 2),
            round(moved("read_bytes", L.CARD) / span / 1e6, 2),
            moved("doorbells", L.HOST, L.CARD),
            moved("interrupts", L.HOST, L.CARD),
            moved("errors", L.HOST, L.CARD),
        )

    def text(self) -> str:
        """The line as text."""
        return (
            f"{self.seconds:8.1f} s  simulated {self.simulated_ms:.1f} ms  {self.mcycles_per_s:5.2f} Mcycles/s  "
            f"idle {self.idle:4.0%}  h2c {self.h2c_mbytes_per_s:7.2f} MB/s  c2h {self.c2h_mbytes_per_s:7.2f} MB/s  "
            f"doorbells {self.doorbells}  interrupts {self.interrupts}  errors {self.errors}"
        )

    def json(self) -> str:
        """The line as a JSON object."""
        return json.dumps({"event": "stats", **asdict(self)})


def engine(read: Read) -> dict[str, dict[str, int | None]]:
    """The engine's own counters by direction; None where the simulator did not answer."""
    return {
        direction: {name: read(side, R.offset(f"tx_{name}")) for name in ENGINE_ROWS}
        for side, direction in enumerate(L.DIRECTIONS)
    }


def totals(stats: Stats, seconds: float, counters: dict[str, dict[str, int | None]]) -> dict[str, object]:
    """All counters since the start, for JSON."""
    return {
        "seconds": round(seconds, 3),
        "cycles": stats.cycles,
        "simulated_ms": round(stats.cycles * 1e3 / CLOCK_HZ, 3),
        "idle": round(min(1.0, stats.asleep_ns / 1e9 / max(seconds, 1e-9)), 3),
        "sleeps": stats.sleeps,
        "woken": stats.woken,
        "removals": stats.removals,
        "sides": {
            name: {row: getattr(stats.side[side], row) for row in (*SIDE_ROWS, *PAGE_ROWS)}
            for side, name in enumerate(L.SIDES)
        },
        "engine": counters,
    }


def table(stats: Stats, seconds: float, counters: dict[str, dict[str, int | None]]) -> str:
    """The totals as text."""
    idle = min(1.0, stats.asleep_ns / 1e9 / max(seconds, 1e-9))
    lines = [
        f"{stats.cycles} cycles in {seconds:.1f} s, {stats.cycles * 1e3 / CLOCK_HZ:.1f} ms simulated, idle {idle:.0%}, "
        f"asleep {stats.sleeps} times ({stats.woken} woken), card removed {stats.removals} times",
        "",
        f"{'memory and registers':<24}{'host':>16}{'card':>16}",
    ]
    for row in (*SIDE_ROWS, *PAGE_ROWS):
        lines.append(f"{row:<24}{getattr(stats.side[0], row):>16}{getattr(stats.side[1], row):>16}")
    lines += ["", f"{'engine':<24}{'h2c':>16}{'c2h':>16}"]
    for row in ENGINE_ROWS:
        values = ["-" if (value := counters[name][row]) is None else str(value) for name in L.DIRECTIONS]
        lines.append(f"{row:<24}{values[0]:>16}{values[1]:>16}")
    return "\n".join(lines)
