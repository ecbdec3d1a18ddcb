"""The compiled core: memory with barriers, ring ends, pump threads.

Everything that must not be a plain Python store is here; see _c/vnc_barrier.h for the ordering.
Offsets are bytes from the start of the window.
"""

from collections.abc import Callable, Sequence
from typing import final

HOLD: int
DROP_LINK_DOWN: int
DROP_PEER_DEAD: int
RUN: int
EVENT_EPOCH: int
EVENT_VIOLATION: int
EVENT_PORT_GONE: int
EVENT_REFUSED: int
WAIT_ADAPTIVE: int
WAIT_POLL: int
WAIT_SLEEP: int

type_buffer = bytes | bytearray | memoryview

class Corrupt(Exception):
    """The peer broke the ring's format; ``vnetcard.errors.FifoCorrupt`` is raised from it."""

def pread_into(fd: int, buffer: bytearray | memoryview, position: int, /) -> int:
    """Read from ``position`` of a DMA driver's character device into ``buffer``; how many bytes, maybe fewer.

    One plain pread(2), never a vectored call, from a buffer that is aligned as ``position`` is: see
    _c/core_transfer.c for the drivers that demand both.  Raises OSError as the driver does; ValueError for a negative
    position.
    """

def pwrite_from(fd: int, buffer: type_buffer, position: int, /) -> int:
    """Write ``buffer`` to ``position``, in the same way; raises as ``pread_into``."""

@final
class Memory:
    """A mapped window: every access is bounds-checked, aligned and ordered.

    ``buffer`` is a writable buffer (an ``mmap``); ``device=True`` takes the barriers and aligned copies of
    memory behind PCIe; ``check``, a seed, makes it memory for tests that is as strict and as disorderly as such
    memory may be (_c/vnc_checked.h).  With ``device``, memory that is taken away, as when a device is removed, reads
    as all ones instead of ending the process.  Offsets beyond the window raise IndexError, misaligned ones ValueError.
    """

    def __new__(cls, buffer: object, *, device: bool = False, check: int | None = None) -> Memory: ...
    @property
    def size(self) -> int:
        """Bytes of the window; 0 when closed."""
    def load32(self, offset: int, /) -> int:
        """One u32, acquire."""
    def store32(self, offset: int, value: int, /) -> None:
        """One u32, release: everything stored before is visible before it."""
    def wait32(self, offset: int, seen: int, seconds: float, /) -> None:
        """Sleep (futex) while the u32 is ``seen``, at most ``seconds``; may return early, without a reason."""
    def wake32(self, offset: int, /) -> None:
        """Wake (futex) everybody who sleeps on the u32, in this process or another."""
    def load64(self, offset: int, /) -> int: ...
    def store64(self, offset: int, value: int, /) -> None: ...
    def read(self, offset: int, count: int, /) -> bytes:
        """``count`` bytes from an offset that is a multiple of 8."""
    def write(self, offset: int, data: type_buffer, /) -> None:
        """Bytes, a multiple of 8 long, to an offset that is a multiple of 8; in no order among themselves."""
    def words(self, offset: int, count: int, /) -> tuple[int, ...]:
        """``count`` u64."""
    def ledger(self, offset: int, /) -> tuple[int, ...]:
        """The sixteen u64 of the newer of the two ledger slots at ``offset``."""
    def loads(self, offset: int, count: int, /) -> int:
        """Checked memory: how often the lines of these ``count`` bytes have been read so far."""
    def close(self) -> None:
        """Let go of the buffer; BufferError while FIFO ends or pumps use it."""

@final
class Producer:
    """The producing end of a ring.  Threads may share it; processes may not."""

    def __new__(cls, memory: Memory, *, ring: int, size: int, own: int, peer: int, frame_max: int) -> Producer: ...
    def try_push(self, packet: type_buffer, *, hdr_len: int = 0) -> bool:
        """Append and publish one packet; False when the ring is full."""
    def push_batch(self, packets: Sequence[type_buffer], /) -> int:
        """Append as many as fit, publish once; how many."""
    def reset(self, index: int = 0, /) -> None: ...
    @property
    def fill(self) -> int:
        """Bytes between the peer's cons and our prod."""
    def close(self) -> None: ...

@final
class Consumer:
    """The consuming end of a ring.  Threads may share it; processes may not."""

    def __new__(cls, memory: Memory, *, ring: int, size: int, own: int, peer: int, frame_max: int) -> Consumer: ...
    def try_pop(self) -> bytes | None:
        """The oldest packet, or None."""
    def pop_batch(self, most: int = 64, /) -> list[bytes]: ...
    def reset(self, index: int = 0, /) -> None: ...
    @property
    def fill(self) -> int: ...
    def close(self) -> None: ...

