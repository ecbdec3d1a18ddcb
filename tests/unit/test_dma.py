"""The driver of the DMA engine, against the register model of ``soft_engine.py``."""

from __future__ import annotations

import copy
import mmap
import re
from collections.abc import Callable

import pytest

from tests.harness.soft_engine import SoftEngine, SoftRegisters
from vnetcard._core import Doorbell, Memory
from vnetcard.engine import registers as R
from vnetcard.engine.dma import Engine, MappedRegisters, Wakeups
from vnetcard.engine.transport import Fault
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

WINDOW = 64 << 10
GEOMETRY = Geometry.plan(WINDOW, instance=1, removable=False)
BASES = (0x12_0000_0000, 0x34_0000_0000)
LOCKED_BITS = R.STATUS_BITS["LOCKED"]


class Bench:
    """Two drivers on one model, which works while a driver waits; time passes only then."""

    def __init__(self) -> None:
        self.memories = (Memory(mmap.mmap(-1, WINDOW)), Memory(mmap.mmap(-1, WINDOW)))
        self.model = SoftEngine(self.memories)
        self.now = 0.0
        self.works = True
        self.host, self.card = self.driver(L.HOST), self.driver(L.CARD)

    def driver(self, side: int, geometry: Geometry = GEOMETRY, wakeups: Wakeups = Wakeups.SLEEPING) -> Engine:
        return Engine(
            SoftRegisters(self.model, side),
            side,
            base=BASES[side],
            geometry=geometry,
            clock=lambda: self.now,
            sleep=self.sleep,
            limit=2.0,
            wakeups=wakeups,
        )

    def sleep(self, seconds: float) -> None:
        self.now += 0.01
        if self.works:
            self.model.step()

    def work(self) -> None:
        while self.model.step():
            pass

    def start(self) -> None:
        for driver in (self.host, self.card):
            driver.attach()
        for driver in (self.host, self.card):
            driver.announce()
        self.work()
        assert self.register(L.HOST, "status") & 0x11 == 0x11

    def register(self, side: int, name: str) -> int:
        return self.model.read(side, R.offset(name))

    def word(self, side: int, of: int, name: str) -> int:
        """A word of the block of side ``of`` as it stands in the memory of ``side``."""
        return self.memories[side].load32(L.side_offset(of) + L.SIDE_CONTROL.offset(name))

    def say(self, side: int, name: str, value: int) -> None:
        self.memories[side].store32(L.side_offset(side) + L.SIDE_CONTROL.offset(name), value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- detection -------------------------------------------------------------------------------------------


class Page:
    """Registers that read as the test says."""

    def __init__(self, **words: int) -> None:
        good = {"id": R.ENGINE_ID, "version": L.VERSION << 16 | R.ENGINE_VERSION, "caps": 64}
        self.words = {R.offset(name): value for name, value in (good | words).items()}

    def read32(self, offset: int) -> int:
        return self.words.get(offset, 0)

    def write32(self, offset: int, value: int) -> None:
        raise AssertionError("written before it was known to be an engine")

    def doorbell(self, offset: int) -> Callable[[int], None]:
        raise AssertionError(f"{offset:#x} rung")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"id": 0xFFFF_FFFF}, WindowUnavailable, "all ones: the device is gone"),
        ({"id": 0x1234}, WindowUnavailable, r"id reads 0x00001234, not 0x44434e56"),
        ({"version": 7}, LayoutMismatch, "register map 7 and wire format 0, this software 1 and 1"),
        ({"caps": 1 << 24 | 64}, ConfigError, "shows the card's page, not the host's"),
    ],
)
def test_what_is_no_engine_of_ours_is_refused_and_left_alone(
    words: dict[str, int], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Engine(Page(**words), L.HOST, base=0, geometry=GEOMETRY)


@pytest.mark.parametrize("base", [0x800, 0x1_0000_0001])
def test_base_inside_a_page_is_refused(base: int) -> None:
    with pytest.raises(ConfigError, match="whole pages"):
        Engine(Page(), L.HOST, base=base, geometry=GEOMETRY)


def test_window_that_is_no_power_of_two_is_refused() -> None:
    odd = Geometry.plan(48 << 10, instance=1, removable=False)
    with pytest.raises(ConfigError, match="power of two bytes"):
        Engine(Page(), L.HOST, base=0, geometry=odd)


# --- attach, announce, detach ------------------------------------------------------------------------------


def test_attach_configures_and_does_not_enable(bench: Bench) -> None:
    bench.host.attach()
    h2c, c2h = GEOMETRY.rings[0]
    expected = {
        "window_base_lo": BASES[0] & 0xFFFF_FFFF,
        "window_base_hi": BASES[0] >> 32,
        "window_log2": 16,
        "h2c_ring_offset": h2c.offset,
        "c2h_ring_offset": c2h.offset,
        "h2c_ring_log2": h2c.size.bit_length() - 1,
        "c2h_ring_log2": c2h.size.bit_length() - 1,
        "tx_start": 0,
        "control": 0,
    }
    assert {name: bench.register(L.HOST, name) for name in expected} == expected
    assert bench.register(L.HOST, "timeout") > 0
    assert bench.register(L.HOST, "irq_enable") == sum(R.IRQ_BITS.values())


@pytest.mark.parametrize(
    ("wakeups", "irq_enable", "control"), [("never", False, 1), ("sleeping", True, 3), ("always", True, 1)]
)
def test_engine_interrupts_and_reads_need_wakeup_only_where_it_was_asked_to(
    bench: Bench, wakeups: str, irq_enable: bool, control: int
) -> None:
    driver = bench.driver(L.HOST, wakeups=Wakeups(wakeups))
    driver.attach()
    driver.announce()
    assert bool(bench.register(L.HOST, "irq_enable")) is irq_enable
    assert bench.register(L.HOST, "control") == control


def test_attach_takes_over_from_an_owner_that_was_killed(bench: Bench) -> None:
    bench.start()
    bench.model.pages[L.HOST].words["window_log2"] = 20
    bench.driver(L.HOST).attach()
    assert bench.register(L.HOST, "window_log2") == 16, "the configuration was still locked"
    assert not bench.register(L.HOST, "status") & LOCKED_BITS


def test_attach_gives_up_on_a_memory_that_never_answers(bench: Bench) -> None:
    bench.start()
    bench.works = False
    with pytest.raises(WindowUnavailable, match="did not end: a memory does not answer within 2 s"):
        bench.host.attach()


def test_nothing_crosses_before_the_first_announcement(bench: Bench) -> None:
    bench.card.attach()
    bench.card.announce()
    bench.host.attach()
    bench.say(L.HOST, "epoch", 0xDEAD)
    bench.host.publish()
    bench.work()
    assert bench.word(L.CARD, L.HOST, "epoch") == 0
    bench.say(L.HOST, "epoch", 5)
    bench.host.announce()
    bench.work()
    assert bench.word(L.CARD, L.HOST, "epoch") == 5


def test_detached_side_is_touched_no_more(bench: Bench) -> None:
    bench.start()
    bench.host.detach()
    assert not bench.register(L.HOST, "status") & LOCKED_BITS
    bench.say(L.CARD, "epoch", 9)
    bench.card.publish()
    bench.work()
    assert bench.word(L.HOST, L.CARD, "epoch") == 0


# --- publish, reset----------------------------------------------------------------------------------------


def test_published_block_is_in_the_peers_memory_on_return(bench: Bench) -> None:
    bench.start()
    for value in (7, 8, 9):
        bench.say(L.HOST, "answered", value)
        bench.host.publish()
        assert bench.word(L.CARD, L.HOST, "answered") == value


def test_publish_without_waiting_only_rings(bench: Bench) -> None:
    bench.start()
    bench.say(L.HOST, "heartbeat", 3)
    bench.host.publish(wait=False)
    assert bench.word(L.CARD, L.HOST, "heartbeat") == 0
    bench.work()
    assert bench.word(L.CARD, L.HOST, "heartbeat") == 3


def test_a_count_left_by_an_earlier_owner_is_not_taken_for_an_answer(bench: Bench) -> None:
    bench.start()
    again = bench.driver(L.HOST)
    for count in range(1, 5):
        again.attach()
        bench.model.pages[L.HOST].side_done = count
        bench.say(L.HOST, "epoch", 70 + count)
        again.announce()
        assert bench.word(L.CARD, L.HOST, "epoch") == 70 + count


def test_without_a_peer_no_call_waits(bench: Bench) -> None:
    bench.works = False
    bench.host.attach()
    bench.host.announce()
    bench.host.publish()
    bench.host.reset_directions()
    assert bench.now == 0


def test_engine_that_does_nothing_is_reported(bench: Bench) -> None:
    bench.start()
    bench.works = False
    with pytest.raises(WindowUnavailable, match="this side's block did not get across within 2 s"):
        bench.host.publish()


def test_reset_forgets_what_was_rung_and_returns_when_both_run(bench: Bench) -> None:
    bench.start()
    ring, _ = bench.host.doorbells()
    ring(640)
    bench.work()
    assert bench.register(L.HOST, "tx_published") == 640
    ring(1280)
    bench.host.reset_directions()
    bench.work()
    assert bench.register(L.HOST, "tx_published") == 0
    assert bench.register(L.HOST, "status") & 0x11 == 0x11
    at = L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]
    assert bench.memories[L.CARD].load32(at) == 0


