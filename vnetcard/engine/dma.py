"""The driver of the DMA engine: it turns the requests of ``Link`` into reads and writes of the registers.

It is the only writer of registers besides the doorbells that it hands out.  docs/adr/0004 gives the order of the steps
and why it is safe, docs/registers.md the registers.  Every method may raise WindowUnavailable: the device reads as all
ones, or does not complete a request within ``limit`` seconds.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Protocol

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.engine import registers as R
from vnetcard.engine.irq import IrqListener
from vnetcard.engine.transport import Doorbells, Fault
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.terminal.sizes import human

GONE: Final = 0xFFFF_FFFF
"""The value of a read that no device answers."""
TIMEOUT_CYCLES: Final = 1 << 24
"""Cycles that a memory may leave a transaction waiting: 67 ms at 250 MHz; PCIe's own limit is 50 ms."""
WAIT_LIMIT: Final = 10.0
"""Seconds for a request that takes the engine microseconds; a simulator on a busy machine takes longer."""
START_LIMIT: Final = 1.0
"""Seconds to wait for a direction to start; after that the link waits, and its owner continues."""
POLL_EVERY: Final = 50e-6
"""Seconds between two reads of a register that is waited for."""

_OFFSET: Final = {register.name: register.offset for register in R.REGISTERS}
_CAUSE: Final = {number: name for name, number in R.CAUSES.items()}
_STATUS: Final = R.STATUS_BITS
_RUNNING: Final = _STATUS["TX_RUN"] | _STATUS["RX_RUN"]
_HALTED: Final = _STATUS["TX_HALT"] | _STATUS["RX_HALT"]
_IN_USE: Final = sum(_STATUS.values())

_CAUSE_TEXT: Final = {
    "CONFIG": "the two sides' rings differ in size, or a window or ring is out of range: give both agents "
    "the same --queue-bytes",
    "READ": "a read failed at bus address {:#x}",
    "WRITE": "a write failed at bus address {:#x}",
    "PROD_WRITE": "the write of prod failed at bus address {:#x}",
    "CONS_WRITE": "the write of cons failed at bus address {:#x}",
    "BAD_PROD": "prod {:#x} is impossible",
    "BAD_CONS": "cons {:#x} is impossible",
    "TIMEOUT": "a memory did not answer at bus address {:#x}",
    "WAKEUP_READ": "the read after an index failed at bus address {:#x}",
}


class Wakeups(enum.Enum):
    """Upon which of the engine's stores to this side's memory it interrupts this side."""

    NEVER = "never"
    """Nobody listens."""
    SLEEPING = "sleeping"
    """Those on which the pump sleeps: the engine reads need_wakeup after each index (NEED_WAKEUP)."""
    ALWAYS = "always"
    """Each index, which the engine reads back before it interrupts: for a bridge that lets a read overtake an earlier
    write, such as LitePCIe's."""


class Registers(Protocol):
    """One side's register page.  ``offset`` is in bytes, values are u32; a write is done when it returns."""

    def read32(self, offset: int, /) -> int:
        """The register at ``offset``; all ones if the device is gone."""

    def write32(self, offset: int, value: int, /) -> None:
        """Set the register at ``offset``."""

    def doorbell(self, offset: int, /) -> Callable[[int], None]:
        """The doorbell at ``offset``: a posted write of a value, ordered after all earlier stores."""


class MappedRegisters:
    """A register page that is mapped, such as a BAR: ``memory`` is a ``_core.Memory`` with ``device=True``."""

    def __init__(self, memory: _core.Memory) -> None:
        self._memory = memory
        self.read32, self.write32 = memory.load32, memory.store32

    def doorbell(self, offset: int, /) -> _core.Doorbell:
        """A store, with the barriers that a device needs."""
        return _core.Doorbell(self._memory, offset)


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction's figures; times in clock cycles.  ``state``: run, halt, drain or off.

    ``published`` and ``returned`` are the prod and the cons that the other side can see.
    """

    direction: str
    state: str
    cause: str
    bytes: int
    published: int
    returned: int
    bursts: int
    publications: int
    errors: int
    stall_read: int
    stall_write: int
    stall_ack: int
    suppressed: int
    latency: int
    latency_max: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """The engine's capabilities and counters; ``data_width`` in bits, ``burst_beats`` of the longest burst."""

    data_width: int
    burst_beats: int
    cycles: int
    side: str
    tx: Direction
    rx: Direction


