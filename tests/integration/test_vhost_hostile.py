"""An agent whose driver writes anything anywhere goes on: no crash, few lines, exact accounts, and a next front-end."""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, chance, until
from tests.harness.ring_links import ring_lab
from tests.harness.traffic import pinging
from tests.harness.vhost_front_end import AVAIL, BUFFERS, QUEUE, SIZE, TABLES, USED, FrontEnd
from vnetcard.port.vhost_backend import RECEIVE, TRANSMIT
from vnetcard.ring.layout import CARD

pytestmark = [pytest.mark.root, pytest.mark.slow]

SECONDS = 2.0
LINES_MOST = 40
"""Of the log: a peer that fails again and again is served after a pause that grows."""
DROPS = frozenset(
    {"drop_port_down", "drop_port_refused", "drop_too_big", "drop_malformed", "drop_bad_frame", "drop_offload"}
)
VALUES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF)


def scribble(driver: FrontEnd, choose: random.Random, until_then: float) -> None:
    """Change indices, descriptors, and other words of the memory, until the port gives the connection up."""
    driver.socket.setblocking(False)
    while time.monotonic() < until_then:
        for _ in range(20):
            queue = choose.choice((RECEIVE, TRANSMIT)) * QUEUE
            at = choose.choice(
                (
                    *(queue + AVAIL + 2 * n for n in range(4)),
                    *(queue + USED + 2 * n for n in range(2)),
                    queue + 2 * choose.randrange(8 * SIZE),
                    TABLES + 2 * choose.randrange(32),
                )
            )
            if choose.random() < 0.05:
                at = 2 * choose.randrange(BUFFERS // 2)
            driver.store(at, choose.choice(VALUES))
        if choose.random() < 0.3:
            driver.store(TRANSMIT * QUEUE + AVAIL + 2, driver.load(TRANSMIT * QUEUE + USED + 2) + 1)
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            driver.socket.recv(128)
            return


def test_hostile_drivers_of_a_running_agent(tmp_path: Path) -> None:
    choose = chance()
    with (
        tempfile.TemporaryDirectory(prefix="vnc-") as place,
        (tmp_path / "log").open("w+") as log,
        ring_lab("vhost-hostile", CARD, f"vhost-user:{place}/port", log) as lab,
    ):
        lab.start_tap()
        lab.start_ring_port()
        connections = 0
        with pinging(lab.lab, "-s", "1000"):
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                with contextlib.closing(FrontEnd.connected_to(f"{place}/port")) as driver:
                    driver.connect()
                    connections += 1
                    scribble(driver, choose, deadline)
            with contextlib.closing(FrontEnd.connected_to(f"{place}/port")) as honest:
                honest.connect()
                lab.await_carrier()
                frames = _Taken(honest)
                until(lambda: frames.count > 5, "an honest driver gets frames")
                frames.stop()
        assert connections > 3
        assert_ledgers_balance(lab.lab, allow=OUTAGE | DROPS)
        log.seek(0)
        lines = [line for line in log if "port vhost-user:" in line]
        assert 0 < len(lines) <= LINES_MOST, lines


class _Taken:
    """Takes the frames that a driver gets, in a thread."""

    def __init__(self, driver: FrontEnd) -> None:
        self.count = 0
        self._driver, self._stop = driver, threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while not self._stop.wait(0.001):
            with contextlib.suppress(BlockingIOError):
                self._driver.read()
                self.count += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
