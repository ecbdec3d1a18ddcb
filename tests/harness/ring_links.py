"""Links with a ring port (memif, vhost-user) at one end; two of them joined: TAP, link, memif, link, TAP."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.harness.programs import FPGA, LIMIT, X86, started
from tests.harness.restarts import until
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import ADDRESSES, Lab, ip
from vnetcard.ping.suite import PingResult, Target, run_suite
from vnetcard.ring import layout as L

COMMANDS = (X86, FPGA)
PORT_UP = (LinkReason.UP, LinkReason.PEER_PORT_UP)


class RingLab:
    """A lab whose agent of ``side`` has the port ``url``, a ring port, and whose other one has a TAP."""

    def __init__(self, lab: Lab, side: int, url: str, log: IO[str]) -> None:
        self.lab, self.side, self.url, self._log = lab, side, url, log
        self._running = contextlib.ExitStack()

    def start_tap(self, *options: str) -> None:
        self.lab.start(1 - self.side, "--port", "tap:tap0", *options)

    def start_ring_port(self, *options: str) -> None:
        command = [*COMMANDS[self.side], "--window", self.lab.url, "--port", self.url, *options]
        process = self._running.enter_context(started(command, stderr=self._log.fileno()))
        assert process.stdout is not None and " ready: " in process.stdout.readline()
        self.lab.agents[self.side] = process

    def stop_ring_port(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the agent with the ring port by a signal."""
        assert self.lab.stop(self.side, number, limit=LIMIT) == (0 if number == signal.SIGTERM else -number)

    def await_reason(self, *reasons: LinkReason) -> None:
        """Return once the link of the TAP's side has one of ``reasons``."""
        names = {reason.value for reason in reasons}
        until(lambda: self.lab.status(1 - self.side)["link"]["reason_code"] in names, f"{names}")

    def await_carrier(self) -> None:
        """Return once the TAP has carrier: both agents run, and the ring port has a peer."""
        self.await_reason(*PORT_UP)
        self.lab.wait_open()

    def silence(self) -> None:
        """Take the TAP down: its kernel sends nothing of its own any more."""
        ip("-n", self.lab.namespaces[1 - self.side], "link", "set", "tap0", "down")

    def close(self) -> None:
        """End the agent with the ring port."""
        if self.lab.agents[self.side] is not None:
            self.stop_ring_port()
        self._running.close()


@contextlib.contextmanager
def ring_lab(tag: str, side: int, url: str, log: IO[str]) -> Iterator[RingLab]:
    """A lab whose agents do not run yet."""
    with Lab(tag, log=log, sides=(1 - side,)) as lab, contextlib.closing(RingLab(lab, side, url, log)) as made:
        yield made


@contextlib.contextmanager
def joined_by_memif(log: IO[str], *, options: str = "") -> Iterator[tuple[RingLab, RingLab]]:
    """The host's TAP, and behind it the server; the card's TAP, and behind it the client with ``options`` of its URL.

    The agents do not run yet.
    """
    with (
        tempfile.TemporaryDirectory(prefix="vnc-") as folder,  # a short name: a path has at most 107 bytes
        ring_lab("memif-server", L.CARD, f"memif:{folder}/port?role=server", log) as host,
        ring_lab("memif-client", L.HOST, f"memif:{folder}/port{options}", log) as card,
    ):
        yield host, card
        assert [path.name for path in Path(folder).iterdir()] in ([], ["port"])


def ping(lab: Lab, sizes: list[int], *, count: int = 5) -> list[PingResult]:
    """Ping the card's address from the host's TAP."""
    target = Target(ADDRESSES[L.CARD], netns=lab.namespaces[L.HOST])
    return run_suite([target], count=count, sizes=sizes, timeout=20.0)
