"""The compiled core: memory with barriers, the ends of a ring, pump threads.

It contains every access that must not be a plain Python store; _c/vnc_barrier.h defines the ordering.
Offsets are bytes from the start of the window.
"""

from collections.abc import Callable, Sequence
from typing import Self, final

MERGE_UDP: int
MERGE_TCP4: int
MERGE_TCP6: int
HOLD: int
DROP_LINK_DOWN: int
DROP_PEER_DEAD: int
RUN: int
EVENT_EPOCH: int
EVENT_VIOLATION: int
EVENT_PORT_GONE: int
EVENT_REFUSED: int
EVENT_WINDOW_LOST: int
WAIT_ADAPTIVE: int
WAIT_POLL: int
WAIT_SLEEP: int
CHECKED_MEMORY: int
"""1 in a build that has checked memory (VNETCARD_CHECKED=1), else 0."""

type_buffer = bytes | bytearray | memoryview

class Corrupt(Exception):
    """The peer violated the ring's format; ``vnetcard.errors.FifoCorrupt`` is raised from it."""

def allocate(fd: int, size: int, /) -> bool:
    """Give the first ``size`` bytes of a file memory or disk (fallocate(2)), and leave their contents as they are.

    False where the file system cannot do that.  Unlike posix_fallocate(3) it then writes nothing, which could undo a
    store of another process.  Raises OSError, as with ENOSPC.
    """

def map_over(whole: object, at: int, count: int, fd: int, offset: int, /) -> None:
    """Map ``count`` bytes of a file, shared and from its ``offset`` on, over the bytes of ``whole`` from ``at`` on.

    ``whole`` is an anonymous ``mmap``, whose ``close`` then unmaps the file's part too; all numbers are whole pages.
    Raises ValueError if they are not, and OSError as mmap(2).
    """

def pread_into(fd: int, buffer: bytearray | memoryview, position: int, /) -> int:
    """Read from ``position`` of a DMA driver's character device into ``buffer``; how many bytes, maybe fewer.

    It is one plain pread(2), never a vectored call, into a buffer that is aligned as ``position`` is;
    _c/core_transfer.c names the drivers that require both.  Raises OSError with the driver's errno, and ValueError for
    a negative position.
    """

def pwrite_from(fd: int, buffer: type_buffer, position: int, /) -> int:
    """Write ``buffer`` to ``position`` in the same way; raises as ``pread_into``."""

