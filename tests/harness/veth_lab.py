"""A lab with a veth: one end is an agent's port, in a namespace of its own; programs use the other end."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

from tests.harness.needs import need
from tests.harness.programs import ip
from tests.harness.traffic import assert_no_bad_checksums
from vnetcard.lab.lab import Lab
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST


class VethLab:
    """The lab with ``wire``, the namespace of the agent's end; the agents are the caller's to start.

    ``side``: in whose namespace of the lab the far end is.
    """

    def __init__(self, lab: Lab, log: IO[str], side: int) -> None:
        self.lab, self._log = lab, log
        self.far = lab.namespaces[side]
        self.wire = f"{self.far}-wire"

    def add_veth(self, *near: str) -> None:
        """``near``: options of the agent's end."""
        peer = ("peer", "name", "veth0", "netns", self.far)
        ip("link", "add", "veth0", "netns", self.wire, *near, "type", "veth", *peer)
        for netns in (self.wire, self.far):
            ip("-n", netns, "link", "set", "veth0", "up")

    def stop_agents(self) -> None:
        for side in (HOST, CARD):
            if self.lab.agents[side] is not None:
                self.lab.stop(side)

    def log(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()


Kind = TypeVar("Kind", bound=VethLab)


@contextlib.contextmanager
def veth_lab(kind: type[Kind], side: int, tag: str, window: str | None = None) -> Iterator[Kind]:
    """Make a ``kind`` with its veth; at the end no packet may have had a wrong checksum."""
    for tool in ("ip", "ping"):
        need(tool)
    with tempfile.NamedTemporaryFile("w") as log, Lab(tag, window=window, log=log) as lab:
        made = kind(lab, log, side)
        ip("netns", "add", made.wire)
        try:
            for netns in (*lab.namespaces, made.wire):  # no waiting for the detection of duplicate addresses
                with inside(netns):
                    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
            made.add_veth()
            yield made
            assert_no_bad_checksums(lab)
        finally:
            made.stop_agents()
            ip("netns", "del", made.wire)
