"""One side of a link as one object: window, port or FIFOs, offer and ``Link``, opened and closed together.

The agents, ``vnetcard replay`` and the doctor assemble their links here; so can any program (docs/library.md).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from vnetcard.codes.link import LinkReason
from vnetcard.errors import ConfigError, FrameTooLarge, PeerGone
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import QueueEndpoints, open_pumps
from vnetcard.link.types import Agreement, LinkState, Listener, Offer
from vnetcard.port import Port, frames_of, open_port
from vnetcard.ring import layout as L
from vnetcard.terminal.ready import readable
from vnetcard.window import Window, open_window

POLL_INTERVAL = 0.001
"""Seconds between two polls of the receive FIFO by ``LinkSession.receive``."""


def pairs_of(window: Window) -> int:
    """Number of queue pairs of ``window`` that can be served: only the first beyond an engine or with interrupts."""
    return 1 if window.engine or window.interrupts else len(window.geometry.rings)


def default_offer(window: Window, *, pumps: bool) -> Offer:
    """The largest MTU that the window's rings allow and, for pumps that share memory with the peer, futex wake-ups."""
    wake = pumps and window.futex_wake and not window.engine
    return Offer(L.FEATURES["WAKE"] if wake else 0, window.geometry.mtu_max)


class LinkSession:
    """One side of a link: a context manager that starts the link on entry; stops it and frees all on exit.

    With a port, C pumps move packets between the port and the window while the link is up; without one, the program
    does, by ``send`` and ``receive``.  The link has no thread of its own: its owner calls ``tick`` (or ``wait_up``,
    ``send``, ``receive``, or the iterator, which do) at least every 0.25 s; after 1 s without, the peer
    counts this side as dead until the next call.
    """

    def __init__(
        self,
        window: Window | str,
        side: int,
        *,
        port: Port | str | None = None,
        offer: Offer | None = None,
        listener: Listener | None = None,
        attention_fd: int | None = None,
        wait: str = "adaptive",
    ) -> None:
        """Open what is given as a URL, which the session then closes; objects that are given stay the caller's.

        ``side`` is HOST or CARD.  ``offer`` defaults to ``default_offer``; its ``queues``, ``frames`` and
        ``irq_number`` are set from port and window.  The pumps write to the eventfd ``attention_fd`` (default: one of
        the session's own) when ``tick`` is due at once; ``wait`` is adaptive, poll or sleep.

        Raises as ``open_window`` and ``open_port``.
        """
        with contextlib.ExitStack() as stack:
            if isinstance(window, str):
                window = stack.enter_context(contextlib.closing(open_window(window, side=side)))
            if isinstance(port, str):
                port = stack.enter_context(contextlib.closing(open_port(port, queues=pairs_of(window))))
            self.window, self.port, self.side = window, port, side
            self.offer = offer or default_offer(window, pumps=port is not None)
            self.offer.irq_number = window.interrupts.number if window.interrupts else 0
            self.offer.layout = 0 if window.engine else window.geometry.checksum
            self.offer.probe = getattr(port, "refused_now", None)  # a port of a plug-in may have none
            self.offer.frames = frames_of(port) if port else self.offer.frames
            self.offer.queues = min(len(port.fds), pairs_of(window)) if port else 1
            if attention_fd is None:
                attention_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                stack.callback(os.close, attention_fd)
            self._attention_fd = attention_fd
            self._pumps: QueueEndpoints[PumpEndpoints] | None = None
            self._fifos: FifoEndpoints | None = None
            doorbells = window.engine.doorbells() if window.engine else None
            if port is not None:
                self._pumps = open_pumps(
                    window.memory,
                    window.geometry,
                    side,
                    port,
                    queues=self.offer.queues,
                    attention_fd=attention_fd,
                    wait=wait,
                    futex=window.futex_wake,
                    doorbells=doorbells,
                )
                stack.callback(self._pumps.close)
            else:
                self._fifos = FifoEndpoints(window.memory, window.geometry, side, doorbells=doorbells)
                stack.callback(self._fifos.close)
            endpoints = self._pumps or self._fifos
            assert endpoints is not None
            relay = _Relay(self, listener)
            self.link = Link(window.memory, side, endpoints, relay, self.offer, transport=window.engine)
            self._started = False
            self._stack = stack.pop_all()

    # --- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the link: publish this side's epoch.  Raises WindowUnavailable when the device is gone."""
        self._started = True
        self.link.start()

    def stop(self) -> None:
        """Stop the link; the peer sees it at once.  Idempotent."""
        if self._started:
            self._started = False
            self.link.stop()

    def close(self) -> None:
        """Stop the link, then close the endpoints and what the session has opened.  Idempotent."""
        try:
            self.stop()
        finally:
            self._stack.close()

    def __enter__(self) -> LinkSession:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()

    # --- the link ------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """True while packets move in both directions."""
        return self.link.state is LinkState.RUN

    @property
    def agreement(self) -> Agreement:
        """What both sides agreed on; PeerGone while there is no agreement."""
        if self.link.agreement is None:
            raise PeerGone(f"the link is {self.link.state.value}: {self.link.reason}")
        return self.link.agreement

    @property
    def pumps(self) -> QueueEndpoints[PumpEndpoints]:
        """The pumps, one pair per queue; ConfigError for a session without a port."""
        if self._pumps is None:
            raise ConfigError("this session has no port and therefore no pumps")
        return self._pumps

    def tick(self) -> float:
        """Advance the link; returns the seconds after which the next call is due."""
        return self.link.tick()

    def wait_up(self, timeout: float) -> Agreement:
        """Tick until the link is up, at most ``timeout`` seconds; PeerGone says in which state it was left."""
        deadline = time.monotonic() + timeout
        while not self.is_up:
            left = deadline - time.monotonic()
            if left <= 0:
                state = f"{self.link.state.value}: {self.link.reason}"
                raise PeerGone(f"the link is not up after {timeout:g} s ({state}): start the other side")
            self.wait(min(self.tick(), left, 0.01))
        return self.agreement

    def wait(self, timeout: float) -> None:
        """Sleep for at most ``timeout`` seconds, less when a pump has raised an event for ``tick``."""
        if readable([self._attention_fd], max(0.0, timeout)):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._attention_fd)

    # --- packets of a session without a port -----------------------------------------------------------

    def send(self, packet: bytes, *, timeout: float = 1.0) -> bool:
        """Send one packet of at most ``agreement.packet_max`` bytes; False if the ring stayed full for ``timeout`` s.

        Raises FrameTooLarge, PeerGone (the link is down), ConfigError (the session has a port).
        """
        return self.send_batch((packet,), timeout=timeout) == 1

    def send_batch(self, packets: Sequence[bytes], *, timeout: float = 1.0) -> int:
        """Send packets with one publication of the ring's index; how many fitted within ``timeout`` seconds.

        Raises as ``send``, before any packet is sent.
        """
        fifos = self._own_fifos()
        deadline = time.monotonic() + timeout
        sent = 0
        while True:
            self.tick()
            most = self.agreement.packet_max
            if not sent and (size := max(map(len, packets), default=1)) > most:
                raise FrameTooLarge(f"{size} bytes: a packet of this link has 1 to {most}")
            sent += fifos.send_batch(packets[sent:] if sent else packets)
            if sent == len(packets) or time.monotonic() >= deadline:
                return sent
            self.wait(POLL_INTERVAL)

    def receive(self, *, timeout: float = 1.0) -> bytes | None:
        """The oldest received packet; None if none came within ``timeout`` seconds, or once the link is down.

        Raises ConfigError (the session has a port).
        """
        packets = self.receive_batch(1, timeout=timeout)
        return packets[0] if packets else None

    def receive_batch(self, most: int = 64, *, timeout: float = 1.0) -> list[bytes]:
        """Up to ``most`` received packets, at least one unless none came within ``timeout`` seconds.

        Raises as ``receive``.
        """
        fifos = self._own_fifos()
        deadline = time.monotonic() + timeout
        while True:
            self.tick()
            packets = fifos.receive_batch(most)
            if packets or not self.is_up or time.monotonic() >= deadline:
                return packets
            self.wait(POLL_INTERVAL)

    def __iter__(self) -> Iterator[bytes]:
        """Received packets until the link goes down."""
        while self.is_up:
            packet = self.receive()
            if packet is not None:
                yield packet

    def _own_fifos(self) -> FifoEndpoints:
        if self._fifos is None:
            raise ConfigError("the packets of this session go through its port")
        return self._fifos


class _Relay:
    """The link's listener: sets up pumps and port, then passes the call on."""

    def __init__(self, session: LinkSession, listener: Listener | None) -> None:
        self._session, self._listener = session, listener

    def link_up(self, agreement: Agreement) -> None:
        window, port = self._session.window, self._session.port
        if port is not None:
            # Interrupts exist for the first queue pair only, see pairs_of.
            irq = agreement.features & L.FEATURES["IRQ"] and window.interrupts
            if irq and not self._session.pumps.pairs[0].use_interrupts(irq, agreement.peer_irq):
                self.report(
                    f"no peer has the irq_number {agreement.peer_irq}: the peer polls", LinkReason.IRQ_NUMBER_UNKNOWN
                )
            port.use_queues(agreement.queues)
            port.set_offload(agreement.features)
        if self._listener is not None:
            self._listener.link_up(agreement)

    def carrier(self, up: bool, reason: str) -> None:
        if self._session.port is not None:
            self._session.port.set_carrier(up)
        if self._listener is not None:
            self._listener.carrier(up, reason)

    def report(self, message: str, code: LinkReason) -> None:
        if self._listener is not None:
            self._listener.report(message, code)
