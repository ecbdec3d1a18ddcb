"""Checks that a run did what its figures claim.

Each check raises Invalid; the figures of such a run are refused by name instead of printed.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from dataclasses import dataclass
from typing import Protocol

from vnetcard.errors import VnetcardError
from vnetcard.port import netns

STREAM_BYTES = 8 << 20
STREAM_PORT = 5299
SUPER_PACKET = 65535
"""Bytes of the largest packet that the kernel builds."""
LIMIT = 20.0
"""Seconds for the stream to arrive, by the slowest contender on a busy machine."""


class Invalid(VnetcardError):
    """Raised when a run did not do what its figure would claim; the message says what was seen instead."""


class Endpoints(Protocol):
    """The two ends of a contender, as far as the checks need them."""

    @property
    def namespaces(self) -> tuple[str, str]: ...

    @property
    def addresses(self) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an interface has received since it was created."""

    packets: int
    bytes: int


def judge_offload(before: Traffic, after: Traffic, *, mtu: int, offload: bool) -> None:
    """Check the mean size of the received packets: above the MTU with offloads, at most the MTU without."""
    packets = after.packets - before.packets
    if packets <= 0:
        raise Invalid("the interface received no packet: the load took another path")
    mean = (after.bytes - before.bytes) / packets
    if offload and mtu <= SUPER_PACKET / 2 and mean <= mtu:  # above that there is no room for two packets in one
        raise Invalid(f"offload is claimed, but packets had {mean:.0f} bytes on average, not above the MTU of {mtu}")
    if not offload and mean > mtu + 100:  # what a TAP and its headers add
        raise Invalid(f"no offload is claimed, but packets had {mean:.0f} bytes on average, above the MTU of {mtu}")


def judge_answers(sent: int, received: int, what: str) -> None:
    """Check that everything that was sent was answered."""
    if received != sent or not sent:
        raise Invalid(f"{sent - received} of {sent} {what} were lost")


def stream_arrives_whole(ends: Endpoints, *, seed: int = 1) -> None:
    """Send a stream of pseudo-random bytes over TCP in each direction and compare the hashes of both ends."""
    for sender in (0, 1):
        _stream(ends, sender, seed)


def _stream(ends: Endpoints, sender: int, seed: int) -> None:
    receiver = 1 - sender
    data = hashlib.shake_128(seed.to_bytes(8, "little")).digest(STREAM_BYTES)
    got = hashlib.sha256()
    with netns.inside(ends.namespaces[receiver]):
        server = socket.create_server((ends.addresses[receiver], STREAM_PORT))
    with server:
        server.settimeout(LIMIT)
        with netns.inside(ends.namespaces[sender]):
            client = socket.socket()
        thread = threading.Thread(target=_send, args=(client, (ends.addresses[receiver], STREAM_PORT), data))
        thread.start()
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(LIMIT)
                while piece := connection.recv(1 << 20):
                    got.update(piece)
        except OSError as error:
            raise Invalid(f"a stream of {STREAM_BYTES >> 20} MiB did not arrive ({error})") from error
        finally:
            client.close()
            thread.join(LIMIT)
    if got.digest() != hashlib.sha256(data).digest():
        raise Invalid(f"a stream of {STREAM_BYTES >> 20} MiB arrived changed: the hashes differ")


def _send(client: socket.socket, address: tuple[str, int], data: bytes) -> None:
    try:
        client.settimeout(LIMIT)
        client.connect(address)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the receiver reports what is missing
