"""What the engine must do, as cocotb tests; ``test_engine.py`` runs each at several data widths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine, RisingEdge
from hdl_bench import MASK, Bench

from vnetcard import layout as L
from vnetcard import registers as R
from vnetcard.fifo import Fifo

NEAR_END = (1 << 32) - 64 * 37
LINE = L.LINE


async def produce(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Put ``total`` random bytes into the tx ring of ``side``, in pieces of any size that fits."""
    way, rng = bench.directions[side], bench.rng
    prod = way.target
    while len(stream) < total:
        room = way.size - ((prod - way.source.core.load32(way.cons_line)) & MASK)
        assert 0 <= room <= way.size
        if not room:
            await ClockCycles(bench.dut.clk_i, 20)
            continue
        most = min(room, rng.choice((LINE, 1024, way.size))) // LINE
        data = rng.randbytes(LINE * rng.randint(1, most))
        way.put(prod, data)
        stream += data
        prod = (prod + len(data)) & MASK
        await bench.ring_prod(side, prod)


async def consume(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Take ``total`` bytes out of the direction that ``side`` produces, comparing each with ``stream``."""
    way, rng = bench.directions[side], bench.rng
    cons = way.published
    done = 0
    idle = 0
    while done < total:
        assert not bench.wrong, bench.wrong[:3]
        prod = way.sink.core.load32(way.prod_line)
        if prod == cons:
            idle += 1
            assert idle < 4000, f"{way.name}: nothing comes after {done} bytes"
            await ClockCycles(bench.dut.clk_i, 10)
            continue
        idle = 0
        got = way.get(cons, prod)
        assert got == stream[done : done + len(got)], f"{way.name}: other bytes than were sent"
        take = LINE * rng.randint(1, len(got) // LINE)
        done += take
        cons = (cons + take) & MASK
        await bench.ring_cons(1 - side, cons)


async def traffic(bench: Bench, side: int, total: int) -> int:
    """Random bytes through one direction from where it stands, all compared; how many."""
    stream = bytearray()
    producing = cocotb.start_soon(produce(bench, side, total, stream))
    await consume(bench, side, total, stream)
    await producing
    # What was produced beyond the total is consumed too, so that the next one starts with an empty ring.
    way = bench.directions[side]
    await bench.wait_until(lambda: way.published == way.target, f"{way.name} published everything")
    await bench.ring_cons(1 - side, way.target)
    await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == way.target, f"{way.name} returned cons")
    return len(stream)


async def both_ways(bench: Bench, total: int) -> list[int]:
    tasks = [cocotb.start_soon(traffic(bench, side, total)) for side in (0, 1)]
    await Combine(*tasks)
    return [task.result() for task in tasks]


async def check_statistics(bench: Bench) -> None:
    """The counters say what the memories saw."""
    await ClockCycles(bench.dut.clk_i, 20)
    for side, way in enumerate(bench.directions):
        for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
            assert await page.read64(f"{prefix}_bytes") == way.moved
            assert await page.read(f"{prefix}_publications") == way.publications
            assert await page.read(f"{prefix}_bursts") == way.sink.bursts
            assert await page.read(f"{prefix}_published") == way.published
            assert await page.read(f"{prefix}_returned") == way.source.core.load32(way.cons_line)
            assert await page.read(f"{prefix}_errors") == 0


@cocotb.test()
async def random_doorbells_match_the_model(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    sent = await both_ways(bench, 60_000)
    assert sent == [way.moved for way in bench.directions]
    await check_statistics(bench)
    assert await bench.pages[0].read64("cycles") > 1000
    await bench.finish()


@cocotb.test()
async def random_doorbells_match_the_model_under_stalls(dut: Any) -> None:
    bench = Bench(dut, ring=16384, window=65536)
    await bench.start()
    for busy, slow in ((0.3, 0), (0.6, 200), (0.1, 30)):
        bench.stall(busy, slow)
        await both_ways(bench, 20_000)
    await check_statistics(bench)
    await bench.finish()


@cocotb.test()
async def indices_wrap_at_2_to_the_32(dut: Any) -> None:
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.2, 40)
    await both_ways(bench, 12_000)
    for way in bench.directions:
        assert way.published < NEAR_END, "the test did not get past the wrap"
    await bench.finish()


@cocotb.test()
async def write_side_held_back_loses_nothing(dut: Any) -> None:
    """Reads stop when the buffer is spoken for: far more is to be moved than it holds, and nothing may leave it."""
    bench = Bench(dut, ring=65536, window=262_144)
    await bench.start()
    for write in bench.writes:
        write.w_channel.pause = True
    for side, way in enumerate(bench.directions):
        way.put(0, bench.rng.randbytes(way.size))
        await bench.ring_prod(side, way.size)
    await ClockCycles(dut.clk_i, 1500)
    for write in bench.writes:
        write.w_channel.pause = False
    await bench.wait_until(lambda: all(way.published == way.size for way in bench.directions), "everything published")
    await bench.finish()


@cocotb.test()
async def packets_of_the_project_fifo_arrive(dut: Any) -> None:
    """vnetcard.Fifo at both ends of both rings, interrupts and doorbells between: packets in are packets out."""
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.15, 60)
    memories = [memory.core for memory in bench.memories]
    ends = []
    for side, way in enumerate(bench.directions):
        tx = Fifo(memories[side], bench.geometry, way.name, role="producer")
        rx = Fifo(memories[1 - side], bench.geometry, way.name, role="consumer")
        tx.reset(NEAR_END)
        rx.reset(NEAR_END)
        ends.append((tx, rx))

    sizes = [1, 48, 49, 112, 113, 1500, 1514, 1536, ends[0][0].frame_max]
    packets = [[bench.rng.randbytes(n) for n in (*sizes, *bench.rng.choices(range(1, 2000), k=25))] for _ in (0, 1)]
    received: list[list[bytes]] = [[], []]

    async def send(side: int) -> None:
        way, (tx, _) = bench.directions[side], ends[side]
        for packet in packets[side]:
            while not tx.try_push(packet):
                await ClockCycles(dut.clk_i, 30)
            await bench.ring_prod(side, way.source.core.load32(way.prod_line))

    async def receive(side: int) -> None:
        """Looks only when the interrupt says so: one that is lost hangs the test."""
        way, (_, rx), page = bench.directions[side], ends[side], bench.pages[1 - side]
        while len(received[side]) < len(packets[side]):
            if not int(page.irq.value):
                await RisingEdge(page.irq)
            await page.write("irq_status", await page.read("irq_status"))
            while (packet := rx.try_pop()) is not None:
                received[side].append(packet)
                await bench.ring_cons(1 - side, way.sink.core.load32(way.cons_line))

    tasks = [cocotb.start_soon(job(side)) for side in (0, 1) for job in (send, receive)]
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets arrive", 200_000)
    assert received == packets
    for tx, rx in ends:
        tx.close()
        rx.close()
    await bench.finish()


# --- errors ------------------------------------------------------------------------------------------


async def halted(bench: Bench, side: int, cause: str) -> int:
    """Wait for the halt, check what both sides are told, and that nothing follows; the latched address."""
    await bench.wait_status(side, "TX_HALT")
    way = bench.directions[side]
    await ClockCycles(bench.dut.clk_i, 500)  # an index word already on its way may still arrive
    before = (way.published, way.sink.core.load32(way.prod_line))
    await ClockCycles(bench.dut.clk_i, 400)
    assert (way.published, way.sink.core.load32(way.prod_line)) == before
    latched = set()
    for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
        assert await page.read(f"{prefix}_cause") == R.CAUSES[cause]
        assert await page.read("irq_status") & R.IRQ_BITS[f"{prefix.upper()}_HALT"]
        await page.write("irq_status", R.IRQ_BITS[f"{prefix.upper()}_HALT"])
        latched.add(await page.read64(f"{prefix}_error_addr"))
    assert len(latched) == 1
    return latched.pop()


async def recover(bench: Bench, side: int, start: int) -> None:
    """Reset one direction from either side's page, and see that it works again."""
    who = bench.rng.choice((0, 1))
    bench.directions[side].start_at(start)
    await bench.pages[side].write("tx_start", start)
    await bench.pages[who].write("reset", R.RESET_BITS["TX" if who == side else "RX"])
    await bench.wait_status(side, "TX_RUN")
    assert await bench.pages[side].read("tx_cause") == R.CAUSES["NONE"]
    bench.directions[side].restart()
    await traffic(bench, side, 3000)


async def error_trials(bench: Bench, trial: Callable[[int, int], Any], count: int) -> None:
    """``trial(n, side)`` and the recovery from it, while the other direction carries traffic and must not notice."""
    bench.stall(0.2, 40)
    for n in range(count):
        side = n % 2
        other = cocotb.start_soon(traffic(bench, 1 - side, 5000))
        await trial(n, side)
        await recover(bench, side, bench.rng.choice((0, NEAR_END, LINE * bench.rng.randrange(1 << 26))))
        await other
        for memory in bench.memories:
            memory.failed_at.clear()
    await bench.finish()


async def two_doorbells(bench: Bench, side: int, first: int, second: int) -> tuple[int, int]:
    """Fill the ring with random bytes and ring twice; the start and the first index."""
    way = bench.directions[side]
    start = way.target
    way.put(start, bench.rng.randbytes(first + second))
    await bench.ring_prod(side, start + first)
    await bench.ring_prod(side, start + first + second)
    return start, (start + first) & MASK


@cocotb.test()
async def read_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        # The first beat, the last one, or any other.
        beats = (first + second) // beat
        bad = (0, beats - 1, bench.rng.randrange(beats), bench.rng.randrange(beats))[n // 2 % 4] * beat
        ring_at = (way.target + bad) & (way.size - 1)
        at, there = way.source_ring + ring_at, way.sink_ring + ring_at
        way.source.bad_read = lambda address: address == at
        old = bench.rng.randbytes(beat)
        way.sink.bytes[there : there + beat] = old
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "READ") == way.source.base + at
        assert way.published in ((start, middle) if bad >= first else (start,))
        assert way.sink.bytes[there : there + beat] == old, "a beat that was not read was written"
        way.source.bad_read = lambda address: False

    await error_trials(bench, trial, 12)


@cocotb.test()
async def write_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        words = (first + second) // 4
        bad = (0, words - 1, bench.rng.randrange(words), bench.rng.randrange(words))[n // 2 % 4] * 4
        at = way.sink_ring + ((way.target + bad) & (way.size - 1))
        way.sink.bad_write = lambda address: address == at
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "WRITE") == way.sink.failed_at[0]
        assert way.published in ((start, middle) if bad >= first else (start,))
        way.sink.bad_write = lambda address: False

    await error_trials(bench, trial, 12)


@cocotb.test()
async def index_word_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        start = way.target
        if n // 2 % 2 == 0:
            way.sink.bad_write = lambda address: address == way.prod_line
            await two_doorbells(bench, side, LINE, LINE)
            assert await halted(bench, side, "PROD_WRITE") == way.sink.base + way.prod_line
            assert await bench.pages[side].read("tx_published") == start
        else:
            await two_doorbells(bench, side, LINE, LINE)
            await bench.wait_until(lambda: way.published == way.target, "published")
            way.source.bad_write = lambda address: address == way.cons_line
            await bench.ring_cons(1 - side, start + LINE)
            assert await halted(bench, side, "CONS_WRITE") == way.source.base + way.cons_line
            assert await bench.pages[side].read("tx_returned") == start
        way.sink.bad_write = way.source.bad_write = lambda address: False

    await error_trials(bench, trial, 8)


@cocotb.test()
async def impossible_index_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    size = bench.directions[0].size
    # Two lines are published and one of them is consumed before each of these is rung.
    prods = (-LINE, 32, 1, 3 * LINE + 1, 2 * LINE + size, 1 << 31, LINE + size + LINE)
    conses = (0, 33, 2 * LINE + 1, 3 * LINE, -LINE, 1 << 31)

    async def trial(n: int, side: int) -> None:
        way, pages = bench.directions[side], bench.pages
        start = way.target
        await two_doorbells(bench, side, LINE, LINE)
        await bench.wait_until(lambda: way.published == way.target, "published")
        await bench.ring_cons(1 - side, start + LINE)
        await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == (start + LINE) & MASK, "cons")
        n //= 2
        if n < len(prods):
            value = (start + prods[n]) & MASK
            await pages[side].write("tx_prod", value)
            assert await halted(bench, side, "BAD_PROD") == value
        else:
            value = (start + conses[n - len(prods)]) & MASK
            await pages[1 - side].write("rx_cons", value)
            assert await halted(bench, side, "BAD_CONS") == value

    await error_trials(bench, trial, 2 * (len(prods) + len(conses)))