class Engine:
    """The engine as one side drives it: a ``vnetcard.engine.transport.EngineTransport``.

    ``base`` is the bus address of this side's window, ``geometry`` what lies in it.  One thread calls it;
    ``statistics`` may be another, if the registers allow that.
    """

    has_peer_ledger = False

    def __init__(
        self,
        registers: Registers,
        side: int,
        *,
        base: int,
        geometry: Geometry,
        name: str = "the DMA engine",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        limit: float = WAIT_LIMIT,
        wakeups: Wakeups = Wakeups.NEVER,
    ) -> None:
        """Check that there is an engine that this software can drive.

        Raises WindowUnavailable (gone, or no engine), LayoutMismatch (another version), ConfigError (a window
        that it cannot reach).
        """
        self._registers = registers
        self._side = side
        self._base = base
        self._geometry = geometry
        self._clock, self._sleep, self._limit = clock, sleep, limit
        self.name = name
        self._enabled = False
        self._doorbell_count = 0
        self.wakeups = wakeups
        """Takes effect with the next ``attach``."""
        self.irq: IrqListener | None = None
        size = geometry.window_bytes
        if size & (size - 1) or base % L.RING_ALIGN:
            raise ConfigError(f"{name} reaches windows of a power of two bytes at whole pages, not {size} at {base:#x}")
        self._caps = self._identify()

    def _identify(self) -> int:
        found = self._registers.read32(_OFFSET["id"])
        if found == GONE:
            raise WindowUnavailable(
                f"{self.name} reads as all ones: the device is gone, or switched off", code=ErrorCode.DEVICE_GONE
            )
        if found != R.ENGINE_ID:
            raise WindowUnavailable(
                f"{self.name} is none: its id reads {found:#010x}, not {R.ENGINE_ID:#010x}",
                code=ErrorCode.ENGINE_MISSING,
            )
        version = self._read("version")
        if (version & 0xFFFF, version >> 16) != (R.ENGINE_VERSION, L.VERSION):
            raise LayoutMismatch(
                f"{self.name} speaks register map {version & 0xFFFF} and wire format {version >> 16}, "
                f"this software {R.ENGINE_VERSION} and {L.VERSION}: update the older one"
            )
        caps = self._read("caps")
        if caps >> 24 & 1 != self._side:
            raise ConfigError(
                f"{self.name} shows the {L.SIDES[caps >> 24 & 1]}'s page, not the {L.SIDES[self._side]}'s"
            )
        return caps

    # --- registers -----------------------------------------------------------------------------------

    def _read(self, name: str) -> int:
        value = self._registers.read32(_OFFSET[name])
        if value == GONE and self._registers.read32(_OFFSET["id"]) != R.ENGINE_ID:
            raise WindowUnavailable(f"{self.name} reads as all ones: the device is gone", code=ErrorCode.DEVICE_GONE)
        return value

    def _write(self, name: str, value: int) -> None:
        self._registers.write32(_OFFSET[name], value)

    def _status(self) -> int:
        return self._read("status")

    def _until(self, done: Callable[[], bool], what: str, limit: float | None = None) -> None:
        limit = self._limit if limit is None else limit
        deadline = self._clock() + limit
        while not done():
            if self._clock() > deadline:
                raise WindowUnavailable(f"{self.name}: {what} within {limit:.0f} s", code=ErrorCode.ENGINE_STUCK)
            self._sleep(POLL_EVERY)

    def doorbells(self) -> Doorbells:
        """What the producer calls with each new prod, and the consumer with each new cons."""
        return self._registers.doorbell(_OFFSET["tx_prod"]), self._registers.doorbell(_OFFSET["rx_cons"])

    # --- vnetcard.engine.transport.Transport ----------------------------------------------------------

    def attach(self) -> None:
        """End what an earlier owner left in flight; configure for this window, but do not enable yet."""
        self._switch_off(self._limit)
        h2c, c2h = self._geometry.rings[0]
        for name, value in (
            ("window_base_lo", self._base & 0xFFFF_FFFF),
            ("window_base_hi", self._base >> 32),
            ("window_log2", self._geometry.window_bytes.bit_length() - 1),
            ("h2c_ring_offset", h2c.offset),
            ("h2c_ring_log2", h2c.size.bit_length() - 1),
            ("c2h_ring_offset", c2h.offset),
            ("c2h_ring_log2", c2h.size.bit_length() - 1),
            ("tx_start", 0),
            ("irq_count", 0),
            ("irq_time", 0),
            ("timeout", TIMEOUT_CYCLES),
            ("irq_status", sum(R.IRQ_BITS.values())),
            ("irq_enable", 0 if self.wakeups is Wakeups.NEVER else sum(R.IRQ_BITS.values())),
        ):
            self._write(name, value)
        self._doorbell_count = self._read("side_doorbell")

    def _switch_off(self, limit: float) -> None:
        self._enabled = False
        self._write("control", 0)
        self._until(
            lambda: not self._status() & _IN_USE, "transfers in flight did not end: a memory does not answer", limit
        )

    def announce(self) -> None:
        """As ``publish``, for a new epoch; the first one after ``attach`` is what starts the engine."""
        if not self._enabled:
            self._enabled = True
            need_wakeup = R.CONTROL_BITS["NEED_WAKEUP"] if self.wakeups is Wakeups.SLEEPING else 0
            self._write("control", R.CONTROL_BITS["ENABLE"] | need_wakeup)
        self.publish()

    def publish(self, *, wait: bool = True) -> None:
        """Take this side's block across; with ``wait``, return once the peer's memory holds it.

        While the peer has not enabled the engine, or once the block has halted (see ``fault``), it returns at once.
        """
        self._doorbell_count = (self._doorbell_count + 1) & 0xFFFF_FFFF
        self._write("side_doorbell", self._doorbell_count)
        if wait:
            self._until(self._side_block_crossed, "this side's block did not get across")

    def _side_block_crossed(self) -> bool:
        return self._read("side_done") == self._doorbell_count or not self._status() & _STATUS["SIDE_RUN"]

    def reset_directions(self) -> None:
        """Discard earlier doorbells and restart both directions from index 0.

        Returns when they run.  It does not wait for what may take long (see ``not_ready``): an absent peer, a halt,
        a peer whose block cannot cross, a memory that holds transfers back.
        """
        self._write("reset", R.RESET_BITS["TX"] | R.RESET_BITS["RX"])
        self._status()  # flushes the posted write; its value may still be the old one
        deadline = self._clock() + START_LIMIT
        while not self._started() and self._clock() < deadline:
            self._sleep(POLL_EVERY)

    def _started(self) -> bool:
        status = self._status()
        return status & _RUNNING == _RUNNING or bool(status & _HALTED) or not status & _STATUS["SIDE_RUN"]

    def not_ready(self) -> str | None:
        """Which directions do not run, for a message; None: packets may move."""
        status, directions = self._status(), (("TX", self._side), ("RX", 1 - self._side))
        off = [L.DIRECTIONS[n] for prefix, n in directions if not status & _STATUS[f"{prefix}_RUN"]]
        if not off:
            return None
        lost = ": what it writes to this side's memory does not read back" if status & _STATUS["OVERTAKEN"] else ""
        return f"the engine has not started {' and '.join(off)}{lost}"

    def fault(self) -> Fault | None:
        """What halted and why, for a message; None if nothing did, or the peer is absent."""
        status = self._status()
        if self._enabled and not status & _STATUS["LOCKED"]:
            return Fault(f"{self.name} is no longer enabled: it was reset", "RESET")
        if status & _STATUS["OVERTAKEN"] and self.wakeups is Wakeups.SLEEPING:
            return Fault(
                f"{self.name} cannot wake this side: a read overtook an earlier write on the bridge to this side's "
                f"memory, but need_wakeup relies on reads that stay behind writes; add wakeup=off to the window's URL",
                "READ_ORDER",
            )
        halted: dict[str, list[str]] = {}  # by cause: both directions often have the same
        codes = []
        for prefix, what in (
            ("tx", L.DIRECTIONS[self._side]),
            ("rx", L.DIRECTIONS[1 - self._side]),
            ("side", f"the {L.SIDES[self._side]}'s block"),
        ):
            if status & _STATUS[f"{prefix.upper()}_HALT"]:
                code, text = self._cause(prefix)
                codes.append(code)
                halted.setdefault(text, []).append(what)
        if not halted:
            return None
        return Fault("; ".join(f"{' and '.join(parts)} halted: {why}" for why, parts in halted.items()), codes[0])

    def _cause(self, prefix: str) -> tuple[str, str]:
        """The name of the cause, and the same in words."""
        number = self._read(f"{prefix}_cause")
        address = self._read(f"{prefix}_error_addr_lo") | self._read(f"{prefix}_error_addr_hi") << 32
        name = _CAUSE.get(number, f"cause {number}")
        return name, f"{name}, {_CAUSE_TEXT.get(name, 'at {:#x}').format(address)}"

    def detach(self) -> None:
        """Disable the engine: afterwards it accesses this side's memory no more."""
        self._switch_off(min(self._limit, 1.0))

    # --- for people ----------------------------------------------------------------------------------

    def hangs(self) -> str | None:
        return None

    def describe(self) -> str:
        """``64-bit engine, bursts of 64 beats, window of 8 MiB at 0x100000000``."""
        return (
            f"{self._caps & 0xFFFF}-bit engine, bursts of {(self._caps >> 16 & 0xFF) + 1} beats, "
            f"window of {human(self._geometry.window_bytes)} at {self._base:#x}"
        )

    def statistics(self) -> Statistics:
        """Every counter, each read once: some 40 register reads, too slow for a fast path."""
        status = self._status()
        cycles = self._read("cycles_lo")
        return Statistics(
            data_width=self._caps & 0xFFFF,
            burst_beats=(self._caps >> 16 & 0xFF) + 1,
            cycles=cycles | self._read("cycles_hi") << 32,
            side=_state(status, "SIDE"),
            tx=self._direction("tx", L.DIRECTIONS[self._side], status),
            rx=self._direction("rx", L.DIRECTIONS[1 - self._side], status),
        )

    def registers(self) -> dict[str, int]:
        """Every readable register, in order: an upper half after the lower half, whose read latches it."""
        return {register.name: self._read(register.name) for register in R.REGISTERS if register.access != "WO"}

    def _direction(self, prefix: str, direction: str, status: int) -> Direction:
        cause = self._read(f"{prefix}_cause")
        low = self._read(f"{prefix}_bytes_lo")  # holds the upper half for the next read
        return Direction(
            direction,
            _state(status, prefix.upper()),
            _CAUSE.get(cause, str(cause)),
            low | self._read(f"{prefix}_bytes_hi") << 32,
            *(self._read(f"{prefix}_{figure.name}") for figure in fields(Direction)[4:]),
        )


def _state(status: int, prefix: str) -> str:
    for name in ("RUN", "HALT", "DRAIN"):
        if status & _STATUS[f"{prefix}_{name}"]:
            return name.lower()
    return "off"
