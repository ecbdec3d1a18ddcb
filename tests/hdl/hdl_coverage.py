"""Reads Verilator's coverage files: which lines, branches and bits of the RTL the simulations have reached.

A file has one line a point, ``C '<key>' <count>``; the key is a list of named fields.  Points of one place in
several instances, widths and runs are one point here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One thing that can be covered: a block of lines, a branch (an ``else`` that is not written too), a bit."""

    file: str
    line: int
    column: int
    kind: str  # line, branch or toggle
    what: str  # block, if, else, case item; for a bit its name and direction


Points = dict[Point, int]


def _point(key: str) -> Point:
    fields = dict(field.split("\x02", 1) for field in key.split("\x01") if field)
    return Point(Path(fields["f"]).name, int(fields["l"]), int(fields["n"]), fields["t"], fields["o"])


def read(files: Iterable[Path], rtl: Path) -> Points:
    """The points of the RTL with the sum of their counts; what lies outside ``rtl`` (the benches) is left out."""
    sums: Counter[str] = Counter()
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith("C "):
                key, _, count = line[3:].rpartition("' ")
                sums[key] += int(count)
    names = {path.name for path in rtl.glob("*.sv")}
    points: Counter[Point] = Counter()
    for key, count in sums.items():
        point = _point(key)
        if point.file in names:
            points[point] += count
    return dict(points)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hit: int
    total: int

    @property
    def percent(self) -> float:
        return 100.0 * self.hit / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"{self.hit:6}/{self.total:<6} {self.percent:5.1f} %"


def share(points: Points, *, toggles: bool, file: str = "") -> Share:
    """Lines and branches, or toggles, of one file or of all."""
    counts = [
        count
        for point, count in points.items()
        if (point.kind == "toggle") == toggles and (not file or point.file == file)
    ]
    return Share(sum(count > 0 for count in counts), len(counts))


@dataclass(frozen=True, slots=True)
class Missed:
    """An uncovered line or branch, named by its text, which moves less often than its number."""

    file: str
    line: int
    text: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.text}"


def missed(points: Points, rtl: Path) -> list[Missed]:
    """Every line or branch that was never reached."""
    texts = {path.name: path.read_text().splitlines() for path in rtl.glob("*.sv")}
    return [
        Missed(point.file, point.line, texts[point.file][point.line - 1].strip(), point.what)
        for point, count in sorted(points.items())
        if point.kind != "toggle" and not count
    ]


def report(points: Points, rtl: Path) -> str:
    """The table of all files, and what was missed."""
    files = sorted({point.file for point in points})
    width = max(len(file) for file in files)
    rows = [f"{'':{width}}  lines and branches      toggles"]
    for file in [*files, ""]:
        lines, toggles = (share(points, toggles=kind, file=file) for kind in (False, True))
        rows.append(f"{file or 'all':{width}}  {lines}  {toggles}")
    never = [str(miss) for miss in missed(points, rtl)]
    return "\n".join([*rows, "", f"{len(never)} never reached:", *never, ""])
