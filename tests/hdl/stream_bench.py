"""The bench around a stream port alone: a RAM that grants at random times, a source and a sink of packets, a peer.

One task does everything in each clock cycle, as it is the slowest part of a run.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.stream_peer import Consumer, Packet, Producer, Ring
from vnetcard.ring import layout as L

WINDOW = 1 << 16
RINGS = {"h2c": 0x1000, "c2h": 0x9000}
EPOCH = 0x1234_5678
CAUSES = ("None", "Config", "BadIndex", "BadLen", "BadHeader", "BadSeq", "PeerRestarted")
"""The names of ``vnc_stream_pkg::cause_e``."""
Beat = tuple[int, int, bool, bool]
"""TDATA, TKEEP, TLAST, TUSER."""


def beats(packet: Packet, lanes: int) -> Iterator[Beat]:
    """Yield the beats of ``packet`` on a stream of ``lanes`` bytes."""
    for at in range(0, len(packet.data), lanes):
        part = packet.data[at : at + lanes]
        last = at + lanes >= len(packet.data)
        yield int.from_bytes(part, "little"), (1 << len(part)) - 1, last, packet.vnet


class StreamBench:
    """A stream port and its peer; a case awaits ``start()``."""

    def __init__(self, dut: Any, *, size: int = 4096, start: int = 0, frame_max: int = 1518, vnet: bool = True) -> None:
        self.dut = dut
        self.rng = random.Random(int(os.environ.get("VNETCARD_SEED", "1")))
        dut._log.info("VNETCARD_SEED=%s", os.environ.get("VNETCARD_SEED", "1"))
        self.lanes = len(dut.m_axis_tkeep)
        self.card = os.environ.get("VNETCARD_STREAM_SIDE", "card") == "card"
        self.size, self.start_index, self.frame_max, self.vnet = size, start, frame_max, vnet
        self.ram = bytearray(self.rng.randbytes(WINDOW))
        self.source: deque[Beat] = deque()
        self.arrived: list[Packet] = []
        self.part = b""
        self.doorbells = {"rx": 0, "tx": 0}
        self.events: dict[str, int] = {}
        self.on_write: Callable[[int, bytes], None] = lambda at, data: None
        self.busy = {"rd": 0.0, "wr": 0.0, "source": 0.0, "sink": 0.0}

    # --- one cycle ---------------------------------------------------------------------------------------

    def _stalled(self, what: str) -> bool:
        busy = self.busy[what]
        return bool(busy) and (busy >= 1.0 or self.rng.random() < busy)

    async def _cycle(self) -> None:
        dut = self.dut
        edge = RisingEdge(dut.clk_i)
        read_ready = write_ready = sink_ready = offered = False
        while True:
            await edge
            if read_ready and dut.rd_valid_o.value == 1:
                at = int(dut.rd_at_o.value) & -self.lanes
                dut.rd_done_i.value = 1
                dut.rd_data_i.value = int.from_bytes(self.ram[at : at + self.lanes], "little")
            else:
                dut.rd_done_i.value = 0
            if write_ready and dut.wr_valid_o.value == 1:
                self._write(int(dut.wr_at_o.value), int(dut.wr_data_o.value), int(dut.wr_strb_o.value))
            if sink_ready and dut.m_axis_tvalid.value == 1:
                self._sink()
            for name in ("rx_doorbell", "tx_doorbell"):
                if getattr(dut, f"{name}_o").value == 1:
                    self._doorbell(name[:2])
            for name in ("rx_fault", "tx_fault", "big", "bad", "down", "rx_done", "tx_done"):
                if getattr(dut, f"{name}_event_o").value == 1:
                    self.events[name] = self.events.get(name, 0) + 1
            if offered and dut.s_axis_tready.value == 1:
                self.source.popleft()
                offered = False
            if not offered:
                offered = bool(self.source) and not self._stalled("source")
                if offered:
                    data, keep, last, user = self.source[0]
                    dut.s_axis_tdata.value, dut.s_axis_tkeep.value = data, keep
                    dut.s_axis_tlast.value, dut.s_axis_tuser.value = int(last), int(user)
                dut.s_axis_tvalid.value = int(offered)
            read_ready, write_ready = not self._stalled("rd"), not self._stalled("wr")
            sink_ready = not self._stalled("sink")
            dut.rd_ready_i.value, dut.wr_ready_i.value = int(read_ready), int(write_ready)
            dut.m_axis_tready.value = int(sink_ready)

    def _write(self, at: int, data: int, strobes: int) -> None:
        whole = data.to_bytes(self.lanes, "little")
        count = strobes.bit_length()
        assert strobes == (1 << count) - 1 and at % self.lanes == 0
        self.ram[at : at + count] = whole[:count]
        self.on_write(at, whole[:count])

    def _sink(self) -> None:
        keep = int(self.dut.m_axis_tkeep.value)
        self.part += int(self.dut.m_axis_tdata.value).to_bytes(self.lanes, "little")[: keep.bit_count()]
        if self.dut.m_axis_tlast.value == 1:
            self.arrived.append(Packet(self.part, self.dut.m_axis_tuser.value == 1))
            self.part = b""

    def _doorbell(self, end: str) -> None:
        """A doorbell must follow the store of its word."""
        self.doorbells[end] += 1
        ring = self.rx_ring if end == "rx" else self.tx_ring
        word = ring.load(ring.cons_at if end == "rx" else ring.prod_at)
        index = int(getattr(self.dut, f"{end}_index_o").value)
        assert word == index, f"{end}: doorbell {index:#x} while the window holds {word:#x}"

    # --- the life of a generation --------------------------------------------------------------------------

    async def start(self) -> None:
        """Reset the port, configure it, and run the first generation."""
        dut = self.dut
        for name in ("run", "vnet", "epoch", "start", "frame_max", "rx_ring", "rx_log2", "tx_ring", "tx_log2"):
            getattr(dut, f"{name}_i").value = 0
        for name in ("rd_ready_i", "rd_done_i", "rd_data_i", "wr_ready_i", "m_axis_tready"):
            getattr(dut, name).value = 0
        for name in ("tvalid", "tdata", "tkeep", "tlast", "tuser"):
            getattr(dut, f"s_axis_{name}").value = 0
        Clock(dut.clk_i, 10, unit="ns").start()
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, 4)
        dut.rst_ni.value = 1
        if os.environ.get("VNETCARD_STALL") == "stalled":
            self.busy = {what: self.rng.choice((0.0, 0.2, 0.6)) for what in self.busy}
        window = memoryview(self.ram)
        names = ("h2c", "c2h") if self.card else ("c2h", "h2c")
        self.rx_ring, self.tx_ring = (Ring(window, RINGS[name], self.size, name) for name in names)
        self.task = cocotb.start_soon(self._cycle())
        await self.generation(self.start_index)

    async def generation(self, start: int, epoch: int = EPOCH) -> None:
        """Stop, set every index to ``start``, and run with the peer's epoch ``epoch``."""
        await self.stop()
        self.producer, self.consumer = Producer(self.rx_ring, start), Consumer(self.tx_ring, start)
        for ring in (self.rx_ring, self.tx_ring):
            ring.store(ring.prod_at, start)
            ring.store(ring.cons_at, start)
        self.publish_epoch(epoch)
        await self.configure(start, epoch)
        self.dut.run_i.value = 1

    async def configure(self, start: int, epoch: int) -> None:
        dut = self.dut
        dut.vnet_i.value, dut.epoch_i.value, dut.start_i.value = int(self.vnet), epoch, start
        dut.frame_max_i.value = self.frame_max
        for end, ring in (("rx", self.rx_ring), ("tx", self.tx_ring)):
            getattr(dut, f"{end}_ring_i").value = ring.offset
            getattr(dut, f"{end}_log2_i").value = ring.size.bit_length() - 1
        await ClockCycles(dut.clk_i, 2)

    def publish_epoch(self, epoch: int) -> None:
        at = L.side_offset(0 if self.card else 1)
        self.ram[at : at + 4] = epoch.to_bytes(4, "little")

    async def stop(self) -> None:
        self.dut.run_i.value = 0
        await ClockCycles(self.dut.clk_i, 2)
        await self.until(lambda: self.dut.off_o.value == 1, "off")

    # --- for the cases ---------------------------------------------------------------------------------------

    def send(self, packets: Iterable[Packet]) -> None:
        """Append packets to the stream that enters the port."""
        for packet in packets:
            self.source.extend(beats(packet, self.lanes))

    def cause(self, end: str) -> str:
        return CAUSES[int(getattr(self.dut, f"{end}_cause_o").value)]

    async def until(self, true: Callable[[], bool], what: str, cycles: int = 40_000) -> None:
        for _ in range(cycles // 8):
            if true():
                return
            await ClockCycles(self.dut.clk_i, 8)
            if self.__dict__.get("task") is not None and self.task.done():
                self.task.result()
        raise AssertionError(f"not within {cycles} cycles: {what}")

    async def feed(self, packets: list[Packet]) -> None:
        """Send ``packets`` as the peer, in batches of random size."""
        left = deque(packets)
        while left:
            for _ in range(self.rng.randint(1, 4)):
                if left and self.producer.append(left[0]):
                    left.popleft()
            self.producer.publish()
            await ClockCycles(self.dut.clk_i, self.rng.randint(1, 60))

    async def drain(self, wanted: list[Packet]) -> None:
        """Receive ``wanted`` as the peer, and compare them."""
        done, quiet = 0, 0
        while done < len(wanted):
            found = self.consumer.take(self.rng.randint(1, 4))
            assert found == wanted[done : done + len(found)], f"after {done} packets others arrived"
            done += len(found)
            if self.rng.random() < 0.7:
                self.consumer.publish()
            quiet = 0 if found else quiet + 1
            assert quiet < 1000, f"nothing arrives after {done} packets"
            await ClockCycles(self.dut.clk_i, self.rng.randint(1, 60))
        self.consumer.publish()

    async def exchange(self, rx: list[Packet], tx: list[Packet]) -> None:
        """Move ``rx`` from the peer and ``tx`` to it, and compare all."""
        before = len(self.arrived)
        self.send(tx)
        feeding, draining = cocotb.start_soon(self.feed(rx)), cocotb.start_soon(self.drain(tx))
        await feeding
        await draining
        await self.until(lambda: len(self.arrived) - before >= len(rx), "all packets of the peer arrive")
        assert self.arrived[before:] == rx
        ring = self.rx_ring
        await self.until(lambda: ring.load(ring.cons_at) == self.producer.prod, "all records are released")
