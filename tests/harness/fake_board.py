"""A mock of a computer's devices: files that stand for /sys, /dev and /proc.  No hardware, no kernel, no PCIe.

``VNETCARD_SYSROOT`` makes the windows use these files.  A BAR is a plain file, so it permits accesses on which a real
one faults; what the agents do to real BARs is tested in a virtual machine (tests/e2e).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MEMORY, PREFETCHABLE, PORTS = 0x40200, 0x14220C, 0x40101
"""Flags of a BAR as the kernel shows them."""


@dataclass(frozen=True, slots=True)
class FakeBoard:
    """A tree of files below ``root``."""

    root: Path

    def function(self, name: str, *, ids: tuple[int, int], bars: dict[int, tuple[int, int]], on: bool = True) -> Path:
        """A PCI function with ``bars``: number to size and flags; a prefetchable one has a ``_wc`` file too."""
        path = self.root / "sys/bus/pci/devices" / name
        path.mkdir(parents=True)
        (path / "vendor").write_text(f"{ids[0]:#06x}\n")
        (path / "device").write_text(f"{ids[1]:#06x}\n")
        (path / "enable").write_text(f"{int(on)}\n")
        rows = []
        for n in range(6):
            size, flags = bars.get(n, (0, 0))
            start = 0x80_0000_0000 + (n << 32) if size else 0
            rows.append(f"{start:#018x} {start + size - 1 if size else 0:#018x} {flags:#018x}\n")
            if size:
                (path / f"resource{n}").write_bytes(bytes(size))
            if flags == PREFETCHABLE:
                os.link(path / f"resource{n}", path / f"resource{n}_wc")
        (path / "resource").write_text("".join(rows))
        return path

    def ivshmem(self, name: str = "0000:00:02.0", size: int = 64 << 10, *, on: bool = True) -> Path:
        """QEMU's ivshmem-plain as the virtual machine has it."""
        return self.function(name, ids=(0x1AF4, 0x1110), bars={0: (256, MEMORY), 2: (size, PREFETCHABLE)}, on=on)

    def physical(self, *, start: int, size: int, ram: tuple[int, int] = (0x1000, 0x0FFF_FFFF)) -> Path:
        """/dev/mem with ``size`` bytes at ``start``, and /proc/iomem with the kernel's own ``ram``."""
        path = self._file("dev/mem")
        path.write_bytes(b"")
        os.truncate(path, start + size)  # a hole up to there
        self._file("proc/iomem").write_text(
            f"{ram[0]:08x}-{ram[1]:08x} : System RAM\n  01000000-02209987 : Kernel code\n"
        )
        return path

    def reserved(
        self,
        node: str,
        *,
        start: int,
        size: int,
        no_map: bool = True,
        cells: tuple[int, int] = (2, 2),
        pairs: int = 1,
    ) -> Path:
        """A node of the device tree's reserved memory; ``cells`` of address and size, ``pairs`` ranges in a row."""
        path = self.root / "proc/device-tree/reserved-memory" / node
        path.mkdir(parents=True)
        for kind, count in zip(("address", "size"), cells, strict=True):
            (path.parent / f"#{kind}-cells").write_bytes(count.to_bytes(4, "big"))
        reg = b""
        for n in range(pairs):
            for value, count in ((start + n * size, cells[0]), (size, cells[1])):
                reg += value.to_bytes(4 * count, "big") if count else b""
        (path / "reg").write_bytes(reg)
        if no_map:
            (path / "no-map").write_bytes(b"")
        return path

    def uio(self, number: int, name: str, *, size: int, offset: int = 0) -> Path:
        """/dev/uioN with one map."""
        folder = self.root / f"sys/class/uio/uio{number}"
        (folder / "maps/map0").mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "maps/map0/size").write_text(f"{size:#x}\n")
        (folder / "maps/map0/offset").write_text(f"{offset:#x}\n")
        path = self._file(f"dev/uio{number}")
        path.write_bytes(bytes(size))
        return path

    def udmabuf(
        self,
        name: str,
        *,
        size: int,
        address: int,
        coherent: bool = False,
        sync_mode: int = 1,
        bind: Path | None = None,
        version: str = "5.4.2",
        quirk_mmap: int = 3,
    ) -> Path:
        """/dev/NAME of the driver u-dma-buf and its attributes; ``bind``: the PCI function that it was made for."""
        folder = self.root / "sys/class/u-dma-buf" / name
        folder.mkdir(parents=True)
        for attribute, value in (
            ("size", f"{size}"),
            ("phys_addr", f"{address:#018x}"),
            ("sync_mode", f"{sync_mode}"),
            ("dma_coherent", f"{int(coherent)}"),
            ("driver_version", version),
            ("quirk_mmap_mode", f"{quirk_mmap}"),
        ):
            (folder / attribute).write_text(f"{value}\n")
        if bind is not None:
            (folder / "device").symlink_to(bind)
        path = self._file(f"dev/{name}")
        path.write_bytes(bytes(size))
        return path

    def iommu(self, function: Path, *, kind: str = "DMA-FQ") -> None:
        """Put ``function`` in an IOMMU group of its own; ``kind`` is how the IOMMU treats it."""
        group = self.root / "sys/kernel/iommu_groups" / function.name
        group.mkdir(parents=True)
        (group / "type").write_text(f"{kind}\n")
        (function / "iommu_group").symlink_to(group)

    def xdma_class(self, what: str, function: Path) -> None:
        """An entry in the driver's class: /dev/xdma0_WHAT belongs to ``function``."""
        folder = self.root / "sys/class/xdma" / f"xdma0_{what}"
        folder.mkdir(parents=True)
        (folder / "device").symlink_to(function)

    def xdma(self, what: str, *, size: int = 0, to: Path | None = None) -> Path:
        """/dev/xdma0_WHAT: a file of ``size`` bytes, a name for ``to``, or the name alone."""
        path = self._file(f"dev/xdma0_{what}")
        if to is not None:
            path.symlink_to(to)
        elif size:
            path.write_bytes(bytes(size))
        return path

    def _file(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def bind(self, function: Path, driver: str) -> None:
        """Bind a kernel driver to ``function``."""
        home = self.root / "sys/bus/pci/drivers" / driver
        home.mkdir(parents=True, exist_ok=True)
        (function / "driver").symlink_to(home)
