"""Finds out when a contender carries its first packet: sends one each millisecond until one comes back."""

from __future__ import annotations

import contextlib
import socket
import time

from vnetcard.bench.validity import Endpoints, Invalid
from vnetcard.port import netns
from vnetcard.terminal.ready import readable

PORT = 5298
EVERY = 0.001
LIMIT = 30.0


def wait_until_it_carries(ends: Endpoints) -> None:
    """Return once a datagram has come back from the other end; Invalid when none does within LIMIT seconds."""
    with contextlib.ExitStack() as stack:
        near, far = (stack.enter_context(_socket(namespace)) for namespace in ends.namespaces)
        far.bind(("", PORT))
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # no address or no route yet
                near.sendto(b"?", (ends.addresses[1], PORT))
            ready = readable([near, far], EVERY)
            if near.fileno() in ready:
                return
            if far.fileno() in ready:
                _, who = far.recvfrom(16)
                with contextlib.suppress(OSError):
                    far.sendto(b"!", who)
    raise Invalid(f"no packet came back within {LIMIT:.0f} s")


def _socket(namespace: str) -> socket.socket:
    with netns.inside(namespace):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