@final
class Memory:
    """A mapped window: every access is bounds-checked, aligned and ordered.

    ``buffer`` is a writable buffer (an ``mmap``) that starts at a multiple of 64.  ``device=True`` uses the barriers
    and aligned copies that memory behind PCIe needs.  Memory that is lost, because its device is removed or its file is
    truncated, reads as all ones.  ``check``, a seed, makes it checked memory for tests, which uses every freedom that
    device memory has (_c/vnc_checked.h); NotImplementedError unless ``CHECKED_MEMORY``.

    Methods raise IndexError for offsets outside the window, ValueError for misaligned ones and after ``close``.
    """

    def __new__(cls, buffer: object, *, device: bool = False, check: int | None = None) -> Memory: ...
    @property
    def size(self) -> int:
        """Bytes of the window; 0 when closed."""
    @property
    def lost(self) -> bool:
        """Whether an access has found a part of the memory missing: its file was cut short, or has no room for a page.

        Always False for device memory and checked memory, and after ``close``.
        """
    def load32(self, offset: int, /) -> int:
        """Load one u32, acquire."""
    def store32(self, offset: int, value: int, /) -> None:
        """Store one u32, release: everything stored before is visible before it."""
    def wait32(self, offset: int, seen: int, seconds: float, /) -> None:
        """Sleep (futex) while the u32 is ``seen``, at most ``seconds`` (0 to 3600); it may return early."""
    def wake32(self, offset: int, /) -> None:
        """Wake (futex) all threads that sleep on the u32, in this process or another."""
    def load64(self, offset: int, /) -> int:
        """Load one u64, acquire."""
    def store64(self, offset: int, value: int, /) -> None:
        """Store one u64, release."""
    def read(self, offset: int, count: int, /) -> bytes:
        """Read ``count`` bytes from an offset that is a multiple of 8."""
    def write(self, offset: int, data: type_buffer, /) -> None:
        """Write bytes, in no order; their number and the offset are multiples of 8."""
    def words(self, offset: int, count: int, /) -> tuple[int, ...]:
        """Read ``count`` u64, at most 1048576."""
    def ledger(self, offset: int, /) -> tuple[int, ...]:
        """Read the sixteen u64 of the newer of the two ledger slots at ``offset``; zeros if both were overwritten."""
    def ledger_ruined(self, offset: int, /) -> bool:
        """Whether another program has overwritten both ledger slots at ``offset``."""
    def loads(self, offset: int, count: int, /) -> int:
        """How often the lines of these ``count`` bytes have been read; ValueError unless it is checked memory."""
    def watch(
        self,
        own: int,
        peer: int,
        peer_seen: bytes,
        beat: int,
        fds: tuple[int, ...],
        seconds: float,
        every: float,
        limit: float,
        /,
    ) -> tuple[int, int, float]:
        """Sleep while nothing happens, and count up the heartbeat of the control line at ``own`` every ``every`` s.

        Returns when one of ``fds`` (at most 8) is readable or a signal came, after ``seconds`` (0 to 3600), when the
        memory is lost, when a word other than the heartbeats of the line at ``own`` changes, or of that at ``peer`` is
        another one than in the 64 bytes ``peer_seen``, or once the peer's heartbeat has been still for ``limit`` s.
        ``beat`` is the heartbeat so far.  Returns (heartbeat, the peer's, seconds for which that has been still).
        """
    def close(self) -> None:
        """Release the buffer; BufferError while FIFO ends, pumps or doorbells use it.  Idempotent."""

def recover_ledger(memory: Memory, *, ring: int, size: int, ledger: int) -> tuple[int, ...]:
    """Read the ledger of a tx end that no pump uses, as a new ``Pump`` would take it over.

    If the last owner died inside a read of the port, that packet is counted first.  ``ring`` and ``size`` are those of
    the end's ring.
    """

@final
class Producer:
    """The producing end of a ring.  Threads may share it; processes may not.

    Methods raise ValueError after ``close``, and ``Corrupt`` when the peer's index is impossible.
    """

    def __new__(cls, memory: Memory, *, ring: int, size: int, own: int, peer: int, frame_max: int) -> Producer: ...
    def try_push(self, packet: type_buffer, *, hdr_len: int = 0) -> bool:
        """Append and publish one packet; False when the ring is full, ValueError if it is longer than ``frame_max``."""
    def push_batch(self, packets: Sequence[type_buffer], /) -> int:
        """Append as many packets as fit and publish once; returns how many."""
    def reset(self, index: int = 0, /) -> None:
        """Start at ``index``, rounded down to a multiple of 64, and write it into the window."""
    @property
    def fill(self) -> int:
        """Bytes between the peer's cons and this end's prod."""
    def close(self) -> None:
        """Release the window.  Idempotent."""

@final
class Consumer:
    """The consuming end of a ring.  Threads may share it; processes may not.

    Methods raise as those of ``Producer`` do, and ``Corrupt`` for an impossible record too.
    """

    def __new__(cls, memory: Memory, *, ring: int, size: int, own: int, peer: int, frame_max: int) -> Consumer: ...
    def try_pop(self) -> bytes | None:
        """Take the oldest packet; None when the ring is empty."""
    def pop_batch(self, most: int = 64, /) -> list[bytes]:
        """Take at most ``most`` packets and give their space back once."""
    def reset(self, index: int = 0, /) -> None:
        """Start at ``index``, rounded down to a multiple of 64, and write it into the window."""
    @property
    def fill(self) -> int:
        """Bytes between this end's cons and the peer's prod."""
    def close(self) -> None:
        """Release the window.  Idempotent."""

