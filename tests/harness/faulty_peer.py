"""A card's side for tests: the real link over plain FIFOs, in a thread, with the faults that the test asks for."""

from __future__ import annotations

import ipaddress
import struct
import threading
import time

from vnetcard.codes.link import LinkReason
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, Offer
from vnetcard.ring import layout as L
from vnetcard.window import open_window

WAKE = L.FEATURES["WAKE"]


def echo_request(seq: int, size: int = 56) -> bytes:
    """An ICMP echo request from the card's default address to the host's, which the host's kernel answers."""
    icmp = struct.pack("!BBHHH", 8, 0, 0, 1, seq & 0xFFFF) + b"v" * size
    icmp = icmp[:2] + struct.pack("!H", _checksum(icmp)) + icmp[4:]
    ends = (ipaddress.IPv4Address("10.10.10.5").packed, ipaddress.IPv4Address("10.10.10.1").packed)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), seq & 0xFFFF, 0, 64, 1, 0, *ends)
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + icmp


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class FaultyPeer:
    """The card's side of the window ``url``, running until ``close``.

    It offers WAKE, so that the host's pumps sleep until they are woken.
    """

    def __init__(
        self,
        url: str,
        *,
        takes: bool = True,
        sends: bool = False,
        corrupt: int = 0,
        index: bool = False,
        without_wake_ups: bool = False,
        freezes: bool = False,
        packet: bytes = b"",
        vnet: bytes = b"",
    ) -> None:
        """Choose the faults.

        ``takes``: it consumes records.  ``sends``: it sends pings.  ``corrupt``: one in this many records has an
        impossible length.  ``index``: it publishes impossible indices.  ``without_wake_ups``: it wakes no pump.
        ``freezes``: once the link is up, it stops.  ``packet`` replaces the pings; ``vnet`` is the virtio_net_hdr in
        front of every record.
        """
        self.window = open_window(url, side=L.CARD)
        self._takes, self._sends, self._corrupt, self._index = takes, sends, corrupt, index
        memory, geometry = self.window.memory, self.window.geometry
        self._ends = FifoEndpoints(memory, geometry, L.CARD)
        self._ring = geometry.rings[0][L.CARD]
        self._prod = L.queue_offset(0) + L.QUEUE_LINES["c2h_prod"]
        features = WAKE | (L.FEATURES["CSUM"] if vnet else 0)
        self._link = Link(memory, L.CARD, self._ends, self, Offer(features, L.MTU_DEFAULT))
        self._without_wake_ups, self._freezes, self._packet, self._vnet = without_wake_ups, freezes, packet, vnet
        self._sent = self._seq = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def link_up(self, agreement: Agreement) -> None:
        """Does nothing."""

    def carrier(self, up: bool, reason: str) -> None:
        """Does nothing."""

    def report(self, message: str, code: LinkReason) -> None:
        """Drops the message."""

    def _run(self) -> None:
        self._link.start()
        due = 0.0
        while not self._stop.is_set():
            if self._freezes and self._link.agreement is not None:
                time.sleep(0.01)
                continue
            self._link.tick()
            while self._takes and self._ends.receive() is not None:
                pass
            if self._sends and time.monotonic() > due:
                due = time.monotonic() + 0.02
                self._send()
            time.sleep(0.002)
        self._link.stop()

    def _send(self) -> None:
        if self._link.agreement is None:
            return
        self._sent += 1
        if self._without_wake_ups or self._vnet:
            self._send_without_wake_up(self._packet or echo_request(self._sent))
        elif self._corrupt and self._sent % self._corrupt == 0:
            self._spoil()
            time.sleep(0.3)  # without a wake-up the host polls 100 ms later; the next record would overwrite this one
        elif self._index and self._sent % 20 == 0:
            self.window.memory.store32(self._prod, 7)
            time.sleep(0.3)
        else:
            self._ends.send(self._packet or echo_request(self._sent))

    def _send_without_wake_up(self, packet: bytes) -> None:
        """Send as a FIFO does, but without the wake-up at the end."""
        memory, prod = self.window.memory, self.window.memory.load32(self._prod)
        self._seq = self._seq + 1 if prod else 0
        flags = L.RECORD_FLAGS["VNET"] if self._vnet else 0
        packet = self._vnet + packet
        record = struct.pack("<IHHII", len(packet), flags, len(self._vnet), self._seq, 0) + packet
        record += bytes(-len(record) % L.LINE)
        memory.write(self._ring.offset + (prod & (self._ring.size - 1)), record)
        memory.store32(self._prod, prod + L.align_record(len(packet)))

    def _spoil(self) -> None:
        """Publish a record with an impossible length."""
        memory, prod = self.window.memory, self.window.memory.load32(self._prod)
        memory.write(self._ring.offset + (prod & (self._ring.size - 1)), struct.pack("<IHHII", 1 << 20, 0, 0, 0, 0))
        memory.store32(self._prod, prod + L.LINE)

    def close(self) -> None:
        """Stop the thread and close the window."""
        self._stop.set()
        self._thread.join()
        self._ends.close()
        self.window.close()