@final
class Doorbell:
    """A register that is rung by calling this with its new value, after everything stored before.

    ``word`` is the register's offset in ``memory``.  The others are for a simulated one (vnetcard/window/sim_bus.py):
    ``rung`` counts, and ``bell`` is a futex that is incremented and woken while ``asleep`` is 1.
    """

    def __new__(
        cls,
        memory: Memory,
        word: int,
        *,
        rung: int | None = None,
        bell: int | None = None,
        asleep: int | None = None,
    ) -> Doorbell: ...
    @classmethod
    def in_file(cls, fd: int, at: int, /) -> Doorbell:
        """A register that is written into the file ``fd`` at offset ``at``; OSError for what is no file."""
    def __call__(self, value: int, /) -> None: ...

@final
class Tap:
    """The ring of events that a pump writes for one reader (vnetcard/ring/tap_layout.py); it holds on to ``buffer``.

    ``ring``, ``own`` and ``reader`` are offsets in it of the ring, of the pump's line and of the reader's.
    """

    def __new__(
        cls,
        buffer: object,
        *,
        ring: int,
        size: int,
        own: int,
        reader: int,
        stages: int,
        bytes_of: int,
        snap: int,
        sample: int,
        queue: int,
    ) -> Tap: ...

@final
class Pump:
    """A thread between a port's file descriptor and one end of a ring; starts in HOLD.

    ``tx``: port to FIFO.  ``own`` and ``peer`` are the offsets of the index lines, ``ledger`` of the end's
    ledger, ``peer_epoch`` of the peer's epoch word.  ``fd`` must be non-blocking and stay open.  ``doorbell``
    (a Doorbell, TypeError otherwise) is rung with each index that the pump publishes; with it the pump neither
    asks whether the peer sleeps nor wakes it.
    """

    def __new__(
        cls,
        memory: Memory,
        *,
        tx: bool,
        ring: int,
        size: int,
        own: int,
        peer: int,
        frame_max: int,
        ledger: int,
        fd: int,
        vnet: bool,
        peer_epoch: int,
        attention_fd: int,
        wait: int,
        futex: bool,
        doorbell: Callable[[int], None] | None,
    ) -> Pump: ...
    def command(self, command: int, /) -> None:
        """HOLD, DROP_LINK_DOWN, DROP_PEER_DEAD (tx only) or RUN; returns once it is taken up."""
    def reset(self) -> None:
        """In HOLD: set the index that this end writes to 0."""
    def pair_with(self, tx: Pump, /) -> None:
        """In HOLD, rx: from now on each of the two threads may do the other pump's work while that sleeps.

        This pump's takes along what the kernel answers at once, and that of ``tx`` waits awake for the peer's answer,
        where that pays.  Once only.  ``tx`` can be closed when this pump is (ValueError before).
        """
    def interrupts(self, *, irq_fd: int, fd: int = -1, at: int = -1, value: int = 0) -> None:
        """In HOLD: how the sides wake one another where BELL is agreed.

        This pump sleeps on the eventfd ``irq_fd``; the peer's is woken by the eventfd ``fd``, or by ``value`` written
        into ``fd`` at offset ``at``.  Descriptors stay the caller's, and open.
        """
    def tap(self, taps: tuple[Tap, ...], /) -> None:
        """Write events into these, and into no others any more; at most four.  The pump goes on meanwhile."""
    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, serial: int) -> None:
        """In HOLD: what the next RUN works with; opens a generation in the ledger, rx: under ``serial``."""
    def settle(self, lost: int, /) -> None:
        """In HOLD, tx: close the generation in the ledger with ``lost`` records lost in flight."""
    def forget(self) -> None:
        """The high-water mark begins anew with the next record."""
    def take_events(self) -> int:
        """The EVENT_* bits raised since the last call."""
    @property
    def ledger(self) -> tuple[int, ...]: ...
    @property
    def stats(self) -> tuple[int, ...]: ...
    @property
    def samples(self) -> tuple[tuple[int, int, bytes], ...]:
        """The last of each kind of drop, then of violation: when (ns since 1970; 0: none), its length, first bytes."""
    @property
    def refused(self) -> int:
        """Feature bits whose packets the port refused since ``begin``."""
    @property
    def last_errno(self) -> int:
        """errno of the port's last refusal; 0 when there was none."""
    @property
    def mode(self) -> int:
        """The command in force; a pump goes from RUN to HOLD by itself when it raises an event."""
    def close(self) -> None:
        """End the thread and let go of the window."""
