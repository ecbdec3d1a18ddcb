"""The guest's RAM disk, read back by the rules of the format: Linux, Documentation/driver-api/early-userspace."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from vnetcard.sim.guest.initramfs import Initramfs


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    mode: int
    data: bytes
    inode: int


def read(archive: bytes) -> list[Entry]:
    """All entries up to the trailer, which must be the last thing."""
    entries: list[Entry] = []
    at = 0
    while True:
        assert at % 4 == 0
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        inode, mode, size, name_bytes = fields[0], fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_bytes]
        assert name.endswith(b"\0")
        start = (at + 110 + name_bytes + 3) & ~3
        at = (start + size + 3) & ~3
        if name == b"TRAILER!!!\0":
            assert at == len(archive)
            return entries
        entries.append(Entry(name[:-1].decode(), mode, archive[start : start + size], inode))


def test_files_folders_and_links_are_read_back(tmp_path: Path) -> None:
    disk = Initramfs()
    (tmp_path / "tool").write_bytes(b"12345")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "alias").symlink_to("tool")
    disk.add("etc/name", b"card")
    disk.folder("dev")
    disk.copy("bin/tool", tmp_path / "tool")
    disk.copy("bin/alias", tmp_path / "alias")
    found = {entry.name: (entry.mode, entry.data) for entry in read(disk.encode())}
    assert found == {
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/alias": (stat.S_IFLNK | 0o777, b"tool"),
        "bin/tool": (stat.S_IFREG | 0o755, b"12345"),
        "dev": (stat.S_IFDIR | 0o755, b""),
        "etc": (stat.S_IFDIR | 0o755, b""),
        "etc/name": (stat.S_IFREG | 0o644, b"card"),
    }


def test_folders_come_before_what_is_in_them() -> None:
    disk = Initramfs()
    disk.add("z/y/x", b"")
    disk.add("a-b", b"")
    disk.add("a/b/c", b"")
    names = [entry.name for entry in read(disk.encode())]
    for name in names:
        for parent in list(Path(name).parents)[:-1]:
            assert names.index(str(parent)) < names.index(name)


def test_entries_have_distinct_inode_numbers() -> None:
    disk = Initramfs()
    for n in range(9):
        disk.add(f"file{n}", b"x")
    inodes = [entry.inode for entry in read(disk.encode())]
    assert len(set(inodes)) == len(inodes)


def test_archives_may_stand_one_after_the_other() -> None:
    disk = Initramfs()
    disk.add("odd", b"123")
    assert len(disk.encode()) % 4 == 0
