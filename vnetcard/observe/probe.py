"""The round-trip time of the link as an application sees it: a continuous ping, read without blocking."""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from types import TracebackType
from typing import Final

from vnetcard.ping.suite import Target, command, percentile
from vnetcard.terminal.ready import readable

KEPT: Final = 60
"""Round trips that are kept."""
_REPLY: Final = re.compile(rb"icmp_seq=(\d+) .*time=([0-9.]+) ms")
_MISSING: Final = re.compile(rb"no answer yet for icmp_seq=(\d+)")


class Probe:
    """A ping of ``target`` twice per second, until ``close``."""

    def __init__(self, target: Target) -> None:
        """Raises ConfigError when ping or the namespace is missing."""
        self.target = target
        self.rtts: deque[float] = deque(maxlen=KEPT)
        self.answered: set[int] = set()
        self.late: set[int] = set()
        self._rest = b""
        argv = [*command(target), "-n", "-O", "-i", "0.5", target.address]
        self._ping = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C"}
        )

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def poll(self) -> None:
        """Read what ping has printed since the last call; never blocks."""
        assert self._ping.stdout is not None
        fd = self._ping.stdout.fileno()
        while readable([fd], 0) and (piece := os.read(fd, 65536)):
            self.feed(piece)

    def feed(self, output: bytes) -> None:
        """Process a piece of ping's output; an unfinished line is kept for the next piece."""
        *lines, self._rest = (self._rest + output).split(b"\n")
        for line in lines:
            if reply := _REPLY.search(line):
                self.answered.add(int(reply[1]))
                self.rtts.append(float(reply[2]))
            elif missing := _MISSING.search(line):
                self.late.add(int(missing[1]))

    @property
    def lost(self) -> int:
        """Pings that were still unanswered when the next one was sent, and later."""
        return len(self.late - self.answered)

    def line(self) -> str:
        """``10.10.10.5: last 0.123 ms, min ..., p50 ..., max ..., lost 0``."""
        if not self.rtts:
            return f"{self.target.name}: no answer yet, lost {self.lost}"
        figures = {
            "last": self.rtts[-1],
            "min": min(self.rtts),
            "p50": percentile(list(self.rtts), 50),
            "max": max(self.rtts),
        }
        numbers = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        return f"{self.target.name}: {numbers} ms  lost {self.lost}"

    def close(self) -> None:
        """End ping."""
        self._ping.kill()
        self._ping.wait()
        if self._ping.stdout is not None:
            self._ping.stdout.close()
