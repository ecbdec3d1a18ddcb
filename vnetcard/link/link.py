"""The link: the handshake that brings two sides up, and the supervision of the peer.

``Link`` is a state machine without thread or clock: its owner calls ``tick`` every few milliseconds.  The order of
the stores is the protocol (docs/wire-format.md; model: tests/model):

1. A side that starts or restarts stores ``answered = 0``, then a new ``epoch``, then 0 in its indices, then the
   number of records that it received in the previous generation, then the peer's epoch in ``answered``.
2. A side that reads a new peer epoch stops its pumps and continues as in 1 from its indices on.
3. A side runs when it has answered the peer's epoch and the peer has answered its own.

With a DMA engine (``engine/transport.py``), "then" means: once the peer can read it.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable

from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.codes.link import LinkReason
from vnetcard.engine.transport import Fault, SharedMemory, Transport
from vnetcard.errors import PortUnavailable, WindowUnavailable
from vnetcard.link.brake import BackOff, Brake
from vnetcard.link.endpoints import Endpoints
from vnetcard.link.port_states import PortStates
from vnetcard.link.pulse import HEARTBEAT_EVERY, HEARTBEAT_LIMIT, Pulse
from vnetcard.link.restore import OwnWords
from vnetcard.link.settlement import settle
from vnetcard.link.types import Agreement, LinkState, Listener, Offer, Refusal, new_epoch, objection
from vnetcard.link.window_lost import check_memory, reason_of
from vnetcard.link.withdrawn import Withdrawn
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock


class Link:
    """One side of a link: call ``start``, then ``tick`` repeatedly, then ``stop``.

    ``state`` and ``reason_code`` are for programs, ``reason`` is the same for people; ``fault_code`` names the
    engine's cause (``engine.registers.CAUSES``) of the last halt, else it is ''.  ``ports.set_own`` says what is behind
    this side's port.
    """

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
        """``transport`` makes stores visible to the peer; None where both sides share ``memory``."""
        self.own = SideBlock(memory, side)
        self.peer = SideBlock(memory, 1 - side)
        self._endpoints = endpoints
        self._transport = transport or SharedMemory()
        self._listener = listener
        self.offer = offer
        self.clock = clock
        self.state = LinkState.DOWN
        self.reason_code = LinkReason.NOT_STARTED
        self.reason = "not started"
        self.fault_code = ""
        self.agreement: Agreement | None = None
        self.port_gone = self._overwritten = False
        self.epoch = self.answered = 0
        self._beat_at = 0.0
        self.pulse = Pulse()
        self._handshake_until = 0.0
        self._back_off, self._brake = BackOff(), Brake()
        self._retry_at: float | None = None
        self._withdrawn = Withdrawn(offer)
        self._own_words = OwnWords(self.own, endpoints, listener)
        self.ports = PortStates(self.own, self.peer)

    # --- for the owner -------------------------------------------------------------------------------

    def start(self) -> None:
        """Publish this side's epoch; what an earlier owner left in the window can no longer be taken for valid."""
        self.own.write_identity(self.offer.mac)
        self.pulse.tick(self.clock())
        self._transport.attach()
        self._new_epoch(LinkReason.STARTING, "starting")
        self._endpoints.drop(peer_dead=False)

    def stop(self) -> None:
        """Publish that this side has stopped; the peer reads it at its next tick."""
        self._leave(LinkState.DOWN, LinkReason.STOPPED, "stopped")
        self.own.store("answered", 0)
        self._publish_state("DOWN")
        self.own.store("epoch", 0)
        with contextlib.suppress(WindowUnavailable):
            self._transport.publish()
            self._transport.detach()

    def tick(self) -> float:
        """Read the peer's side block and the pumps' events, and act; returns the seconds until the next call is due."""
        now = self.clock()
        self.pulse.tick(now)
        try:
            check_memory(self.own)
            return self._step(now)
        except WindowUnavailable as error:
            self._suspend(LinkState.GONE, reason_of(error), str(error))
            return HEARTBEAT_EVERY

    def _step(self, now: float) -> float:
        if self._retry_at is not None:
            if now < self._retry_at:
                return HEARTBEAT_EVERY / 2
            self._retry()
        if now - self._beat_at >= HEARTBEAT_EVERY:
            self._beat_at = now
            self.own.beat()
            self._transport.publish(wait=False)
            # During a handshake a halt may come from a doorbell write of the previous generation's pumps; the reset
            # that follows ends it.
            stable = self.agreement is not None or now >= self._handshake_until
            if stable and (fault := self._transport.fault()) and not self._peer_has_left():
                self._halt(fault)
                return HEARTBEAT_EVERY / 2
        braked = self._brake.holds(now, self.peer.load("epoch"), self.peer.load("heartbeat"))
        own = (self.own.load("epoch"), self.own.load("answered"))
        if own != (self.epoch, self.answered) and not self._reclaim(braked=braked):
            return HEARTBEAT_EVERY
        self._own_words.check(now)
        self._handle_events()
        if self._brake.left(now):
            return HEARTBEAT_EVERY / 2
        self._handle_peer()
        if self.agreement is not None:
            self._watch_heartbeat()
            if self.state is LinkState.RUN and self.ports.peer_changed() and self._brake.may_raise(now):
                self._enter_run(LinkReason.PEER_PORT_UP, "something is behind the peer's port again")
            return max(0.001, self._beat_at + HEARTBEAT_EVERY - now)  # urgent events wake the owner
        if self.state is LinkState.HANDSHAKE and now < self._handshake_until:
            return 0.001
        return 0.01

    def _peer_has_left(self) -> bool:
        """Whether it has left the common generation, in which the engine finds indices of the next one impossible."""
        return self.agreement is not None and self.peer.load("epoch") != self.answered

    def withdraw(self, features: int, why: str) -> None:
        """Stop offering ``features`` because of ``why``; the link restarts if it used one of them."""
        for _ in self._withdrawn.add(features, why):
            self.own.count("offload_refused")
        if self.agreement is not None and self.agreement.features & features:
            self._new_epoch(LinkReason.OFFLOAD_WITHDRAWN, why)

    def braked_for(self) -> float:
        """Seconds until the peer is read again, at the latest; 0 while no brake is on."""
        return self._brake.left(self.clock())

    # --- the handshake -------------------------------------------------------------------------------

    def _new_epoch(self, code: LinkReason, why: str, state: LinkState = LinkState.HANDSHAKE) -> None:
        """Step 1: leave the old generation, which no side enters again."""
        self._leave(state, code, why)
        self.answered = 0
        self.own.store("answered", 0)
        self._transport.publish()
        self.epoch = epoch = new_epoch(self.own.load("epoch"), self.peer.load("answered"))
        self.own.store("version", L.VERSION)
        for word in ("features", "mtu", "irq_number", "queue_mask", "frames", "layout"):
            self.own.store(word, getattr(self.offer, word))
        self.ports.publish()
        self._publish_state("INIT")
        self.own.store("epoch", epoch)
        self._transport.announce()
        self._reset()

    def _reset(self) -> None:
        """The rest of steps 1 and 2, from the indices on; the pumps are held or drop packets."""
        self._endpoints.hold()
        self._endpoints.reset()
        self._transport.reset_directions()
        last = self._endpoints.received()
        self.own.store("final_own_epoch", last.own_epoch)
        self.own.store("final_peer_epoch", last.peer_epoch)
        self.own.store64("final_records", last.records)
        self._endpoints.drop(peer_dead=False)
        self._handshake_until = self.clock() + 2.0

    def _handle_peer(self) -> None:
        """Steps 2 and 3."""
        epoch = self.peer.load("epoch")
        if epoch == 0:
            if self.agreement is not None or self.answered:
                self._leave(LinkState.WAITING, LinkReason.PEER_STOPPED, "the peer has stopped")
                self._unanswer()
            elif self.state is not LinkState.WAITING:
                self._become(LinkState.WAITING, LinkReason.NO_PEER, "no peer yet")
            return
        if epoch != self.answered:
            self._answer(epoch)
        if self.agreement is None and self.answered and self.peer.load("answered") == self.epoch:
            self._try_to_run()

    def _answer(self, epoch: int) -> None:
        layouts = self.peer.load("layout"), self.offer.layout
        if refusal := objection(*self.peer.offered(), self.offer.frames, layouts=layouts):
            self._refuse(refusal)
            return
        if self._brake.answered(self.clock()):
            self._pause(LinkReason.PEER_RESTARTS_TOO_OFTEN, "the peer restarts without end")
            self._unanswer()
            return
        if self.answered:
            self.own.count("peer_restart")
            self._leave(LinkState.HANDSHAKE, LinkReason.PEER_RESTARTED, "the peer has restarted")
        else:
            self._become(LinkState.HANDSHAKE, LinkReason.WAITING_FOR_ANSWER, "waiting for the peer's answer")
        if self._withdrawn.offer_again():
            self.own.store("features", self.offer.features)
        self._reset()
        self._publish_state("READY")
        self.answered = epoch
        self.own.store("answered", epoch)
        self._transport.publish()

    def _refuse(self, refusal: Refusal) -> None:
        if self.state is LinkState.REFUSED and self.reason == refusal.text:
            return
        self.own.count("refused")
        self._brake.apply(self.clock(), self.peer.load("epoch"))
        self._leave(LinkState.REFUSED, refusal.code, refusal.text)
        self._publish_state("REFUSED")
        self._unanswer()

    def _unanswer(self) -> None:
        """Take back the answer to the peer's epoch."""
        self.answered = 0
        self.own.store("answered", 0)
        self._transport.publish()

    def _try_to_run(self) -> None:
        """Both sides have answered: settle the previous generation, agree on the next one, and start it."""
        features, mtu, irq_number = self.peer.load("features"), self.peer.load("mtu"), self.peer.load("irq_number")
        queue_mask = self.peer.load("queue_mask")
        final = self.peer.final()
        if self.peer.load("answered") != self.epoch or self.peer.load("epoch") != self.answered:
            return  # the peer restarted during these reads, which may belong to two generations
        if refusal := objection(L.VERSION, mtu, self.peer.load("frames"), self.offer.frames):  # there was none before
            self.own.count("viol_side_block")
            self._refuse(refusal)
            return
        if fault := self._transport.fault():
            self._halt(fault)
            return
        if why := self._transport.not_ready():
            self._become(LinkState.HANDSHAKE, LinkReason.ENGINE_STARTING, why)
            return
        if not self._brake.may_raise(self.clock()):
            self._become(LinkState.HANDSHAKE, LinkReason.CARRIER_PAUSE, "the carrier has changed often: a short pause")
            return
        self._endpoints.hold()
        if impossible := settle(self._endpoints, final):
            self.own.count("viol_final_count")
            self._listener.report(impossible, LinkReason.FINAL_COUNT_IMPOSSIBLE)
        agreement = self.offer.agree(features, mtu, irq_number, queue_mask)
        try:
            self._listener.link_up(agreement)
        except PortUnavailable as error:  # the kernel refuses what it took before: it may take it again
            self._suspend(LinkState.HANDSHAKE, LinkReason.PORT_NOT_READY, str(error))
            return
        self._endpoints.begin(
            own_epoch=self.epoch,
            peer_epoch=self.answered,
            features=agreement.features,
            packet_max=agreement.packet_max,
            queues=agreement.queues,
        )
        self.agreement = agreement
        self.pulse.accept(self.peer.load("heartbeat"))
        self._publish_state("RUN")
        self.own.count("link_up")
        # Before the pumps run: the kernel drops its answers to a packet that arrives while the carrier is down.
        self._enter_run(LinkReason.UP, "both sides have answered")
        self._endpoints.run()

    def _enter_run(self, code: LinkReason, why: str) -> None:
        """The carrier follows what is behind the peer's port."""
        if not self.ports.accept():
            code, why = LinkReason.PEER_PORT_DOWN, "nothing is behind the peer's port"
        self._become(LinkState.RUN, code, why)
        self._set_carrier(self.ports.peer_up)

    # --- supervision -----------------------------------------------------------------------------------

    def _handle_events(self) -> None:
        events = self._endpoints.take_events()
        self.port_gone |= bool(events & _core.EVENT_PORT_GONE)
        if events & _core.EVENT_REFUSED:
            kinds, number = self._endpoints.refused()
            if kinds := self._withdrawn.confirmed(kinds, self.clock()):
                self.withdraw(kinds, f"the kernel refused a packet with it ({errno.errorcode.get(number, number)})")
        if self.agreement is None:
            return
        if events & _core.EVENT_VIOLATION:
            self._reject(LinkReason.FORMAT_VIOLATION, "the peer violated the format (see viol_* in status)")
        elif events & _core.EVENT_EPOCH and self.peer.load("epoch") == self.answered:
            # The epoch changed and changed back, which a correct peer never does.
            self.own.count("viol_side_block")
            self._reject(LinkReason.EPOCH_CHANGED_BACK, "the peer's epoch changed and changed back")

    def _watch_heartbeat(self) -> None:
        beat = self.peer.load("heartbeat")
        if self.pulse.moved(beat):
            if self.state is LinkState.PEER_DEAD:
                if not self._brake.may_raise(self.clock()):
                    return
                self.own.count("peer_back")
                self._enter_run(LinkReason.PEER_BACK, "the peer is back")
                self._endpoints.run()
            self.pulse.accept(beat)
        elif self.pulse.dead and self.state is LinkState.RUN:
            self.own.count("peer_dead")
            self._become(LinkState.PEER_DEAD, LinkReason.HEARTBEAT_LOST, f"no heartbeat for {HEARTBEAT_LIMIT:.0f} s")
            self._endpoints.drop(peer_dead=True)
            self._set_carrier(False)

    def _reclaim(self, *, braked: bool) -> bool:
        """This side's line has changed: False if the device is gone, True if another program wrote into the line.

        ``braked``: it is written again after the pause, since the other program may go on.
        """
        self.own.store("version", L.VERSION)
        if self.own.load("version") != L.VERSION:
            if self.state is not LinkState.GONE:
                why = "the window does not hold what is written to it: the device is gone"
                self._leave(LinkState.GONE, LinkReason.DEVICE_GONE, why)
            return False
        code, why = LinkReason.SIDE_BLOCK_OVERWRITTEN, "another program wrote into this side's block"
        if not braked and not self._overwritten:
            self.own.count("viol_side_block")
            self._reject(code, why)
        elif not braked:  # what was written during the pause is no new offence
            self._new_epoch(code, why)
        self._overwritten = braked
        return True

    def _reject(self, code: LinkReason, why: str) -> None:
        """After what a correct peer never does: a new epoch, and a pause before the peer is read again."""
        self.own.count("own_restart")
        self._pause(code, why)
        self._new_epoch(code, self.reason, LinkState.BRAKED)

    def _pause(self, code: LinkReason, why: str) -> None:
        """Leave, and do not read the peer for a while."""
        pause = self._brake.apply(self.clock(), self.peer.load("epoch"))
        self.own.count("braked")
        self._leave(LinkState.BRAKED, code, f"{why}; pausing for {pause:g} s")

    def _halt(self, fault: Fault) -> None:
        self.own.count("engine_halt")
        self._suspend(LinkState.HALTED, LinkReason.ENGINE_HALTED, fault, fault.code)

    def _suspend(self, state: LinkState, code: LinkReason, why: str, fault_code: str = "") -> None:
        """The transport has halted or is gone: leave, and start again after a pause."""
        self._retry_at = self.clock() + self._back_off.next(self.clock())
        self._leave(state, code, why, fault_code)

    def _retry(self) -> None:
        """Start from the beginning; if the transport fails again, ``tick`` suspends the link again."""
        self._transport.attach()
        self._retry_at = None
        self.own.count("own_restart")
        self._new_epoch(LinkReason.RECOVERING, f"restarting after: {self.reason}")

    def _leave(self, state: LinkState, code: LinkReason, reason: str, fault_code: str = "") -> None:
        """Stop the pumps, end the agreement, and report the new state."""
        was_up = self.state is LinkState.RUN
        self._endpoints.hold()
        if self.agreement is not None:
            self.agreement = None
            self.own.count("link_down")
        self._become(state, code, reason, fault_code)
        if was_up:
            self._set_carrier(False)
        self._endpoints.drop(peer_dead=False)

    def _set_carrier(self, up: bool) -> None:
        self._brake.carrier_changed(self.clock())
        self._listener.carrier(up, self.reason)

    def _become(self, state: LinkState, code: LinkReason, reason: str, fault_code: str = "") -> None:
        changed = (state, code, reason) != (self.state, self.reason_code, self.reason)
        self.state, self.reason_code, self.reason, self.fault_code = state, code, reason, fault_code
        if changed:
            self._listener.report(f"link {state.value}: {reason}", code)

    def _publish_state(self, name: str) -> None:
        self.own.store("state", L.STATES[name])
