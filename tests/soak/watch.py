"""What the agents hold: memory, descriptors, threads, space in tmpfs; growth after a warm-up is a leak."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BOUNDS: Final = {"pss_kib": 8 << 10, "descriptors": 8, "threads": 2, "tmpfs_kib": 4 << 10}
"""Most growth of each figure of one agent over its life after the warm-up; a reader of taps may be at work."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one process holds at a moment."""

    pss_kib: int
    descriptors: int
    threads: int
    tmpfs_kib: int

    @classmethod
    def of(cls, pid: int) -> Held:
        """Read /proc of ``pid``; raises OSError when it has ended."""
        proc = Path(f"/proc/{pid}")
        rollup = (proc / "smaps_rollup").read_text().splitlines()
        pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        descriptors = list((proc / "fd").iterdir())
        return cls(pss, len(descriptors), len(list((proc / "task").iterdir())), _tmpfs_kib(descriptors))


def _tmpfs_kib(descriptors: list[Path]) -> int:
    """KiB of the unnamed memory and the files of /dev/shm that are open, each once."""
    found: dict[tuple[int, int], int] = {}
    for path in descriptors:
        with contextlib.suppress(OSError):
            target = str(path.readlink())
            if target.startswith(("/memfd:", "/dev/shm/")):
                state = os.stat(path)  # noqa: PTH116 - of what the link leads to
                found[state.st_dev, state.st_ino] = state.st_blocks // 2
    return sum(found.values())


@dataclass(slots=True)
class Life:
    """One agent's life from its warm-up on."""

    side: str
    pid: int
    first: Held
    last: Held
    most: dict[str, int] = field(default_factory=dict)
    samples: int = 1

    def sample(self, held: Held) -> None:
        """Add a sample, taken while the link was quiet."""
        self.last = held
        self.samples += 1
        for name in BOUNDS:
            self.most[name] = max(self.most.get(name, 0), getattr(held, name))

    def growth(self) -> dict[str, int]:
        """By figure: the last sample minus the first."""
        return {name: getattr(self.last, name) - getattr(self.first, name) for name in BOUNDS}

    def leaks(self) -> list[str]:
        """The figures that grew by more than their bounds."""
        return [
            f"the {self.side}'s agent (pid {self.pid}): {name} grew by {grown}, from {getattr(self.first, name)} to "
            f"{getattr(self.last, name)} in {self.samples} samples (bound {BOUNDS[name]})"
            for name, grown in self.growth().items()
            if grown > BOUNDS[name]
        ]


class Watch:
    """The lives of the agents of both sides."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self._now: dict[str, Life] = {}

    def sample(self, side: str, pid: int) -> None:
        """Sample the agent of ``side``; the first sample of a process is its baseline."""
        held = Held.of(pid)
        life = self._now.get(side)
        if life is None or life.pid != pid:
            self._now[side] = life = Life(side, pid, held, held)
            self.lives.append(life)
        else:
            life.sample(held)

    def forget_warm_up(self) -> None:
        """From now on growth counts: the next sample of each agent is its baseline."""
        self._now.clear()
        self.lives.clear()

    def leaks(self) -> list[str]:
        """Of all lives."""
        return [leak for life in self.lives for leak in life.leaks()]