@final
class Doorbell:
    """A register; to call this writes the register, after everything stored before.

    ``register`` is its offset in ``memory``.  The others are offsets of words beside a simulated register
    (vnetcard/window/sim_bus.py): ``count_word`` counts the writes; ``wake_word`` is a futex that is incremented and
    woken while ``sleep_word`` is 1.  ValueError if only one of the latter two is given.
    """

    def __new__(
        cls,
        memory: Memory,
        register: int,
        *,
        count_word: int | None = None,
        wake_word: int | None = None,
        sleep_word: int | None = None,
    ) -> Doorbell: ...
    @classmethod
    def in_file(cls, fd: int, at: int, /) -> Doorbell:
        """A register at offset ``at`` of the file ``fd``, which is duplicated; OSError if ``fd`` is not open."""
    def __call__(self, value: int, /) -> None: ...

@final
class Tap:
    """The ring of events that a pump writes for one reader (vnetcard/ring/tap_layout.py); it keeps ``buffer`` exported.

    ``ring``, ``own`` and ``reader`` are the offsets in it of the ring, of the pump's line and of the reader's line.
    ValueError unless they are inside it and multiples of 64.
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
class Neighbours:
    """The MAC addresses of an Ethernet, by IP address: a table of 256, for the pumps of one port (``Pump``).

    An rx pump writes into ``resolver_fd``, a SOCK_SEQPACKET socket that stays open, what it cannot find: struct
    vnc_question of _c/vnc_neighbour.h, then the packet as it is to be written into the port, without its destination;
    the question alone for an entry that is stale.  Addresses are bytes, 4 or 16, MAC addresses 6 (else ValueError).
    Any thread may call the methods.
    """

    def __new__(cls, *, resolver_fd: int) -> Neighbours: ...
    def configure(self, *, connected: Sequence[tuple[bytes, int]], gateways: Sequence[bytes]) -> None:
        """The networks on this Ethernet (address, prefix length), at most 8, and a gateway per version of IP."""
    def set_mac(self, mac: bytes, /) -> None:
        """The interface's own address."""
    def put(self, address: bytes, mac: bytes, /) -> bool:
        """Enter or replace, not stale; False: the table is full."""
    def remove(self, address: bytes, /) -> None:
        """Forget an entry.  Idempotent."""
    def mark_stale(self, address: bytes, /) -> None:
        """The next packet to it is sent, and the resolver asked; then it is not stale any more."""
    def ethernet(self, packet: bytes, /) -> tuple[bytes, bytes, bool, bool]:
        """What a pump makes of an IP packet: the question, the Ethernet header, is its destination known, is it stale.

        OSError: EINVAL for what is no IP packet, ENETUNREACH where there is no next hop.
        """
    @property
    def unasked(self) -> tuple[int, int]:
        """Packets of IPv4 and of IPv6 that were dropped, as ``resolver_fd`` had no room."""

class Rings:
    """What the kinds of rings, Memif and Vhost, have: the pumps use them, and the thread that connects attaches them.

    A frame of a Vhost is preceded by a virtio_net_hdr of 10 bytes.
    ``attention_fd`` is an eventfd that is written when ``fault`` is set.
    """

    def __new__(cls, *, attention_fd: int) -> Self: ...
    def detach(self) -> None:
        """Take the rings from the pumps; returns once none uses them.  Idempotent."""
    def read(self) -> bytes:
        """Take the oldest frame, of a Vhost behind its header, as os.read() does; BlockingIOError where there is none.

        Not while pumps use the rings.
        """
    def write(self, frame: type_buffer, /) -> int:
        """Send one frame, as os.write() does, from any thread; OSError: ENOBUFS (no room now), EMSGSIZE, EPIPE."""
    @property
    def fault(self) -> int:
        """What the peer did that ended the connection (enum vnc_rings_fault); 0: nothing."""
    @property
    def waiting(self) -> bool:
        """Whether the peer has sent what no pump has taken yet."""
    @property
    def writing(self) -> tuple[int, int]:
        """Of the receiving and the sending end: a number of the write to the peer's eventfd in which a pump is now,
        which should not take long; 0: in none."""

