"""Two agents, each with a `unix:` port, for tests whose programs are the ends of a link."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.harness.programs import FPGA, LIMIT, X86, agent
from tests.harness.restarts import until
from vnetcard.agent.control import ask
from vnetcard.codes.link import LinkReason
from vnetcard.ring import layout as L

MTU = 9000
SIZES = (1, 20, 63, 64, 65, 576, 1499, 1500, 4096, MTU)
RANDOM = random.Random(1)


@contextlib.contextmanager
def port_folder() -> Iterator[Path]:
    """One with a short name: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="vnc-") as name:
        yield Path(name)


class Ends:
    """Two agents, each with a `unix:` port."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.paths = tuple(folder / name for name in L.SIDES)
        self.agents = contextlib.ExitStack()
        self.processes = [self.start(side) for side in (L.HOST, L.CARD)]
        until(self.both_up, "the link is up")

    def start(self, side: int) -> subprocess.Popen[str]:
        port = f"unix:{self.paths[side]}"
        return self.agents.enter_context(
            agent([*(X86, FPGA)[side], "--window", self.url, "--port", port, "--mtu", str(MTU)])
        )

    def link(self, side: int) -> dict[str, object]:
        link: dict[str, object] = ask(self.url, side, "status")["link"]
        return link

    def both_up(self) -> bool:
        return all(self.link(side)["up"] for side in (L.HOST, L.CARD))

    def await_reason(self, side: int, *reasons: LinkReason) -> None:
        until(lambda: self.link(side)["reason_code"] in {reason.value for reason in reasons}, f"{reasons} at {side}")

    def program(self, side: int) -> socket.socket:
        """A connected program, of which the other side knows."""
        far = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        far.settimeout(LIMIT)
        far.connect(str(self.paths[side]))
        self.await_reason(1 - side, LinkReason.UP, LinkReason.PEER_PORT_UP)
        return far

    def ledger(self) -> list[dict[str, dict[str, int]]]:
        return list(ask(self.url, L.HOST, "status")["sides"])


def packets(count: int) -> list[bytes]:
    """Random ones of sizes around the edges."""
    return [RANDOM.randbytes(SIZES[n % len(SIZES)]) for n in range(count)]
