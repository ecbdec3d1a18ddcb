"""A guest whose device tree reserves memory for a window, as a card's does; that memory is a file of this machine.

The guest's RAM is two pieces.  The upper one is the file, and a node of ``/reserved-memory`` with ``no-map`` keeps the
guest's kernel away from it: the card's agent opens it as ``mem:NAME`` through /dev/mem.  QEMU puts the initial RAM disk
128 MiB above the start of RAM, well below.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.sim.guest.lab import WindowPlaces
from vnetcard.sim.guest.machines import ARM64
from vnetcard.sim.guest.qemu import find_qemu

RAM_START: Final = 0x4000_0000
"""Where QEMU's ``virt`` machine has its RAM (hw/arm/virt.c)."""
RAM_MIB, WINDOW_MIB = 256, 16
NAME: Final = "vnetcard"
_NODE = """
/ {{
    reserved-memory {{
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        {name}@{start:x} {{
            reg = <0x0 {start:#x} 0x0 {size:#x}>;
            no-map;
        }};
    }};
}};
"""


@dataclass(frozen=True, slots=True)
class ReservedMemory:
    """The window's ``memory`` (a file that this makes) and the guest's ``tree``, both in ``folder``."""

    folder: Path

    @property
    def memory(self) -> Path:
        """The reserved memory."""
        return self.folder / "reserved"

    def places(self) -> WindowPlaces:
        """Make both files.  ConfigError names the tool that is missing."""
        self.memory.touch(0o600, exist_ok=False)
        with self.memory.open("r+b") as file:
            file.truncate(WINDOW_MIB << 20)
        rest = f"memory-backend-ram,id=rest,size={RAM_MIB - WINDOW_MIB}M"
        window = f"memory-backend-file,id=window,share=on,mem-path={self.memory},size={WINDOW_MIB}M"
        numa = ("-object", rest, "-object", window, "-numa", "node,memdev=rest", "-numa", "node,memdev=window")
        tree = self._tree(numa)
        return WindowPlaces(f"file:{self.memory}", None, (*numa, "-dtb", str(tree)), card=f"mem:{NAME}")

    def _tree(self, numa: tuple[str, ...]) -> Path:
        """QEMU's own device tree for this machine, and the node."""
        plain, source, tree = (self.folder / name for name in ("plain.dtb", "tree.dts", "tree.dtb"))
        machine = ("-machine", f"dumpdtb={plain}")
        _run(find_qemu(), *ARM64.options, *machine, *numa, "-display", "none")
        _run("dtc", "-q", "-I", "dtb", "-O", "dts", "-o", str(source), str(plain))
        start = RAM_START + (RAM_MIB - WINDOW_MIB << 20)
        with source.open("a") as file:
            file.write(_NODE.format(name=NAME, start=start, size=WINDOW_MIB << 20))
        _run("dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(tree), str(source))
        return tree


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigError(f"{command[0]} is missing: scripts/system-packages.sh test") from error
    if done.returncode:
        raise ConfigError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
