"""CPU time of the pumps' threads, and the time that they waited for a CPU, as the kernel counts them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

THREADS: Final = {"vnc-tx": "tx", "vnc-rx": "rx"}
"""The pumps' threads by the names that they give themselves (_c/vnc_pump_core.c)."""


def of_pumps(tasks: Path = Path("/proc/self/task")) -> dict[str, dict[str, int]]:
    """By pump, ``tx`` or ``rx``, over all queues: ``cpu_ns`` it ran and ``cpu_wait_ns`` it was ready and had to wait.

    Empty where the kernel does not count it (CONFIG_SCHED_INFO).
    """
    found: dict[str, dict[str, int]] = {}
    for task in tasks.glob("*"):
        try:
            pump = THREADS.get((task / "comm").read_text().strip())
            if pump:
                ran, waited, _ = (int(word) for word in (task / "schedstat").read_text().split())
                others = found.get(pump, {"cpu_ns": 0, "cpu_wait_ns": 0})
                found[pump] = {"cpu_ns": others["cpu_ns"] + ran, "cpu_wait_ns": others["cpu_wait_ns"] + waited}
        except (OSError, ValueError):  # it has ended, or there is no such file
            continue
    return found