@final
class Memif(Rings):
    """The rings of a memif port (vnetcard/port/memif.py)."""

    def attach(
        self,
        regions: tuple[object, ...],
        *,
        receive: tuple[int, int, int],
        send: tuple[int, int, int],
        notify_fd: int,
        buffers: tuple[int, int, int] | None,
    ) -> None:
        """Let the pumps use the rings ``receive`` and ``send``: region, offset in bytes, binary logarithm of the slots.

        ``regions`` are writable buffers, which stay exported until ``detach``.  ``notify_fd`` is the eventfd of
        ``send``; the caller keeps it open.  ``buffers``, of the client (else None): the offsets in region 0 of those of
        ``receive`` and of ``send``, and the bytes of one.  ValueError for a ring that is not there, or where something
        is attached already.
        """

@final
class Vhost(Rings):
    """The split virtqueues of a vhost-user port (vnetcard/port/vhost_user.py)."""

    def attach(
        self,
        regions: tuple[tuple[object, int, int, int], ...],
        *,
        transmit: tuple[int, int, int, int, int],
        receive: tuple[int, int, int, int, int],
        header: int,
        mergeable: bool,
        indirect: bool,
        event_idx: bool,
        polled: bool,
    ) -> None:
        """Let the pumps use the driver's queues ``transmit`` and ``receive``.

        ``regions``: a writable buffer, which stays exported until ``detach``; the bytes of it that precede the region;
        the region's address in the driver's descriptors, and in the front-end's process.  A queue: the number of its
        chains, a power of two up to 32768; the addresses, in the front-end's process, of its descriptors, of avail and
        of used; the eventfd that interrupts the driver, which the caller keeps open, or -1.  ``header``: bytes of a
        virtio_net_hdr, 10 to 12.  ``mergeable``: a frame may take several chains.  ``event_idx``: each side
        says after which chain it wants to be notified.  ``polled``: the driver never kicks.
        ValueError for a queue that is not there, or where something is attached already.
        """
    def pause(self, paused: bool, /) -> None:
        """Whether frames for the driver wait while nothing is attached, else they are dropped; ``attach`` ends it."""
    def call(self, *, transmit: int, receive: int) -> None:
        """Interrupt the driver by these eventfds from now on; returns once the ones before are not used.  -1: not."""
    @property
    def positions(self) -> tuple[int, int]:
        """Chains that were used so far, modulo 65536: of ``transmit`` and of ``receive``; valid after ``detach``."""

