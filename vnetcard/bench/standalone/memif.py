"""Frames of 64 bytes from memif to memif, both ways: over a link, through DPDK's testpmd, and through two of them.

At both memifs is one and the same generator, another testpmd (forward mode *flowgen*), which counts what comes back.
One testpmd copies a frame from memif to memif.  Two of them with a memif between are built as a link is: a process for
each side, shared memory between both.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from vnetcard.bench import programs
from vnetcard.bench.figures import OURS
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import Lab, die_with_parent
from vnetcard.ring import layout as L

TESTPMD: Final = "testpmd"
TWO: Final = "testpmd-x2"
CONTENDERS: Final = (OURS, TESTPMD, TWO)
MEMORY_MIB: Final = 128
BUFFERS: Final = 16384
LIMIT: Final = 20.0
_numbers = itertools.count()


def missing() -> dict[str, str]:
    """What keeps this load from being measured on this machine."""
    why = programs.missing("dpdk-testpmd")
    return dict.fromkeys(CONTENDERS, why) if why else {}


def steps(seconds: float) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Each contender with the function that measures it."""
    for contender, joined in ((OURS, _by_a_link), (TESTPMD, _by_testpmd), (TWO, _by_two)):

        def measure(joined: Callable[[Path], contextlib.AbstractContextManager[None]] = joined) -> dict[str, float]:
            with tempfile.TemporaryDirectory(prefix="vnc-") as folder, joined(Path(folder)):
                return {"memif 64": _generated(Path(folder), seconds)}

        yield contender, measure


@contextlib.contextmanager
def _by_a_link(folder: Path) -> Iterator[None]:
    """Two agents, whose memifs are the servers."""
    with Lab("bench-memif") as lab:
        for side in (L.HOST, L.CARD):
            lab.start_port(side, f"memif:{folder}/{side}?role=server")
        yield


@contextlib.contextmanager
def _by_testpmd(folder: Path) -> Iterator[None]:
    """A testpmd between two memifs, of which it is the server."""
    devices = [_device(number, "server", folder / str(number)) for number in (0, 1)]
    with _testpmd("io", devices, core=1):
        _await_sockets(folder / "0", folder / "1")
        yield


@contextlib.contextmanager
def _by_two(folder: Path) -> Iterator[None]:
    """Two of them, the second of which is the client of a memif of the first."""
    first = [_device(0, "server", folder / "0"), _device(1, "server", folder / "between")]
    second = [_device(0, "client", folder / "between"), _device(1, "server", folder / "1")]
    with _testpmd("io", first, core=0):
        _await_sockets(folder / "0", folder / "between")
        with _testpmd("io", second, core=1):
            _await_sockets(folder / "1")
            yield


def _await_sockets(*paths: Path) -> None:
    """Return once all of them are there."""
    deadline = time.monotonic() + LIMIT
    while not all(path.exists() for path in paths):
        if time.monotonic() > deadline:
            raise Invalid(f"testpmd did not listen within {LIMIT:.0f} s")
        time.sleep(0.01)


def _generated(folder: Path, seconds: float) -> float:
    """Thousand frames a second that the generator gets back: the median of its own figures, one a second."""
    devices = [_device(number, "client", folder / str(number)) for number in (0, 1)]
    with _testpmd("flowgen", devices, core=0) as output:
        rates: list[list[int]] = [[], []]
        wanted = max(2, round(seconds)) + 2  # it connects in the first, and fills all buffers
        deadline = time.monotonic() + LIMIT + wanted
        while len(rates[1]) < wanted:
            line = output.readline()
            if not line or time.monotonic() > deadline:
                raise Invalid("the generator ended" if not line else f"no figures within {LIMIT + wanted:.0f} s")
            if found := re.search(r"Rx-pps:\s*(\d+)", line):
                rates[len(rates[0]) > len(rates[1])].append(int(found[1]))
    return rate(rates[0][2:], rates[1][2:])


def rate(first: list[int], second: list[int]) -> float:
    """Thousand frames a second in both directions together; Invalid when one direction stood still."""
    medians = [statistics.median(first), statistics.median(second)]
    if not all(medians):
        raise Invalid("no frame arrived in one direction")
    return sum(medians) / 1000


def _device(number: int, role: str, path: Path) -> str:
    return f"net_memif{number},role={role},socket-abstract=no,socket={path}"


@contextlib.contextmanager
def _testpmd(mode: str, devices: list[str], *, core: int) -> Iterator[IO[str]]:
    """A running testpmd that forwards in ``mode``; its output."""
    cores = min(2, os.cpu_count() or 1)
    prefix = f"vnetcard-bench-{os.getpid()}-{next(_numbers)}"
    program, main = core % cores, (core + 1) % cores
    command = [
        *("stdbuf", "-oL", "dpdk-testpmd"),
        *("--no-huge", "-m", str(MEMORY_MIB), "--no-pci", "--no-telemetry", f"--file-prefix={prefix}"),
        *("-l", f"0-{cores - 1}", "--main-lcore", str(main)),
        *(f"--vdev={device}" for device in devices),
        *("--", "--auto-start", f"--forward-mode={mode}", f"--total-num-mbufs={BUFFERS}", "--stats-period=1"),
        *("--no-flush-rx", f"--coremask={1 << program:x}"),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(Path("/var/run/dpdk", prefix), ignore_errors=True)