def test_reset_gives_up_after_a_while_and_names_what_is_missing(bench: Bench) -> None:
    bench.start()
    assert bench.host.not_ready() is None
    bench.works = False
    bench.host.reset_directions()
    assert bench.now < 2
    assert bench.host.not_ready() == "the engine has not started h2c and c2h"
    bench.work()
    assert bench.host.not_ready() is None
    bench.works, bench.model.stuck, began = True, {L.CARD}, bench.now
    bench.host.reset_directions()
    assert bench.now - began >= 1, "it waits for both"
    assert bench.host.not_ready() == bench.card.not_ready() == "the engine has not started c2h"


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (("read", L.HOST, 0x1000), r"h2c halted: READ, a read failed at bus address 0x1200001000"),
        (("write", L.CARD, 0x1000), r"h2c halted: WRITE, a write failed at bus address 0x3400001000"),
        (("write", L.CARD, 0x800), r"h2c halted: PROD_WRITE, the write of prod failed at bus address 0x3400000800"),
    ],
)
def test_bus_error_is_reported_with_cause_and_address(bench: Bench, breaks: tuple[str, int, int], message: str) -> None:
    bench.start()
    assert bench.host.fault() is None
    bench.model.broken = lambda *what: what == breaks
    bench.host.doorbells()[0](64)
    bench.work()
    for driver in (bench.host, bench.card):
        assert re.fullmatch(message, driver.fault() or "")


