"""The endpoints of one side of a link, as the handshake commands them, and the implementation with two C pumps.

``Endpoints`` is the interface between ``link.py``, which decides, and the code that moves packets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.engine.transport import Doorbells
from vnetcard.port import Port, frames_of, has_sparse_queue, rings_of
from vnetcard.port.address import Network
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate
from vnetcard.ring.geometry import Geometry
from vnetcard.window.interrupts import CONS, PROD, Interrupts, IrqTrigger

WAITS = {"adaptive": _core.WAIT_ADAPTIVE, "poll": _core.WAIT_POLL, "sleep": _core.WAIT_SLEEP}


@dataclass(frozen=True, slots=True)
class Generation:
    """One run of the link: both epochs, and the number of records that this side sent, or received, in it."""

    own_epoch: int
    peer_epoch: int
    records: int


class Endpoints(Protocol):
    """The two endpoints of one side.  "Held" below: valid only between ``hold`` and ``run``."""

    def hold(self) -> None:
        """Stop moving packets; returns once nothing moves."""

    def reset(self) -> None:
        """Set the indices that this side writes to 0.  Held."""

    def sent(self) -> Generation:
        """The generation in which this side last sent, from the ledger.  Held."""

    def received(self) -> Generation:
        """The generation in which this side last received.  Held."""

    def settle(self, lost: int) -> None:
        """Settle the last generation: ``lost`` of the sent records did not arrive.  Held."""

    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, queues: int) -> None:
        """Begin a generation on the first ``queues`` queue pairs.  Held.

        ``packet_max`` is in bytes, without the virtio_net_hdr.
        """

    def run(self) -> None:
        """Start to move packets."""

    def drop(self, *, peer_dead: bool) -> None:
        """Take packets from the port and drop them; ``peer_dead`` selects the counter."""

    def take_events(self) -> int:
        """The _core.EVENT_* bits raised since the last call."""

    def refused(self) -> tuple[int, int]:
        """The features whose packets the port refused, and the errno."""

    def check_counters(self) -> tuple[int, int]:
        """Restore this side's ledgers and statistics where another program has overwritten them in the window.

        The number of ends since the last call: restored, and begun again at 0 because an earlier owner's were ruined.
        """


class PumpEndpoints:
    """Two pump threads between queue ``queue`` of a port and of a window.

    ``doorbells`` are those of the DMA engine, for prod and for cons.
    """

    def __init__(
        self,
        memory: Memory,
        geometry: Geometry,
        side: int,
        port: Port,
        *,
        attention_fd: int,
        wait: str,
        futex: bool,
        doorbells: Doorbells | None = None,
        queue: int = 0,
    ) -> None:
        tx_doorbell, rx_doorbell = doorbells or (None, None)

        def pump(direction: str, role: str) -> _core.Pump:
            end = locate(geometry, direction, role, queue)
            return _core.Pump(
                memory,
                tx=role == "producer",
                ring=end.ring.offset,
                size=end.ring.size,
                own=end.own,
                peer=end.peer,
                frame_max=min(L.FRAME_MAX, end.ring.size - L.RECORD_HEADER),
                ledger=end.ledger,
                fd=port.fds[queue],
                vnet=port.vnet,
                ethernet=frames_of(port) == L.FRAMES["ETHERNET"],
                packet_socket=getattr(port, "packet_socket", False),
                neighbours=getattr(port, "neighbours", None),
                rings=rings_of(port),
                sparse=has_sparse_queue(port) and queue == 0,
                peer_epoch=L.side_offset(1 - side) + L.SIDE_CONTROL.offset("epoch"),
                attention_fd=attention_fd,
                wait=WAITS[wait],
                futex=futex,
                doorbell=tx_doorbell if role == "producer" else rx_doorbell,
            )

        self.tx = pump(L.DIRECTIONS[side], "producer")
        try:
            self.rx = pump(L.DIRECTIONS[1 - side], "consumer")
        except BaseException:
            self.tx.close()
            raise
        self.rx.pair_with(self.tx)
        self._restored = 0
        self._restarted = self.tx.restarted + self.rx.restarted

    def use_interrupts(self, interrupts: Interrupts, number: int) -> bool:
        """Wake the peer by ``interrupts``, if IRQ is agreed.  Held.  False: no peer has the number ``number``."""
        peer = interrupts.of_peer(number)
        prod, cons = peer or (IrqTrigger(), IrqTrigger())
        self.tx.interrupts(irq_fd=interrupts.eventfds[CONS], fd=prod.fd, at=prod.at, value=prod.value)
        self.rx.interrupts(irq_fd=interrupts.eventfds[PROD], fd=cons.fd, at=cons.at, value=cons.value)
        return peer is not None

    def set_limits(self, max_segments: int, allow: Iterable[Network], *, trust_peer: bool, merge: int = 0) -> None:
        """What packets of the peer may do: segments per record, source addresses, configure this machine.  Held.

        ``merge``: _core.MERGE_*, packets of which those of one flow that wait together are written together.
        """
        self.rx.segments_max = max_segments
        self.rx.merge = merge
        networks = [(network.network_address.packed, network.prefixlen) for network in allow]
        self.rx.filter(allow=networks, configuration=trust_peer)

    def hold(self) -> None:
        self.tx.command(_core.HOLD)
        self.rx.command(_core.HOLD)

    def reset(self) -> None:
        self.tx.reset()
        self.rx.reset()

    def sent(self) -> Generation:
        return generation_of(self.tx.ledger)

    def received(self) -> Generation:
        return generation_of(self.rx.ledger)

    @property
    def serial(self) -> int:
        """The serial of the last received generation, which orders it among those of other queues.  Held."""
        return serial_of(self.rx.ledger)

    def settle(self, lost: int) -> None:
        self.tx.settle(lost)

    def begin(
        self,
        *,
        own_epoch: int,
        peer_epoch: int,
        features: int,
        packet_max: int,
        queues: int = 1,
        serial: int | None = None,
    ) -> None:
        """As ``Endpoints``, for this one pair; ``serial`` is that of the generation (default: the next one)."""
        del queues
        serial = serial if serial is not None else following(self.serial)
        for pump in (self.tx, self.rx):
            pump.begin(
                own_epoch=own_epoch, peer_epoch=peer_epoch, features=features, packet_max=packet_max, serial=serial
            )

    def run(self) -> None:
        self.rx.command(_core.RUN)
        self.tx.command(_core.RUN)

    def drop(self, *, peer_dead: bool) -> None:
        self.tx.command(_core.DROP_PEER_DEAD if peer_dead else _core.DROP_LINK_DOWN)

    def take_events(self) -> int:
        return self.tx.take_events() | self.rx.take_events()

    def refused(self) -> tuple[int, int]:
        return self.rx.refused, self.rx.last_errno

    def check_counters(self) -> tuple[int, int]:
        before, self._restored = self._restored, self.tx.check_counters() + self.rx.check_counters()
        restarted, self._restarted = self._restarted, 0
        return self._restored - before, restarted

    def tap(self, tx: tuple[_core.Tap, ...], rx: tuple[_core.Tap, ...]) -> None:
        """Replace the taps of the running pumps (``vnetcard.tap``)."""
        self.tx.tap(tx)
        self.rx.tap(rx)

    def close(self) -> None:
        """End both threads, rx first, since it may run the other's work."""
        try:
            self.rx.close()
        finally:
            self.tx.close()


def serial_of(words: tuple[int, ...]) -> int:
    """``gen_serial`` of the ledger ``words`` of an rx end."""
    return words[L.RX_LEDGER.index("gen_serial")]


def following(serial: int) -> int:
    """The serial after ``serial``, modulo 2**64, since the peer may have written any value."""
    return (serial + 1) & 0xFFFF_FFFF_FFFF_FFFF


def generation_of(words: tuple[int, ...]) -> Generation:
    """The generation that the ledger ``words`` of an end name."""
    both = words[L.LEDGER_COMMON.index("generation")]
    return Generation(both >> 32, both & 0xFFFF_FFFF, words[L.LEDGER_COMMON.index("gen_records")])
