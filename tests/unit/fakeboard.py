"""A machine with a board that is not there: files below a folder that look like /sys, /dev and /proc.

A mock: it shows the doctor's judgement, not that a kernel shows these files in this way.  What a real BAR looks
like is seen in QEMU (tests/e2e).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from vnetcard.doctor.system import System

MEMORY, MASTER = 2, 4
BAR_64_PREFETCHABLE, BAR_32 = 0x14220C, 0x40200


@dataclass
class FakeBoard:
    """``root`` holds sys, dev and proc; ``closed`` are the files that may not be opened."""

    root: Path
    closed: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        for folder in ("sys/bus/pci/devices", "sys/class/uio", "dev/net", "dev/shm", "proc/self"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "dev/net/tun").touch()
        self.write("proc/self/status", "Name:\tvnetcard\nCapEff:\t000001ffffffffff\n")

    @property
    def system(self) -> System:
        return System(
            sys=self.root / "sys",
            dev=self.root / "dev",
            proc=self.root / "proc",
            uid=0,
            release="6.1.0-40-amd64",
            machine="x86_64",
            cpus=8,
            may=lambda path: path not in self.closed,
        )

    def but(self, **changes: object) -> System:
        """The same machine with other ``changes``."""
        return replace(self.system, **changes)  # type: ignore[arg-type]

    def write(self, path: str, contents: str | bytes) -> Path:
        """A file, and the folders on the way to it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return file

    def card(
        self,
        address: str = "0000:03:00.0",
        *,
        ids: tuple[int, int] = (0x10EE, 0x7024),
        bars: dict[int, tuple[int, int, int]] | None = None,
        command: int = MEMORY | MASTER,
        driver: str = "",
        iommu: bool = True,
        speed: tuple[str, int, str, int] = ("8.0 GT/s PCIe", 8, "8.0 GT/s PCIe", 8),
    ) -> Path:
        """A PCI function; ``bars``: index to address, size, flags."""
        at = f"sys/bus/pci/devices/{address}"
        bars = {2: (0x38_0000_0000, 8 << 20, BAR_64_PREFETCHABLE)} if bars is None else bars
        lines = [bars.get(n, (0, 0, 0)) for n in range(6)]
        self.write(f"{at}/resource", "".join(f"{a:#x} {a + s - 1 if s else 0:#x} {f:#x}\n" for a, s, f in lines))
        self.write(f"{at}/vendor", f"{ids[0]:#06x}\n")
        self.write(f"{at}/device", f"{ids[1]:#06x}\n")
        self.write(f"{at}/config", struct.pack("<HHH", *ids, command).ljust(64, b"\0"))
        self.write(f"{at}/enable", "1\n")
        for name, value in zip(
            ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width"), speed, strict=True
        ):
            self.write(f"{at}/{name}", f"{value}\n")
        for n, (_, _, flags) in bars.items():
            self.write(f"{at}/resource{n}", b"")
            if flags & 0x2000:
                self.write(f"{at}/resource{n}_wc", b"")
        folder = self.root / at
        if driver:
            (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(self.root / f"sys/bus/pci/drivers/{driver}")
        if iommu:
            group = self.root / "sys/kernel/iommu_groups/14"
            (group / "devices").mkdir(parents=True, exist_ok=True)
            (group / "devices" / address).touch()
            (folder / "iommu_group").symlink_to(group)
        return folder

    def close(self, path: Path) -> None:
        """``path`` may not be opened from now on."""
        self.closed.add(path)
