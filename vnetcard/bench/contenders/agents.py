"""``vnetcard``: the two agents with their default options, and a window of shared memory between them."""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import Any

from vnetcard.bench.validity import Invalid
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import ADDRESSES, Lab, LabError
from vnetcard.ring import layout as L

EXPECTED_DROP = "drop_link_down"
"""The kernel sends packets before the link is up; that it stayed up afterwards, the unchanged epoch shows."""
_numbers = itertools.count()


class AgentsContender:
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(
        self,
        *,
        window_bytes: int = L.WINDOW_DEFAULT,
        options: tuple[str, ...] = (),
        interface: str = "tun0",
        offload: bool = True,
    ) -> None:
        """``interface``: the name that ``options`` give it.

        ``offload``: False where the window's rings are too small for super-packets.
        """
        self._tag = f"bench{next(_numbers)}"
        self._window = f"shm:vnetcard-{self._tag}-{os.getpid()}+{window_bytes}"
        self._options = options
        self._lab: Lab | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._epochs: list[int] = []
        self.namespaces = ("", "")
        self.addresses = ADDRESSES
        self.interfaces = (interface, interface)
        self.offload = offload
        self.of_side: dict[int, tuple[str, ...]] = {}
        """Further options of one side's agent."""

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(agent.pid for agent in self._lab.agents if agent is not None) if self._lab else ()

    def prepare(self) -> None:
        self._lab = Lab(self._tag, window=self._window, log=self._log)
        self.namespaces = self._lab.namespaces

    def start(self, *, mtu: int) -> None:
        lab = self._lab
        assert lab is not None
        try:
            for side in (L.HOST, L.CARD):
                lab.launch(side, "--mtu", str(mtu), *self._options, *self.of_side.get(side, ()))
            for side in (L.HOST, L.CARD):
                lab.await_ready(side)
        except LabError as error:
            self._log.seek(0)
            last = (self._log.read().strip().splitlines() or ["it printed nothing"])[-1]
            raise Invalid(f"{error}: {last}") from error

    def check(self) -> None:
        """Check that the link is up and was never down, that all offloads are on, and that no packet was dropped."""
        assert self._lab is not None
        try:
            views = [self._lab.status(side) for side in (L.HOST, L.CARD)]
        except PeerGone as error:
            raise Invalid(str(error)) from error
        for view in views:
            judge_link(view, offload=self.offload)
        epochs = [view["link"]["epoch"] for view in views]
        if self._epochs and epochs != self._epochs:
            raise Invalid("the link was restarted during the run")
        self._epochs = epochs

    def close(self) -> None:
        if self._lab is not None:
            self._lab.close()
        self._log.close()


def judge_link(view: dict[str, Any], *, offload: bool) -> None:
    """Raise Invalid unless the agent's ``view`` shows a link that is up, without drops, with its offloads on."""
    link = view["link"]
    if not link["up"]:
        raise Invalid(f"the {view['side']}'s link is down ({link['state']}: {link['reason']})")
    off = [f"{name} ({verdict})" for name, verdict in link["features"].items() if verdict != "on"]
    if offload and off:
        raise Invalid(f"not all offloads are on: {', '.join(off)}")
    for side in view["sides"]:
        counters = side["tx"] | side["rx"]
        lost = {
            name: n
            for name, n in counters.items()
            if name.startswith(("drop_", "viol_")) and n and name != EXPECTED_DROP
        }
        if lost:
            raise Invalid(f"the {side['side']}'s ledger has {', '.join(f'{name} {n}' for name, n in lost.items())}")
