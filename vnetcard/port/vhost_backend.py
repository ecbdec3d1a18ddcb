"""The back-end of one vhost-user connection: what the front-end has said so far, and what follows from it.

The front-end describes its memory and two queues (0: what the driver receives, 1: what it sends), message by message
and in any order.  Once all of it is known and both queues are enabled, they are attached to the pumps; before a message
that changes any of it is carried out they are taken away, and attached again if they still can be.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from vnetcard import _core
from vnetcard.port.ring_peer import Refused, close_all, one_of, own_eventfd
from vnetcard.port.vhost_protocol import (
    EVENT_IDX,
    FEATURES,
    INDIRECT_DESC,
    MRG_RXBUF,
    NEED_REPLY,
    NO_FD,
    PROTOCOL_FEATURES,
    REGIONS_MAX,
    REPLY_ACK,
    U64,
    VERSION_1,
    Message,
    RegionInfo,
    Request,
    VringAddr,
    VringState,
)

RECEIVE, TRANSMIT = 0, 1
"""The numbers of the queues, from the driver's point of view: VIRTIO 1.2, 5.1.2."""
QUEUES: Final = 2
SIZE_MAX: Final = 32768
"""Chains of a queue: VIRTIO 1.2, 2.7."""
HEADER_BYTES, HEADER_BYTES_LEGACY = 12, 10
"""Of a virtio_net_hdr: the shorter one without VERSION_1 and without MRG_RXBUF."""
REGION_MAX: Final = 1 << 46
"""Bytes of a region with what precedes it in its file: more than a process can map."""
NAMES: Final = {MRG_RXBUF: "mrg_rxbuf", INDIRECT_DESC: "indirect_desc", EVENT_IDX: "event_idx", VERSION_1: "version_1"}


class Port(Protocol):
    """What a back-end needs of its port."""

    rings: _core.Vhost

    def forget_fault(self) -> None: ...
    def attached(self, wake_fd: int, receive_slots: int, send_slots: int) -> None: ...
    def detach(self, wake_fd: int, *, gone: bool = True) -> None: ...


@dataclass(slots=True)
class Queue:
    """What is known of one queue; descriptors below 0: none."""

    size: int = 0
    addr: VringAddr | None = None
    base: int = 0
    started: bool = False
    enabled: bool = False
    kick: int = -1
    call: int = -1

    def stop(self) -> None:
        """Until the next SET_VRING_KICK."""
        self.started = False
        close_all([self.kick] * (self.kick >= 0))
        self.kick = -1

    def place(self) -> tuple[int, int, int, int, int]:
        assert self.addr is not None
        return self.size, self.addr.desc, self.addr.avail, self.addr.used, self.call


