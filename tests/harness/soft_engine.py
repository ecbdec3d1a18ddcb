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
    side_doorbell_heard: bool = False
    side_done: int = 0
    side_state: str = "off"
    side_up: bool = False  # copied at least once since it left off
    side_cause: int = 0
    side_address: int = 0

    def __getitem__(self, name: str) -> int:
        return self.words.get(name, 0)

    @property
    def enabled(self) -> bool:
        return bool(self["control"] & R.CONTROL_BITS["ENABLE"])


@dataclass
class Way:
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


class SoftEngine:
    """Two pages, two directions, two side blocks, over the two sides' memories.

    ``interrupt(side, bits)`` is called when irq_status and irq_enable have a bit in common.  ``broken`` is
    asked with what is done ("read" or "write"), side and offset before each transfer: True makes it fail.
    ``stuck``: sides whose direction does not leave drain, as a memory holds back what is under way.
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
        self.ways = (Way(L.HOST), Way(L.CARD))

    # --- the register pages --------------------------------------------------------------------------

    def read(self, side: int, offset: int) -> int:
        if self.removed:
            return GONE
        page, name = self.pages[side], NAMES.get(offset, "")
        prefix, _, rest = name.partition("_")
        if prefix in ("tx", "rx") and name not in ("tx_prod", "tx_start", "rx_cons"):
            return self._read_way(self.ways[side if prefix == "tx" else 1 - side], rest)
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

    def _read_way(self, way: Way, name: str) -> int:
        known = {
            "cause": way.cause,
            "error_addr_lo": way.address & MASK,
            "error_addr_hi": way.address >> 32,
            "published": way.published,
            "returned": way.consumed,
            "bytes_lo": way.figures.get("bytes", 0) & MASK,
            "bytes_hi": way.figures.get("bytes", 0) >> 32,
        }
        return known.get(name, way.figures.get(name, 0))

    def _status(self, side: int) -> int:
        page, bits = self.pages[side], 0
        states = ("TX", self.ways[side].state), ("RX", self.ways[1 - side].state), ("SIDE", page.side_state)
        for prefix, state in states:
            bits |= R.STATUS_BITS.get(f"{prefix}_{state.upper()}", 0)
        return bits | (R.STATUS_BITS["LOCKED"] if self._locked(page) else 0)

    def _locked(self, page: Page) -> bool:
        return page.enabled or any(way.state != "off" for way in self.ways)

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
                for bit, way in (("TX", self.ways[side]), ("RX", self.ways[1 - side])):
                    if value & R.RESET_BITS[bit] and way.state != "off":
                        way.state = "drain"
                if value & R.RESET_BITS["SIDE"]:
                    page.side_state = "off"
            case "tx_prod":
                self._ring(self.ways[side], "prod", value)
            case "rx_cons":
                self._ring(self.ways[1 - side], "cons", value)
            case "side_doorbell":
                page.side_doorbell_heard = page.side_state == "run"
        page.words[name] = value
        if all(page.enabled for page in self.pages):
            for page in self.pages:
                if page.side_state == "off":  # coming up, each block goes across without being asked
                    page.side_state, page.side_doorbell_heard, page.side_up = "run", True, False

    def _ring(self, way: Way, what: str, value: int) -> None:
        if way.state == "run":  # heard in Run only
            way.rung.append((what, value))

    def _raise(self, side: int, name: str) -> None:
        page = self.pages[side]
        page.irq |= R.IRQ_BITS[name]
        if page.irq & page["irq_enable"]:
            self.interrupt(side, page.irq)

    # --- what it does --------------------------------------------------------------------------------

    def step(self) -> bool:
        """Everything that is due; was there anything?"""
        if self.removed:
            return False
        both = all(page.enabled for page in self.pages)
        busy = False
        for page in self.pages:
            busy |= self._step_side(page, both)
        for way in self.ways:
            busy |= self._step_way(way, both)
        return busy

    def _step_side(self, page: Page, both: bool) -> bool:
        if not both:
            page.side_state, page.side_doorbell_heard, page.side_up = "off", False, False
            return False
        if page.side_state != "run" or not page.side_doorbell_heard:
            return False
        page.side_doorbell_heard, taken = False, page["side_doorbell"]
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

    def _step_way(self, way: Way, both: bool) -> bool:
        if way.state == "drain" and way.source in self.stuck:
            return False
        if way.state == "drain" or not both:
            was, way.state = way.state, "off"
            way.rung.clear()
            if not both:
                return was != "off"
        if way.state == "halt":
            return False
        try:
            if way.state == "off":
                if not all(page.side_up for page in self.pages):
                    return False
                self._start(way)
                return True
            return self._move(way)
        except BusError as error:
            self._halt(way, error.args[1], error.args[2])
            return True

    def _start(self, way: Way) -> None:
        pages, direction = self.pages, L.DIRECTIONS[way.source]
        way.cause = way.address = 0
        if pages[0][f"{direction}_ring_log2"] != pages[1][f"{direction}_ring_log2"]:
            raise BusError("", "CONFIG", 0)
        start = pages[way.source]["tx_start"]
        way.target = way.published = way.consumed = start
        way.count("starts")
        self._store_word(1 - way.source, f"{direction}_prod", start, "PROD_WRITE")
        self._store_word(way.source, f"{direction}_cons", start, "CONS_WRITE")
        way.state = "run"

    def _move(self, way: Way) -> bool:
        if not way.rung:
            return False
        what, value = way.rung.pop(0)
        direction, sink = L.DIRECTIONS[way.source], 1 - way.source
        if what == "cons":
            if value % L.LINE or (value - way.consumed) & MASK > (way.published - way.consumed) & MASK:
                raise BusError("", "BAD_CONS", value)
            way.consumed = value
            self._store_word(way.source, f"{direction}_cons", value, "CONS_WRITE")
            self._wake(way, way.source, f"{direction}_prod", "TX_CONS")
            return True
        size = 1 << self.pages[0][f"{direction}_ring_log2"]
        length = (value - way.target) & MASK
        if value % L.LINE or length > size - ((way.target - way.consumed) & MASK):
            raise BusError("", "BAD_PROD", value)
        self._copy(way, size, length)
        way.target = way.published = value
        self._store_word(sink, f"{direction}_prod", value, "PROD_WRITE")
        way.count("bytes", length)
        way.count("publications")
        self._wake(way, sink, f"{direction}_cons", "RX_PROD")
        return True

    def _copy(self, way: Way, size: int, length: int) -> None:
        ring = f"{L.DIRECTIONS[way.source]}_ring_offset"
        done = 0
        while done < length:
            at = (way.target + done) % size
            piece = min(length - done, size - at)
            data = self._load(way.source, self.pages[way.source][ring] + at, piece)
            self._store(1 - way.source, self.pages[1 - way.source][ring] + at, data)
            way.count("bursts")
            done += piece

    def _wake(self, way: Way, side: int, line: str, bit: str) -> None:
        at = L.queue_offset(0) + L.QUEUE_LINES[line] + L.PROD_LINE.offset("need_wakeup")
        if self.pages[side]["control"] & R.CONTROL_BITS["NEED_WAKEUP"] and not self.memories[side].load32(at):
            way.count("suppressed")
        else:
            self._raise(side, bit)

    def _halt(self, way: Way, cause: str, address: int) -> None:
        way.state, way.cause, way.address = "halt", R.CAUSES[cause], address
        way.rung.clear()
        way.count("errors")
        self._raise(way.source, "TX_HALT")
        self._raise(1 - way.source, "RX_HALT")

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
