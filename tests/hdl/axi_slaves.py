"""AXI slaves in front of the memories, which reorder as much as AXI allows an interconnect to.

A write is applied when it is answered, writes of different ids in any order: an index that does not wait for the
responses of its data overtakes it here.  Reads of different ids are answered beat by beat in any order.  Errors
are SLVERR or DECERR.  A reset of the bus discards all outstanding requests.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Generic, TypeVar

import cocotb
from cocotb.triggers import Event, RisingEdge
from cocotbext.axi import AxiResp, AxiSlaveRead, AxiSlaveWrite

from tests.hdl.memory import Memory

IDS = range(4)
ERRORS = (AxiResp.SLVERR, AxiResp.DECERR)
DEPTH = 16
"""Requests that a port accepts before the first of them is served."""
Request = TypeVar("Request")


class Reordering(Generic[Request]):
    """What both ports share: requests wait by id, and ``_serve`` chooses among the ids.  A reset discards them."""

    clock: Any

    def __init__(self, bus: Any, clock: Any, reset: Any, memory: Memory, rng: random.Random) -> None:
        self.memory = memory
        self.rng = rng
        self.slow = 0  # largest delay in cycles; a port says of what
        self.pending: dict[int, deque[Request]] = {n: deque() for n in IDS}
        self.request = Event()
        self.space = Event()
        self.serving: Any = None
        self.loses: set[int] = set()  # ids of which the next last answer is lost
        self.lost: list[Any] = []
        super().__init__(bus, clock, reset, target=memory, reset_active_level=False)  # type: ignore[call-arg]

    def _handle_reset(self, state: bool) -> None:
        super()._handle_reset(state)  # type: ignore[misc]
        for requests in self.pending.values():
            requests.clear()
        self.space.set()
        if self.serving is not None:
            self.serving.cancel()
        self.serving = None if state else cocotb.start_soon(self._serve())

    async def _serve(self) -> None:
        raise NotImplementedError

    def _lose(self, number: int, answer: Any) -> bool:
        """Return whether ``answer``, the last one of a request of id ``number``, is lost."""
        if number not in self.loses:
            return False
        self.loses.remove(number)
        self.lost.append(answer)
        return True

    async def _wait_for_space(self) -> None:
        while sum(map(len, self.pending.values())) >= DEPTH:
            self.space.clear()
            await self.space.wait()

    async def _wait_for_request(self) -> bool:
        """Return once a request is pending; True if none was."""
        idle = not any(self.pending.values())
        if idle:
            self.request.clear()
            await self.request.wait()
        return idle

    async def _delay(self) -> None:
        for _ in range(self.rng.randrange(self.slow + 1)):
            await RisingEdge(self.clock)

    def _choose(self) -> int:
        """A random id that has a request."""
        return self.rng.choice([n for n, requests in self.pending.items() if requests])

    def _accept(self, number: int, request: Request) -> None:
        self.pending[number].append(request)
        self.request.set()


class WritePort(Reordering[tuple[int, bytes]], AxiSlaveWrite):
    """Accepts bursts at once and applies them later, those of different ids in any order.

    ``slow`` is the largest delay before a burst is applied.  With ``cut_off`` beats at the end may lack strobes, as
    when the master's side has disappeared (``vnc_isolate``).
    """

    cut_off = False

    async def _process_write(self) -> None:
        while True:
            await self._wait_for_space()
            aw = await self.aw_channel.recv()
            assert int(aw.awburst) == 1 and 1 << int(aw.awsize) == self.byte_lanes
            data, strobes = bytearray(), 0
            for n in range(int(aw.awlen) + 1):
                w = await self.w_channel.recv()
                assert int(w.wlast) == (n == int(aw.awlen)), "WLAST"
                data += int(w.wdata).to_bytes(self.byte_lanes, "little")
                strobes |= int(w.wstrb) << n * self.byte_lanes
            if self.cut_off:
                beats = -(-strobes.bit_length() // self.byte_lanes)
                del data[max(1, beats) * self.byte_lanes :]
                if not beats:
                    self._accept(int(aw.awid), (int(aw.awaddr), b""))
                    continue
            # The enabled bytes are contiguous: all, a word at the start, the first 8 bytes, or all but the first 8.
            first, count = (strobes & -strobes).bit_length() - 1, strobes.bit_count()
            assert strobes == ((1 << count) - 1) << first and first in (0, 8), f"strobes {strobes:#x}"
            assert first + count == len(data) or (first == 0 and count in (4, 8)), f"strobes {strobes:#x}"
            self._accept(int(aw.awid), (int(aw.awaddr) + first, bytes(data[first : first + count])))

    async def _serve(self) -> None:
        while True:
            if await self._wait_for_request():
                continue
            await self._delay()
            chosen = self._choose()
            address, data = self.pending[chosen].popleft()
            self.space.set()
            b = self.b_channel._transaction_obj()
            b.bid = chosen
            good = not data or self.memory.write(address, data)
            b.bresp = AxiResp.OKAY if good else self.rng.choice(ERRORS)
            self.memory.bursts += good and chosen == 0
            if not self._lose(chosen, b):
                await self.b_channel.send(b)

    async def find_lost(self) -> None:
        """Send the lost responses."""
        while self.lost:
            await self.b_channel.send(self.lost.pop(0))


class ReadPort(Reordering[tuple[int, int]], AxiSlaveRead):
    """Accepts requests at once and answers later, those of different ids beat by beat in any order.

    A request is the next address and the number of beats left.  ``slow`` is the largest delay before an answer when no
    request was outstanding.
    """

    async def _process_read(self) -> None:
        while True:
            await self._wait_for_space()
            ar = await self.ar_channel.recv()
            assert int(ar.arburst) == 1 and 1 << int(ar.arsize) == self.byte_lanes
            self._accept(int(ar.arid), (int(ar.araddr), int(ar.arlen) + 1))

    async def _serve(self) -> None:
        while True:
            if await self._wait_for_request():
                await self._delay()
                continue
            chosen = self._choose()
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
            if left > 1 or not self._lose(chosen, r):
                await self.r_channel.send(r)

    async def find_lost(self) -> None:
        """Send the lost beats."""
        while self.lost:
            await self.r_channel.send(self.lost.pop(0))
