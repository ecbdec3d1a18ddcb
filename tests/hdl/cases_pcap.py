"""Replay of a capture through the engine; run by replay.py (``make hdl PCAP=...``) and test_pcap.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from tests.hdl.bench import Bench
from tests.hdl.model import Direction
from vnetcard.ring.fifo import Fifo
from vnetcard.tap import pcap_reader
from vnetcard.tap.pcap_reader import Packet

RING, WINDOW = 128 << 10, 512 << 10
"""A ring holds one of the largest packets and a little more, so that packets wrap."""


@cocotb.test()
async def capture_arrives_and_returns_unchanged(dut: Any) -> None:
    """The host sends the packets of VNETCARD_PCAP, the card returns each, in order and unchanged.

    The packets that the card received are written to VNETCARD_PCAP_OUT, with the simulated time added to the first
    time stamp.
    """
    packets = pcap_reader.read(Path(os.environ["VNETCARD_PCAP"])).packets
    bench = Bench(dut, ring=RING, window=WINDOW)
    await bench.start()
    began = get_sim_time("ns")
    h2c, c2h = bench.directions

    def fifo(side: int, direction: Direction, role: Any) -> Fifo:
        return Fifo(bench.memories[side].core, bench.geometry, direction.name, role=role)

    host_tx, card_rx, card_tx, host_rx = (
        fifo(0, h2c, "producer"),
        fifo(1, h2c, "consumer"),
        fifo(1, c2h, "producer"),
        fifo(0, c2h, "consumer"),
    )
    arrived: list[Packet] = []
    returned = 0

    async def push(side: int, tx: Fifo, data: bytes) -> None:
        direction = bench.directions[side]
        while not tx.try_push(data):
            await ClockCycles(dut.clk_i, 16)
        await bench.ring_prod(side, direction.source.core.load32(direction.prod_line))

    async def pop(side: int, rx: Fifo) -> bytes:
        direction = bench.directions[1 - side]
        while (data := rx.try_pop()) is None:
            await ClockCycles(dut.clk_i, 8)
        await bench.ring_cons(side, direction.sink.core.load32(direction.cons_line))
        return data

    async def send() -> None:
        for packet in packets:
            await push(0, host_tx, packet.data)

    async def echo() -> None:
        for packet in packets:
            data = await pop(1, card_rx)
            assert data == packet.data, f"packet {len(arrived) + 1} arrived changed or out of order"
            arrived.append(Packet(packets[0].time + round(get_sim_time("ns") - began), data))
            await push(1, card_tx, data)

    async def receive() -> None:
        nonlocal returned
        for packet in packets:
            assert await pop(0, host_rx) == packet.data, f"packet {returned + 1} returned changed"
            returned += 1

    tasks = [cocotb.start_soon(job()) for job in (send, echo, receive)]
    beats = sum(len(packet.data) + 128 for packet in packets) // (len(dut.m_axi_host_wdata) // 8)
    limit = 20_000 + 16 * beats + 2000 * len(packets)
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets are back", limit)
    for end in (host_tx, card_rx, card_tx, host_rx):
        end.close()
    await bench.finish()
    if out := os.environ.get("VNETCARD_PCAP_OUT"):
        pcap_reader.write(Path(out), arrived)
