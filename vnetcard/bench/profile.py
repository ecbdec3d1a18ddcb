"""Where the time goes under a load: samples of all cores by perf, as a table of stages.

A stage is what one kind of thread does: the load's programs, the pumps of either direction, the splice, the rest.  Of
each, the share of copies and of the scheduler is told from the names of the functions.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import die_with_parent

FREQUENCY: Final = 997
"""Samples a second of each core; a prime number, so that they do not fall into step with timers."""
PROGRAMS: Final = frozenset({"iperf3", "udp", "rr", "ping"})
"""Names of the processes that make and receive the load."""
IDLE, PROGRAM, TX, RX, CONTENDER, KERNEL, ELSE = range(7)
STAGES: Final = (
    "idle",
    "the load's programs and the kernel for them",
    "tx pumps: port to ring",
    "rx pumps: ring to port, and the answer",
    "the contender's other threads",
    "the kernel's own threads",
    "everything else",
)
COPIES: Final = re.compile(r"copy|memcpy|memmove|rep_movs|csum_and")
SCHEDULER: Final = re.compile(r"sched|futex|wake|switch_to|finish_task|enqueue_task|dequeue_|pick_|update_curr|yield")
SAMPLE: Final = re.compile(r"\s*(.+?)\s+(-?\d+)\s+[0-9a-f]+\s+(.*)")
TOP: Final = 3
"""The number of functions that are named for a stage."""
WIDTH: Final = 120
LIMIT: Final = 60.0
"""Seconds in which perf must have written its file."""


@dataclass(slots=True)
class Stage:
    """Numbers of samples, and of those of each function."""

    name: str
    samples: int = 0
    copies: int = 0
    scheduler: int = 0
    functions: Counter[str] = field(default_factory=Counter)

    def view(self, total: int) -> dict[str, Any]:
        """Shares of ``total`` samples, those of all cores; ``functions`` are the most frequent."""
        return {
            "stage": self.name,
            "share": self.samples / total,
            "copies": self.copies / total,
            "scheduler": self.scheduler / total,
            "functions": [name for name, _ in self.functions.most_common(TOP)],
        }


def stages(lines: Iterable[str], pids: Collection[int]) -> list[dict[str, Any]]:
    """Stages that have samples, by ``perf script -F comm,pid,ip,sym``; ``pids`` are the contender's processes."""
    found = [Stage(name) for name in STAGES]
    for line in lines:
        if match := SAMPLE.fullmatch(line.rstrip("\n")):
            comm, pid, function = match[1], int(match[2]), match[3]
            stage = found[_stage_of(comm, pid, pids)]
            stage.samples += 1
            stage.functions[function] += 1
            stage.copies += bool(COPIES.search(function))
            stage.scheduler += bool(SCHEDULER.search(function))
    total = sum(stage.samples for stage in found)
    return [stage.view(total) for stage in found if stage.samples]


def _stage_of(comm: str, pid: int, pids: Collection[int]) -> int:
    if pid == 0:
        return IDLE
    if comm in ("vnc-tx", "vnc-rx"):
        return TX if comm == "vnc-tx" else RX
    if pid in pids:
        return CONTENDER
    if comm in PROGRAMS:
        return PROGRAM
    return KERNEL if comm.startswith(("kworker", "ksoftirqd", "rcu_", "migration", "kthreadd")) else ELSE


@contextlib.contextmanager
def sampling(pids: Collection[int]) -> Iterator[list[dict[str, Any]]]:
    """Take samples while the body runs; the list holds the stages afterwards.  VnetcardError when perf fails."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vnetcard-bench-") as folder:
        file = Path(folder, "perf.data")
        command = ["perf", "record", "-a", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-o", str(file)]
        with subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the bench's main thread; perf would else record for ever
        ) as perf:
            try:
                yield found
            finally:
                perf.send_signal(signal.SIGINT)
                _, said = perf.communicate(timeout=LIMIT)
        if not file.exists() or not file.stat().st_size:
            raise VnetcardError(f"perf has taken no samples: {(said.strip().splitlines() or ['?'])[-1]}")
        script = ["perf", "script", "-i", str(file), "-F", "comm,pid,ip,sym"]
        done = subprocess.run(script, capture_output=True, text=True, errors="replace", check=False)
    found += stages(done.stdout.splitlines(), pids)
    if not found:
        raise VnetcardError(f"perf has taken no samples: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def lines(load: str, contender: str, found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The table of one profile."""
    yield f"{load}, {contender}: shares of all cores"
    yield f"{'stage':43} share  copies  scheduler  most frequent functions"
    for row in found:
        shares = f"{row['share']:6.1%} {row['copies']:7.1%} {row['scheduler']:10.1%}"
        yield f"{row['stage']:42} {shares}  {', '.join(row['functions'])}"[:WIDTH]
    yield ""
