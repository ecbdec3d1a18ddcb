"""TCP from the host's kernel over a link and a ``unix:`` port into a program with lwIP (``c/lwip.c``)."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vnetcard.bench import programs
from vnetcard.bench.figures import OURS
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import ADDRESSES, Lab, die_with_parent
from vnetcard.port import netns
from vnetcard.ring import layout as L

CONTENDERS: Final = (OURS,)
HEADERS: Final = Path("/usr/include/lwip/lwip/init.h")
PORT: Final = 5296
PIECE: Final = bytes(256 << 10)
LIMIT: Final = 30.0


def missing() -> dict[str, str]:
    """What keeps this load from being measured on this machine."""
    why = programs.missing("gcc")
    if not why and not HEADERS.exists():
        why = "lwIP is not installed (Debian, Ubuntu: apt-get install liblwip-dev)"
    return dict.fromkeys(CONTENDERS, why) if why else {}


def steps(seconds: float) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """The only contender, and the function that measures it."""
    yield OURS, lambda: {"tcp into lwip": _measure(seconds)}


def _measure(seconds: float) -> float:
    """Gbit/s that the program has received."""
    program = programs.compiled("lwip", flags=("-isystem", str(HEADERS.parents[1]), "-llwip"))
    with tempfile.TemporaryDirectory(prefix="vnc-") as folder, Lab("bench-lwip") as lab:
        path = f"{folder}/port"
        lab.start(L.HOST)
        lab.start_port(L.CARD, f"unix:{path}")
        command = [str(program), path, ADDRESSES[L.CARD], str(PORT)]
        receiver = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
        )
        try:
            _send(lab.namespaces[L.HOST], seconds)
            output, _ = receiver.communicate(timeout=LIMIT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Invalid(f"the stream did not arrive: {error}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                receiver.kill()
            receiver.communicate()
    return rate(output)


def _send(namespace: str, seconds: float) -> None:
    """Connect as soon as the link is up, and send zeros for ``seconds``."""
    with netns.inside(namespace):
        client = socket.socket()
    with client:
        client.settimeout(LIMIT)
        client.connect((ADDRESSES[L.CARD], PORT))  # the kernel repeats its first packet until the link is up
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            client.sendall(PIECE)
        client.shutdown(socket.SHUT_WR)
        client.recv(1)  # the end, once all has arrived


def rate(output: str) -> float:
    """Gbit/s, from the bytes and seconds that the program printed; Invalid when it received nothing."""
    words = output.split()
    if len(words) != 2 or not float(words[0]) or not float(words[1]):
        raise Invalid("the program with lwIP received nothing")
    return float(words[0]) * 8 / float(words[1]) / 1e9
