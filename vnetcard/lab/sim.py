"""A live simulation as a child process, for ``vnetcard demo --sim``, benchmarks and tests.

Like the agents of ``lab.py``, it ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from vnetcard.lab.lab import LabError, die_with_parent, uninterrupted
from vnetcard.ring import layout as L
from vnetcard.window import sim_bus

MODULE = "vnetcard.sim.cli"
STOP_LIMIT = 30.0
"""Seconds for the simulator to end, in which it may write a long trace."""


class SimProcess:
    """A running ``vnetcard-sim NAME``; ``close`` ends it and removes its objects, also after a kill."""

    def __init__(self, name: str, *options: str, progress: IO[str] | int | None = None) -> None:
        """Start it and return once it is ready, which may include a build; raises LabError when it ends before.

        ``progress`` gets its stderr (None: this process's stderr).
        """
        self.name = name
        self.url = f"sim:{name}"
        with uninterrupted():
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, name, "--json", "--totals", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=progress,
                text=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
            )
        try:
            self.event("ready")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SimProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The pid of the simulator."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that kind that it prints; raises LabError when it ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event.get("event") == kind:
                return event
        status = self._process.wait()
        raise LabError(f"the simulator of {self.url} ended with status {status} before the event {kind!r}")

    def signal(self, number: int) -> None:
        """Send it a signal; SIGUSR1 removes the card, or puts it back."""
        self._process.send_signal(number)

    def stop(self) -> dict[str, Any]:
        """End it; returns its totals."""
        self.signal(signal.SIGTERM)
        totals = self.event("totals")
        self._process.wait(STOP_LIMIT)
        return totals

    def kill(self) -> None:
        """End it by SIGKILL; its objects stay until ``close``."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it if it runs, and remove what a killed one left."""
        with uninterrupted():
            if self.running:
                self._process.terminate()
            try:
                self._process.communicate(timeout=STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
            for path in self.objects():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    def objects(self) -> list[Path]:
        """Its shared memory objects that exist."""
        names = [sim_bus.bus_name(self.name), *(sim_bus.memory_name(self.name, side) for side in (L.HOST, L.CARD))]
        return [path for name in names if (path := Path("/dev/shm", name)).exists()]
