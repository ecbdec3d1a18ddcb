"""AXI slaves in front of the memories, which reorder as much as AXI allows an interconnect to.

A write is applied when it is answered, writes of different ids in any order: an index that does not wait for the
responses of its data overtakes it here.  Reads of different ids are answered beat by beat in any order.  Errors
are SLVERR or DECERR.  A reset of the bus discards all outstanding requests.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import Event, RisingEdge
from cocotbext.axi import AxiResp, AxiSlaveRead, AxiSlaveWrite

from tests.hdl.memory import Memory

IDS = range(4)
ERRORS = (AxiResp.SLVERR, AxiResp.DECERR)


class WritePort(AxiSlaveWrite):
    """Accepts bursts at once and applies them later, those of different ids in any order."""

    DEPTH = 16

    def __init__(self, bus: Any, clock: Any, reset: Any, memory: Memory, rng: random.Random) -> None:
        self.memory = memory
        self.rng = rng
        self.slow = 0  # largest delay in cycles before a burst is applied
        self.pending: dict[int, deque[tuple[int, bytes]]] = {n: deque() for n in IDS}
        self.request = Event()
        self.space = Event()
        self.applying: Any = None
        super().__init__(bus, clock, reset, target=memory, reset_active_level=False)

    def _handle_reset(self, state: bool) -> None:
        super()._handle_reset(state)
        for bursts in self.pending.values():
            bursts.clear()
        self.space.set()
        if self.applying is not None:
            self.applying.cancel()
        self.applying = None if state else cocotb.start_soon(self._apply())

    async def _process_write(self) -> None:
        while True:
            while sum(map(len, self.pending.values())) >= self.DEPTH:
                self.space.clear()
                await self.space.wait()
            aw = await self.aw_channel.recv()
            assert int(aw.awburst) == 1 and 1 << int(aw.awsize) == self.byte_lanes
            data, strobes = bytearray(), 0
            for n in range(int(aw.awlen) + 1):
                w = await self.w_channel.recv()
                assert int(w.wlast) == (n == int(aw.awlen)), "WLAST"
                data += int(w.wdata).to_bytes(self.byte_lanes, "little")
                strobes |= int(w.wstrb) << n * self.byte_lanes
            # The enabled bytes are contiguous: all, a word at the start, the first 8 bytes, or all but the first 8.
            first, count = (strobes & -strobes).bit_length() - 1, strobes.bit_count()
            assert strobes == ((1 << count) - 1) << first and first in (0, 8), f"strobes {strobes:#x}"
            assert first + count == len(data) or (first == 0 and count in (4, 8)), f"strobes {strobes:#x}"
            self.pending[int(aw.awid)].append((int(aw.awaddr) + first, bytes(data[first : first + count])))
            self.request.set()

    async def _apply(self) -> None:
        clock = RisingEdge(self.clock)
        while True:
            if not any(self.pending.values()):
                self.request.clear()
                await self.request.wait()
                continue
            for _ in range(self.rng.randrange(self.slow + 1)):
                await clock
            chosen = self.rng.choice([n for n, bursts in self.pending.items() if bursts])
            address, data = self.pending[chosen].popleft()
            self.space.set()
            b = self.b_channel._transaction_obj()
            b.bid = chosen
            good = self.memory.write(address, data)
            b.bresp = AxiResp.OKAY if good else self.rng.choice(ERRORS)
            self.memory.bursts += good and chosen == 0
            await self.b_channel.send(b)


class ReadPort(AxiSlaveRead):
    """Accepts requests at once and answers later, those of different ids beat by beat in any order."""

    DEPTH = 16

    def __init__(self, bus: Any, clock: Any, reset: Any, memory: Memory, rng: random.Random) -> None:
        self.memory = memory
        self.rng = rng
        self.slow = 0  # largest delay in cycles before an answer when no request was outstanding
        self.pending: dict[int, deque[tuple[int, int]]] = {n: deque() for n in IDS}  # next address, beats to go
        self.request = Event()
        self.space = Event()
        self.answering: Any = None
        super().__init__(bus, clock, reset, target=memory, reset_active_level=False)

    def _handle_reset(self, state: bool) -> None:
        super()._handle_reset(state)
        for bursts in self.pending.values():
            bursts.clear()
        self.space.set()
        if self.answering is not None:
            self.answering.cancel()
        self.answering = None if state else cocotb.start_soon(self._answer())

    async def _process_read(self) -> None:
        while True:
            while sum(map(len, self.pending.values())) >= self.DEPTH:
                self.space.clear()
                await self.space.wait()
            ar = await self.ar_channel.recv()
            assert int(ar.arburst) == 1 and 1 << int(ar.arsize) == self.byte_lanes
            self.pending[int(ar.arid)].append((int(ar.araddr), int(ar.arlen) + 1))
            self.request.set()

    async def _answer(self) -> None:
        clock = RisingEdge(self.clock)
        while True:
            if not any(self.pending.values()):
                self.request.clear()
                await self.request.wait()
                for _ in range(self.rng.randrange(self.slow + 1)):
                    await clock
                continue
            chosen = self.rng.choice([n for n, bursts in self.pending.items() if bursts])
            address, left = self.pending[chosen].popleft()
            if left > 1:
                self.pending[chosen].appendleft((address + self.byte_lanes, left - 1))
            else:
                self.space.set()
            r = self.r_channel._transaction_obj()
            r.rid, r.rlast, r.rresp = chosen, left == 1, AxiResp.OKAY
            try:
                data = await self.memory.read(address, self.byte_lanes)
            except ValueError:
                data = bytes(self.byte_lanes)
                r.rresp = self.rng.choice(ERRORS)
            r.rdata = int.from_bytes(data, "little")
            await self.r_channel.send(r)
