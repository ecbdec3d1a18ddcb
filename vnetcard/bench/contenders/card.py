"""``vnetcard``: the two agents as anybody starts them, and a window of shared memory between them."""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import Any

from vnetcard.bench.validity import Invalid
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import ADDRESSES, Lab, LabError
from vnetcard.ring import layout as L

OUR_OWN = "drop_link_down"
"""What a kernel sends before there is a link; afterwards an unchanged epoch says that there always was one."""
_numbers = itertools.count()


class CardPeer:
    """See ``vnetcard.bench.contenders.Peer``."""

    def __init__(
        self, *, window_bytes: int = L.WINDOW_DEFAULT, options: tuple[str, ...] = (), offload: bool = True
    ) -> None:
        """``offload``: False where the window's rings are too small for super-packets."""
        self._tag = f"bench{next(_numbers)}"
        self._window = f"shm:vnetcard-{self._tag}-{os.getpid()}+{window_bytes}"
        self._options = options
        self._lab: Lab | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._epochs: list[int] = []
        self.namespaces = ("", "")
        self.addresses = ADDRESSES
        self.interfaces = ("tun0", "tun0")
        self.offload = offload

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
                lab.launch(side, "--mtu", str(mtu), *self._options)
            for side in (L.HOST, L.CARD):
                lab.await_ready(side)
        except LabError as error:
            self._log.seek(0)
            words = (self._log.read().strip().splitlines() or ["it said nothing"])[-1]
            raise Invalid(f"{error}: {words}") from error

    def check(self) -> None:
        """The link is up and never was down, all offloads are on, and no packet was dropped or went uncounted."""
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
    """Invalid unless the agent's ``view`` shows a link as it should be."""
    link = view["link"]
    if not link["up"]:
        raise Invalid(f"the {view['side']}'s link is down ({link['state']}: {link['reason']})")
    off = [f"{name} ({verdict})" for name, verdict in link["features"].items() if verdict != "on"]
    if offload and off:
        raise Invalid(f"not all offloads are on: {', '.join(off)}")
    for side in view["sides"]:
        counters = side["tx"] | side["rx"]
        lost = {
            name: n for name, n in counters.items() if name.startswith(("drop_", "viol_")) and n and name != OUR_OWN
        }
        if lost:
            raise Invalid(f"the {side['side']}'s ledger has {', '.join(f'{name} {n}' for name, n in lost.items())}")
