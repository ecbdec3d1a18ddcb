"""The ring alone, between two threads and two processes, beside DPDK's rte_ring and memcpy (``c/ring.c``)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vnetcard.bench import programs
from vnetcard.bench.figures import OURS
from vnetcard.bench.validity import Invalid
from vnetcard.errors import ConfigError

LOAD: Final = "ring"
SIZES: Final = (64, 1536, 65536)
"""Bytes that a record carries: the least of an Ethernet frame, a packet of MTU 1500, a super-packet."""
KINDS: Final = ("threads", "processes")
RTE: Final = "rte_ring"
MEMCPY: Final = "memcpy"
WAYS: Final = (OURS, RTE, MEMCPY)
SLACK: Final = 60.0


def missing() -> dict[str, str]:
    """Which of WAYS cannot be measured here, and why."""
    if why := programs.missing("gcc"):
        return dict.fromkeys(WAYS, why)
    if dpdk_flags() is None:
        return {RTE: "DPDK's headers are not installed (Debian, Ubuntu: apt-get install libdpdk-dev pkg-config)"}
    return {}


def dpdk_flags() -> tuple[str, ...] | None:
    """What the compiler must be told to use DPDK's ring; None where it is not installed."""
    if shutil.which("pkg-config") is None:
        return None
    done = subprocess.run(["pkg-config", "--cflags", "libdpdk"], capture_output=True, text=True, check=False)
    return None if done.returncode else (*done.stdout.split(), "-lrte_ring", "-lrte_eal")


def steps(seconds: float) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Each way and what measures one kind and size of it."""
    for size in SIZES:
        for kind in KINDS:
            for way in WAYS:

                def measure(way: str = way, kind: str = kind, size: int = size) -> dict[str, float]:
                    return figures(kind, size, _run(way, kind, size, seconds))

                yield way, measure


def _run(way: str, kind: str, size: int, seconds: float) -> str:
    """What the program for ``way`` prints."""
    program = _program(way)
    mode = MEMCPY if way == MEMCPY else kind
    command = [str(program), mode, str(size), f"{seconds:g}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SLACK, check=False)
    except subprocess.TimeoutExpired:
        raise Invalid(f"{way}: nothing moved") from None
    if done.returncode:
        raise Invalid(done.stderr.strip() or f"{way} ended with status {done.returncode}: nothing moved")
    return done.stdout


def _program(way: str) -> Path:
    if way == RTE:
        flags = dpdk_flags()
        if flags is None:
            raise ConfigError(missing()[RTE])
        return programs.compiled("ring", "ring_rte", ('-DTRANSPORT="ring_rte.h"', *flags))
    return programs.compiled("ring", "ring_vnc", ('-DTRANSPORT="ring_vnc.h"',))


def figures(kind: str, size: int, said: str) -> dict[str, float]:
    """Million records and GB a second, of what the program printed; Invalid when nothing came through."""
    records, seconds = (float(word) for word in said.split())
    if not records or not seconds:
        raise Invalid("no record came through")
    rate = records / seconds
    return {f"ring {size} {kind}": rate / 1e6, f"ring {size} {kind} bytes": rate * size / 1e9}
