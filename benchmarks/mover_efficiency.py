"""Measure the bus efficiency and the doorbell latency of the engine: ``make bench-hdl``.

Efficiency is the number of data beats on W divided by the cycles from the first to the last of them, with both
directions busy; the figure is that of the worse direction.  Memories are ideal (``mover/axi_memory.h``).  A doorbell
follows either each record, as fast as the register page accepts it, or each batch of 64 KiB.

Latency is counted from the edge at which the register write of the doorbell is accepted to the edge at which the
index word is acknowledged, for one 64-byte record in an idle engine.  The latencies of the memory, one read and two
writes (data, then index), are subtracted: the rest is that of the engine, including the record's beats on R and W.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import report
import verilated

SOURCE = Path(__file__).parent / "mover/main.cpp"
WIDTHS = (64, 128, 256, 512)
RECORDS = (64, 256, 512, 1536, 4096, 9000, 65536)
BATCH_BYTES = 65536
BEATS = 100_000
RING_BYTES = 1 << 18
"""Size of each ring in bytes, as in ``mover/main.cpp``."""
LIMIT_S = 300

IDEAL_TARGET, IDEAL_FROM = 0.95, 1536
FAR_TARGET, FAR_READ = 0.85, 200
LATENCY_TARGET = 40
LARGEST_TARGET, LARGEST_WRITE = RING_BYTES // 16, 20
"""Most bytes of small records that one publication may cover, with writes of at most so many cycles."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Cycles from AR to the first beat of R, and from the last W to B; at least 1."""

    read: int
    write: int


IDEAL = Memory(1, 1)
MEMORIES = (IDEAL, Memory(20, 20), Memory(FAR_READ, 1), Memory(FAR_READ, 100))


@dataclass(frozen=True, slots=True)
class Efficiency:
    """One run: ``efficiency`` of the worse direction; ``largest``: most bytes published at once."""

    width: int
    read: int
    write: int
    record: int
    batch: int
    efficiency: float
    publications: int
    largest: int

    @property
    def target(self) -> float | None:
        """The target of this run; None when it has none."""
        if self.record < IDEAL_FROM or self.write != 1:
            return None
        return {IDEAL.read: IDEAL_TARGET, FAR_READ: FAR_TARGET}.get(self.read)

    @property
    def missed(self) -> bool:
        return self.slow or self.cliff

    @property
    def slow(self) -> bool:
        """Whether ``efficiency`` is below its target."""
        return self.target is not None and self.efficiency < self.target

    @property
    def cliff(self) -> bool:
        """Whether ``largest`` exceeds ``LARGEST_TARGET``, where a doorbell follows each record of half that or less.

        With slow writes the round trip of an index word decides: at 512 bit 12 KiB move meanwhile.
        """
        small = self.batch == 1 and self.record <= RING_BYTES // 32 and self.write <= LARGEST_WRITE
        return small and self.largest > LARGEST_TARGET


@dataclass(frozen=True, slots=True)
class Latency:
    """Cycles from doorbell to publication; ``engine``: without those of the memory."""

    width: int
    read: int
    write: int
    cycles: int
    engine: int

    @property
    def missed(self) -> bool:
        return self.engine > LATENCY_TARGET


def run(program: Path, *arguments: object) -> dict[str, dict[str, int]]:
    """Run the bench once and return its figures; an invalid run ends this program."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        verilated.fail(f"{' '.join(command[1:])}: {done.stderr.strip()}")
    figures: dict[str, dict[str, int]] = json.loads(done.stdout)
    return figures


def efficiency(program: Path, width: int, memory: Memory, record: int, batch: int) -> Efficiency:
    directions = run(program, record, batch, BEATS, memory.read, memory.write).values()
    worse = min(direction["beats"] / direction["cycles"] for direction in directions)
    publications, largest = (
        min(direction["publications"] for direction in directions),
        max(direction["largest"] for direction in directions),
    )
    return Efficiency(width, memory.read, memory.write, record, batch, round(worse, 4), publications, largest)


def latency(program: Path, width: int, memory: Memory) -> Latency:
    longest = run(program, "latency", memory.read, memory.write)["doorbell"]["most"]
    return Latency(width, memory.read, memory.write, longest, longest - memory.read - 2 * memory.write)


def sweep(program: Path, width: int, records: tuple[int, ...]) -> Iterator[Efficiency]:
    for memory in MEMORIES:
        for record in records:
            batches = {1, max(1, BATCH_BYTES // record)}
            for batch in sorted(batches):
                yield efficiency(program, width, memory, record, batch)


def line(row: Efficiency) -> str:
    target = "" if row.target is None else f"{'MISSED' if row.slow else 'ok'} {row.target}"
    target += f" MISSED largest {LARGEST_TARGET}" if row.cliff else ""
    return (
        f"{row.width:>5} {row.read:>5} {row.write:>5} {row.record:>7} {row.batch:>6} {row.efficiency:>11.3f} "
        f"{row.publications:>9} {row.largest:>8}  {target}"
    )


HEADER = " bits  read write  record  batch  efficiency published  largest  target"


def measure(widths: list[int], records: tuple[int, ...]) -> tuple[list[Efficiency], list[Latency]]:
    rows, latencies = [], []
    with TemporaryDirectory(prefix="vnetcard-bench-") as folder:
        print(HEADER)
        for width in widths:
            program = verilated.build(SOURCE, Path(folder) / str(width), width)
            for row in sweep(program, width, records):
                print(line(row), flush=True)
                rows.append(row)
            latencies += [latency(program, width, memory) for memory in MEMORIES]
    print(f"\n{'bits':>5} {'read':>5} {'write':>5} {'doorbell to publication':>24} {'of it the engine':>17}  target")
    for found in latencies:
        target = f"{'MISSED' if found.missed else 'ok'} {LATENCY_TARGET}"
        print(f"{found.width:>5} {found.read:>5} {found.write:>5} {found.cycles:>24} {found.engine:>17}  {target}")
    return rows, latencies


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--records", type=int, nargs="+", default=list(RECORDS), help="record sizes in bytes")
    parser.add_argument("--output", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    if bad := [record for record in given.records if not 1 <= record <= BATCH_BYTES]:
        parser.error(f"--records {bad[0]} is out of range (1 to {BATCH_BYTES} bytes)")
    rows, latencies = measure(given.widths, tuple(given.records))
    missed = sum(row.missed for row in rows) + sum(found.missed for found in latencies)
    if given.output:
        figures = report.circumstances(["verilator"]) | {
            "parameters": {"ring_bytes": RING_BYTES, "beats": BEATS, "batch_bytes": BATCH_BYTES},
            "efficiency": [asdict(row) for row in rows],
            "latency": [asdict(found) for found in latencies],
            "missed": missed,
        }
        report.write(given.output, figures)
    print(f"\n{missed} targets missed" if missed else "\nall targets reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
