"""Run the simulations of many cases in parallel: each build is made once, and each test waits for its own result.

Short cases of one module share a process, as its start takes most of a second.

Jobs start in the order in which pytest runs the tests, so that no test waits for a job at the end of the queue;
a run of one test starts only one job.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.hdl import build
from tests.hdl.suite import COVERED_WIDTH, Parameters, Run, together

WORKERS = max(1, min(4, len(os.sched_getaffinity(0))))


class Builds:
    """The engine at each data width, built on first use; safe to use from several threads."""

    def __init__(self, folder: Path, options: Callable[[int], Iterable[str]]) -> None:
        self.folder = folder
        self._options = options
        self._locks: dict[tuple[int, Parameters], threading.Lock] = {}
        self._done: dict[tuple[int, Parameters], Path] = {}
        self._guard = threading.Lock()

    def get(self, width: int, parameters: Parameters = ()) -> Path:
        """The engine of data width ``width`` and with ``parameters``, which are built without coverage."""
        key = (width, parameters)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._done:
                name = "-".join((f"w{width}", *(f"{name}{value}" for name, value in parameters)))
                options = build.FAST if parameters else self._options(width)
                self._done[key] = build.kept(self.folder / name, width, options, parameters=parameters)
            return self._done[key]


class Jobs:
    """Runs of cases in worker threads, each of which waits for one simulator process."""

    def __init__(self, builds: Builds, wanted: Iterable[Run]) -> None:
        self._builds = builds
        self._pool = ThreadPoolExecutor(WORKERS)
        self._futures: dict[Run, Future[dict[Run, build.Outcome]]] = {}
        self.request(wanted)

    def request(self, wanted: Iterable[Run]) -> None:
        """Begin those runs that were not requested before."""
        for runs in together(run for run in wanted if run not in self._futures):
            self._futures |= dict.fromkeys(runs, self._pool.submit(self._do, runs))

    def _do(self, runs: Sequence[Run]) -> dict[Run, build.Outcome]:
        first = runs[0]
        outcomes = build.simulate_all(
            self._builds.get(first.width, first.parameters),
            [run.case for run in runs],
            module=first.module,
            label=f"-{first.stall}",
            # Random bits that a reset clears would count as toggles in the coverage.
            random_start=first.width != COVERED_WIDTH,
            extra_env={"VNETCARD_STALL": first.stall}
            | {f"VNETCARD_{name.upper()}": str(n) for name, n in first.parameters},
        )
        return dict(zip(runs, outcomes, strict=True))

    def result(self, run: Run) -> build.Outcome:
        """Wait for ``run`` and return its outcome; raises AssertionError when its build failed."""
        return self._futures[run].result()[run]

    def close(self) -> None:
        """Cancel the jobs that have not started and wait for the others."""
        self._pool.shutdown(cancel_futures=True)
