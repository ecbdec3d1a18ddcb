"""``rr``: requests and responses of one byte over one TCP connection, one after the other (``c/rr.c``)."""

from __future__ import annotations

import contextlib
import subprocess

from vnetcard.bench import programs
from vnetcard.bench.contenders import Contender
from vnetcard.bench.iperf import Run
from vnetcard.bench.load.busy import streaming
from vnetcard.bench.load.far_end import far_end
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import run_in

PORT = 5297
SLACK = 30.0


class Rr:
    """Percentiles of the response time in microseconds, without or under load."""

    mtu = 1500

    def __init__(self, *, under_load: bool = False) -> None:
        self.tcp = self._busy = under_load

    def put(self, contender: Contender, run: Run) -> dict[str, float]:
        program = str(programs.compiled("rr"))
        where = [contender.addresses[1], str(PORT)]
        busy = streaming(contender, run) if self._busy else contextlib.nullcontext()
        command = run_in(contender.namespaces[0], [program, "ask", *where, f"{run.seconds:g}"])
        try:
            with far_end(contender, program, "serve", *where), busy:
                done = subprocess.run(command, capture_output=True, text=True, timeout=run.seconds + SLACK, check=False)
        except subprocess.TimeoutExpired:
            raise Invalid(f"requests were not answered within {run.seconds + SLACK:.0f} s") from None
        if done.returncode:
            raise Invalid(f"requests were not answered: {done.stderr.strip()}")
        return parse(f"rr under load {run.congestion}" if self._busy else "rr", done.stdout)


def parse(name: str, output: str) -> dict[str, float]:
    """The percentiles that ``rr ask`` printed; p99.9 only of a thousand requests or more."""
    count, *percentiles = (float(word) for word in output.split())
    names = ("p50", "p99", "p99.9") if count >= 1000 else ("p50", "p99")
    return {f"{name} {which}": value for which, value in zip(names, percentiles, strict=False)}
