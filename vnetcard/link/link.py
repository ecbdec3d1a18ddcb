"""The link: the handshake that brings two sides together, and the watch over the peer.

``Link`` is a state machine without threads or clock of its own: its owner calls ``tick`` every few
milliseconds.  The order of the stores is the protocol (docs/wire-format.md; model: tests/model):

1. a side that starts, or restarts: ``answered = 0``, then ``epoch =`` a new one, then its indices to 0,
   then what it finally received of the generation before, then ``answered =`` the peer's epoch;
2. a side that meets a new peer epoch: pumps stopped, then as above from its indices on;
3. it runs when it has answered the peer's epoch and the peer has answered its own.

Where a DMA engine carries the stores (``transport.py``), "then" means: once the peer can see it.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import time
from collections.abc import Callable

from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.engine.transport import BackOff, SharedMemory, Transport
from vnetcard.errors import WindowUnavailable
from vnetcard.link.endpoints import Endpoints
from vnetcard.link.types import Agreement, LinkState, Listener, Offer, objection
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock

HEARTBEAT_EVERY = 0.1
"""Seconds between two heartbeats."""
HEARTBEAT_LIMIT = 1.0
"""Seconds without one after which the peer counts as dead."""
LONGEST_STEP = 0.25
"""A tick that comes later than this was kept from running (a stopped process, a paused machine): the time
in between says nothing about the peer."""


class Link:
    """One side's view of the link; ``start``, then ``tick`` again and again, then ``stop``."""

    def __init__(
        self,
        memory: Memory,
        side: int,
        endpoints: Endpoints,
        listener: Listener,
        offer: Offer,
        *,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``transport``: what carries stores to the peer, nothing where both share ``memory``."""
        self.own = SideBlock(memory, side)
        self.peer = SideBlock(memory, 1 - side)
        self._endpoints = endpoints
        self._transport = transport or SharedMemory()
        self._listener = listener
        self.offer = offer
        self._clock = clock
        self.state = LinkState.DOWN
        self.reason = "not started"
        self.agreement: Agreement | None = None
        self.port_gone = False
        self.epoch = 0
        self.answered = 0
        self._beat_at = 0.0
        self._peer_beat = 0
        self._silence = 0.0
        self._ticked_at = 0.0
        self._busy_until = 0.0
        self._back_off = BackOff()
        self._mend_at: float | None = None

    # --- for the owner -------------------------------------------------------------------------------

    def start(self) -> None:
        """Announce this side; whatever an earlier owner left in the window is made harmless."""
        self.own.write_identity()
        self._ticked_at = self._clock()
        self._transport.attach()
        self._new_epoch("starting")
        self._endpoints.drop(peer_dead=False)

    def stop(self) -> None:
        """Say goodbye: the peer sees at once that this side is gone."""
        self._leave(LinkState.DOWN, "stopped")
        self.own.store("answered", 0)
        self._publish_state("DOWN")
        self.own.store("epoch", 0)
        with contextlib.suppress(WindowUnavailable):
            self._transport.tell()
            self._transport.detach()

    def tick(self) -> float:
        """Look at the peer and at the pumps, and act; the seconds until the next call makes sense."""
        now = self._clock()
        step = min(now - self._ticked_at, LONGEST_STEP)
        self._ticked_at = now
        try:
            return self._step(now, step)
        except WindowUnavailable as error:
            self._break(LinkState.GONE, str(error))
            return HEARTBEAT_EVERY

    def _step(self, now: float, step: float) -> float:
        if self._mend_at is not None:
            if now < self._mend_at:
                return HEARTBEAT_EVERY / 2
            self._mend()
        if now - self._beat_at >= HEARTBEAT_EVERY:
            self._beat_at = now
            self.own.beat()
            self._transport.tell(wait=False)
            # In a handshake a halt may be the echo of what an old pump rang: the reset that follows ends it.
            settled = self.agreement is not None or now >= self._busy_until
            if settled and (fault := self._transport.fault()):
                self._break(LinkState.HALTED, fault)
                return HEARTBEAT_EVERY / 2
        ours = (self.own.load("epoch"), self.own.load("answered"))
        if ours != (self.epoch, self.answered) and not self._reclaim():
            return HEARTBEAT_EVERY
        self._heed_events()
        self._heed_peer()
        if self.agreement is not None:
            self._watch_heartbeat(step)
            return max(0.001, self._beat_at + HEARTBEAT_EVERY - now)  # what cannot wait wakes its owner
        if self.state is LinkState.HANDSHAKE and now < self._busy_until:
            return 0.001
        return 0.01

    def withdraw(self, features: int, why: str) -> None:
        """Stop offering ``features``, for the reason ``why``; the link restarts if it used one of them."""
        for name in L.feature_names(self.offer.features & features):
            self.offer.refusals[name] = why
            self.own.count("offload_refused")
        self.offer.features &= ~features
        if self.agreement is not None and self.agreement.features & features:
            self._new_epoch(why)

    # --- the handshake -------------------------------------------------------------------------------

    def _new_epoch(self, why: str) -> None:
        """Step 1: leave the old generation for ever."""
        self._leave(LinkState.HANDSHAKE, why)
        self.answered = 0
        self.own.store("answered", 0)
        self._transport.tell()
        taken = {0, 0xFFFF_FFFF, self.own.load("epoch"), self.peer.load("answered")}
        while (epoch := secrets.randbits(32)) in taken:
            pass
        self.epoch = epoch
        self.own.store("version", L.VERSION)
        self.own.store("features", self.offer.features)
        self.own.store("mtu", self.offer.mtu)
        self.own.store("irq_number", self.offer.irq_number)
        self.own.store("queue_mask", self.offer.queue_mask)
        self._publish_state("INIT")
        self.own.store("epoch", epoch)
        self._transport.announce()
        self._reset()

    def _reset(self) -> None:
        """From the indices on, as steps 1 and 2 share it; the pumps are held or drop."""
        self._endpoints.hold()
        self._endpoints.reset()
        self._transport.reset_directions()
        last = self._endpoints.received()
        self.own.store("final_own_epoch", last.own_epoch)
        self.own.store("final_peer_epoch", last.peer_epoch)
        self.own.store64("final_records", last.records)
        self._endpoints.drop(peer_dead=False)
        self._busy_until = self._clock() + 2.0

    def _heed_peer(self) -> None:
        """Steps 2 and 3."""
        epoch = self.peer.load("epoch")
        if epoch == 0:
            if self.agreement is not None or self.answered:
                self._leave(LinkState.WAITING, "the peer has stopped")
                self.answered = 0
                self.own.store("answered", 0)
                self._transport.tell()
            elif self.state is not LinkState.WAITING:
                self._become(LinkState.WAITING, "no peer yet")
            return
        if epoch != self.answered:
            self._answer(epoch)
        if self.agreement is None and self.answered and self.peer.load("answered") == self.epoch:
            self._try_to_run()

    def _answer(self, epoch: int) -> None:
        if why := objection(self.peer.load("version"), self.peer.load("mtu")):
            self._refuse(why)
            return
        if self.answered:
            self.own.count("peer_restart")
            self._leave(LinkState.HANDSHAKE, "the peer has restarted")
        else:
            self._become(LinkState.HANDSHAKE, "waiting for the peer's answer")
        self._reset()
        self._publish_state("READY")
        self.answered = epoch
        self.own.store("answered", epoch)
        self._transport.tell()

    def _refuse(self, why: str) -> None:
        if self.state is LinkState.REFUSED and self.reason == why:
            return
        self.own.count("refused")
        self._leave(LinkState.REFUSED, why)
        self._listener.report(f"link refused: {why}")
        self.answered = 0
        self.own.store("answered", 0)
        self._publish_state("REFUSED")
        self._transport.tell()

    def _try_to_run(self) -> None:
        """Both have answered: settle the past, agree on the future, go."""
        features, mtu, irq_number = self.peer.load("features"), self.peer.load("mtu"), self.peer.load("irq_number")
        queue_mask = self.peer.load("queue_mask")
        final = self.peer.final()
        if self.peer.load("answered") != self.epoch or self.peer.load("epoch") != self.answered:
            return  # it moved on while we read: what we read may be half of each
        if not L.MTU_MIN <= mtu <= L.MTU_MAX:  # it was good when we answered
            self.own.count("viol_side_block")
            self._refuse(objection(L.VERSION, mtu) or "the peer's MTU flickers")
            return
        if fault := self._transport.fault():
            self._break(LinkState.HALTED, fault)
            return
        if why := self._transport.not_ready():
            self._become(LinkState.HANDSHAKE, why)
            return
        self._endpoints.hold()
        self._settle(final)
        agreement = self.offer.agree(features, mtu, irq_number, queue_mask)
        self._listener.link_up(agreement)
        self._endpoints.begin(
            own_epoch=self.epoch,
            peer_epoch=self.answered,
            features=agreement.features,
            packet_max=agreement.packet_max,
            queues=agreement.queues,
        )
        self.agreement = agreement
        self._peer_beat, self._silence = self.peer.load("heartbeat"), 0.0
        self._publish_state("RUN")
        self.own.count("link_up")
        self._become(LinkState.RUN, "both sides have answered")
        self._listener.carrier(True, self.reason)  # first: what a packet brought forth before would be lost
        self._endpoints.run()

    def _settle(self, final: tuple[int, int, int]) -> None:
        """Count the records of our last generation that the peer never received as lost."""
        sent = self._endpoints.sent()
        if not sent.own_epoch:
            return
        their_own, their_peer, records = final
        received = records if (their_own, their_peer) == (sent.peer_epoch, sent.own_epoch) else 0
        if received > sent.records:
            self.own.count("viol_final_count")
            self._listener.report(f"the peer says it received {received} of {sent.records} records: counted as all")
            received = sent.records
        self._endpoints.settle(sent.records - received)

    # --- the watch -----------------------------------------------------------------------------------

    def _heed_events(self) -> None:
        events = self._endpoints.take_events()
        self.port_gone |= bool(events & _core.EVENT_PORT_GONE)
        if events & _core.EVENT_REFUSED:
            kinds, number = self._endpoints.refused()
            why = f"this kernel refused a packet of it ({errno.errorcode.get(number, number)})"
            self.withdraw(kinds, why)
        if self.agreement is None:
            return
        if events & _core.EVENT_VIOLATION:
            self._listener.report("the peer violated the format (see viol_* in status): new epoch")
            self.own.count("own_restart")
            self._new_epoch("the peer violated the format")
        elif events & _core.EVENT_EPOCH and self.peer.load("epoch") == self.answered:
            # It changed and changed back, which no honest peer does.
            self.own.count("viol_side_block")
            self.own.count("own_restart")
            self._new_epoch("the peer's epoch flickered")

    def _watch_heartbeat(self, step: float) -> None:
        beat = self.peer.load("heartbeat")
        if beat != self._peer_beat:
            self._peer_beat, self._silence = beat, 0.0
            if self.state is LinkState.PEER_DEAD:
                self.own.count("peer_back")
                self._become(LinkState.RUN, "the peer is back")
                self._listener.carrier(True, self.reason)
                self._endpoints.run()
            return
        self._silence += step
        if self._silence >= HEARTBEAT_LIMIT and self.state is LinkState.RUN:
            self.own.count("peer_dead")
            self._become(LinkState.PEER_DEAD, f"no heartbeat for {HEARTBEAT_LIMIT:.0f} s")
            self._endpoints.drop(peer_dead=True)
            self._listener.carrier(False, self.reason)

    def _reclaim(self) -> bool:
        """Our own line holds what we never wrote: the device is gone (False), or a peer scribbles in it."""
        self.own.store("version", L.VERSION)
        if self.own.load("version") != L.VERSION:
            if self.state is not LinkState.GONE:
                self._leave(LinkState.GONE, "the window does not hold what is written to it: the device is gone")
            return False
        self.own.count("viol_side_block")
        self.own.count("own_restart")
        self._new_epoch("somebody else wrote into this side's block")
        return True

    def _break(self, state: LinkState, why: str) -> None:
        """What carries our stores has halted or is gone: leave, and try anew in a while."""
        if state is LinkState.HALTED:
            self.own.count("engine_halt")
        self._mend_at = self._clock() + self._back_off.next(self._clock())
        self._leave(state, why)

    def _mend(self) -> None:
        """Once more from the start.  Its failure comes back to ``_break``, by ``tick``."""
        self._transport.attach()
        self._mend_at = None
        self.own.count("own_restart")
        self._new_epoch(f"anew, after: {self.reason}")

    # --- small change --------------------------------------------------------------------------------

    def _leave(self, state: LinkState, reason: str) -> None:
        """Nothing moves any more, and everybody knows."""
        was_up = self.state is LinkState.RUN
        self._endpoints.hold()
        if self.agreement is not None:
            self.agreement = None
            self.own.count("link_down")
        self._become(state, reason)
        if was_up:
            self._listener.carrier(False, reason)
        self._endpoints.drop(peer_dead=False)

    def _become(self, state: LinkState, reason: str) -> None:
        changed = state is not self.state or reason != self.reason
        self.state, self.reason = state, reason
        if changed:
            self._listener.report(f"link {state.value}: {reason}")

    def _publish_state(self, name: str) -> None:
        self.own.store("state", L.STATES[name])