@cocotb.test()
async def reset_in_mid_burst_drains_and_starts_anew(dut: Any) -> None:
    """A reset, or the loss of ENABLE, at any cycle of a transfer: what is under way ends, then all is new."""
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        await two_doorbells(bench, side, LINE * bench.rng.randint(1, 32), LINE * bench.rng.randint(1, 32))
        if n % 4 == 3:
            await bench.wait_until(lambda: way.published == way.target, "published")
            await bench.ring_cons(1 - side, way.target)
        await ClockCycles(dut.clk_i, bench.rng.randrange(150))

    await error_trials(bench, trial, 24)

    # And both at once by ENABLE: off means that nothing is under way any more.
    for _ in range(6):
        for side in (0, 1):
            await two_doorbells(bench, side, LINE * bench.rng.randint(1, 32), LINE * 4)
        await ClockCycles(dut.clk_i, bench.rng.randrange(100))
        page = bench.rng.choice(bench.pages)
        await page.write("control", 0)
        await bench.wait_off()
        seen = [memory.accesses for memory in bench.memories]
        await ClockCycles(dut.clk_i, 200)
        assert [memory.accesses for memory in bench.memories] == seen
        for other, way in zip(bench.pages, bench.directions, strict=True):
            way.start_at(LINE * bench.rng.randrange(1 << 26))
            await other.write("tx_start", way.start)
        await page.write("control", 1)
        await bench.running()
        await both_ways(bench, 3000)
    await bench.finish()


