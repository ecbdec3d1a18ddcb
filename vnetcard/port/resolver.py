"""The thread that finds the MAC addresses of a packet port with ``frames=ip``, and answers for the port's own.

The pumps send what they know the address of, and hand the rest to this thread (vnetcard/_c/vnc_neighbour.h).  Of each
neighbour that is asked for, a few packets wait here; what is never sent is counted in ``unresolved``.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vnetcard import _core
from vnetcard.port import neighbour_messages as messages
from vnetcard.port.address import Address, Gateway
from vnetcard.port.neighbour_messages import Message
from vnetcard.ring import layout as L
from vnetcard.terminal import capabilities

ASK_INTERVAL, ASK_COUNT = 1.0, 3
"""Seconds between two questions about a neighbour, and how many there are (RFC 4861: RETRANS_TIMER)."""
REACHABLE_TIME: Final = 60.0
"""Seconds after which a neighbour that packets are sent to is asked again."""
PROBE_TIME: Final = 1.0
"""Seconds in which another machine that has an address of the port may say so, before it is announced."""
WAITING_MAX: Final = 3
"""Packets that wait for the answer of a neighbour; a further one displaces the oldest."""
NEIGHBOURS_MAX: Final = 256
"""Known ones: VNC_NEIGHBOURS_MAX."""
ASKED_MAX: Final = 64
"""Neighbours that are asked for at one time; packets for others are dropped."""
TURN_MAX: Final = 64
"""Messages of one source until the next one's, and until other threads have the lock."""
FAILURES_MAX: Final = 16
QUESTION_BYTES: Final = 24
"""struct vnc_question: 16 bytes of address, its version, padding."""
_MAC_AT: Final = QUESTION_BYTES + L.VNET_HDR
_IP_AT: Final = _MAC_AT + 14
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Neighbour:
    mac: bytes = b""
    """b"" while it has not answered."""
    due: float = 0.0
    asked: int = 0
    """Questions since it last answered; 0: none is open."""
    waiting: deque[bytes] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Failure:
    """Packets from ``source`` to ``destination`` were dropped at ``at`` (monotonic), as ``hop`` does not answer."""

    source: str
    destination: str
    hop: str
    at: float


