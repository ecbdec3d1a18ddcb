"""The DMA engine in Python, as docs/adr/0004 describes it: a reference for tests of software that drives it.

It is a stand-in, not the RTL: no bursts, no bus, no clock.  ``step`` does everything that is due, so a test
decides when the engine works; ``soft_sim.py`` makes a simulation of it that real agents reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

NAMES = {register.offset: register.name for register in R.REGISTERS}
LOCKED = {register.name for register in R.REGISTERS if register.meaning.endswith("locked")}
GONE = 0xFFFF_FFFF
EPOCHS = 8
"""Bytes at the start of a control line that go across last."""
MASK = 0xFFFF_FFFF


@dataclass
class Page:
    """One side's registers that can be written."""

    side: int
    words: dict[str, int] = field(default_factory=dict)
    irq: int = 0
    side_doorbell_rung: bool = False
    side_done: int = 0
    side_state: str = "off"
    side_up: bool = False  # copied at least once since it left the state off
    side_cause: int = 0
    side_address: int = 0

    def __getitem__(self, name: str) -> int:
        return self.words.get(name, 0)

    @property
    def enabled(self) -> bool:
        return bool(self["control"] & R.CONTROL_BITS["ENABLE"])


@dataclass
class Direction:
    """One direction; ``source`` is the side that produces."""

    source: int
    state: str = "off"
    cause: int = 0
    address: int = 0
    rung: list[tuple[str, int]] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    target: int = 0
    published: int = 0
    consumed: int = 0

    def count(self, name: str, by: int = 1) -> None:
        self.figures[name] = self.figures.get(name, 0) + by


class BusError(Exception):
    """A memory answered with an error."""


def _placed(page: Page) -> bool:
    """Whether the rings of a side are apart, and in its window behind the index lines (vnc_config_check.sv)."""
    rings = sorted((page[f"{name}_ring_offset"], 1 << page[f"{name}_ring_log2"]) for name in L.DIRECTIONS)
    (first, size), (second, more) = rings
    return first >= L.RING_ALIGN and first + size <= second and second + more <= 1 << page["window_log2"]


