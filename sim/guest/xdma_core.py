"""A stand-in of Xilinx's XDMA core for the stock ``xdma`` driver in a guest: a double, since no core can be had here.

QEMU's ivshmem-doorbell has three parts that the driver needs: a BAR of plain memory, which serves as the core's
configuration BAR; MSI-X vectors, which this program raises by eventfd; and a PCI function, to which the driver is bound
by ``new_id``.  The guest's RAM is a shared file, so that descriptors and buffers can be reached at their bus addresses.
A program that writes a register reaches plain memory; this stand-in polls the run bits.

Register map, descriptor format and status bits: PG195 (DMA/Bridge Subsystem for PCI Express), "Register Space".
One channel in each direction.  It answers as the core does where that is unkind: an address outside of the card's
memory is a decode error, an engine that ``hangs`` never ends its transfer (the driver then waits 10 s).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.window.ivshmem_protocol import Client, Server

BAR_BYTES: Final = 64 << 10
VECTORS: Final = 32
"""MSI-X vectors of the function; the driver wants one for each channel and each user interrupt."""
IDENTIFIERS: Final = {
    0x0000: 0x1FC0_0006,  # H2C channel 0
    0x1000: 0x1FC1_0006,  # C2H channel 0
    0x2000: 0x1FC2_0006,  # interrupt block
    0x3000: 0x1FC3_0006,  # configuration block
    0x4000: 0x1FC4_0006,  # H2C descriptor fetch
    0x5000: 0x1FC5_0006,  # C2H descriptor fetch
    0x6000: 0x1FC6_0006,  # descriptor fetch, common
}
H2C, C2H = 0x0000, 0x1000
"""Bases of the channels; their vectors are 0 and 1."""
CONTROL, STATUS, STATUS_CLEAR, COMPLETED, ALIGNMENTS = 0x04, 0x40, 0x44, 0x48, 0x4C
FIRST_DESCRIPTOR = 0x4080
RUN = 1
STOPPED, DONE, MAGIC_STOPPED = 1 << 1, 1 << 2, 1 << 4
DECODE_ERROR = {H2C: 1 << 14, C2H: 1 << 9}
DESCRIPTOR: Final = struct.Struct("<II4I2I")
"""Control and magic, length, source (2), destination (2), next (2)."""
MAGIC: Final = 0xAD4B
STOP: Final = 1
"""Bit of a descriptor's control word: it is the last one."""
BUSY_POLLS: Final = 2000
PAUSE: Final = 0.0002
"""Seconds between two polls once the core has been idle for BUSY_POLLS polls."""


@dataclass(slots=True)
class Faults:
    """How the core misbehaves; may be changed at any time.  ``delay`` in seconds a transfer."""

    delay: float = 0.0
    hangs: bool = False


class XdmaCore:
    """The core, running in a thread; its card memory is the file ``card``, which begins at card address ``base``.

    ``align``: the address alignment that the core was built with, in bytes, 1 to 64 (PG195: "Alignments" register).
    """

    def __init__(self, folder: Path, ram: Path, card: Path, *, base: int, align: int = 64) -> None:
        """``folder`` gets the ivshmem server's socket; ``ram`` is the file that will hold the guest's RAM."""
        self.faults = Faults()
        self.transfers = {H2C: 0, C2H: 0}
        self.errors = 0
        self.polls = 0
        self._base = base
        self._made = contextlib.ExitStack()
        self.socket = folder / "xdma.sock"
        self._until, write = os.pipe()
        self._made.callback(os.close, self._until)
        server = Server(self.socket, BAR_BYTES)
        serving = threading.Thread(target=server.serve, args=(self._until,), name="ivshmem server")
        serving.start()
        self._made.callback(server.close)
        self._made.callback(serving.join)
        self._made.callback(os.close, write)  # ends the server
        self._client = Client(self.socket)
        self._made.callback(self._client.close)
        self._bar = self._map_fd(self._client.memory, BAR_BYTES)
        self._card = self._map_file(card)
        self._ram_file = ram
        self._ram: mmap.mmap | None = None
        for offset, identifier in IDENTIFIERS.items():
            self._store(offset, identifier)
        for channel in (H2C, C2H):
            self._store(channel + ALIGNMENTS, align << 16 | 1 << 8 | 64)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="xdma core")
        self._thread.start()
        self._made.callback(self._thread.join)
        self._made.callback(self._ended.set)

    @property
    def device(self) -> tuple[str, ...]:
        """QEMU's options for the function."""
        chardev = f"socket,id=xdma,path={self.socket}"
        return ("-chardev", chardev, "-device", f"ivshmem-doorbell,id=xdma0,chardev=xdma,vectors={VECTORS}")

    def close(self) -> None:
        """End the threads and unmap.  Idempotent."""
        self._made.close()

    def _map_file(self, path: Path) -> mmap.mmap:
        with path.open("r+b") as file:
            return self._map_fd(file.fileno(), os.fstat(file.fileno()).st_size)

    def _map_fd(self, fd: int, size: int) -> mmap.mmap:
        mapped = mmap.mmap(fd, size)
        self._made.callback(mapped.close)
        return mapped

    def _load(self, offset: int) -> int:
        value: int = struct.unpack_from("<I", self._bar, offset)[0]
        return value

    def _store(self, offset: int, value: int) -> None:
        struct.pack_into("<I", self._bar, offset, value & 0xFFFF_FFFF)

    def _run(self) -> None:
        idle = 0
        while not self._ended.is_set():
            idle += 1
            self.polls += 1
            for channel in (H2C, C2H):
                control = self._load(channel + CONTROL)
                if control & RUN and not self.faults.hangs:
                    self._store(channel + CONTROL, control & ~RUN)
                    self._move(channel)
                    idle = 0
            if idle > BUSY_POLLS:
                time.sleep(PAUSE)

    def _move(self, channel: int) -> None:
        """Follow the channel's list of descriptors, publish the status, raise its interrupt."""
        self._ram = self._ram or self._map_file(self._ram_file)
        at = self._load(channel + FIRST_DESCRIPTOR) | self._load(channel + FIRST_DESCRIPTOR + 4) << 32
        done, error, last = 0, 0, False
        while not last and not error:
            control, length, source, source_hi, to, to_hi, following, following_hi = DESCRIPTOR.unpack_from(
                self._ram, at
            )
            if control >> 16 != MAGIC:
                error = MAGIC_STOPPED
                break
            error = self._copy(channel, source | source_hi << 32, to | to_hi << 32, length)
            done += not error
            last, at = bool(control & STOP), following | following_hi << 32
        if self.faults.delay:
            time.sleep(self.faults.delay)
        self._store(channel + COMPLETED, done)
        status = error | STOPPED | (0 if error else DONE)
        for register in (STATUS, STATUS_CLEAR):
            self._store(channel + register, status)
        self.transfers[channel] += 1
        self.errors += bool(error)
        if (triggers := self._client.of_peer(self._client.number + 1)) is not None:
            os.eventfd_write(triggers[channel == C2H].fd, 1)

    def _copy(self, channel: int, source: int, to: int, length: int) -> int:
        """One descriptor; the error bit that it ends with, or 0."""
        assert self._ram is not None
        host, card = (source, to - self._base) if channel == H2C else (to, source - self._base)
        if not 0 <= card <= len(self._card) - length:
            return DECODE_ERROR[channel]
        if channel == H2C:
            self._card[card : card + length] = self._ram[host : host + length]
        else:
            self._ram[host : host + length] = self._card[card : card + length]
        return 0
