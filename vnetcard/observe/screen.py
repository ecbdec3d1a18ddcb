"""What ``vnetcard top`` shows, as lines of 80 columns, from the last two snapshots of the agents."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from vnetcard.observe.causes import causes
from vnetcard.observe.probe import Probe
from vnetcard.observe.tables import bar
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.terminal.escape import printable

WIDTH, HEIGHT = 80, 24
COLUMN: Final = 40
EVENTS: Final = 5
"""Lines for the latest changes of the link."""
SPARKS: Final = " .:-=+*#"
NONE: Final = "none inside the link, none counted by the kernels that are known here"
KEYS: Final = "q quit   p pause   c clear errors   + slower   - faster"


@dataclass(slots=True)
class Screen:
    """The last two snapshots, and the lines that show them."""

    window: str
    interval: float
    probe: Probe | None = None
    paused: bool = False
    snapshots: list[Snapshot] = field(default_factory=list)
    problem: str = ""

    def add(self, snapshot: Snapshot) -> None:
        """Show ``snapshot``; rates are those since the one before."""
        self.problem = ""
        self.snapshots = [*self.snapshots[-1:], snapshot]

    def draw(self) -> list[str]:
        """HEIGHT lines of at most WIDTH columns; the last one explains the keys."""
        lines = [self._title()]
        if not self.snapshots:
            lines += ["", self.problem or "asking the agents ..."]
        else:
            lines += [*self._links(), "", *self._directions(), "", *self._round_trip(), *self._errors()]
            room = HEIGHT - len(lines) - 3
            lines += ["", "EVENTS", *self._events(min(room, EVENTS))]
        lines = lines[: HEIGHT - 1] + [""] * (HEIGHT - 1 - len(lines))
        return [printable(line)[:WIDTH] for line in [*lines, KEYS]]

    def _title(self) -> str:
        state = "PAUSED" if self.paused else f"every {self.interval:g} s"
        left, right = f"vnetcard top  {self.window}", f"{state}  {time.strftime('%H:%M:%S')}"
        return f"{left[: WIDTH - len(right) - 2]:<{WIDTH - len(right)}}{right}"

    def _links(self) -> list[str]:
        snapshot, lines = self.snapshots[-1], []
        for side in L.SIDES:
            view = snapshot.by_side.get(side)
            if view is None:
                lines.append(f"{side}: no agent on this machine")
                continue
            link = view["link"]
            if side in snapshot.unresponsive():
                lines.append(f"{side}: DOWN? {printable(link['reason'])}")
                continue
            up = "UP" if link["up"] else "DOWN"
            lines.append(f"{side}: {up} {link['state']} {link.get('since', 0):.0f} s, {printable(link['reason'])}")
        if self.problem:
            lines.append(f"! {self.problem}")
        return lines

    def _directions(self) -> list[str]:
        columns = [self._direction(number) for number in range(2)]
        return [f"{left[: COLUMN - 1]:<{COLUMN}}{right[:COLUMN]}" for left, right in zip(*columns, strict=True)]

    def _direction(self, number: int) -> list[str]:
        source, sink = L.SIDES[number], L.SIDES[1 - number]
        snapshot = self.snapshots[-1]
        rings = snapshot.rings(L.DIRECTIONS[number])
        tx, rx = (self._rates(side, pump) for side, pump in ((source, "tx"), (sink, "rx")))
        total = snapshot.figures("errors")
        drops = sum(
            n
            for side, pump in ((source, "tx"), (sink, "rx"))
            for name, n in total.get(side, {}).get(pump, {}).items()
            if name.startswith(("drop_", "lost_"))
        )
        discards = snapshot.discards()
        before = sum(
            row.count for row in discards if row.side == source and row.code.is_packet and row.code.towards_link
        )
        behind = sum(
            row.count for row in discards if row.side == sink and row.code.is_packet and not row.code.towards_link
        )
        used, size = (sum(ring[what] for ring in rings) for what in ("fill", "size"))
        fill = f"[{bar(used, size):20}] {used / size:4.0%}" if rings else "-"
        high = f"{max(ring.get('rx_high_water', 0) / ring['size'] for ring in rings):.1%} high water" if rings else "-"
        calls = rx.get("rx_calls", 0)
        return [
            f"{L.DIRECTIONS[number].upper()}  {source} to {sink}",
            f"  rate     {_bits(8 * tx.get('tx_sent_bytes', 0))}",
            f"  packets  {_count(tx.get('tx_sent', 0))}/s in, {_count(rx.get('rx_delivered', 0))}/s out",
            f"  ring     {fill}",
            f"           {high}, full {_count(tx.get('tx_ring_full', 0))}/s",
            f"  drops    {int(drops)}, kernels {before}+{behind}",
            f"  batch    {rx.get('rx_received', 0) / calls if calls else 0:.1f} records per call",
            f"  busy     tx {tx.get('tx_busy_ns', 0) / 1e9:4.0%}  rx {rx.get('rx_busy_ns', 0) / 1e9:4.0%}",
            f"  no CPU   tx {tx.get('tx_cpu_wait_ns', 0) / 1e9:4.0%}  rx {rx.get('rx_cpu_wait_ns', 0) / 1e9:4.0%}",
        ]

    def _rates(self, side: str, pump: str) -> dict[str, float]:
        """The growth of the pump's counters per second between the last two snapshots."""
        if len(self.snapshots) < 2:
            return {}
        before, after = self.snapshots
        seconds = _clock(after) - _clock(before)
        old, new = (snapshot.figures().get(side, {}).get(pump, {}) for snapshot in (before, after))
        if seconds <= 0:
            return {}
        return {name: max(0.0, value - old.get(name, value)) / seconds for name, value in new.items()}

    def _round_trip(self) -> list[str]:
        if self.probe is None:
            return ["PING off"]
        line = f"PING {self.probe.line()}"
        rtts = list(self.probe.rtts)
        most = max(rtts, default=0.0)
        sparks = "".join(SPARKS[min(len(SPARKS) - 1, int(rtt / most * (len(SPARKS) - 1)))] for rtt in rtts)
        return [line, f"     |{sparks}|"]

    def _errors(self) -> list[str]:
        snapshot = self.snapshots[-1]
        found = causes(snapshot)
        rows = [f"{row.side} {row.name} {row.count}" for row in snapshot.errors()]
        rows += [f"{row.side} {row.code} {row.count}" for row in snapshot.discards()]
        lines = ["ERRORS " + ("  ".join(rows) or NONE)]
        return lines + [f"CAUSE  {cause.code}: {printable(cause.words)}" for cause in found[:1]]

    def _events(self, room: int) -> list[str]:
        changes = sorted(
            (
                (change["at"], view["side"], change)
                for view in self.snapshots[-1].views
                for change in view["link"]["history"]
            ),
            key=lambda one: one[:2],
        )
        return [
            f"  {time.strftime('%H:%M:%S', time.localtime(at))} {side} {change['state']}: {printable(change['reason'])}"
            for at, side, change in changes[-room:]
        ]


def _bits(rate: float) -> str:
    """Bits per second, with unit."""
    return f"{_count(rate)}bit/s"


def _count(value: float) -> str:
    """``12.3 k``: three digits, and the prefix of the unit."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} "


def _clock(snapshot: Snapshot) -> float:
    """When the first agent answered, by the clock of its machine that is never set; an older agent lacks it."""
    view = snapshot.views[0]
    return float(view.get("monotonic") or view["at"])