def test_impossible_index_is_reported_with_its_value(bench: Bench) -> None:
    bench.start()
    bench.card.doorbells()[0](0x1234)
    bench.work()
    assert bench.host.fault() == "c2h halted: BAD_PROD, prod 0x1234 is impossible"


def test_rings_of_two_sizes_are_reported_with_the_remedy(bench: Bench) -> None:
    bench.card = bench.driver(L.CARD, Geometry.plan(WINDOW, queue_bytes=4096, instance=2, removable=False))
    for driver in (bench.host, bench.card):
        driver.attach()
        driver.announce()
    bench.work()
    for driver in (bench.host, bench.card):
        assert "CONFIG, the two sides' rings differ in size" in (driver.fault() or "")
        assert "--queue-bytes" in (driver.fault() or "")


def test_block_that_cannot_cross_ends_the_wait_and_is_reported(bench: Bench) -> None:
    bench.start()
    bench.model.broken = lambda what, side, offset: what == "write" and offset == L.side_offset(L.HOST)
    bench.host.publish()
    assert "the host's block halted: WRITE" in (bench.host.fault() or "")
    assert bench.card.fault() is None
    bench.model.broken = lambda *what: False
    bench.host.attach()
    bench.host.announce()
    bench.work()
    assert bench.host.fault() is None


