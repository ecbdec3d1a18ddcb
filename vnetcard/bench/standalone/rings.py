"""The ring alone, between two threads and two processes, beside DPDK's rte_ring and memcpy (``c/ring.c``)."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vnetcard.bench import programs
from vnetcard.bench.figures import OURS
from vnetcard.bench.validity import Invalid
from vnetcard.errors import ConfigError

SIZES: Final = (64, 1536, 65536)
"""Bytes of payload per record: the smallest Ethernet frame, about a packet of MTU 1500, a super-packet."""
KINDS: Final = ("threads", "processes")
RTE: Final = "rte_ring"
MEMCPY: Final = "memcpy"
CONTENDERS: Final = (OURS, RTE, MEMCPY)
SLACK: Final = 60.0


def missing() -> dict[str, str]:
    """Those of CONTENDERS that cannot be measured on this machine, and why."""
    if why := programs.missing("gcc"):
        return dict.fromkeys(CONTENDERS, why)
    if dpdk_flags() is None:
        return {RTE: "DPDK's headers are not installed (Debian, Ubuntu: apt-get install libdpdk-dev pkg-config)"}
    return {}


def dpdk_flags() -> tuple[str, ...] | None:
    """The compiler's options for DPDK's ring; None where it is not installed."""
    if shutil.which("pkg-config") is None:
        return None
    done = subprocess.run(["pkg-config", "--cflags", "libdpdk"], capture_output=True, text=True, check=False)
    return None if done.returncode else (*shlex.split(done.stdout), "-lrte_ring", "-lrte_eal")


def steps(seconds: float) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Each contender with a function that measures one kind and size of ring."""
    for size in SIZES:
        for kind in KINDS:
            for contender in CONTENDERS:

                def measure(contender: str = contender, kind: str = kind, size: int = size) -> dict[str, float]:
                    return figures(kind, size, _run(contender, kind, size, seconds))

                yield contender, measure


def _run(contender: str, kind: str, size: int, seconds: float) -> str:
    """The output of the program that measures ``contender``."""
    program = _program(contender)
    mode = MEMCPY if contender == MEMCPY else kind
    command = [str(program), mode, str(size), f"{seconds:g}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SLACK, check=False)
    except subprocess.TimeoutExpired:
        raise Invalid(f"{contender}: no record moved within {seconds + SLACK:.0f} s") from None
    if done.returncode:
        raise Invalid(done.stderr.strip() or f"{contender}: the program ended with status {done.returncode}")
    return done.stdout


def _program(contender: str) -> Path:
    if contender == RTE:
        flags = dpdk_flags()
        if flags is None:
            raise ConfigError(missing()[RTE])
        return programs.compiled("ring", "ring_rte", ('-DTRANSPORT="ring_rte.h"', *flags))
    return programs.compiled("ring", "ring_vnc", ('-DTRANSPORT="ring_vnc.h"',))


def figures(kind: str, size: int, output: str) -> dict[str, float]:
    """Million records and GB per second, from the program's output; Invalid when it transferred no record."""
    records, seconds = (float(word) for word in output.split())
    if not records or not seconds:
        raise Invalid("no record was transferred")
    rate = records / seconds
    return {f"ring {size} {kind}": rate / 1e6, f"ring {size} {kind} bytes": rate * size / 1e9}
