"""A card whose FPGA logic echoes, behind the whole engine; run by test_stream.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.stream_card_bench import COUNTERS, OFF, REGISTERS, RINGS, RUN, VNET, EchoBench
from tests.hdl.stream_peer import Packet, random_packet
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L


@cocotb.test()
async def packets_of_the_host_come_back(dut: Any) -> None:
    """Packets from the host's h2c ring return in its c2h ring, over several laps; records and indices are counted."""
    bench = EchoBench(dut)
    await bench.start()
    packets = [random_packet(bench.rng, bench.frame_max, vnet=True) for _ in range(60)]
    await bench.echo(packets)
    await ClockCycles(dut.clk_i, 3000)
    total = sum(len(packet.data) for packet in packets)
    count = {name: await bench.get(name) for name in COUNTERS}
    wanted = {"rx_index": bench.producer.prod, "tx_index": bench.consumer.cons}
    wanted |= {"rx_records": 60, "tx_records": 60, "rx_bytes": total, "tx_bytes": total}
    assert count == dict.fromkeys(COUNTERS, 0) | wanted
    # The host sees its space freed; the engine published what the port's doorbells said.
    ring = bench.rings["h2c"]
    assert ring.load(ring.cons_at) == bench.producer.prod
    assert await bench.pages[1].read("tx_published") == bench.consumer.cons
    assert await bench.pages[1].read("rx_returned") == bench.producer.prod


@cocotb.test()
async def control_plane_works_during_traffic(dut: Any) -> None:
    """Its accesses to the engine's page, the RAM and the registers go between the doorbells; locked words stay."""
    bench = EchoBench(dut)
    await bench.start()
    over = False

    async def control() -> int:
        rounds = 0
        while not over:
            value = bench.rng.getrandbits(32)
            at = L.side_offset(1) + 4 * bench.rng.randrange(16)
            await bench.ctl.write_dword(at, value)
            assert await bench.ctl.read_dword(at) == value
            await bench.pages[1].write("irq_count", value)
            assert await bench.pages[1].read("irq_count") == value
            await bench.set("rx_ring", 0x2000)
            await bench.set("epoch", value)
            assert await bench.get("rx_ring") == RINGS["h2c"][0], "a locked register changed"
            rounds += 1
        return rounds

    task = cocotb.start_soon(control())
    await bench.echo([random_packet(bench.rng, bench.frame_max) for _ in range(40)])
    over = True
    await task
    assert task.result() > 5
    # Bytes of a word: the strobes reach the RAM, and only whole words reach a register.
    at = L.side_offset(1) + 8
    await bench.ctl.write_dword(at, 0x1122_3344)
    await bench.ctl.write(at + 1, b"\xaa")
    assert await bench.ctl.read_dword(at) == 0x1122_AA44
    await bench.ctl.write(REGISTERS, b"\0")
    assert await bench.get("control") == RUN | VNET


@cocotb.test()
async def generations_follow_each_other_during_traffic(dut: Any) -> None:
    """The host restarts in mid-traffic: the port stops by itself, and the next generation begins with whole packets."""
    bench = EchoBench(dut)
    await bench.start()
    for _ in range(4):
        await bench.echo([random_packet(bench.rng, 600) for _ in range(5)])
        for _ in range(6):
            assert bench.producer.append(Packet(bench.rng.randbytes(700)))
        bench.producer.publish()
        await bench.pages[0].write("tx_prod", bench.producer.prod)
        await ClockCycles(dut.clk_i, bench.rng.randrange(1500))
        await bench.set("control", 0)
        await bench.set("control", RUN)  # ignored, unless it was off already
        await bench.set("control", 0)
        while not await bench.get("status") & OFF:
            pass
        # What the echo still holds belongs to no generation: the next one begins with it.
        await bench.generation(bench.rng.randrange(1, 1 << 32))
        await settle(bench)
    assert [await bench.get(name) for name in ("rx_faults", "tx_faults", "drop_bad", "drop_big")] == [0, 0, 0, 0]


async def settle(bench: EchoBench) -> None:
    """Receive what the echo held when the generation began: whole packets of 700 bytes or less."""
    quiet = 0
    while quiet < 100:
        found = bench.consumer.take(9)
        assert all(len(packet.data) <= 700 for packet in found)
        quiet = 0 if found else quiet + 1
        if found:
            bench.consumer.publish()
            await bench.pages[0].write("rx_cons", bench.consumer.cons)
        await ClockCycles(bench.dut.clk_i, 20)


@cocotb.test()
async def violation_of_the_host_halts_only_its_direction(dut: Any) -> None:
    """A record with a bad header reaches the RAM, but not the stream; the engine runs on; a new generation works."""
    bench = EchoBench(dut)
    await bench.start()
    await bench.echo([Packet(b"before it")])
    assert bench.producer.append(Packet(bytes(100)), seq=7)
    bench.producer.publish()
    await bench.pages[0].write("tx_prod", bench.producer.prod)
    while not await bench.get("status") >> 8 & 7:
        pass
    assert await bench.get("status") == 5 << 8, "the cause is BadSeq, in the direction of the host's packets"
    assert [await bench.get(name) for name in ("rx_faults", "rx_records", "tx_faults")] == [1, 1, 0]
    assert await bench.pages[1].read("rx_cause") == R.CAUSES["NONE"]
    await bench.generation(77)
    await bench.echo([Packet(b"after it")])