# --- hostile and wrong ------------------------------------------------------------------------------------


@cocotb.test()
async def hostile_registers_stay_inside_the_window(dut: Any) -> None:
    """One side writes anything anywhere: the other's window is the only memory of the other that is touched.

    The hostile side's own memory is judged by the base and size that its page shows at that moment.
    """
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    names = [register.name for register in R.REGISTERS if register.access != "RO"]
    for hostile in (0, 1):
        honest = 1 - hostile
        memory, page = bench.memories[hostile], bench.pages[hostile]
        regs = getattr(dut, f"i_regs_{L.SIDES[hostile]}")
        for way in bench.directions:
            way.hostile = True
        outside: list[str] = []

        async def read(address: int, count: int, regs: Any = regs, outside: list[str] = outside) -> bytes:
            base, size = int(regs.window_base_o.value), 1 << int(regs.window_log2_o.value)
            if not base <= address <= address + count <= base + size <= 1 << 64:
                outside.append(f"read at {address:#x}, window {base:#x} + {size:#x}")
            return bytes(count)

        def write(address: int, data: bytes, regs: Any = regs, outside: list[str] = outside) -> bool:
            base, size = int(regs.window_base_o.value), 1 << int(regs.window_log2_o.value)
            if not base <= address <= address + len(data) <= base + size <= 1 << 64:
                outside.append(f"write at {address:#x}, window {base:#x} + {size:#x}")
            return True

        was = memory.read, memory.write
        memory.read, memory.write = read, write  # type: ignore[method-assign]
        before = bench.memories[honest].accesses

        def value(name: str) -> int:
            plain = rng.choice((0, MASK, rng.getrandbits(32), LINE * rng.randrange(128)))
            if name.endswith("log2"):
                fits = 12 if "ring" in name else rng.choice((14, 20, 30))
                return rng.choice((fits, fits, fits, fits, fits, rng.randrange(34), plain))
            if name == "control":
                return rng.choice((0, 1, 1, 1, plain))
            if name == "window_base_hi":
                return rng.choice((0, 0x7FFF, MASK, plain))
            return plain

        for n in range(700):
            name = rng.choice(names)
            await page.write(name, value(name))
            if n % 10 == 0:
                # A configuration that can run, so that the hostile doorbells have something to do.
                await page.write("control", 0)
                await ClockCycles(dut.clk_i, 60)
                for log2 in (name for name in names if name.endswith("log2")):
                    await page.write(log2, 14 if log2 == "window_log2" else 12)
                await page.write("window_base_hi", rng.choice((0, 0x7FFF)))
                await page.write("control", 1)
                start = await page.read("tx_start")
                for _ in range(20):
                    if await page.read("status") & (R.STATUS_BITS["TX_RUN"] | R.STATUS_BITS["TX_HALT"]):
                        break
                await page.write("tx_prod", start + LINE * rng.randint(1, 64))
            if rng.random() < 0.2:
                await bench.pages[honest].write(rng.choice(("tx_prod", "rx_cons")), LINE * rng.randrange(64))
            if rng.random() < 0.1:
                await bench.pages[honest].write("tx_prod", LINE * rng.randint(1, 64))
        assert bench.memories[honest].accesses - before > 300, "the hostile side was never let in: nothing was tested"

        # Its own page put right again, all is well.
        for side in (hostile, honest):
            await bench.pages[side].write("control", 0)
        await bench.wait_off()
        assert not outside, outside[:3]
        memory.read, memory.write = was  # type: ignore[method-assign]
        for way in bench.directions:
            way.hostile = False
        await bench.configure()
        await both_ways(bench, 4000)
    await bench.finish()


