"""The register page as a BAR, and DMA to a host's memory as TLPs: the engine behind a model of PCIe.

Root complex, link and device are cocotbext-pcie's; what joins the device to the engine is a model too
(``pcie_shim.py``).  It shows that the engine fits behind a bridge, not that any bridge works.
"""

from __future__ import annotations

from pathlib import Path

import hdl_build
import pytest

pytestmark = [pytest.mark.hdl, pytest.mark.slow]

CASES = (
    "root_complex_finds_the_card_and_places_bar0",
    "registers_work_as_a_bar",
    "bytes_survive_the_smallest_payload",
    "bytes_survive_32_bit_addresses_and_larger_tlps",
    "packets_cross_on_msi_alone",
    "refused_read_halts_h2c_alone",
    "card_that_may_not_master_the_bus_halts",
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pcie")


@pytest.fixture
def simulator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    hdl_build.use_verilator(monkeypatch)
    build = folder / "w64"
    return build if build.exists() else hdl_build.build(build, 64)


@pytest.mark.parametrize("case", CASES)
def test_pcie(simulator: Path, case: str) -> None:
    hdl_build.run(simulator, case, "cases_pcie")
