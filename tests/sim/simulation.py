"""Runs ``vnetcard-sim`` as a process, for the tests."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.needs import need_simulator
from tests.harness.programs import started

COMMAND = [sys.executable, "-m", "vnetcard.sim.cli"]
_numbers = itertools.count()


def new_name() -> str:
    """A unique name of a simulation."""
    return f"test-{os.getpid()}-{next(_numbers)}"


def objects(name: str) -> list[str]:
    """The shared memory objects of simulation ``name`` that exist."""
    return sorted(path.name for path in Path("/dev/shm").glob(f"vnetcard-sim-{name}*"))


def cpu_share(pid: int, *, seconds: float) -> float:
    """The share of a processor that process ``pid`` uses during the next ``seconds``."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - began)


class Simulation:
    """A running ``vnetcard-sim --json --totals``."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name, self.process = name, process

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that kind that it prints."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event.get("event") == kind:
                return event
        raise AssertionError(f"it ended with status {self.process.wait()} before {kind!r}: {self.errors()}")

    def errors(self) -> str:
        """Its stderr, after its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def stop(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """End it by a signal; returns its totals."""
        self.process.send_signal(number)
        totals = self.event("totals")
        assert self.process.wait(30) == 0
        return totals

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait(30)


@contextlib.contextmanager
def simulated(*options: str, name: str | None = None) -> Iterator[Simulation]:
    """Run a simulation, ready at the start of the block; its objects are removed at the end in any case."""
    need_simulator()
    name = name or new_name()
    try:
        with started([*COMMAND, name, "--json", "--totals", *options]) as process:
            simulation = Simulation(name, process)
            simulation.event("ready")
            yield simulation
            if process.poll() is None:
                simulation.stop()
                assert objects(name) == []
    finally:
        for left in objects(name):
            Path("/dev/shm", left).unlink(missing_ok=True)
