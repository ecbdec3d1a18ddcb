"""A live simulation as a child process: what ``vnetcard demo --sim``, benchmarks and tests put between two agents.

Like the agents of ``lab.py`` it ends with the process that started it.
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
"""Seconds; a long trace takes a moment to be written out."""


class SimProcess:
    """``vnetcard-sim NAME``, running; nothing of it is left after ``close``, also when it was killed."""

    def __init__(self, name: str, *options: str, progress: IO[str] | int | None = None) -> None:
        """Start it and return once it is ready, which may take a build; LabError when it ends before.

        ``progress`` takes what it writes on stderr (None: ours does).
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
        """Of the simulator."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Has it not ended?"""
        return self._process.poll() is None

    def event(self, kind: str) -> dict[str, Any]:
        """The next thing of that kind that it says; LabError when it ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == kind:
                return said
        status = self._process.wait()
        raise LabError(f"the simulator of {self.url} ended with status {status} before it said {kind!r}")

    def signal(self, number: int) -> None:
        """Send it a signal; SIGUSR1 pulls the card out, or puts it back."""
        self._process.send_signal(number)

    def stop(self) -> dict[str, Any]:
        """End it; the totals that it counted."""
        self.signal(signal.SIGTERM)
        totals = self.event("totals")
        self._process.wait(STOP_LIMIT)
        return totals

    def kill(self) -> None:
        """kill -9: its objects stay."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it if it runs, and remove what it left if it was killed."""
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
