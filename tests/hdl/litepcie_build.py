"""Builds of the benches of ``litepcie_top.py`` with Verilator, kept in the cache of test builds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.harness.build_cache import TEST_BUILDS
from tests.hdl import build
from tests.hdl.litepcie_tags import TAGS
from vnetcard.sim.build import find_tools
from vnetcard.sim.build_cache import digest

TOP = "litepcie_top"
LITEX = build.ROOT / "hdl/litex"
PACKAGES = ("litex", "litepcie", "migen", "cocotb")


def make(folder: Path, kind: str, width: int, *, litex: Path = LITEX, tags: int = TAGS) -> Path:
    """Generate and compile the bench ``kind`` at ``width`` bit, with so many tags, into ``folder``.

    ``litex`` may be a changed copy of ``hdl/litex``.  Raises AssertionError with the log when a step fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder.parent / f"{folder.name}.v"
    program = f"import vnetcard.hdl; vnetcard.hdl.__path__.insert(0, {str(litex.parent)!r})\n"
    program += "from pathlib import Path; from tests.hdl import litepcie_top as top\n"
    program += f"top.write({kind!r}, {width}, Path({str(source)!r}), {tags})"
    done = subprocess.run([sys.executable, "-c", program], cwd=build.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"no Verilog of {kind} at {width} bit:\n{done.stderr[-3000:]}"
    rtl = [] if kind == "slave" else build.sources()
    return build.compile_bench(folder, TOP, [*rtl, source], options=build.QUICK)


def kept(folder: Path, kind: str, width: int, tags: int = TAGS) -> Path:
    """As ``make``, from the cache where the same sources were built by the same tools."""
    files = [*sorted(LITEX.glob("*.py")), *build.sources(), Path(__file__), Path(__file__).with_name("litepcie_top.py")]
    tools = [find_tools(trace=False).versions, *map(version, PACKAGES), sys.prefix]
    key = digest(*tools, kind, str(width), str(tags), *(file.read_bytes() for file in files))

    def fill(whole: Path) -> None:
        shutil.copy2(make(whole.with_name("obj"), kind, width, tags=tags) / TOP, whole)

    program = TEST_BUILDS.get(f"litepcie-{kind}-w{width}", key, fill, lambda _: None) / TOP
    folder.mkdir()
    (folder / TOP).symlink_to(program)
    return folder
