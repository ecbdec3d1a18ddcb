"""Simulations of many cases, two at a time: builds are made once and kept, results are waited for one by one.

The jobs are started in the order in which pytest asks for them, so nobody waits for a job far behind in the
queue, and a run of one test starts one job only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.hdl import hdl_build
from tests.hdl.hdl_suite import COVERED_WIDTH, Run

WORKERS = max(1, min(4, len(os.sched_getaffinity(0))))


class Builds:
    """The engine at each data width, there when it is first asked for; threads may ask at the same time."""

    def __init__(self, folder: Path, options: Callable[[int], Iterable[str]]) -> None:
        self.folder = folder
        self._options = options
        self._locks: dict[int, threading.Lock] = {}
        self._done: dict[int, Path] = {}
        self._guard = threading.Lock()

    def get(self, width: int) -> Path:
        with self._guard:
            lock = self._locks.setdefault(width, threading.Lock())
        with lock:
            if width not in self._done:
                self._done[width] = hdl_build.kept(self.folder / f"w{width}", width, self._options(width))
            return self._done[width]


class Jobs:
    """Runs of cases in worker threads; each thread does nothing but wait for its simulator."""

    def __init__(self, builds: Builds, wanted: Iterable[Run]) -> None:
        self._builds = builds
        self._pool = ThreadPoolExecutor(WORKERS)
        self._futures: dict[Run, Future[hdl_build.Outcome]] = {}
        for run in wanted:
            self._futures[run] = self._pool.submit(self._do, run)

    def _do(self, run: Run) -> hdl_build.Outcome:
        return hdl_build.simulate(
            self._builds.get(run.width),
            run.case,
            module=run.module,
            label=f"-{run.stall}",
            # Random bits that a reset clears would count as toggles.
            random_start=run.width != COVERED_WIDTH,
            extra_env={"VNETCARD_STALL": run.stall},
        )

    def knows(self, run: Run) -> bool:
        """Was ``run`` asked for?"""
        return run in self._futures

    def result(self, run: Run) -> hdl_build.Outcome:
        """Wait for ``run``; AssertionError when its build failed."""
        return self._futures[run].result()

    def close(self) -> None:
        """Start no more; wait for those that run."""
        self._pool.shutdown(cancel_futures=True)
