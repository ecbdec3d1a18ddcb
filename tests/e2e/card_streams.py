"""Hashed TCP streams between this machine and the guest: tests/harness/stream.py at both ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.restarts import until
from vnetcard.lab.lab import ADDRESSES, run_in
from vnetcard.ring import layout as L
from vnetcard.sim.guest.lab import CardLab
from vnetcard.sim.guest.qemu import Command

PROGRAM = (Path(__file__).resolve().parents[1] / "harness/stream.py").read_text()
PORT = "5301"
LIMIT_S = 120.0


class Stream:
    """A stream of ``total`` bytes that has begun; both ends are running."""

    def __init__(self, lab: CardLab, sender: int, total: int) -> None:
        self._lab = lab
        words = ("tcp", "receive", ADDRESSES[1 - sender], PORT, str(total))
        self._here: subprocess.Popen[str]
        self._there: Command
        if sender == L.HOST:
            self._there = self._in_guest(*words)
            lab.running_guest().wait_for_output(self._there, "listening")
            self._here = self._on_host("tcp", "send", *words[2:])
        else:
            self._here = self._on_host(*words)
            assert self._here.stdout is not None
            assert self._here.stdout.readline() == "listening\n"
            self._there = self._in_guest("tcp", "send", *words[2:])
        self._total = total

    def _in_guest(self, *words: str) -> Command:
        return self._lab.running_guest().start("python3", "-", *words, text=PROGRAM)

    def _on_host(self, *words: str) -> subprocess.Popen[str]:
        command = run_in(self._lab.lab.namespaces[L.HOST], [sys.executable, "-", *words])
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(PROGRAM)
        process.stdin.close()
        return process

    def assert_arrives(self) -> None:
        """Wait until both ends have ended, and assert that they hashed the same bytes."""
        done = self._lab.running_guest().wait(self._there, limit=LIMIT_S)
        assert done.status == 0, done.stderr
        there = json.loads(done.stdout.splitlines()[-1])
        assert self._here.wait(LIMIT_S) == 0
        assert self._here.stdout is not None
        here: dict[str, Any] = json.loads(self._here.stdout.read())
        print(f"{self._total} bytes in {max(here['seconds'], there['seconds']):.2f} s")
        assert (here["bytes"], here["hash"]) == (there["bytes"], there["hash"])
        assert here["bytes"] == self._total

    def close(self) -> None:
        """Stop the end on this machine; the one in the guest ends with the guest."""
        self._here.kill()
        self._here.wait()
        if self._here.stdout is not None:
            self._here.stdout.close()


@contextmanager
def stream(lab: CardLab, sender: int, total: int) -> Iterator[Stream]:
    """Run a stream during the block."""
    running = Stream(lab, sender, total)
    try:
        yield running
    finally:
        running.close()


def wait_for_load(lab: CardLab, sender: int) -> None:
    """Return once a stream from ``sender`` has transferred some data."""

    def received() -> int:
        return int(lab.lab.status(L.HOST)["sides"][1 - sender]["rx"]["rx_received"])

    before = received()
    until(lambda: received() > before + 100, "the stream moves")
