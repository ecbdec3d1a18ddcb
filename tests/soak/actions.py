"""What happens to the link during a soak; each action returns once it is over, the link may still be recovering."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.harness.programs import VNETCARD
from tests.harness.restarts import shm_path
from vnetcard.agent.control import ask
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L

MTUS: Final = (1280, 1500, 4000, 9000)
FLOOD_S, CLIENT_S = 2, 2
BLAST = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.connect((sys.argv[1], 9)); until = time.monotonic() + float(sys.argv[2]); n = 0
while time.monotonic() < until:
    n += 1
    try: end.send(bytes(n * 37 % 1400 + 20))
    except OSError: time.sleep(0.001)
"""


class Scene:
    """The lab, the dice, and which side may be restarted now: the other one's agent lives on, to be watched."""

    def __init__(self, lab: Lab, dice: random.Random, folder: Path) -> None:
        self.lab, self.dice, self.folder = lab, dice, folder
        self.mortal = L.CARD
        self.mtu = [1500, 1500]

    def options(self, side: int) -> list[str]:
        """Of the agent of ``side``; connections outlive it."""
        return ["--persist", "--mtu", str(self.mtu[side])]

    def end(self, number: int) -> None:
        """End the agent that may be restarted, by a signal, and start it again."""
        self.lab.stop(self.mortal, number, limit=30.0)
        time.sleep(self.dice.choice((0, 0.1, 0.5)))
        self.lab.start(self.mortal, *self.options(self.mortal))


def restart(scene: Scene) -> None:
    """An orderly restart."""
    scene.end(signal.SIGTERM)


def kill(scene: Scene) -> None:
    """kill -9."""
    scene.end(signal.SIGKILL)


def freeze(scene: Scene) -> None:
    """An agent that is stopped for longer than the heartbeat's limit."""
    agent = scene.lab.agent(scene.mortal)
    agent.send_signal(signal.SIGSTOP)
    time.sleep(scene.dice.uniform(0.2, 2.0))
    agent.send_signal(signal.SIGCONT)


def change_mtu(scene: Scene) -> None:
    """A restart with another --mtu; the link uses the smaller one."""
    scene.mtu[scene.mortal] = scene.dice.choice(MTUS)
    scene.end(signal.SIGTERM)


def change_mtu_of_the_interface(scene: Scene) -> None:
    """By `ip link`, behind the agents' backs."""
    for side in (L.HOST, L.CARD):
        words = ["ip", "-n", scene.lab.namespaces[side], "link", "set", "tun0", "mtu", str(scene.dice.choice(MTUS))]
        subprocess.run(words, capture_output=True, check=False)  # there may be no interface at this moment


def ping_flood(scene: Scene) -> None:
    """As many pings as get through."""
    side = scene.dice.choice((L.HOST, L.CARD))
    command = ["ping", "-q", "-f", "-w", str(FLOOD_S), "-s", str(scene.dice.choice((0, 56, 1400))), ADDRESSES[1 - side]]
    subprocess.run(run_in(scene.lab.namespaces[side], command), capture_output=True, check=False)


def udp_flood(scene: Scene) -> None:
    """Datagrams without any pacing, in both directions."""
    processes = [
        subprocess.Popen(run_in(scene.lab.namespaces[side], [sys.executable, "-c", BLAST, ADDRESSES[1 - side], "2"]))
        for side in (L.HOST, L.CARD)
    ]
    for process in processes:
        process.wait(60)


def readers(scene: Scene) -> None:
    """A capture and a trace, one of which is killed."""
    commands = [
        ["capture", "--seconds", str(CLIENT_S), "-w", str(scene.folder / "soak.pcapng")],
        ["trace", "--seconds", str(CLIENT_S), "--summary"],
    ]
    processes = [
        subprocess.Popen(
            [*VNETCARD, *command, "--window", scene.lab.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for command in commands
    ]
    time.sleep(CLIENT_S / 2)
    victim = scene.dice.choice([None, *processes])
    if victim is not None:
        victim.kill()
    for process in processes:
        process.wait(60)


def scrapes(scene: Scene) -> None:
    """Questions to both agents as fast as they answer, and clients that say nothing or garbage."""
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        for side in (L.HOST, L.CARD):
            for what in ("status", "show"):
                with contextlib.suppress(PeerGone):
                    ask(scene.lab.url, side, what)
        for path in Path("/run/vnetcard").glob(f"*{scene.lab.url.partition(':')[2]}*.sock"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end, contextlib.suppress(OSError):
                end.settimeout(1.0)
                end.connect(str(path))
                end.send(scene.dice.randbytes(scene.dice.randrange(1, 200)))
    subprocess.run([*VNETCARD, "metrics", "--once", "--window", scene.lab.url], capture_output=True, check=False)


@contextlib.contextmanager
def _window(scene: Scene) -> Iterator[int]:
    fd = os.open(shm_path(scene.lab), os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def scribble_superblock(scene: Scene) -> None:
    """Zeros, or noise, over the superblock."""
    with _window(scene) as fd:
        os.pwrite(fd, scene.dice.choice([bytes(64), scene.dice.randbytes(128)]), 0)


def scribble_side_block(scene: Scene) -> None:
    """Noise over the side block of a side."""
    with _window(scene) as fd:
        at = L.side_offset(scene.dice.choice((L.HOST, L.CARD)))
        os.pwrite(fd, scene.dice.randbytes(L.SIDE_BYTES), at)


def scribble_counters(scene: Scene) -> None:
    """Noise over the counters of an end, while its agent runs."""
    with _window(scene) as fd:
        at = L.queue_offset(0) + scene.dice.choice(list(L.QUEUE_LEDGERS.values()))
        os.pwrite(fd, scene.dice.randbytes(2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES), at)


Action = Callable[[Scene], None]
DISTURBANCES: Final[tuple[Action, ...]] = (
    restart, kill, freeze, change_mtu, change_mtu_of_the_interface, ping_flood, udp_flood, readers, scrapes,
)  # fmt: skip
SCRIBBLES: Final[tuple[Action, ...]] = (scribble_superblock, scribble_side_block, scribble_counters)
