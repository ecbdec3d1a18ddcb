"""Runs the plan: in each round every contender is set up, checked, loaded, checked again and torn down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vnetcard.bench import proc, profile
from vnetcard.bench.contenders import CONTENDERS, Contender
from vnetcard.bench.figures import Results, kind_of
from vnetcard.bench.iperf import Run
from vnetcard.bench.load import LOADS
from vnetcard.bench.ready import wait_until_it_carries
from vnetcard.bench.standalone import STANDALONE
from vnetcard.bench.validity import stream_arrives_whole
from vnetcard.errors import VnetcardError

Print = Callable[[str], None]
START = "start"
"""The name of the load that is the start of a contender."""
BUSY_MAX = 0.1
"""The share of all cores that other programs may take without being mentioned."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which contenders get which loads, in how many rounds, for how long."""

    contenders: Sequence[str]
    loads: Sequence[str]
    rounds: int
    seconds: float
    congestion: Sequence[str]
    """TCP's congestion controls: a load with TCP is repeated for each."""
    wait: float = 0.0
    """Seconds to wait for a quiet machine; afterwards the bench begins all the same, and says so."""
    profile: bool = False
    """After the rounds, put each load on each contender once more, and take samples."""

    def mtus(self) -> list[int]:
        """The MTUs that the loads need, each once."""
        return list(dict.fromkeys(LOADS[load].mtu for load in self.loads if load in LOADS))

    def at(self, mtu: int) -> list[str]:
        """The loads that need ``mtu``."""
        return [load for load in self.loads if load in LOADS and LOADS[load].mtu == mtu]


class Runner:
    """Carries out a plan; ``report`` gets a line of text about every step.

    A contender that fails is refused by name, with the reason; the others go on.
    """

    def __init__(self, plan: Plan, report: Print) -> None:
        self._plan = plan
        self._report = report
        self._began = time.monotonic()
        self.results = Results()

    def run(self) -> Results:
        """Run the whole plan."""
        self._wait_for_quiet()
        contenders = self._plan.contenders
        for number in range(self._plan.rounds):
            for load in self._plan.loads:
                if load in STANDALONE:
                    self._measure_standalone(load, number)
            for mtu in self._plan.mtus():
                for name in contenders if number % 2 == 0 else contenders[::-1]:  # none is always the first
                    self._measure(name, mtu, number)
        for mtu in self._plan.mtus() if self._plan.profile else ():
            for name in contenders:
                self._profile(name, mtu)
        return self.results

    def _wait_for_quiet(self) -> None:
        """Name the programs that take this machine, and wait until they have ended, as long as the plan says."""
        share, programs = proc.load_elsewhere()
        for line in busy_lines(share, programs):
            self._report(line)
        while share > BUSY_MAX and time.monotonic() < self._began + self._plan.wait:
            share, _ = proc.load_elsewhere()

    def _measure_standalone(self, load: str, number: int) -> None:
        """Carry out a load that needs none of the contenders."""
        absent = STANDALONE[load].missing()
        self.results.busy.append(proc.busy_elsewhere())
        for name, measure in STANDALONE[load].steps(self._plan.seconds):
            if name in absent:
                continue
            try:
                figures = measure()
            except VnetcardError as error:
                self.results.refuse(name, load, str(error))
                self._progress(name, number, f"{load}: INVALID: {error}")
            else:
                self.results.add(name, load, number, figures)
                self._progress(name, number, shown(figures))

    def _measure(self, name: str, mtu: int, number: int) -> None:
        """Measure one contender in one round, with the loads of one MTU."""
        loads = [load for load in self._plan.at(mtu) if load in (CONTENDERS[name].loads or LOADS)]
        if not loads:
            return
        self.results.busy.append(proc.busy_elsewhere())
        try:
            with contextlib.closing(CONTENDERS[name].make()) as contender:
                self.results.add(name, START, number, {"start": _bring_up(contender, mtu)})
                for load in loads:
                    self._apply(load, contender, name, number)
        except VnetcardError as error:
            for load in (START, *loads):
                self.results.refuse(name, load, str(error))
            self._progress(name, number, f"INVALID: {error}")

    def _profile(self, name: str, mtu: int) -> None:
        """Take samples of each load on one contender: its figures do not count, as perf takes time too."""
        loads = [load for load in self._plan.at(mtu) if load in (CONTENDERS[name].loads or LOADS)]
        if not loads:
            return
        try:
            with contextlib.closing(CONTENDERS[name].make()) as contender:
                _bring_up(contender, mtu)
                for load in loads:
                    for congestion in self._plan.congestion if LOADS[load].tcp else ("",):
                        with profile.sampling(contender.pids) as stages:
                            LOADS[load].put(contender, Run(self._plan.seconds, congestion))
                        self.results.profiles[f"{load} {congestion}".strip(), name] = stages
        except VnetcardError as error:
            self.results.refuse(name, "--profile", str(error))
        self._report(f"{time.monotonic() - self._began:5.0f} s  profile      {name:9} {', '.join(loads)}")

    def _apply(self, load: str, contender: Contender, name: str, number: int) -> None:
        """Put one load on a contender that is up, with each congestion control if it has TCP."""
        figures: dict[str, float] = {}
        try:
            for congestion in self._plan.congestion if LOADS[load].tcp else ("",):
                figures |= LOADS[load].put(contender, Run(self._plan.seconds, congestion))
            contender.check()
        except VnetcardError as error:
            self.results.refuse(name, load, str(error))
            self._progress(name, number, f"{load}: INVALID: {error}")
        else:
            self.results.add(name, load, number, figures)
            self._progress(name, number, f"{load}: {shown(figures)}")

    def _progress(self, name: str, number: int, text: str) -> None:
        place = f"round {number + 1} of {self._plan.rounds}"
        self._report(f"{time.monotonic() - self._began:5.0f} s  {place}  {name:9} {text}")


def _bring_up(contender: Contender, mtu: int) -> float:
    """Start a contender and check that it carries data unchanged; milliseconds from its start to its first packet."""
    contender.prepare()
    began = time.monotonic()
    contender.start(mtu=mtu)
    wait_until_it_carries(contender)
    lasted = time.monotonic() - began
    stream_arrives_whole(contender)
    contender.check()
    return lasted * 1000


def busy_lines(share: float, programs: Sequence[proc.Program]) -> list[str]:
    """A line per program that takes the CPU before the bench begins; none on a machine that is quiet enough."""
    if share <= BUSY_MAX:
        return []
    head = f"BUSY     other programs take {share:.0%} of this machine; figures measured beside them are worth little"
    return [head, *(f"BUSY     {one.share:4.0%} of a core: {one.name} (pid {one.pid})" for one in programs)]


def shown(figures: dict[str, float]) -> str:
    """Figures in one line."""
    return ", ".join(f"{name} {value:.{kind_of(name).digits}f} {kind_of(name).unit}" for name, value in figures.items())