class SoftEngine:
    """Two pages, two directions, two side blocks, over the two sides' memories.

    ``interrupt(side, bits)`` is called when irq_status and irq_enable have a bit in common.  ``broken`` is
    asked with what is done ("read" or "write"), side and offset before each transfer: True makes it fail.
    ``stuck``: sides whose direction stays in drain, as when a memory delays outstanding accesses.
    """

    def __init__(self, memories: tuple[Memory, Memory], *, data_width: int = 64) -> None:
        self.memories = memories
        self.data_width = data_width
        self.interrupt: Callable[[int, int], None] = lambda side, bits: None
        self.broken: Callable[[str, int, int], bool] = lambda what, side, offset: False
        self.removed = False
        self.stuck: set[int] = set()
        self.power_up()

    def power_up(self) -> None:
        self.pages = (Page(L.HOST), Page(L.CARD))
        self.directions = (Direction(L.HOST), Direction(L.CARD))

    # --- the register pages --------------------------------------------------------------------------

    def read(self, side: int, offset: int) -> int:
        if self.removed:
            return GONE
        page, name = self.pages[side], NAMES.get(offset, "")
        prefix, _, rest = name.partition("_")
        if prefix in ("tx", "rx") and name not in ("tx_prod", "tx_start", "rx_cons"):
            return self._read_direction(self.directions[side if prefix == "tx" else 1 - side], rest)
        match name:
            case "id":
                return R.ENGINE_ID
            case "version":
                return L.VERSION << 16 | R.ENGINE_VERSION
            case "caps":
                return side << 24 | 63 << 16 | self.data_width
            case "status":
                return self._status(side)
            case "irq_status":
                return page.irq
            case "side_done":
                return page.side_done
            case "side_cause":
                return page.side_cause
            case "side_error_addr_lo":
                return page.side_address & MASK
            case "side_error_addr_hi":
                return page.side_address >> 32
        return page[name]

    def _read_direction(self, direction: Direction, name: str) -> int:
        known = {
            "cause": direction.cause,
            "error_addr_lo": direction.address & MASK,
            "error_addr_hi": direction.address >> 32,
            "published": direction.published,
            "returned": direction.consumed,
            "bytes_lo": direction.figures.get("bytes", 0) & MASK,
            "bytes_hi": direction.figures.get("bytes", 0) >> 32,
        }
        return known.get(name, direction.figures.get(name, 0))

    def _status(self, side: int) -> int:
        page, bits = self.pages[side], 0
        states = ("TX", self.directions[side].state), ("RX", self.directions[1 - side].state), ("SIDE", page.side_state)
        for prefix, state in states:
            bits |= R.STATUS_BITS.get(f"{prefix}_{state.upper()}", 0)
        return bits | (R.STATUS_BITS["LOCKED"] if self._locked(page) else 0)

    def _locked(self, page: Page) -> bool:
        return page.enabled or any(direction.state != "off" for direction in self.directions)

    def write(self, side: int, offset: int, value: int) -> None:
        if self.removed:
            return
        page, name = self.pages[side], NAMES.get(offset, "")
        if name in LOCKED and self._locked(page):
            return
        match name:
            case "irq_status":
                page.irq &= ~value
            case "reset":
                for bit, direction in (("TX", self.directions[side]), ("RX", self.directions[1 - side])):
                    if value & R.RESET_BITS[bit] and direction.state != "off":
                        direction.state = "drain"
                if value & R.RESET_BITS["SIDE"]:
                    page.side_state = "off"
            case "tx_prod":
                self._ring(self.directions[side], "prod", value)
            case "rx_cons":
                self._ring(self.directions[1 - side], "cons", value)
            case "side_doorbell":
                page.side_doorbell_rung = page.side_state == "run"
        page.words[name] = value
        if all(page.enabled for page in self.pages):
            for page in self.pages:
                if page.side_state == "off":  # at its start each side block is copied without a doorbell
                    page.side_state, page.side_doorbell_rung, page.side_up = "run", True, False

    def _ring(self, direction: Direction, what: str, value: int) -> None:
        if direction.state == "run":  # ignored in all other states
            direction.rung.append((what, value))

    def _raise(self, side: int, name: str) -> None:
        page = self.pages[side]
        page.irq |= R.IRQ_BITS[name]
        if page.irq & page["irq_enable"]:
            self.interrupt(side, page.irq)

    # --- what it does --------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do everything that is due; True if there was anything."""
        if self.removed:
            return False
        both = all(page.enabled for page in self.pages)
        busy = False
        for page in self.pages:
            busy |= self._step_side(page, both)
        for direction in self.directions:
            busy |= self._step_direction(direction, both)
        return busy

    def _step_side(self, page: Page, both: bool) -> bool:
        if not both:
            page.side_state, page.side_doorbell_rung, page.side_up = "off", False, False
            return False
        if page.side_state != "run" or not page.side_doorbell_rung:
            return False
        page.side_doorbell_rung, taken = False, page["side_doorbell"]
        at, peer = L.side_offset(page.side), 1 - page.side
        try:
            line = self._load(page.side, at, L.LINE)
            self._store(peer, at + EPOCHS, line[EPOCHS:])
            self._store(peer, at, line[:EPOCHS])
        except BusError as error:
            page.side_state = "halt"
            page.side_cause, page.side_address = R.CAUSES[error.args[1]], error.args[2]
            self._raise(page.side, "SIDE_HALT")
            return True
        page.side_up, page.side_done = True, taken
        self._raise(peer, "SIDE")
        return True

    def _step_direction(self, direction: Direction, both: bool) -> bool:
        if direction.state == "drain" and direction.source in self.stuck:
            return False
        if direction.state == "drain" or not both:
            was, direction.state = direction.state, "off"
            direction.rung.clear()
            if not both:
                return was != "off"
        if direction.state == "halt":
            return False
        try:
            if direction.state == "off":
                if not all(page.side_up for page in self.pages):
                    return False
                self._start(direction)
                return True
            return self._move(direction)
        except BusError as error:
            self._halt(direction, error.args[1], error.args[2])
            return True

    def _start(self, direction: Direction) -> None:
        pages, name = self.pages, L.DIRECTIONS[direction.source]
        direction.cause = direction.address = 0
        if pages[0][f"{name}_ring_log2"] != pages[1][f"{name}_ring_log2"]:
            raise BusError("", "CONFIG", 0)
        if not all(_placed(page) for page in pages):
            raise BusError("", "CONFIG", 0)
        start = pages[direction.source]["tx_start"]
        direction.target = direction.published = direction.consumed = start
        direction.count("starts")
        self._store_word(1 - direction.source, f"{name}_prod", start, "PROD_WRITE")
        self._store_word(direction.source, f"{name}_cons", start, "CONS_WRITE")
        direction.state = "run"

    def _move(self, direction: Direction) -> bool:
        if not direction.rung:
            return False
        what, value = direction.rung.pop(0)
        name, sink = L.DIRECTIONS[direction.source], 1 - direction.source
        if what == "cons":
            unread = (direction.published - direction.consumed) & MASK
            if value % L.LINE or (value - direction.consumed) & MASK > unread:
                raise BusError("", "BAD_CONS", value)
            direction.consumed = value
            self._store_word(direction.source, f"{name}_cons", value, "CONS_WRITE")
            self._wake(direction, direction.source, f"{name}_prod", "TX_CONS")
            return True
        size = 1 << self.pages[0][f"{name}_ring_log2"]
        length = (value - direction.target) & MASK
        if value % L.LINE or length > size - ((direction.target - direction.consumed) & MASK):
            raise BusError("", "BAD_PROD", value)
        self._copy(direction, size, length)
        direction.target = direction.published = value
        self._store_word(sink, f"{name}_prod", value, "PROD_WRITE")
        direction.count("bytes", length)
        direction.count("publications")
        self._wake(direction, sink, f"{name}_cons", "RX_PROD")
        return True

    def _copy(self, direction: Direction, size: int, length: int) -> None:
        ring = f"{L.DIRECTIONS[direction.source]}_ring_offset"
        done = 0
        while done < length:
            at = (direction.target + done) % size
            piece = min(length - done, size - at)
            data = self._load(direction.source, self.pages[direction.source][ring] + at, piece)
            self._store(1 - direction.source, self.pages[1 - direction.source][ring] + at, data)
            direction.count("bursts")
            done += piece

    def _wake(self, direction: Direction, side: int, line: str, bit: str) -> None:
        at = L.queue_offset(0) + L.QUEUE_LINES[line] + L.PROD_LINE.offset("need_wakeup")
        if self.pages[side]["control"] & R.CONTROL_BITS["NEED_WAKEUP"] and not self.memories[side].load32(at):
            direction.count("suppressed")
        else:
            self._raise(side, bit)

    def _halt(self, direction: Direction, cause: str, address: int) -> None:
        direction.state, direction.cause, direction.address = "halt", R.CAUSES[cause], address
        direction.rung.clear()
        direction.count("errors")
        self._raise(direction.source, "TX_HALT")
        self._raise(1 - direction.source, "RX_HALT")

    # --- the memories --------------------------------------------------------------------------------

    def _base(self, side: int) -> int:
        return self.pages[side]["window_base_lo"] | self.pages[side]["window_base_hi"] << 32

    def _load(self, side: int, offset: int, length: int) -> bytes:
        if self.broken("read", side, offset):
            raise BusError("read", "READ", self._base(side) + offset)
        return self.memories[side].read(offset, length)

    def _store(self, side: int, offset: int, data: bytes) -> None:
        if self.broken("write", side, offset):
            raise BusError("write", "WRITE", self._base(side) + offset)
        if len(data) == EPOCHS:
            self.memories[side].store64(offset, int.from_bytes(data, "little"))
        else:
            self.memories[side].write(offset, data)

    def _store_word(self, side: int, line: str, value: int, cause: str) -> None:
        at = L.queue_offset(0) + L.QUEUE_LINES[line]
        if self.broken("write", side, at):
            raise BusError("write", cause, self._base(side) + at)
        self.memories[side].store32(at, value)


class SoftRegisters:
    """One side's page of a ``SoftEngine``: ``vnetcard.engine.dma.Registers``."""

    def __init__(self, engine: SoftEngine, side: int) -> None:
        self._engine, self._side = engine, side

    def read32(self, offset: int, /) -> int:
        return self._engine.read(self._side, offset)

    def write32(self, offset: int, value: int, /) -> None:
        self._engine.write(self._side, offset, value)

    def doorbell(self, offset: int, /) -> Callable[[int], None]:
        return lambda value: self._engine.write(self._side, offset, value)