@cocotb.test()
async def configuration_is_checked_and_locked(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    host, card = bench.pages
    assert await host.read("id") == R.ENGINE_ID
    assert await host.read("version") == R.ENGINE_VERSION | L.VERSION << 16
    width = len(dut.m_axi_host_rdata)
    assert [await page.read("caps") for page in (host, card)] == [width | 63 << 16, width | 63 << 16 | 1 << 24]

    locked = [register.name for register in R.REGISTERS if register.meaning.endswith("; locked")]
    assert len(locked) == 7
    assert await host.read("status") == sum(R.STATUS_BITS[name] for name in ("TX_RUN", "RX_RUN", "LOCKED", "SIDE_RUN"))
    for name in locked:
        before = await host.read(name)
        await host.write(name, before ^ 0x0000_F00F)
        assert await host.read(name) == before, f"{name} changed while in use"
    await host.master.write(R.offset("tx_start"), b"\xff\xff")  # half a register
    assert await host.read("tx_start") == 0

    # Each of these cannot run, and says so; put right, it runs.
    for page, name, value in (
        (host, "h2c_ring_log2", 13),
        (card, "c2h_ring_log2", 11),
        (host, "window_log2", 13),
        (card, "window_log2", 31),
        (card, "window_log2", 12 + 32),
        (host, "window_base_hi", MASK),
    ):
        low = await page.read("window_base_lo")
        await page.write("control", 0)
        good = await page.read(name)
        if name == "window_base_hi":
            await page.write("window_base_lo", MASK)
        await page.write(name, value)
        for way in bench.directions:
            way.start_at(0)
        await page.write("control", 1)
        side = 1 if name.startswith("c2h") else 0
        await bench.wait_status(side, "TX_HALT")
        assert await bench.pages[side].read("tx_cause") == R.CAUSES["CONFIG"], name
        await ClockCycles(dut.clk_i, 100)  # the other direction may start
        seen = sum(memory.accesses for memory in bench.memories)
        await bench.pages[side].write("tx_prod", LINE)
        await ClockCycles(dut.clk_i, 100)
        assert sum(memory.accesses for memory in bench.memories) == seen
        await page.write("control", 0)
        await page.write(name, good)
        await page.write("window_base_lo", low)
        for way in bench.directions:
            way.start_at(0)
        await page.write("control", 1)
        await bench.running()
        await both_ways(bench, 1000)
    await bench.finish()


@cocotb.test()
async def interrupts_follow_mask_and_clearing(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    host, card = bench.pages
    way = bench.directions[0]

    async def levels() -> tuple[int, int]:
        await ClockCycles(dut.clk_i, 4)
        return int(host.irq.value), int(card.irq.value)

    assert await levels() == (0, 0)
    way.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: way.published == LINE, "published")
    await ClockCycles(dut.clk_i, 20)
    assert await levels() == (0, 1)
    assert way.sink.core.load32(way.prod_line) == LINE
    assert await card.read("irq_status") == R.IRQ_BITS["RX_PROD"]
    await card.write("irq_enable", MASK & ~R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 0)
    await card.write("irq_enable", R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 1)
    await card.write("irq_status", MASK & ~R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 1)
    await card.write("irq_status", R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 0)
    await bench.ring_cons(1, LINE)
    await ClockCycles(dut.clk_i, 60)
    assert way.source.core.load32(way.cons_line) == LINE
    assert await levels() == (1, 0)
    assert await host.read("irq_status") == R.IRQ_BITS["TX_CONS"]
    await bench.finish()


@cocotb.test()
async def event_in_the_cycle_of_its_clearing_stays(dut: Any) -> None:
    """Clears irq_status again and again while it publishes, until three clearings have met an event."""
    bench = Bench(dut)
    await bench.start()
    way, card = bench.directions[0], bench.pages[1]
    regs = dut.i_regs_card
    met = 0

    async def watch() -> None:
        nonlocal met
        event = False
        while True:
            await RisingEdge(dut.clk_i)
            if event:
                assert int(regs.irq_status_q.value) & R.IRQ_BITS["RX_PROD"], "an event was lost"
            event = bool(int(regs.rx_prod_event_i.value))
            met += event and bool(int(regs.irq_clear.value))

    async def clear() -> None:
        while True:
            await card.write("irq_status", MASK)
            await ClockCycles(dut.clk_i, bench.rng.randint(1, 5))

    tasks = [cocotb.start_soon(job()) for job in (watch, clear)]
    tries = 0
    while met < 3:
        tries += 1
        assert tries < 500, "no clearing met an event"
        prod = way.target + LINE
        way.put(prod - LINE, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        await bench.wait_until(lambda prod=prod: way.published == prod, "published")
        await bench.ring_cons(1, prod)
    for task in tasks:
        task.cancel()
    await bench.finish()
