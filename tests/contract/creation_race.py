"""Processes that open one window at the same moment: two get it, one per side, and both see the same window."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from vnetcard.errors import WindowUnavailable
from vnetcard.ring.geometry import Geometry
from vnetcard.window import open_window


def _race(url: str, side: int, rounds: int, barrier: Barrier, results: Queue[tuple[int, Geometry | None]]) -> None:
    for n in range(rounds):
        barrier.wait(60)
        try:
            window = open_window(f"{url}-{n}+64K", side=side)
        except WindowUnavailable:
            results.put((n, None))
            barrier.wait(60)
        else:
            results.put((n, window.geometry))
            barrier.wait(60)
            window.close()


def assert_racers_make_one_window(url: str, *, rounds: int, racers: int) -> None:
    """``racers`` processes open ``url-N``, for each of the rounds N a new window."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(racers), context.Queue()
    processes = [context.Process(target=_race, args=(url, n % 2, rounds, barrier, results)) for n in range(racers)]
    for process in processes:
        process.start()
    opened: dict[int, list[Geometry]] = {n: [] for n in range(rounds)}
    for _ in range(racers * rounds):
        n, geometry = results.get(timeout=60)
        if geometry is not None:
            opened[n].append(geometry)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for n, winners in opened.items():
        assert len(winners) == 2, f"round {n}: {len(winners)} processes hold the window's two sides"
        assert winners[0] == winners[1], f"round {n}: two windows"
