"""Line coverage of the C core by gcov, added up over several programs."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.harness.needs import need

FLAGS: Final = ("--coverage", "-fkeep-inline-functions")
"""Options of gcc; with the second one an inline function that nobody calls counts as not covered."""

JUDGED: Final = (
    "vnc_ring.h", "vnc_rx.c", "vnc_deliver.h", "vnc_punt.h", "vnc_tx.c", "vnc_tx_socket.h", "vnc_offload.h",
    "vnc_filter.h", "vnc_finish.h", "vnc_neighbour.h", "vnc_ethernet.h",
    "vnc_memif.h", "vnc_memif_io.h", "vnc_merge.h", "vnc_vhost.h", "vnc_vhost_io.h",
)  # fmt: skip
FLOOR: Final = 95.0
"""Percent of the lines of each file of ``JUDGED`` that the corpora must reach."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Coverage of one file: how often each line ran, and the text of each."""

    name: str
    counts: dict[int, int]
    text: list[str]

    @property
    def percent(self) -> float:
        """Lines that ran, of those with code."""
        return 100 * sum(count > 0 for count in self.counts.values()) / max(1, len(self.counts))

    def missed(self) -> list[str]:
        """The lines that did not run, with their numbers."""
        return [f"{self.name}:{n}: {self.text[n - 1].strip()}" for n, count in sorted(self.counts.items()) if not count]


def measure(objects: Path, core: Path) -> dict[str, Covered]:
    """Read the coverage that programs with objects in folder ``objects`` have left there; by name of the file."""
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for data in sorted(objects.glob("*.gcda")):
        command = [need("gcov"), "--json-format", "--stdout", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=objects)
        for line in done.stdout.splitlines():
            answer: dict[str, Any] = json.loads(line)
            for file in answer["files"]:
                path = Path(file["file"])
                for row in file["lines"] if path.parent == core else ():
                    counts[path.name][row["line_number"]] += row["count"]
    return {name: Covered(name, dict(rows), (core / name).read_text().splitlines()) for name, rows in counts.items()}


def table(covered: dict[str, Covered]) -> str:
    """A table of all files, and the lines of the judged ones that were missed."""
    rows = [f"{name:24}{found.percent:6.1f} %  of {len(found.counts)} lines" for name, found in sorted(covered.items())]
    missed = [line for name in JUDGED if name in covered for line in covered[name].missed()]
    return "\n".join([*rows, "not reached:" if missed else "", *missed])
