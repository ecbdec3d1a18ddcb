"""A mock of a machine: the tree of ``fake_board.py`` and the files beside it that the doctor reads.

It tests the doctor's judgement, not that a kernel shows these files in this way.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.harness.fake_board import PREFETCHABLE, FakeBoard
from vnetcard.doctor.verdict import Finding
from vnetcard.hw.sysfs import System

DECODES, MASTERS = 2, 4
"""Bits of the command register."""


@dataclass
class FakeMachine:
    """``root`` holds sys, dev and proc; ``closed`` are the files that may not be opened."""

    root: Path
    closed: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        for folder in ("sys/bus/pci/devices", "sys/class/uio", "dev/net", "dev/shm", "proc/self"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "dev/net/tun").touch()
        self.write("proc/self/status", "Name:\tvnetcard\nCapEff:\t000001ffffffffff\n")

    @property
    def board(self) -> FakeBoard:
        """The devices of the same tree."""
        return FakeBoard(self.root)

    @property
    def system(self) -> System:
        """The system as the doctor reads it."""
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
        """Write a file, and make the folders above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return file

    def card(
        self,
        address: str = "0000:03:00.0",
        *,
        ids: tuple[int, int] = (0x10EE, 0x7024),
        bars: dict[int, tuple[int, int]] | None = None,
        command: int = DECODES | MASTERS,
        driver: str = "",
        iommu: bool = True,
        speed: tuple[str, int, str, int] = ("8.0 GT/s PCIe", 8, "8.0 GT/s PCIe", 8),
    ) -> Path:
        """A PCI function; its defaults have no fault; ``bars``: number to size and flags."""
        board = FakeBoard(self.root)
        folder = board.function(address, ids=ids, bars=bars or {2: (8 << 20, PREFETCHABLE)})
        (folder / "config").write_bytes(struct.pack("<HHH", *ids, command).ljust(64, b"\0"))
        names = ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")
        for name, value in zip(names, speed, strict=True):
            (folder / name).write_text(f"{value}\n")
        if driver:
            board.bind(folder, driver)
        if iommu:
            group = self.root / "sys/kernel/iommu_groups/14"
            (group / "devices").mkdir(parents=True, exist_ok=True)
            (group / "devices" / address).touch()
            (folder / "iommu_group").symlink_to(group)
        return folder

    def close(self, path: Path) -> None:
        """``path`` may not be opened from now on."""
        self.closed.add(path)


def find(findings: list[Finding], subject: str) -> Finding:
    """The only finding about ``subject``."""
    (found,) = [one for one in findings if one.subject == subject]
    return found
