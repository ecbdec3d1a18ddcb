"""The driver u-dma-buf itself in an x86-64 guest with an IOMMU: buffers that are bound to a PCI function, and not.

Runs where ``VNETCARD_UDMABUF_KO`` names a module that was built for the guest's kernel (tests/README.md); the driver
itself is not part of this project.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.own_module import put_module
from tests.harness.restarts import until
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import X86_IOMMU, X86_IOMMU_WORDS, Guest

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.slow]

SIZE = 1 << 20
INSERT = """
for device in /sys/bus/pci/devices/*; do
    [ $(cat $device/device) = 0x1110 ] && function=${device##*/}
done
insmod $1 udmabuf0=1048576 udmabuf1=1048576 udmabuf1_bind=pci/$function udmabuf2=8388608
echo $? $function
"""
SHOWN = """
import json
from vnetcard.hw.sysfs import System
from vnetcard.hw.udmabuf import buffers
print(json.dumps({one.name: [one.size, one.address, one.bound, str(one.path.resolve())]
                  for one in buffers(System.here())}))
"""


@dataclass
class Bench:
    """The guest with the driver; ``function`` is the PCI function with the memory ``bar`` behind its BAR 2."""

    guest: Guest
    function: str
    bar: Path
    buffers: dict[str, Any]
    version: str


@pytest.fixture(scope="module")
def bench(host_image: Image) -> Iterator[Bench]:
    bar = Path(f"/dev/shm/vnetcard-e2e-udmabuf-{os.getpid()}-bar")
    bar.write_bytes(bytes(SIZE))
    try:
        with Guest(host_image, bar, options=X86_IOMMU, words=X86_IOMMU_WORDS) as guest:
            done = guest.run("sh", "-c", INSERT, "sh", put_module(guest, "VNETCARD_UDMABUF_KO"), limit=120)
            status, function = done.stdout.split()
            assert status == "0", f"{done}\n{guest.console()}"
            shown = guest.run("python3", "-c", SHOWN)
            assert shown.status == 0, shown
            version = guest.run("cat", "/sys/class/u-dma-buf/udmabuf0/driver_version").stdout.strip()
            yield Bench(guest, function, bar, json.loads(shown.stdout), version)
    finally:
        bar.unlink()


def test_bound_buffer_names_its_function_and_has_an_address_of_the_iommu(bench: Bench) -> None:
    size, address, bound, path = bench.buffers["udmabuf1"]
    assert (size, bound) == (SIZE, bench.function)
    assert f"/{bench.function}/" in path, "the class device is below the function"
    group = bench.guest.run("sh", "-c", f"cat /sys/bus/pci/devices/{bench.function}/iommu_group/type").stdout.strip()
    assert group.startswith("DMA"), "no IOMMU translates for the function"
    ram_end = 256 << 20
    assert address >= ram_end, f"{address:#x} is a physical address"


def test_other_buffer_is_bound_to_nothing(bench: Bench) -> None:
    size, address, bound, _ = bench.buffers["udmabuf0"]
    assert (size, bound) == (SIZE, "")
    assert address < 256 << 20, "it has a bare physical address"


def test_buffer_that_is_too_large_without_cma_is_missing_though_insmod_succeeds(bench: Bench) -> None:
    assert "udmabuf2" not in bench.buffers
    done = bench.guest.run("vnetcard", "doctor", "--json", limit=120)
    found = {one["subject"]: one for one in json.loads(done.stdout)["findings"] if one["area"] == "udmabuf"}
    assert f"bound to {bench.function}" in found["udmabuf1"]["detail"], found


def test_engine_behind_the_iommu_takes_only_the_buffer_that_is_bound_to_it(bench: Bench) -> None:
    """The register page is the function's BAR, in which the test puts what an engine's registers say."""
    page = {"id": R.ENGINE_ID, "version": L.VERSION << 16 | R.ENGINE_VERSION, "caps": L.CARD << 24 | 63 << 16 | 64}
    with bench.bar.open("r+b", buffering=0) as file:
        for name, value in page.items():
            os.pwrite(file.fileno(), value.to_bytes(4, "little"), R.offset(name))
    words = ["--name", "tun8", "--address", "none"]
    url = "udmabuf:{}?engine=pci:" + f"{bench.function}/2"
    if bench.version.startswith("5.5."):
        done = bench.guest.run("vnetcard-fpga", "--window", url.format("udmabuf1"), *words)
        assert done.status == 2 and done.stderr.count("\n") == 1, done
        assert "stops the kernel" in done.stderr
        assert "BUG" not in bench.guest.console()
        return
    done = bench.guest.run("vnetcard-fpga", "--window", url.format("udmabuf0"), *words)
    assert done.status == 2 and done.stderr.count("\n") == 1, done
    assert f"bind=pci/{bench.function}" in done.stderr
    agent = bench.guest.start("vnetcard-fpga", "--window", url.format("udmabuf1"), *words)
    bench.guest.wait_for_output(agent, " ready: ", limit=120)
    address = bench.buffers["udmabuf1"][1]

    def register(name: str) -> int:
        return int.from_bytes(bench.bar.read_bytes()[R.offset(name) :][:4], "little")

    until(lambda: register("control") == 3, "the engine is enabled")
    assert register("window_base_hi") << 32 | register("window_base_lo") == address
    bench.guest.signal(agent)
    assert bench.guest.wait(agent).status == 0


def test_agent_has_its_window_in_a_buffer(bench: Bench) -> None:
    words = ["--name", "tun9", "--address", "none"]
    agent = bench.guest.start("vnetcard-x86", "--window", "udmabuf:udmabuf0", *words)
    bench.guest.wait_for_output(agent, " ready: ", limit=120)
    shown = bench.guest.run("vnetcard", "info", "udmabuf:udmabuf0")
    assert shown.status == 0, shown
    bench.guest.signal(agent)
    assert bench.guest.wait(agent).status == 0
