"""Read Verilator's coverage files: which lines, branches and bits of the RTL the simulations have reached.

A file has one line per point, ``C '<key>' <count>``; the key is a list of named fields.  Points of one source
location in several instances, widths and runs are merged into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A coverage point: a block of lines, a branch (including an implicit ``else``), or the toggle of a bit."""

    file: str
    line: int
    column: int
    kind: str  # line, branch or toggle
    what: str  # block, if, else or case item; for a toggle the bit and its direction


Points = dict[Point, int]


def _point(key: str) -> Point:
    fields = dict(field.split("\x02", 1) for field in key.split("\x01") if field)
    return Point(Path(fields["f"]).name, int(fields["l"]), int(fields["n"]), fields["t"], fields["o"])


def read(files: Iterable[Path], rtl: Path) -> Points:
    """Return the points of the RTL with the sum of their counts; files outside ``rtl`` (the benches) are ignored."""
    sums: Counter[str] = Counter()
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith("C "):
                key, _, number = line[3:].rpartition("' ")
                sums[key] += int(number)
    names = {path.name for path in rtl.glob("*.sv")}
    points: Counter[Point] = Counter()
    for key, count in sums.items():
        point = _point(key)
        if point.file in names:
            points[point] += count
    return dict(points)


@dataclass(frozen=True, slots=True)
class Share:
    """The number of points reached, and of all points."""

    hit: int
    total: int

    @property
    def percent(self) -> float:
        return 100.0 * self.hit / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"{self.hit:6}/{self.total:<6} {self.percent:5.1f} %"


def share(points: Points, *, toggles: bool, file: str = "") -> Share:
    """Return the share of lines and branches, or of toggles, in ``file`` or in all files."""
    counts = [
        count
        for point, count in points.items()
        if (point.kind == "toggle") == toggles and (not file or point.file == file)
    ]
    return Share(sum(count > 0 for count in counts), len(counts))


@dataclass(frozen=True, slots=True)
class Missed:
    """An uncovered line or branch, identified by its text, which is more stable than its number."""

    file: str
    line: int
    text: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.text}"


def missed(points: Points, rtl: Path) -> list[Missed]:
    """Return every line or branch that was never reached."""
    texts = {path.name: path.read_text().splitlines() for path in rtl.glob("*.sv")}
    return [
        Missed(point.file, point.line, texts[point.file][point.line - 1].strip(), point.what)
        for point, count in sorted(points.items())
        if point.kind != "toggle" and not count
    ]


def report(points: Points, rtl: Path) -> str:
    """Return the table of all files and the list of uncovered lines."""
    files = sorted({point.file for point in points})
    width = max(len(file) for file in files)
    rows = [f"{'':{width}}  lines and branches      toggles"]
    for file in [*files, ""]:
        lines, toggles = (share(points, toggles=kind, file=file) for kind in (False, True))
        rows.append(f"{file or 'all':{width}}  {lines}  {toggles}")
    never = [str(miss) for miss in missed(points, rtl)]
    return "\n".join([*rows, "", f"{len(never)} never reached:", *never, ""])