@final
class Pump:
    """A thread that moves packets between a port's file descriptor and one end of a ring; it starts in HOLD.

    ``tx``: from the port into the ring; else from the ring into the port.  ``own`` and ``peer`` are the offsets of the
    index lines, ``ledger`` of the end's ledger, ``peer_epoch`` of the peer's epoch.  ``fd`` must be non-blocking and
    stay open; with ``ethernet`` its packets are Ethernet frames, and with ``packet_socket`` it is an AF_PACKET socket,
    whose frames the tx pump finishes (docs/adr/0020-finishing.md).  With ``neighbours`` the port has Ethernet frames
    and the ring IP packets: the pumps take the header off and put it on.  With ``rings`` the packets are in these,
    and ``fd`` is an epoll descriptor, of the eventfd by which the peer wakes the tx pump.  ``attention_fd`` is an
    eventfd that is written when the pump raises an event.  ``futex``: a futex in this memory reaches the peer's
    process.  ``doorbell`` is a Doorbell (else TypeError) that gets each index that the pump publishes; a pump with it
    does not wake the peer itself.

    ``sparse``: of a queue for flows that send little, see vnc_yield.h.  Methods raise ValueError after ``close``; those
    marked [held] raise RuntimeError unless the pump is in HOLD.
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
        ethernet: bool,
        packet_socket: bool,
        neighbours: Neighbours | None,
        rings: Rings | None,
        sparse: bool,
    ) -> Pump: ...
    def command(self, command: int, /) -> None:
        """Command HOLD, RUN, or (tx only) DROP_LINK_DOWN or DROP_PEER_DEAD; returns once the command is in force."""
    def reset(self) -> None:
        """Set the index that this end writes to 0 [held]."""
    def pair_with(self, tx: Pump, /) -> None:
        """Allow this rx pump's thread and that of ``tx`` to move each other's packets while the other sleeps [held].

        After a delivery the rx thread moves what the kernel has answered at once; the tx thread busy-polls for the
        peer's answer where that pays.  A pump can be paired once (else ValueError).  ``tx`` cannot be closed before
        this pump (ValueError).
        """
    def interrupts(self, *, irq_fd: int, fd: int = -1, at: int = -1, value: int = 0) -> None:
        """Set how the sides wake one another where IRQ is agreed [held].

        This pump sleeps on the eventfd ``irq_fd``.  The peer's pump is woken by the eventfd ``fd`` or, if ``at`` is not
        -1, by ``value`` written into ``fd`` at offset ``at``.  The caller keeps the descriptors open.
        """
    def tap(self, taps: tuple[Tap, ...], /) -> None:
        """From now on write events into these taps, at most four, and into no others; the pump keeps running."""
    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, serial: int) -> None:
        """Set what the handshake has agreed on, and open a generation in the ledger, rx: under ``serial`` [held]."""
    def settle(self, lost: int, /) -> None:
        """Close the generation in the ledger of a tx pump; ``lost`` of its records were lost in flight [held]."""
    def check_counters(self) -> int:
        """Let the pump write its counters again if the window does not hold them; how often it did that so far.

        1 at once after ``__new__`` where only the last update of an earlier owner was lost.
        """
    def reset_high_water(self) -> None:
        """Start the high-water mark again from 0 with the next record."""
    def take_events(self) -> int:
        """Return the EVENT_* bits raised since the last call."""
    @property
    def restarted(self) -> bool:
        """Whether the counters that an earlier owner left were overwritten, so that they began at 0."""
    @property
    def ledger(self) -> tuple[int, ...]:
        """The sixteen u64 of the ledger; in HOLD the pump's private copy, which the peer cannot change."""
    @property
    def stats(self) -> tuple[int, ...]:
        """The counters of struct tx_stats or rx_stats (vnetcard/ring/layout.py), from the pump's private copy."""
    @property
    def samples(self) -> tuple[tuple[int, int, bytes], ...]:
        """The last packet of each kind of drop, then of violation: time (ns since 1970; 0: none), length, bytes."""
    @property
    def refused(self) -> int:
        """The feature bits whose packets the port refused since ``begin``."""
    @property
    def last_errno(self) -> int:
        """The errno of the port's last refusal; 0 when there was none."""
    def filter(self, *, allow: Sequence[tuple[bytes, int]], configuration: bool) -> None:
        """Rx: packets to drop.  [held]

        ``allow``: networks (4 or 16 bytes of address, prefix length) of which one has a packet's source; none: any
        source.  ValueError for another size, or for more than 64.  Without ``configuration`` ICMP redirects and IPv6
        router advertisements are dropped.  A new pump drops neither.
        """
    def punt(self, *, run: int, program: int, fd: int, state: int, bypass: bool) -> None:
        """Rx: packets that go to a program by the socket ``fd`` instead of the port.  [held]

        ``run`` and ``program`` are the addresses of libpcap's bpf_filter() and of a filter's first instruction; 0 and
        0: no packet.  ``state`` is the address of three u64: not 0 while a program is connected, packets sent to it,
        packets dropped.  All of it must outlive the pump.  With ``bypass`` the port gets the packets while there is no
        program.  ValueError where one of them is missing.
        """
    segments_max: int
    """Rx: most segments (1 to 65545) that the kernel may have to make of one record; others count as bad frames."""
    merge: int
    """Rx: MERGE_*, of which waiting packets of a flow are written together (0 in a new pump).  ValueError.

    UDP where the link has USO4 or USO6; TCP over IPv4 and over IPv6 whatever it has, so the port must take TSO.
    """
    @property
    def mode(self) -> int:
        """The command in force; an event other than EVENT_REFUSED changes it from RUN to HOLD."""
    def close(self) -> None:
        """End the thread and release the window.  Idempotent."""
