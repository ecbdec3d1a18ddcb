"""The soak itself: rounds of disturbances under two verified TCP streams, each ending in a quiet moment of checks."""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.harness.checked_stream import Stream
from tests.harness.ledger import wait_for_rest
from tests.harness.restarts import fast_retries
from tests.soak.actions import Action, Scene
from tests.soak.watch import Watch
from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L

ROUND: Final = 6
"""Disturbances in a round; one in a run of less than two minutes."""
UP_LIMIT, REST_LIMIT = 60.0, 60.0
"""Seconds for the link to be up, and to be at rest, after a round, on a very busy machine."""
FAILURES_MAX: Final = 20
WARM_UP: Final = 0.15
"""Share of the time after which growth counts."""
RAISED = (AssertionError, VnetcardError, subprocess.SubprocessError, OSError)
"""What a failed check, or a program that did not end, raises."""


@dataclass(slots=True)
class Result:
    """What was done, and what failed: a line each, with the seconds since the start."""

    seconds: float = 0.0
    rounds: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    streamed: list[int] = field(default_factory=lambda: [0, 0])
    recovery: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def summary(self, watch: Watch) -> dict[str, Any]:
        """For --json."""
        return {
            "seconds": round(self.seconds, 1),
            "rounds": self.rounds,
            "actions": dict(sorted(self.actions.items())),
            "streamed_bytes": dict(zip(L.DIRECTIONS, self.streamed, strict=True)),
            "recovery_ms": {
                "median": round(1000 * statistics.median(self.recovery)) if self.recovery else 0,
                "max": round(1000 * max(self.recovery, default=0)),
            },
            "agents": [
                {"side": life.side, "pid": life.pid, "samples": life.samples, "growth": life.growth()}
                for life in watch.lives
                if life.samples > 1
            ],
            "counters": self.counters,
            "failures": self.failures,
        }


class Soak:
    """One run over ``lab``, whose agents it starts; ``progress`` gets a line at a time."""

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        seconds: float,
        seed: int,
        *,
        progress: Callable[[str], None],
        actions: Sequence[Action],
    ) -> None:
        self.lab, self.seconds, self.progress = lab, seconds, progress
        self.dice = random.Random(seed)
        self.scene = Scene(lab, self.dice, folder)
        self.folder = folder
        self.watch, self.result = Watch(), Result()
        self.actions = actions
        self._began = 0.0

    def run(self) -> Result:
        """Go on for ``seconds``, and until the round in progress is over."""
        self._began = time.monotonic()
        for side in (L.HOST, L.CARD):
            self.lab.start(side, *self.scene.options(side))
        self.lab.wait_up()
        fast_retries(self.lab)
        warm = False
        while self._goes_on():
            elapsed = time.monotonic() - self._began
            if not warm and elapsed > WARM_UP * self.seconds:
                warm = True
                self.watch.forget_warm_up()
            self.scene.mortal = L.CARD if elapsed < self.seconds * (0.5 + WARM_UP / 2) else L.HOST
            self._round()
        self.result.seconds = time.monotonic() - self._began
        self.result.failures += self.watch.leaks()
        return self.result

    def _goes_on(self) -> bool:
        """Until the time is over; at least four quiet moments, two of them after the warm-up; few failures."""
        if len(self.result.failures) >= FAILURES_MAX:
            return False
        return time.monotonic() - self._began < self.seconds or self.result.rounds < 4

    def _failed(self, what: str) -> None:
        self.result.failures.append(f"{time.monotonic() - self._began:.0f} s: {what}")

    def _round(self) -> None:
        names: list[str] = []
        try:
            with self._streams() as streams:
                for _ in range(ROUND if self.seconds >= 120 else 1):
                    action = self.dice.choice(self.actions)
                    names.append(action.__name__)
                    self._say(action.__name__)
                    action(self.scene)
                    self.result.actions[action.__name__] += 1
                    began = time.monotonic()
                    self.lab.wait_up(limit=UP_LIMIT)
                    self.result.recovery.append(time.monotonic() - began)
                self._say("quiet")
                before = [stream.position for stream in streams]
                for stream, position in zip(streams, before, strict=True):
                    stream.wait_progress(since=position)
                for direction, stream in enumerate(streams):
                    self.result.streamed[direction] += stream.finish()
        except RAISED as error:
            self._failed(f"after {', '.join(names)}: {error}")
        self._check_rest(names)
        self.result.rounds += 1

    @contextlib.contextmanager
    def _streams(self) -> Iterator[tuple[Stream, Stream]]:
        netns = self.lab.namespaces
        with contextlib.ExitStack() as stack:
            both = []
            for sender in (L.HOST, L.CARD):
                folder = self.folder / L.DIRECTIONS[sender]
                folder.mkdir(exist_ok=True)
                both.append(
                    stack.enter_context(
                        Stream(
                            netns[sender],
                            netns[1 - sender],
                            ADDRESSES[1 - sender],
                            folder,
                            seed=self.dice.getrandbits(32),
                            port=5301 + sender,
                        )
                    )
                )
            yield both[0], both[1]

    def _check_rest(self, names: list[str]) -> None:
        """The quiet moment: every packet is accounted for, and the agents hold no more than before."""
        try:
            self.lab.wait_up(limit=UP_LIMIT)
            views, wrong = wait_for_rest(self.lab, limit=REST_LIMIT)
            if wrong:
                self._failed(f"the ledgers do not balance after {', '.join(names)}: {'; '.join(wrong)}")
            self.result.counters = {
                f"{side['side']} {name}": count
                for side in views[0]["sides"]
                for end in ("tx", "rx", "link")
                for name, count in side[end].items()
                if count and (end == "link" or name.startswith(("drop_", "lost_", "viol_")))
            }
            for side in (L.HOST, L.CARD):
                self.watch.sample(L.SIDES[side], self.lab.agent(side).pid)
        except RAISED as error:
            self._failed(f"not at rest after {', '.join(names)}: {error}")

    def _say(self, doing: str) -> None:
        elapsed = time.monotonic() - self._began
        self.progress(
            f"{elapsed:6.0f} of {self.seconds:.0f} s, round {self.result.rounds + 1}, "
            f"{sum(self.result.streamed) / 1e9:.2f} GB, {len(self.result.failures)} failures: {doing}"
        )
