"""A root complex at the streams of TLPs between LitePCIe's core and its PHY.

It checks each TLP of the device against the rules of PCIe and of the streams: DWORDs without gaps, no lane enabled
past the TLP, no empty beat.  Writes take effect in the order in which they arrive.  A read sees the writes before it;
it is answered after ``latency`` ns in completions that end at random multiples of the read completion boundary, and
completions of different requests come in any order.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import Event, RisingEdge, Timer

from tests.hdl import tlp
from tests.hdl.memory import never
from tests.hdl.tlp import Request

BAR0 = 0xF000_0000
ROOT, DEVICE = 0x0000, 0x0400
"""Requester ids."""
BOUNDARY = 64
"""The read completion boundary in bytes."""


class Root:
    """The root complex; ``write`` and ``read`` are the host's memory."""

    def __init__(self, dut: Any, rng: random.Random, *, payload: int = 256, request: int = 512) -> None:
        self.dut = dut
        self.rng = rng
        self.payload, self.request = payload, request
        self.latency = 600  # ns
        self.completion_most = payload  # bytes of a completion
        self.write: Callable[[int, bytes], Any] = lambda address, data: None
        self.read: Callable[[int, int], bytes] = lambda address, count: bytes(count)
        self.refused: Callable[[int], bool] = never  # addresses of DWORDs whose read is answered with UR or CA
        self.poisoned: Callable[[int], bool] = never
        self.short: Callable[[int], bool] = never  # requests whose first completion is their last, though too short
        self.idle = 0.0  # share of idle cycles on RX and of stalled cycles on TX
        self.requests: list[Request] = []
        self.outstanding: dict[int, Request] = {}
        self.most_outstanding = 0
        self.interrupts = 0
        self.msi = Event()
        self._answers: dict[int, tuple[Event, list[bytes | None]]] = {}
        self._out: deque[list[int]] = deque()
        self._sending = Event()
        self._lanes = len(dut.tx_be) // 4
        for name, value in (
            ("phy_id", DEVICE), ("phy_max_payload_size", payload), ("phy_max_request_size", request),
            ("tx_ready", 0), ("rx_valid", 0), ("rx_first", 0), ("rx_last", 0), ("msi_ready", 0),
        ):  # fmt: skip
            getattr(dut, name).value = value
        for job in (self._take, self._send, self._interrupt):
            cocotb.start_soon(job())

    def busy(self) -> bool:
        return self.rng.random() < self.idle

    async def _take(self) -> None:
        """Assemble the device's TLPs from the beats of TX."""
        dut, words = self.dut, list[int]()
        lanes, last = self._lanes, False
        while True:
            dut.tx_ready.value = int(not self.idle or not self.busy())
            await RisingEdge(dut.clk_i)
            if not int(dut.rst_ni.value) or not int(dut.tx_valid.value) or not int(dut.tx_ready.value):
                continue
            data, enabled, last = int(dut.tx_dat.value), int(dut.tx_be.value), bool(int(dut.tx_last.value))
            count = (enabled.bit_length() + 3) // 4
            assert count and enabled == (1 << 4 * count) - 1, f"enabled lanes {enabled:#x}"
            assert last or count == lanes, "a gap in a TLP"
            assert bool(int(dut.tx_first.value)) == (not words), "first"
            words += [data >> 32 * n & 0xFFFF_FFFF for n in range(count)]
            if last:
                self._receive(words)
                words = []

    def _receive(self, words: list[int]) -> None:
        got = tlp.parse(words)
        if got is None:
            tag, data = tlp.completed(words)
            done, box = self._answers.pop(tag)
            box.append(data)
            done.set()
            return
        assert got.requester == DEVICE
        self.requests.append(got)
        if got.data is not None:
            assert len(got.data) <= self.payload, f"{len(got.data)} bytes of payload"
            for address, data in got.enabled():
                self.write(address, data)
            return
        assert 4 * got.dwords <= self.request, f"a read of {4 * got.dwords} bytes"
        assert got.tag not in self.outstanding, f"tag {got.tag} is in use"
        self.outstanding[got.tag] = got
        self.most_outstanding = max(self.most_outstanding, len(self.outstanding))
        cocotb.start_soon(self._complete(got))

    async def _complete(self, got: Request) -> None:
        end = got.address + 4 * got.dwords
        failing = [address for address in range(got.address, end, 4) if self.refused(address)]
        good = max(got.address, failing[0] // BOUNDARY * BOUNDARY) if failing else end
        data = self.read(got.address, good - got.address) if good > got.address else b""
        if self.latency:
            await Timer(self.latency + self.rng.randrange(self.latency // 4 + 1), unit="ns")
        at = got.address
        while at < good:
            most = self.completion_most - at % self.completion_most
            count = min(good - at, BOUNDARY * self.rng.randint(1, max(1, most // BOUNDARY)) - at % BOUNDARY)
            if self.idle == 0:
                count = min(good - at, most)
            piece = data[at - got.address : at - got.address + count]
            ends = self.short(got.address) and count < end - at
            if ends or at + count == end:
                del self.outstanding[got.tag]
            read = Request(got.address, (at + count - got.address) // 4, *_ids(got)) if ends else got
            self._send_soon(tlp.completion(read, at, piece, completer=ROOT, poisoned=self.poisoned(at)))
            at += count
            if ends or at == end:
                return
            if self.idle and self.rng.random() < 0.5:
                await Timer(self.rng.randrange(10, 200), unit="ns")  # others overtake, or interleave
        del self.outstanding[got.tag]
        status = self.rng.choice((tlp.UNSUPPORTED, tlp.ABORT))
        self._send_soon(tlp.completion(got, at, b"", completer=ROOT, status=status))

    def _send_soon(self, words: list[int]) -> None:
        self._out.append(words)
        self._sending.set()

    async def _send(self) -> None:
        """Send what is queued as beats of RX."""
        dut, lanes = self.dut, self._lanes
        while True:
            while not self._out:
                dut.rx_valid.value = 0
                self._sending.clear()
                await self._sending.wait()
                await RisingEdge(dut.clk_i)
            words = self._out.popleft()
            for at in range(0, len(words), lanes):
                while self.idle and self.busy():
                    dut.rx_valid.value = 0
                    await RisingEdge(dut.clk_i)
                beat = words[at : at + lanes]
                dut.rx_dat.value = sum(word << 32 * n for n, word in enumerate(beat))
                dut.rx_be.value = (1 << 4 * len(beat)) - 1
                dut.rx_valid.value, dut.rx_first.value = 1, int(at == 0)
                dut.rx_last.value = int(at + lanes >= len(words))
                while True:
                    await RisingEdge(dut.clk_i)
                    if int(dut.rx_ready.value):
                        break

    async def _interrupt(self) -> None:
        """Take the MSI requests, each after some cycles."""
        dut = self.dut
        while True:
            dut.msi_ready.value = int(self.rng.random() < 0.2)
            await RisingEdge(dut.clk_i)
            if int(dut.rst_ni.value) and int(dut.msi_valid.value) and int(dut.msi_ready.value):
                self.interrupts += 1
                self.msi.set()

    async def write32(self, offset: int, value: int) -> None:
        """Write a DWORD of BAR0; posted, so it returns at once."""
        self._send_soon(tlp.request(BAR0 + offset, requester=ROOT, data=value.to_bytes(4, "little")))

    async def read32(self, offset: int) -> int:
        """Read a DWORD of BAR0."""
        tag = next(n for n in range(32) if n not in self._answers)
        done, box = Event(), list[bytes | None]()
        self._answers[tag] = (done, box)
        self._send_soon(tlp.request(BAR0 + offset, requester=ROOT, tag=tag))
        await done.wait()
        data = box[0]
        assert data is not None, "an unsupported request"
        return int.from_bytes(data, "little")


def _ids(got: Request) -> tuple[int, int, int, int]:
    return got.tag, got.requester, got.first_be, got.last_be
