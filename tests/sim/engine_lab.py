"""Two ordinary agents joined by a live simulation, and the ledgers of agents and engine together."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Sequence, Set
from typing import IO, Any

from tests.harness.needs import need_simulator
from tests.harness.traffic import V4, V6
from tests.sim.simulation import new_name
from vnetcard.lab.lab import Lab, run_in
from vnetcard.lab.sim import SimProcess
from vnetcard.ring import layout as L

LIMIT = 90.0
"""Seconds for what takes a second or two, on a very busy machine."""
View = dict[str, Any]


@contextlib.contextmanager
def joined(*options: str, agents: Sequence[str] = (), log: IO[str] | None = None) -> Iterator[tuple[SimProcess, Lab]]:
    """A simulation and two agents with their links up; ``options`` of the simulator, ``agents`` of both agents.

    ``log`` gets what the agents say on stderr.
    """
    need_simulator()
    with SimProcess(new_name(), *options) as simulator, Lab("sim", window=simulator.url, log=log) as lab:
        start_agents(lab, *agents)
        yield simulator, lab


def start_agents(lab: Lab, *options: str) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side, "--address", f"{V4[side]}/24", "--address", f"{V6[side]}/64", *options)
    lab.wait_up(limit=LIMIT)


def assert_ledgers_balance(lab: Lab, *, allow: Set[str] = frozenset()) -> None:
    """Wait until nothing moves; then every packet is accounted for, and the engine has carried every index.

    No counter called ``drop_*``, ``viol_*`` or ``lost_restart`` may have moved but those in ``allow``.
    """
    deadline = time.monotonic() + LIMIT
    before: list[View] = []
    while True:
        views = [lab.status(side) for side in (L.HOST, L.CARD)]
        wrong = [*_unbalanced(views), *(["packets were still moving"] if _packets(views) != _packets(before) else [])]
        if not wrong:
            break
        assert time.monotonic() < deadline, f"the ledgers do not balance: {wrong}\n{json.dumps(views, indent=1)}"
        before = views
        time.sleep(0.1)
    lost = [f"{view['side']} {name}: {n}" for view in views for name, n in _losses(view).items() if name not in allow]
    assert not lost, f"{lost}\n{json.dumps(views, indent=1)}"


def own(view: View) -> View:
    """An agent's own side in its status."""
    (side,) = (side for side in view["sides"] if side["side"] == view["side"])
    found: View = side
    return found


def _unbalanced(views: Sequence[View]) -> Iterator[str]:
    for view in views:
        for end in ("tx", "rx"):
            if count := own(view)[end]["unaccounted"]:
                yield f"{view['side']} {end}: {count} packets unaccounted for"
        if view["engine"]["fault"] or {view["engine"][end]["state"] for end in ("tx", "rx")} != {"run"}:
            yield f"{view['side']}: the engine does not run"
    for side, direction in enumerate(L.DIRECTIONS):
        sent, received = own(views[side])["tx"], own(views[1 - side])["rx"]
        if (owed := sent["tx_sent"] - received["rx_received"] - sent["lost_restart"]) != 0:
            yield f"{direction}: {owed} of {sent['tx_sent']} packets are neither received nor counted as lost"
        (here, there) = (view["rings"][side] for view in views)
        if (here["prod"], here["cons"]) != (there["prod"], there["cons"]) or here["prod"] != here["cons"]:
            yield f"{direction}: the two sides' copies of the indices differ, {here} and {there}"
        moved, seen = (views[side]["engine"]["tx"]["bytes"], views[1 - side]["engine"]["rx"]["bytes"])
        if moved != seen:
            yield f"{direction}: the engine has moved {moved} bytes on one page and {seen} on the other"
        # An index starts at 0 in each generation, the engine's counter does not.
        if all(own(view)["link"]["link_up"] == 1 for view in views) and moved % (1 << 32) != here["prod"]:
            yield f"{direction}: the engine has moved {moved} bytes, the producer's index says {here['prod']}"


def _losses(view: View) -> dict[str, int]:
    side = own(view)
    rows = {name: n for end in ("tx", "rx", "link") for name, n in side[end].items()}
    return {name: n for name, n in rows.items() if n and name.startswith(("drop_", "viol_", "lost_"))}


def _packets(views: Sequence[View]) -> list[tuple[int, int]]:
    return [(own(view)["tx"]["tx_taken"], own(view)["rx"]["rx_received"]) for view in views]


@contextlib.contextmanager
def pinging(lab: Lab) -> Iterator[None]:
    """Let both sides ping each other 200 times per second during the block; lost pings do not matter."""
    pings = [
        subprocess.Popen(
            run_in(lab.namespaces[side], ["ping", "-q", "-i", "0.005", V4[1 - side]]), stdout=subprocess.DEVNULL
        )
        for side in (L.HOST, L.CARD)
    ]
    try:
        yield
    finally:
        for ping in pings:
            ping.terminate()
            ping.wait()


def iperf3(lab: Lab, *words: str, seconds: int = 1) -> float:
    """TCP from host to card, or as ``words`` say; Mbit/s received."""
    card, host = lab.namespaces[L.CARD], lab.namespaces[L.HOST]
    command = run_in(card, ["iperf3", "-s", "-1", "--forceflush", "-B", V4[L.CARD]])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            while "listening" not in (line := server.stdout.readline()):
                assert line, "the iperf3 server ended before it listened"
            client = ["iperf3", "-J", "-t", str(seconds), "-c", V4[L.CARD], *words]
            done = subprocess.run(run_in(host, client), capture_output=True, text=True, check=False, timeout=LIMIT)
            report: View = json.loads(done.stdout)
            assert "error" not in report, report["error"]
        finally:
            server.kill()
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e6