@pytest.mark.parametrize("call", ["attach", "announce", "publish", "reset_directions", "fault", "detach", "statistics"])
def test_removed_device_is_reported(bench: Bench, call: str) -> None:
    bench.start()
    bench.model.removed = True
    with pytest.raises(WindowUnavailable, match="all ones: the device is gone"):
        getattr(bench.host, call)()


def test_single_register_of_all_ones_is_accepted(bench: Bench) -> None:
    bench.start()
    bench.model.directions[L.HOST].figures["bytes"] = 0x1_FFFF_FFFF
    assert bench.host.statistics().tx.bytes == 0x1_FFFF_FFFF


def test_engine_that_another_program_reset_is_noticed(bench: Bench) -> None:
    bench.start()
    bench.model.power_up()
    assert "no longer enabled: it was reset" in (bench.host.fault() or "")


# --- statistics and copies ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wakeups", Wakeups)
def test_bridge_whose_reads_overtake_writes_is_reported_where_that_matters(wakeups: Wakeups) -> None:
    page = Page(status=R.STATUS_BITS["OVERTAKEN"])
    fault = Engine(page, L.HOST, base=0, geometry=GEOMETRY, wakeups=wakeups).fault()
    if wakeups is Wakeups.SLEEPING:
        assert fault is not None and fault.code == "READ_ORDER"
        assert "a read overtook an earlier write" in fault and "wakeup=off" in fault
    else:
        assert fault is None


def test_memory_that_does_not_read_back_is_named_while_nothing_starts() -> None:
    page = Page(status=R.STATUS_BITS["OVERTAKEN"] | R.STATUS_BITS["TX_RUN"])
    why = Engine(page, L.HOST, base=0, geometry=GEOMETRY).not_ready()
    assert why == "the engine has not started c2h: what it writes to this side's memory does not read back"


def test_statistics_have_both_directions(bench: Bench) -> None:
    bench.start()
    bench.host.doorbells()[0](128)
    bench.work()
    bench.card.doorbells()[1](0x40)
    bench.work()
    host, card = bench.host.statistics(), bench.card.statistics()
    assert (host.data_width, host.burst_beats, host.side) == (64, 64, "run")
    assert (host.tx.direction, host.tx.state, host.tx.cause, host.tx.bytes) == ("h2c", "run", "NONE", 128)
    assert card.rx == host.tx
    assert (card.tx.direction, card.tx.bytes) == ("c2h", 0)
    assert bench.host.describe() == "64-bit engine, bursts of 64 beats, window of 64 KiB at 0x1200000000"


def test_mapped_page_is_read_and_rung_where_its_registers_are() -> None:
    memory = Memory(mmap.mmap(-1, R.PAGE_BYTES), device=True)
    registers = MappedRegisters(memory)
    registers.write32(R.offset("control"), 3)
    doorbell = registers.doorbell(R.offset("tx_prod"))
    assert isinstance(doorbell, Doorbell)
    doorbell(0x40)
    assert registers.read32(R.offset("control")) == memory.load32(0x00C) == 3
    assert memory.load32(0x040) == 0x40


def test_fault_survives_a_copy() -> None:
    fault = Fault("h2c halted: READ", "READ")
    again = copy.deepcopy(fault)
    assert (again, again.code) == (fault, "READ")
