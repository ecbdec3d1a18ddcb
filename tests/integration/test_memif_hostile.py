"""An agent whose memif peer writes anything anywhere goes on: no crash, few lines, exact accounts, and a next peer."""

from __future__ import annotations

import contextlib
import random
import struct
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, chance, until
from tests.harness.ring_links import ring_lab
from tests.harness.traffic import pinging
from tests.unit.test_memif_peers import M2S, S2M, SIZE, Client
from vnetcard.port import open_port, presence_of
from vnetcard.port.memif import MemifPort
from vnetcard.ring.layout import CARD

pytestmark = [pytest.mark.root, pytest.mark.slow]

SECONDS = 4.0
LINES_MOST = 40
"""Of the log: a peer that fails again and again is served after a pause that grows."""
DROPS = frozenset({"drop_port_down", "drop_port_refused", "drop_too_big", "drop_malformed", "drop_bad_frame"})
VALUES = (0, 1, 2, 7, 8, 9, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF)


def scribble(client: Client, choose: random.Random, until_then: float) -> None:
    """Change indices, descriptors, and other words of the memory, until the port gives the connection up."""
    client.socket.setblocking(False)
    while time.monotonic() < until_then:
        for _ in range(20):
            ring = choose.choice((S2M, M2S))
            at = choose.choice((ring + 4, ring + 6, ring + 64, ring + 128 + 2 * choose.randrange(64)))
            if choose.random() < 0.05:
                at = 2 * choose.randrange(SIZE // 2)
            struct.pack_into("=H", client.memory, at, choose.choice(VALUES))
        with contextlib.suppress(BlockingIOError):
            if client.socket.recv(128):
                return


def test_hostile_peers_of_a_running_agent(tmp_path: Path) -> None:
    choose = chance()
    with (
        tempfile.TemporaryDirectory(prefix="vnc-") as place,
        (tmp_path / "log").open("w+") as log,
        ring_lab("memif-hostile", CARD, f"memif:{place}/port?role=server", log) as lab,
    ):
        lab.start_tap()
        lab.start_ring_port()
        connections = 0
        with pinging(lab.lab, "-s", "1000"):
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                with contextlib.closing(Client(f"{place}/port")) as client:
                    client.connect()
                    connections += 1
                    scribble(client, choose, deadline)
            with contextlib.closing(open_port(f"memif:{place}/port")) as honest:
                assert isinstance(honest, MemifPort)
                until(lambda: bool(presence_of(honest)), "an honest peer is served")
                lab.await_carrier()
                frames = _Taken(honest)
                until(lambda: frames.count > 5, "it gets frames")
                frames.stop()
        assert connections > 3
        assert_ledgers_balance(lab.lab, allow=OUTAGE | DROPS)
        log.seek(0)
        lines = [line for line in log if "port memif:" in line]
        assert 0 < len(lines) <= LINES_MOST, lines


class _Taken:
    """Takes the frames of a port that has no pumps, in a thread."""

    def __init__(self, port: MemifPort) -> None:
        self.count = 0
        self._port, self._stop = port, threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while not self._stop.wait(0.001):
            with contextlib.suppress(BlockingIOError):
                self._port.rings.read()
                self.count += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
