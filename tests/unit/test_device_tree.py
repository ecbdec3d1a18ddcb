"""The card's device-tree overlays compile, apply to a tree like a board's, and have the names of the agent's URLs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.flat_tree import unpack
from tests.harness.needs import need
from tests.unit.fake_machine import FakeMachine
from vnetcard.errors import WindowUnavailable
from vnetcard.hw.devicetree import Span, choose
from vnetcard.ring import layout as L

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "fpga_side/devicetree"
OVERLAYS = ("vnetcard-memory", "vnetcard-uio", "vnetcard-engine")
BASE = """
/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    interrupt-parent = <&gic>;
    gic: interrupt-controller@f9010000 {
        compatible = "arm,gic-400";
        reg = <0 0xf9010000 0 0x10000>;
        #address-cells = <0>;
        #interrupt-cells = <3>;
        interrupt-controller;
    };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        firmware@3ed00000 { reg = <0x0 0x3ed00000 0x0 0x40000>; no-map; };
    };
};
"""
"""As on a Zynq UltraScale+: cells, interrupt controller, and reserved memory of its own."""

ERRORS = ("reg_format", "ranges_format", "unit_address_vs_reg", "avoid_default_addr_size", "interrupts_property")


def compile_tree(source: str, *, overlay: bool) -> bytes:
    """Compile by dtc, of which the warnings in ``ERRORS`` are errors and others, which its releases add, are not."""
    command = [need("dtc"), "-q", *(word for name in ERRORS for word in ("-E", name)), "-@", "-I", "dts", "-O", "dtb"]
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), f"{'overlay' if overlay else 'tree'}: {done.stderr.decode()}"
    return done.stdout


def applied(folder: Path, *names: str) -> Path:
    """The tree of ``BASE`` with overlays, as folders like those of /proc/device-tree; a FakeMachine's root."""
    (folder / "base.dtb").write_bytes(compile_tree(BASE, overlay=False))
    files = []
    for name in names:
        files.append(str(folder / f"{name}.dtbo"))
        Path(files[-1]).write_bytes(compile_tree((FOLDER / f"{name}.dtso").read_text(), overlay=True))
    command = [need("fdtoverlay"), "-i", str(folder / "base.dtb"), "-o", str(folder / "all.dtb"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    tree = folder / "machine/proc/device-tree"
    unpack((folder / "all.dtb").read_bytes(), tree)
    return tree


def cells(file: Path) -> list[int]:
    """A property of 32-bit cells."""
    blob = file.read_bytes()
    return [int.from_bytes(blob[at : at + 4], "big") for at in range(0, len(blob), 4)]


def strings(file: Path) -> str:
    """A property of one string."""
    return file.read_bytes().rstrip(b"\0").decode()


@pytest.mark.parametrize("names", [("vnetcard-memory",), ("vnetcard-engine",), OVERLAYS])
def test_mem_finds_the_reserved_window(tmp_path: Path, names: tuple[str, ...]) -> None:
    applied(tmp_path, *names)
    span = choose(FakeMachine(tmp_path / "machine").system, "vnetcard", "mem:vnetcard")
    assert span == Span(0x7000_0000, 8 << 20)
    assert L.WINDOW_MIN <= span.size <= L.WINDOW_MAX and span.size & (span.size - 1) == 0


def test_uio_alone_reserves_nothing(tmp_path: Path) -> None:
    tree = applied(tmp_path, "vnetcard-uio")
    with pytest.raises(WindowUnavailable):
        choose(FakeMachine(tmp_path / "machine").system, "vnetcard", "mem:vnetcard")
    assert strings(tree / "vnetcard@70000000/compatible") == "generic-uio"


def test_uio_is_the_reserved_memory(tmp_path: Path) -> None:
    tree = applied(tmp_path, "vnetcard-memory", "vnetcard-uio")
    assert cells(tree / "vnetcard@70000000/reg") == cells(tree / "reserved-memory/vnetcard@70000000/reg")


def test_engine_has_its_page_its_interrupt_and_its_buffer(tmp_path: Path) -> None:
    tree = applied(tmp_path, "vnetcard-engine")
    engine, buffer = tree / "vnetcard-engine@a0000000", tree / "vnetcard-udmabuf"
    window = tree / "reserved-memory/vnetcard@70000000"
    assert cells(engine / "reg") == [0, 0xA000_0000, 0, 4096]
    assert cells(engine / "interrupts") == [0, 121 - 32, 4]
    gic = tree / "interrupt-controller@f9010000/phandle"
    assert (engine / "interrupt-parent").read_bytes() == gic.read_bytes()
    assert strings(engine / "compatible") == "generic-uio"
    assert strings(buffer / "compatible") == "ikwzm,u-dma-buf"
    assert (buffer / "memory-region").read_bytes() == (window / "phandle").read_bytes()
    assert cells(buffer / "size") == cells(window / "reg")[3:]
    assert strings(window / "compatible") == "shared-dma-pool"


def test_names_are_those_of_the_windows_in_the_comments(tmp_path: Path) -> None:
    tree = applied(tmp_path, *OVERLAYS)
    nodes = {path.name.partition("@")[0] for path in tree.rglob("*") if path.is_dir()}
    named = {strings(path) for path in tree.rglob("device-name")}
    urls = {name: re.search(r"--window (\S+)$", (FOLDER / f"{name}.dtso").read_text(), re.M) for name in OVERLAYS}
    wanted = {name: found[1].strip("'") for name, found in urls.items() if found}
    assert wanted == {
        "vnetcard-memory": "mem:vnetcard",
        "vnetcard-uio": "uio:vnetcard",
        "vnetcard-engine": "udmabuf:udmabuf0?engine=uio:vnetcard-engine&irq",
    }
    assert {"vnetcard", "vnetcard-engine"} <= nodes
    assert named == {"udmabuf0"}


def test_addresses_are_those_of_the_block_designs(tmp_path: Path) -> None:
    tree = applied(tmp_path, "vnetcard-engine")
    script = (ROOT / "hdl/vivado/card.tcl").read_text()
    given = dict(re.findall(r"^ +variable (\w+) +(\w+)$", script, re.M))
    assert cells(tree / "vnetcard-engine@a0000000/reg")[1] == int(given["page_address"], 16)
    _, start, _, size = cells(tree / "reserved-memory/vnetcard@70000000/reg")
    assert start == int(given["window_address"], 16)
    assert f"{size >> 20}M" == given["window_size"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<0x0 0xa0000000 0x0 0x1000>", "<0xa0000000 0x1000>"),
        ("<&vnetcard_window>", "<&vnetcard>"),
        ("<&gic>", "<&pic>"),
    ],
)
def test_mistakes_do_not_compile_or_apply(tmp_path: Path, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (FOLDER / "vnetcard-engine.dtso").read_text()
    assert old in source
    (tmp_path / "vnetcard-engine.dtso").write_text(source.replace(old, new))
    monkeypatch.setattr("tests.unit.test_device_tree.FOLDER", tmp_path)
    with pytest.raises(AssertionError):
        applied(tmp_path, "vnetcard-engine")