@dataclass(slots=True)
class Backend:
    """For one connection, in the thread of ``port``; ``close`` gives everything up."""

    port: Port
    features: int = 0
    protocol_features: int = 0
    regions: list[tuple[mmap.mmap, RegionInfo]] = field(default_factory=list)
    queues: list[Queue] = field(default_factory=lambda: [Queue(), Queue()])
    is_attached: bool = False

    def close(self) -> None:
        """Take the queues from the pumps, unmap and close everything.  Idempotent."""
        self._detach(gone=True)
        self._unmap()
        for queue in self.queues:
            queue.stop()
            close_all([queue.call] * (queue.call >= 0))
            queue.call = -1

    def feature_names(self) -> list[str]:
        """Of VIRTIO, agreed on with the driver."""
        return [name for bit, name in NAMES.items() if self.features & 1 << bit]

    def handle(self, message: Message) -> bytes | None:
        """Carry ``message`` out; the answer, or None.  Its descriptors are closed.

        Refused: the front-end asks for what it must not, or cannot have.  OSError.
        """
        asked = bool(message.flags & NEED_REPLY) and bool(self.protocol_features & 1 << REPLY_ACK)
        with contextlib.ExitStack() as taken:
            taken.callback(close_all, message.fds)
            if message.number not in list(Request):
                if asked:
                    return U64.pack(1)
                raise Refused(f"the front-end sent {message.name}")
            answer = self._answers.get(Request(message.number))
            if answer is not None:
                return answer(self, message)
            if message.number == Request.SET_VRING_CALL:
                self._set_call(message)
            else:
                self._change(self._changes[Request(message.number)], message)
        return U64.pack(0) if asked else None

    # --- the pumps -----------------------------------------------------------------------------------

    def _change(self, change: Callable[[Backend, Message], None], message: Message) -> None:
        """Carry out what the pumps must not see, and let them go on if they can."""
        self._detach(gone=False)
        try:
            change(self, message)
            if self._is_complete():
                self._attach()
        finally:
            if not self.is_attached:
                self.port.detach(-1)
                self.port.rings.pause(False)

    def _is_complete(self) -> bool:
        return bool(self.regions) and all(
            queue.size and queue.addr and queue.started and self._is_enabled(queue) for queue in self.queues
        )

    def _is_enabled(self, queue: Queue) -> bool:
        """Without protocol features there is no message that enables a queue."""
        return queue.enabled or not self.features & 1 << PROTOCOL_FEATURES

    def _attach(self) -> None:
        transmit, receive = self.queues[TRANSMIT], self.queues[RECEIVE]
        modern = self.features & (1 << VERSION_1 | 1 << MRG_RXBUF)
        self.port.forget_fault()
        try:
            self.port.rings.attach(
                tuple((memory, info.offset, info.guest, info.user) for memory, info in self.regions),
                transmit=transmit.place(),
                receive=receive.place(),
                header=HEADER_BYTES if modern else HEADER_BYTES_LEGACY,
                mergeable=bool(self.features & 1 << MRG_RXBUF),
                indirect=bool(self.features & 1 << INDIRECT_DESC),
                event_idx=bool(self.features & 1 << EVENT_IDX),
                polled=transmit.kick < 0,
            )
        except ValueError as error:
            raise Refused(str(error)) from error
        self.is_attached = True
        self.port.attached(transmit.kick, transmit.size, receive.size)

    def _detach(self, *, gone: bool) -> None:
        """``gone``: else frames wait until the queues are attached again, which ``_change`` does or gives up."""
        if not self.is_attached:
            return
        self.port.rings.pause(not gone)
        self.port.detach(self.queues[TRANSMIT].kick, gone=gone)
        self.queues[TRANSMIT].base, self.queues[RECEIVE].base = self.port.rings.positions
        self.is_attached = False

    # --- the messages --------------------------------------------------------------------------------

    def _get_features(self, message: Message) -> bytes:
        del message
        return U64.pack(FEATURES)

    def _get_protocol_features(self, message: Message) -> bytes:
        del message
        return U64.pack(1 << REPLY_ACK)

    def _get_vring_base(self, message: Message) -> bytes:
        """Stops the queue."""
        index = VringState(*message.unpack(VringState.FORMAT)).index
        queue = self._queue(index)
        self._change(lambda _, __: queue.stop(), message)
        return VringState.FORMAT.pack(index, queue.base)

    def _set_features(self, message: Message) -> None:
        (features,) = message.unpack(U64)
        if features & ~FEATURES:
            raise Refused(f"the front-end takes features that were not offered ({features & ~FEATURES:#x})")
        self.features = features

    def _set_protocol_features(self, message: Message) -> None:
        (features,) = message.unpack(U64)
        if features & ~(1 << REPLY_ACK):
            raise Refused(f"the front-end takes protocol features that were not offered ({features:#x})")
        self.protocol_features = features

    def _set_owner(self, message: Message) -> None:
        """No effect: one front-end has the connection."""

    def _reset_owner(self, message: Message) -> None:
        """As after the connection was made, but with the memory and features that are known."""
        for queue in self.queues:
            queue.stop()
            queue.enabled = False

    def _set_mem_table(self, message: Message) -> None:
        form = RegionInfo.FORMAT
        count = int.from_bytes(message.body[:4], "little")
        if not 1 <= count <= REGIONS_MAX or len(message.body) < 8 + count * form.size:
            raise Refused(f"the front-end's table of {count} regions has {len(message.body)} bytes")
        if len(message.fds) != count:
            raise Refused(f"the front-end sent {len(message.fds)} descriptors with {count} regions")
        self._unmap()
        for n, fd in enumerate(message.fds):
            info = RegionInfo(*form.unpack_from(message.body, 8 + n * form.size))
            self.regions.append((_mapped(n, info, fd), info))

    def _unmap(self) -> None:
        for memory, _ in self.regions:
            memory.close()
        self.regions.clear()

    def _set_vring_num(self, message: Message) -> None:
        state = VringState(*message.unpack(VringState.FORMAT))
        if not 1 <= state.value <= SIZE_MAX or state.value & (state.value - 1):
            raise Refused(f"the front-end asks for a queue of {state.value} chains: a power of two up to {SIZE_MAX}")
        self._queue(state.index).size = state.value

    def _set_vring_addr(self, message: Message) -> None:
        addr = VringAddr(*message.unpack(VringAddr.FORMAT))
        self._queue(addr.index).addr = addr

    def _set_vring_base(self, message: Message) -> None:
        state = VringState(*message.unpack(VringState.FORMAT))
        self._queue(state.index).base = state.value & 0xFFFF

    def _set_vring_enable(self, message: Message) -> None:
        state = VringState(*message.unpack(VringState.FORMAT))
        self._queue(state.index).enabled = state.value == 1

    def _set_vring_kick(self, message: Message) -> None:
        """Starts the queue."""
        queue, fd = self._eventfd(message, "kick")
        queue.stop()
        queue.kick, queue.started = fd, True

    def _set_call(self, message: Message) -> None:
        """The pumps go on: a hypervisor changes it whenever the guest masks an interrupt."""
        queue, fd = self._eventfd(message, "call")
        before, queue.call = queue.call, fd
        if self.is_attached:
            self.port.rings.call(transmit=self.queues[TRANSMIT].call, receive=self.queues[RECEIVE].call)
        close_all([before] * (before >= 0))

    def _set_vring_err(self, message: Message) -> None:
        """Checked, but never used: an error ends the connection."""
        close_all([fd for fd in [self._eventfd(message, "err")[1]] if fd >= 0])

    def _queue(self, index: int) -> Queue:
        if index >= QUEUES:
            raise Refused(f"the front-end has a queue {index}; this port has one pair, 0 and 1")
        return self.queues[index]

    def _eventfd(self, message: Message, what: str) -> tuple[Queue, int]:
        """The queue, and a descriptor that is the caller's, or -1."""
        (word,) = message.unpack(U64)
        queue = self._queue(word & 0xFF)
        if word & NO_FD:
            return queue, -1
        fds = message.fds.copy()
        message.fds.clear()
        with one_of(fds, f"one, the {what}") as fd:
            return queue, own_eventfd(fd, f"the front-end's {what}")

    _answers: ClassVar[dict[Request, Callable[[Backend, Message], bytes]]] = {
        Request.GET_FEATURES: _get_features,
        Request.GET_PROTOCOL_FEATURES: _get_protocol_features,
        Request.GET_VRING_BASE: _get_vring_base,
    }
    _changes: ClassVar[dict[Request, Callable[[Backend, Message], None]]] = {
        Request.SET_FEATURES: _set_features,
        Request.SET_PROTOCOL_FEATURES: _set_protocol_features,
        Request.SET_OWNER: _set_owner,
        Request.RESET_OWNER: _reset_owner,
        Request.SET_MEM_TABLE: _set_mem_table,
        Request.SET_VRING_NUM: _set_vring_num,
        Request.SET_VRING_ADDR: _set_vring_addr,
        Request.SET_VRING_BASE: _set_vring_base,
        Request.SET_VRING_ENABLE: _set_vring_enable,
        Request.SET_VRING_KICK: _set_vring_kick,
        Request.SET_VRING_ERR: _set_vring_err,
    }


def _mapped(number: int, info: RegionInfo, fd: int) -> mmap.mmap:
    """All of the file up to the end of the region: where files have large pages only the whole can be mapped."""
    if not info.size or info.offset + info.size > REGION_MAX or info.guest + info.size > 1 << 64:
        raise Refused(f"the front-end's region {number} has {info.size} bytes at {info.guest:#x}")
    try:
        fcntl.fcntl(fd, fcntl.F_GET_SEALS)  # memory: a file of another kind may let a pump wait for ever
        memory = mmap.mmap(fd, info.offset + info.size)
        memory.madvise(mmap.MADV_DONTDUMP)  # a guest's memory belongs in no core file of ours
        return memory
    except (OSError, ValueError, OverflowError) as error:
        raise Refused(f"the front-end's region {number} of {info.size} bytes cannot be mapped: {error}") from error