class Resolver:
    """``table`` is for the pumps.  The public methods may be called by any thread."""

    def __init__(
        self,
        addresses: tuple[Address, ...],
        gateways: tuple[Gateway, ...],
        control: Mapping[int, socket.socket],
        send: Callable[[memoryview], object],
    ) -> None:
        """``control``: a non-blocking packet socket (SOCK_DGRAM) by the version of IP, which ``close`` leaves open.

        ``send`` writes a virtio_net_hdr and a frame to the interface; OSError.  Raises OSError.
        """
        self._own = {address.ip.packed: address for address in addresses}
        self._control, self._send = control, send
        self._neighbours: dict[bytes, _Neighbour] = {}
        self._lock = threading.Lock()
        self._news: list[str] = []
        self._failures: dict[tuple[str, str], Failure] = {}
        self._dropped = {4: 0, 6: 0}
        self._interface, self._mac = "", messages.NO_MAC
        self._wanted: tuple[str, bytes] | None = None
        self._announce_at = _NEVER
        self._reported: set[tuple[bytes, bytes]] = set()
        with contextlib.ExitStack() as opened:
            self._pumps, self._questions = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in (self._pumps, self._questions):
                opened.enter_context(end)
                end.setblocking(False)
            self._stop_read, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            opened.callback(os.close, self._stop_read)
            opened.callback(os.close, self._wake)
            self.table = _core.Neighbours(resolver_fd=self._pumps.fileno())
            self.table.configure(
                connected=[(one.network.network_address.packed, one.network.prefixlen) for one in addresses],
                gateways=[one.packed for one in gateways],
            )
            self._closed = False
            self._thread = threading.Thread(target=self._serve, name="resolver", daemon=True)
            self._thread.start()
            self._opened = opened.pop_all()

    def begin(self, interface: str, mac: bytes) -> None:
        """The interface is up, or another one, or has another address: forget all, and say that the port is there."""
        self.table.set_mac(mac)
        with self._lock:
            self._wanted = (interface, mac)
        self._wake_up()

    def inject(self, packet: bytes) -> None:
        """Do with an IP packet, without offloads, what a pump does with one of the link.  OSError: it is not sent."""
        question, header, known, stale = self.table.ethernet(packet)
        if stale:
            try:
                self._pumps.send(question)
            except BlockingIOError:
                self.table.mark_stale(question[: 4 if question[16] == 4 else 16])
        frame = bytes(L.VNET_HDR) + header + packet
        if known:
            self._send(memoryview(frame))
        else:
            self._pumps.send(question + frame)

    def unresolved(self) -> dict[int, int]:
        """By version of IP: packets that were not sent, as their neighbour did not answer."""
        with self._lock:
            four, six = self.table.unasked
            return {4: self._dropped[4] + four, 6: self._dropped[6] + six}

    def known(self) -> int:
        """Neighbours whose MAC address is known."""
        with self._lock:
            return sum(bool(one.mac) for one in self._neighbours.values())

    def failures(self) -> list[Failure]:
        """The latest packets that were dropped, one for each pair of addresses."""
        with self._lock:
            return list(self._failures.values())

    def take_news(self) -> list[str]:
        """What has happened since the last call: lines for the log."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self) -> None:
        """End the thread; what waits is dropped and counted.  Idempotent.  No pump may use ``table`` afterwards."""
        if not self._closed:
            self._closed = True
            self._wake_up()
            self._thread.join()
            self._opened.close()

    def _wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")

    # --- the thread; with the lock held but in poll() ------------------------------------------------------

    def _serve(self) -> None:
        capabilities.shed()
        poll = select.poll()
        sources: dict[int, Callable[[], bool]] = {
            self._stop_read: self._take_command,
            self._questions.fileno(): self._take_question,
        }
        for version, one in self._control.items():
            sources[one.fileno()] = lambda version=version: self._take_message(version)  # type: ignore[misc]
        for fd in sources:
            poll.register(fd, select.POLLIN)
        while not self._closed:
            ready = poll.poll(self._pause())
            with self._lock:
                for fd, _ in ready:
                    for _ in range(TURN_MAX):
                        if not sources[fd]():
                            break
                self._act(time.monotonic())
        with self._lock:
            while self._take_question():
                pass
            for address in list(self._neighbours):
                self._forget(address)

    def _pause(self) -> float | None:
        """Milliseconds until something is due; None: nothing is."""
        due = min([self._announce_at, *(one.due for one in self._neighbours.values())], default=_NEVER)
        return None if due == _NEVER else max(0.0, due - time.monotonic()) * 1000 + 1

    def _take_command(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(self._stop_read, 64)
        if self._wanted is not None:
            (self._interface, self._mac), self._wanted = self._wanted, None
            for address in list(self._neighbours):
                self._forget(address)
            for address in self._own:
                self._ask(address, messages.UNSPECIFIED[len(address)])
            self._announce_at = time.monotonic() + PROBE_TIME
        return False

    def _act(self, now: float) -> None:
        if now >= self._announce_at:
            self._announce_at = _NEVER
            for address in self._own:
                self._announce(address)
        for address, one in [(address, one) for address, one in self._neighbours.items() if now >= one.due]:
            if one.mac and not one.asked:
                self.table.mark_stale(address)
                one.due = _NEVER
            elif one.asked < ASK_COUNT:
                self._ask_again(address, one, now)
            else:
                self._forget(address)

    # --- packets -----------------------------------------------------------------------------------------

    def _take_question(self) -> bool:
        """One message of a pump.  False: there is none."""
        try:
            data = self._questions.recv(1 << 17)
        except OSError:
            return False
        address = data[: 4 if data[16] == 4 else 16]
        one = self._neighbours.get(address)
        if len(data) == QUESTION_BYTES:
            if one is not None and one.mac and not one.asked:
                self._ask_again(address, one, time.monotonic())
        elif one is not None and one.mac:
            self._transmit(data, one.mac)
        else:
            self._let_wait(address, one, data)
        return True

    def _let_wait(self, address: bytes, one: _Neighbour | None, data: bytes) -> None:
        if one is None:
            if sum(not other.mac for other in self._neighbours.values()) >= ASKED_MAX or self._closed:
                self._drop(address, data)
                return
            one = self._neighbours[address] = _Neighbour()
            self._ask_again(address, one, time.monotonic())
        if len(one.waiting) == WAITING_MAX:
            self._drop(address, one.waiting.popleft())
        one.waiting.append(data)

    def _transmit(self, data: bytes, mac: bytes) -> None:
        frame = bytearray(data)
        frame[_MAC_AT : _MAC_AT + 6] = mac
        try:
            self._send(memoryview(frame)[QUESTION_BYTES:])
        except OSError:  # the interface is down, or its queue full
            self._dropped[4 if data[16] == 4 else 6] += 1

    def _drop(self, address: bytes, data: bytes) -> None:
        self._dropped[4 if data[16] == 4 else 6] += 1
        ip, size, at = data[_IP_AT:], len(address), 12 if len(address) == 4 else 8
        source, destination = (str(ipaddress.ip_address(ip[n : n + size])) for n in (at, at + size))
        self._failures.pop((source, destination), None)  # the latest ones are kept
        failure = Failure(source, destination, str(ipaddress.ip_address(address)), time.monotonic())
        self._failures[source, destination] = failure
        while len(self._failures) > FAILURES_MAX:
            del self._failures[next(iter(self._failures))]

    def _forget(self, address: bytes) -> None:
        one = self._neighbours.pop(address)
        self.table.remove(address)
        for data in one.waiting:
            self._drop(address, data)

    # --- neighbours --------------------------------------------------------------------------------------

    def _take_message(self, version: int) -> bool:
        """One message of the network.  False: there is none."""
        try:
            data, where = self._control[version].recvfrom(2048)
        except OSError:
            return False
        message = (messages.parse_arp if version == 4 else messages.parse_discovery)(data)
        if message is not None and where[4] != self._mac:
            self._learn(message)
            if message.asked in self._own:
                self._answer(message, where[4])
        return True

    def _learn(self, message: Message) -> None:
        """A neighbour is entered where it was asked for or asks for the port; what is known follows any message."""
        address, one = message.owner, self._neighbours.get(message.owner)
        if address in self._own:
            self._report_duplicate(address, message.mac)
        elif one is None:
            if message.asked in self._own and self._is_near(address):
                self._enter(address, _Neighbour(), message.mac)
        elif not one.mac or message.override or one.mac == message.mac:
            self._enter(address, one, message.mac)

    def _enter(self, address: bytes, one: _Neighbour, mac: bytes) -> None:
        self._neighbours.pop(address, None)  # those that were confirmed last are the last ones
        if sum(bool(other.mac) for other in self._neighbours.values()) >= NEIGHBOURS_MAX:
            self._forget(next(address for address, other in self._neighbours.items() if other.mac))
        self._neighbours[address] = one
        one.mac, one.asked, one.due = mac, 0, time.monotonic() + REACHABLE_TIME
        self.table.put(address, mac)
        while one.waiting:
            self._transmit(one.waiting.popleft(), mac)

    def _report_duplicate(self, address: bytes, mac: bytes) -> None:
        if (address, mac) not in self._reported and len(self._reported) < FAILURES_MAX:
            self._reported.add((address, mac))
            self._news.append(
                f"address {self._own[address].ip} of the port is in use by another machine of {self._interface}, "
                f"{mac.hex(':')}: give one of them another address"
            )

    def _is_near(self, address: bytes) -> bool:
        ip = ipaddress.ip_address(address) if address else None
        return ip is not None and (ip.is_link_local or any(ip in one.network for one in self._own.values()))

    def _ask_again(self, address: bytes, one: _Neighbour, now: float) -> None:
        one.asked += 1
        one.due = now + ASK_INTERVAL
        self._ask(address, self._source_for(address), one.mac)

    def _source_for(self, address: bytes) -> bytes:
        """An address of the port, of the network of ``address`` if there is one."""
        ip = ipaddress.ip_address(address)
        own = [one for one in self._own.values() if one.version == ip.version]
        near = [one for one in own if ip in one.network] or own
        return near[0].ip.packed if near else messages.UNSPECIFIED[len(address)]

    # --- the wire ----------------------------------------------------------------------------------------

    def _ask(self, address: bytes, source: bytes, mac: bytes = b"") -> None:
        """``mac``: ask this interface alone."""
        if len(address) == 4:
            request = messages.arp(True, self._mac, source, messages.NO_MAC, address)
            self._say(4, request, mac or messages.TO_ALL)
        else:
            group = messages.solicited_group(address)
            request = messages.solicitation(self._mac, source, address if mac else group, address)
            self._say(6, request, mac or messages.group_mac(group))

    def _answer(self, message: Message, mac: bytes) -> None:
        own = message.asked
        if len(own) == 4:
            to = message.asker or messages.UNSPECIFIED[4]
            self._say(4, messages.arp(False, self._mac, own, message.mac, to), message.mac)
        elif message.asker:
            self._say(6, messages.advertisement(self._mac, own, message.asker, solicited=True), mac)
        else:
            self._announce(own)

    def _announce(self, own: bytes) -> None:
        if len(own) == 4:
            self._say(4, messages.arp(True, self._mac, own, messages.NO_MAC, own), messages.TO_ALL)
        else:
            answer = messages.advertisement(self._mac, own, messages.ALL_NODES, solicited=False)
            self._say(6, answer, messages.group_mac(messages.ALL_NODES))

    def _say(self, version: int, data: bytes, mac: bytes) -> None:
        kind = messages.ETH_P_ARP if version == 4 else messages.ETH_P_IPV6
        with contextlib.suppress(OSError):  # the interface is down, or its queue full: there are more questions
            self._control[version].sendto(data, (self._interface, kind, 0, 0, mac))
