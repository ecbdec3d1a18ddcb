"""Lets the ways alternate: in each round each of them is made, checked, loaded, checked again and undone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vnetcard.bench import proc, rings
from vnetcard.bench.contenders import WAYS, Peer
from vnetcard.bench.figures import Results, kind_of
from vnetcard.bench.load import LOADS
from vnetcard.bench.ready import wait_until_it_carries
from vnetcard.bench.validity import Invalid, stream_arrives_whole

Tell = Callable[[str], None]
START = "start"
"""The load that each way's start is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which ways take which loads, how often and how long."""

    ways: Sequence[str]
    loads: Sequence[str]
    rounds: int
    seconds: float

    def mtus(self) -> list[int]:
        """That the loads want, each once."""
        return list(dict.fromkeys(LOADS[load].mtu for load in self.loads if load in LOADS))

    def at(self, mtu: int) -> list[str]:
        """The loads that want ``mtu``."""
        return [load for load in self.loads if load in LOADS and LOADS[load].mtu == mtu]


class Runner:
    """Carries out a plan; ``tell`` hears of every step."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._plan = plan
        self._tell = tell
        self._began = time.monotonic()
        self.results = Results()

    def run(self) -> Results:
        """All of the plan."""
        ways = self._plan.ways
        for number in range(self._plan.rounds):
            if rings.LOAD in self._plan.loads:
                self._ring(number)
            for mtu in self._plan.mtus():
                for way in ways if number % 2 == 0 else ways[::-1]:  # none is always the first
                    self._take(way, mtu, number)
        return self.results

    def _ring(self, number: int) -> None:
        """The ring alone, and what it is held against."""
        absent = rings.missing()
        self.results.busy.append(proc.busy_elsewhere())
        for way, measure in rings.steps(self._plan.seconds):
            if way in absent:
                continue
            try:
                figures = measure()
            except Invalid as error:
                self.results.refuse(way, rings.LOAD, str(error))
                self._say(way, number, f"{rings.LOAD}: INVALID: {error}")
            else:
                self.results.add(way, rings.LOAD, number, figures)
                self._say(way, number, shown(figures))

    def _take(self, way: str, mtu: int, number: int) -> None:
        """One way in one round, with the loads of one MTU."""
        loads = [load for load in self._plan.at(mtu) if load in (WAYS[way].loads or LOADS)]
        if not loads:
            return
        self.results.busy.append(proc.busy_elsewhere())
        try:
            with contextlib.closing(WAYS[way].make()) as peer:
                self.results.add(way, START, number, {"start": _bring_up(peer, mtu)})
                for load in loads:
                    self._put(load, peer, way, number)
        except Invalid as error:
            for load in (START, *loads):
                self.results.refuse(way, load, str(error))
            self._say(way, number, f"INVALID: {error}")

    def _put(self, load: str, peer: Peer, way: str, number: int) -> None:
        """One load on a way that is up."""
        try:
            figures = dict(LOADS[load].put(peer, self._plan.seconds))
            peer.check()
        except Invalid as error:
            self.results.refuse(way, load, str(error))
            self._say(way, number, f"{load}: INVALID: {error}")
        else:
            self.results.add(way, load, number, figures)
            self._say(way, number, f"{load}: {shown(figures)}")

    def _say(self, way: str, number: int, text: str) -> None:
        place = f"round {number + 1} of {self._plan.rounds}"
        self._tell(f"{time.monotonic() - self._began:5.0f} s  {place}  {way:9} {text}")


def _bring_up(peer: Peer, mtu: int) -> float:
    """Start it and prove that it carries what is sent, unchanged; milliseconds from its start to its first packet."""
    peer.prepare()
    began = time.monotonic()
    peer.start(mtu=mtu)
    wait_until_it_carries(peer)
    lasted = time.monotonic() - began
    stream_arrives_whole(peer)
    peer.check()
    return lasted * 1000


def shown(figures: dict[str, float]) -> str:
    """Figures in one line."""
    return ", ".join(f"{name} {value:.{kind_of(name).digits}f} {kind_of(name).unit}" for name, value in figures.items())
