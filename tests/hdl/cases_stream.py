"""A stream port alone, between a RAM and streams of random readiness; run by test_stream.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.stream_bench import EPOCH, StreamBench
from tests.hdl.stream_peer import Packet, random_packet

NEAR_END = (1 << 32) - 64 * 37


@cocotb.test()
async def packets_arrive_in_order_in_both_directions(dut: Any) -> None:
    """Random packets, stalls and batches: every byte, the order and TUSER are kept, over many laps of both rings."""
    bench = StreamBench(dut, start=NEAR_END)
    await bench.start()
    rx, tx = ([random_packet(bench.rng, bench.frame_max, vnet=True) for _ in range(60)] for _ in "ab")
    await bench.exchange(rx, tx)
    assert bench.events == {"rx_done": 60, "tx_done": 60}
    assert bench.doorbells == {"rx": 60, "tx": 60}
    assert [int(signal.value) for signal in (dut.rx_records_o, dut.tx_records_o)] == [60, 60]


@cocotb.test()
async def packets_of_every_size_arrive(dut: Any) -> None:
    """Each size from 1 to 200 bytes, and the largest ones, both ways: TKEEP of every last beat, header and padding."""
    bench = StreamBench(dut)
    await bench.start()
    sizes = [*range(1, 201), *range(bench.frame_max - 17, bench.frame_max + 1)]
    for order in (sizes, sizes[::-1]):
        await bench.exchange(*([Packet(bench.rng.randbytes(size)) for size in order] for _ in "ab"))


@cocotb.test()
async def largest_record_fills_the_ring(dut: Any) -> None:
    """With a frame_max beyond the ring a record may fill it; a packet of one byte more is discarded."""
    bench = StreamBench(dut, frame_max=65600)
    await bench.start()
    whole = bench.size - 16
    for _ in range(3):
        packets = [Packet(bench.rng.randbytes(size)) for size in (whole, 1, whole - 47)]
        await bench.exchange(packets, packets)
    bench.send([Packet(bytes(whole + 1)), Packet(b"next")])
    await bench.drain([Packet(b"next")])
    assert bench.events["big"] == 1


@cocotb.test()
async def full_ring_and_stalled_stream_hold_everything(dut: Any) -> None:
    """A peer that frees nothing and a sink that takes nothing stop both directions; then all continues."""
    bench = StreamBench(dut)
    await bench.start()
    busy = dict(bench.busy)
    bench.busy["sink"] = 1.0
    tx = [random_packet(bench.rng, bench.frame_max) for _ in range(30)]
    bench.send(tx)
    while bench.producer.append(random_packet(bench.rng, bench.frame_max)):
        pass
    bench.producer.publish()
    rx = list(bench.producer.sent)
    ring, cons = bench.tx_ring, bench.rx_ring
    await ClockCycles(dut.clk_i, 6000)
    filled = ring.load(ring.prod_at)
    assert 0 < filled <= ring.size and bench.source
    held = len(bench.source)
    await ClockCycles(dut.clk_i, 500)
    assert (ring.load(ring.prod_at), len(bench.source)) == (filled, held), "the port takes more than the ring holds"
    assert cons.load(cons.cons_at) <= 64 + 16 * bench.lanes, "more was released than the port can hold"
    bench.busy = busy
    await bench.drain(tx)
    await bench.until(lambda: len(bench.arrived) == len(rx), "the packets of the peer")
    assert bench.arrived == rx


async def violation(bench: StreamBench, end: str, cause: str) -> None:
    """Wait for the halt; check that it is counted and that nothing of it leaves; then run a new generation."""
    before, index = len(bench.arrived), int(getattr(bench.dut, f"{end}_index_o").value)
    faults = bench.events.get(f"{end}_fault", 0)
    await bench.until(lambda: bench.cause(end) != "None", f"a halt: {cause}")
    assert bench.cause(end) == cause
    await ClockCycles(bench.dut.clk_i, 200)
    assert len(bench.arrived) == before and not bench.part, "a part of it entered the stream"
    assert int(getattr(bench.dut, f"{end}_index_o").value) == index, "the index moved"
    assert bench.events.get(f"{end}_fault", 0) == faults + (cause != "PeerRestarted")
    other = "tx" if end == "rx" else "rx"
    assert bench.cause(other) == "None"
    if other == "tx":
        bench.send([Packet(b"the other direction continues")])
        await bench.drain([Packet(b"the other direction continues")])
    await bench.generation(64 * bench.rng.randrange(1 << 26))
    bench.arrived.clear()
    await bench.exchange([Packet(b"after it")], [Packet(b"after it")])


@cocotb.test()
async def violating_record_halts_before_the_stream(dut: Any) -> None:
    """A header that breaks the format halts the direction: it is counted, and no beat of its record leaves."""
    bench = StreamBench(dut)
    await bench.start()
    trials: list[tuple[str, bool, dict[str, int]]] = [
        ("BadLen", False, {"len": 0}),
        ("BadLen", False, {"len": bench.frame_max + 1}),
        ("BadLen", False, {"len": 113}),
        ("BadLen", False, {"len": 0x10000}),
        ("BadLen", False, {"len": 0x8000_0064}),
        ("BadLen", False, {"len": 0xFFFF_FFFF}),
        ("BadHeader", False, {"flags": 2}),
        ("BadHeader", True, {"flags": 3}),
        ("BadHeader", False, {"flags": 0x8000}),
        ("BadHeader", False, {"hdr_len": 10}),
        ("BadHeader", True, {"hdr_len": 0}),
        ("BadHeader", True, {"hdr_len": 12}),
        ("BadHeader", True, {"len": 10}),
        ("BadHeader", False, {"crc32c": 1 << 31}),
        ("BadSeq", False, {"seq": 0}),
        ("BadSeq", False, {"seq": 1}),
        ("BadSeq", False, {"seq": 3}),
        ("BadSeq", False, {"seq": 1 << 31 | 2}),
    ]
    for cause, vnet, wrong in trials:
        assert bench.producer.append(Packet(b"good"))
        bench.producer.publish()
        await bench.until(lambda: bench.arrived[-1:] == [Packet(b"good")], "the good one")
        await bench.until(lambda: int(dut.rx_records_o.value) == bench.producer.seq, "its release")
        assert bench.producer.append(Packet(bench.rng.randbytes(100), vnet), **wrong)
        bench.producer.publish()
        await violation(bench, "rx", cause)
    bench.vnet = False
    await bench.generation(0)
    assert bench.producer.append(Packet(bytes(100), vnet=True))
    bench.producer.publish()
    bench.arrived.clear()
    bench.producer.sent.clear()
    await bench.until(lambda: bench.cause("rx") == "BadHeader", "VNET that is not agreed")


@cocotb.test()
async def impossible_index_halts_the_direction(dut: Any) -> None:
    """An index of the peer that is not a multiple of 64, beyond the ring or went back is a violation."""
    bench = StreamBench(dut)
    await bench.start()
    for step in (32, bench.size + 64, -64, 1 << 31, 100):
        rx = bench.rx_ring
        rx.store(rx.prod_at, bench.producer.prod + step)
        await violation(bench, "rx", "BadIndex")
    tx = bench.tx_ring
    for step in (32, 64, -64 - bench.size, 1 << 31):
        bench.send([Packet(bytes(1500)) for _ in range(6)])
        await bench.until(lambda: bool(bench.source) and tx.load(tx.prod_at) != tx.load(tx.cons_at), "some are sent")
        await ClockCycles(dut.clk_i, 3000)
        sent = int(dut.tx_records_o.value)
        tx.store(tx.cons_at, tx.load(tx.prod_at) + step)
        await bench.until(lambda: bench.cause("tx") == "BadIndex", f"a cons of {step} beyond prod")
        assert int(dut.tx_records_o.value) == sent
        await bench.until(lambda: not bench.source, "what follows is discarded")
        await bench.generation(0)
        await bench.exchange([Packet(b"after it")], [Packet(b"after it")])
    assert bench.events["tx_fault"] == 4


@cocotb.test()
async def another_epoch_of_the_peer_stops_without_a_violation(dut: Any) -> None:
    """A restarting peer publishes its epoch before it changes an index: nothing of the new one is delivered."""
    bench = StreamBench(dut)
    await bench.start()
    await bench.exchange([Packet(b"first")], [Packet(b"first")])
    bench.publish_epoch(EPOCH + 1)
    assert bench.producer.append(Packet(b"of the next generation"))
    bench.producer.publish()
    await violation(bench, "rx", "PeerRestarted")
    bench.send([Packet(bytes(1500)) for _ in range(4)])
    await ClockCycles(dut.clk_i, 3000)
    bench.publish_epoch(EPOCH + 1)
    bench.tx_ring.store(bench.tx_ring.cons_at, 0x40)
    await bench.until(lambda: bench.cause("tx") == "PeerRestarted", "the writer sees the epoch")
    assert "tx_fault" not in bench.events


@cocotb.test()
async def malformed_packet_of_the_stream_is_discarded_and_counted(dut: Any) -> None:
    """A packet that no record can hold leaves no trace in the ring; its neighbours arrive."""
    bench = StreamBench(dut, vnet=False)
    await bench.start()
    full = (1 << bench.lanes) - 1
    word = (0x5555, full, False, False)
    bad = [
        [(0, 0, True, False)],
        [word, (0, full >> 1, False, False), (0, full, True, False)],
        [word, (0, full & ~2, True, False)],
        [word, (0, full & ~1, True, False)],
        [word, word, (0, 0, False, False), word, (0, 1, True, False)],
        [(0, full, False, True), word, (0, full, True, False)],
    ]
    wanted = [Packet(b"first")]
    bench.send(wanted)
    for packet in bad:
        bench.source.extend(packet)
        good = random_packet(bench.rng, 200)
        bench.send([good])
        wanted.append(good)
    bench.send([Packet(bytes(bench.frame_max + 1)), Packet(bytes(3 * bench.frame_max)), Packet(b"last")])
    wanted.append(Packet(b"last"))
    await bench.drain(wanted)
    assert (bench.events["bad"], bench.events["big"], bench.events["tx_done"]) == (len(bad), 2, len(wanted))
    bench.vnet = True
    await bench.generation(64)
    bench.send([Packet(bytes(10), vnet=True), Packet(bytes(11), vnet=True)])
    await bench.drain([Packet(bytes(11), vnet=True)])
    assert bench.events["bad"] == len(bad) + 1


@cocotb.test()
async def packet_may_end_in_a_beat_without_bytes(dut: Any) -> None:
    """A last beat with TKEEP 0 ends a packet of whole beats."""
    bench = StreamBench(dut)
    await bench.start()
    full = (1 << bench.lanes) - 1
    for count in (1, 5, 2):
        bench.source.extend([(1, full, False, False)] * count + [(0, 0, True, False)])
    await bench.drain([Packet((b"\1" + bytes(bench.lanes - 1)) * count) for count in (1, 5, 2)])


@cocotb.test()
async def stop_in_mid_packet_cuts_no_packet(dut: Any) -> None:
    """RUN is cleared at any moment: the stream out has whole packets only, the packet in is discarded, and counted."""
    bench = StreamBench(dut)
    await bench.start()
    for _ in range(25):
        bench.arrived.clear()
        rx, tx = ([random_packet(bench.rng, 800) for _ in range(3)] for _ in "ab")
        for packet in rx:
            assert bench.producer.append(packet)
        bench.producer.publish()
        bench.send(tx)
        await ClockCycles(dut.clk_i, bench.rng.randrange(260))
        await bench.stop()
        released = int(dut.rx_records_o.value)
        word = bench.tx_ring.load(bench.tx_ring.prod_at)
        await bench.until(lambda: dut.m_axis_tvalid.value == 0, "the stream is empty")
        await ClockCycles(dut.clk_i, 40)
        assert not bench.part, "a packet was cut"
        assert bench.arrived == rx[: len(bench.arrived)] and len(bench.arrived) <= len(rx)
        assert released in (0, len(bench.arrived)), "records are released when they are in the stream"
        assert bench.tx_ring.load(bench.tx_ring.prod_at) == word, "prod moved while off"
        sent = bench.consumer.take(99)
        assert sent == tx[: len(sent)]
        await bench.generation(64 * bench.rng.randrange(1 << 26), bench.rng.randrange(1, 1 << 32))
        await ClockCycles(dut.clk_i, 4)
        await bench.until(lambda: not bench.source, "the source is empty")
        await ClockCycles(dut.clk_i, 3000 // (1 if bench.busy["wr"] else 3))
        found = bench.consumer.take(99)
        assert found == tx[len(tx) - len(found) :], "a packet of two generations"
        bench.consumer.publish()
        assert len(sent) + len(found) + bench.events.pop("down", 0) == len(tx)


@cocotb.test()
async def invalid_configuration_halts_both_directions(dut: Any) -> None:
    """A ring that is not behind the index lines and inside the window is never used."""
    bench = StreamBench(dut)
    await bench.start()
    for offset, log2 in ((0, 12), (0x1800, 12), (0x1001, 12), (0xF000, 13), (0x1_0000, 12), (0x1000, 16), (0x1000, 11)):
        await bench.stop()
        for end in ("rx", "tx"):
            getattr(dut, f"{end}_ring_i").value = offset
            getattr(dut, f"{end}_log2_i").value = log2
        dut.run_i.value = 1
        await ClockCycles(dut.clk_i, 50)
        assert (bench.cause("rx"), bench.cause("tx")) == ("Config", "Config"), f"{offset:#x}, {log2}"
    assert not bench.events
    await bench.generation(0)
    await bench.exchange([Packet(b"after it")], [Packet(b"after it")])


@cocotb.test()
async def hostile_window_never_leads_outside_a_ring(dut: Any) -> None:
    """Random bytes in the whole window: stream_checks watches addresses and the stream; each halt has a cause."""
    bench = StreamBench(dut)
    await bench.start()
    for _ in range(40):
        await bench.generation(64 * bench.rng.randrange(1 << 26))
        start = bench.producer.prod
        bench.send([random_packet(bench.rng, bench.frame_max) for _ in range(3)])
        for _ in range(bench.rng.randint(1, 4)):
            garbage = bytearray(bench.rng.randbytes(16))
            for at in range(16):  # fields that are plausible lead further in
                garbage[at] &= bench.rng.choice((0, 0, 1, 0xFF))
            bench.rx_ring.put(bench.producer.prod, bytes(garbage))
            bench.producer.prod = (bench.producer.prod + 64 * bench.rng.randint(1, 12)) & 0xFFFF_FFFF
            bench.producer.publish()
            ring, value = bench.rng.choice((bench.rx_ring, bench.tx_ring)), bench.rng.choice((0, 64, 640, 4096, 77))
            if bench.rng.random() < 0.3:
                ring.store(ring.prod_at if ring is bench.rx_ring else ring.cons_at, start + value)
            await ClockCycles(dut.clk_i, bench.rng.randrange(200))
    await bench.stop()
    await bench.until(lambda: not bench.source and dut.m_axis_tvalid.value == 0, "both streams are empty")
    await bench.generation(0)
    bench.arrived.clear()
    await bench.exchange([Packet(b"after it")], [Packet(b"after it")])
