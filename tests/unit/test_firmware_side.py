"""The freestanding side of firmware/ against itself: sanitized, in checked memory, with restarts and scribbles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.c_build import ASAN, CHECKED, ROOT, build, must_pass, seed
from vnetcard.ring.geometry import Geometry

pytestmark = pytest.mark.slow

FIRMWARE = ROOT / "firmware"
SOURCES = [str(FIRMWARE / name) for name in ("vnc_side.c", "vnc_side_packets.c", "vnc_side_window.c")]
COHERENT, CHECKED_MEMORY = 0, 2
STEPS = 15_000


@pytest.fixture
def window(tmp_path: Path) -> Path:
    path = tmp_path / "window"
    geometry = Geometry.plan(64 << 10, instance=7, removable=True)
    path.write_bytes(geometry.encode().ljust(geometry.window_bytes, b"\0"))
    return path


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("open"), "side_open.c", *SOURCES, flags=(*ASAN, f"-I{FIRMWARE}"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pair"), "side_pair.c", *SOURCES, flags=(*ASAN, f"-I{FIRMWARE}"))


@pytest.mark.parametrize("scribbles", [0, 20])
def test_packets_arrive_once_and_the_ledgers_balance(pair: Path, window: Path, scribbles: int) -> None:
    assert must_pass(pair, seed(), STEPS, window, COHERENT, scribbles).endswith("ok\n")


def test_side_keeps_the_rules_of_device_memory(tmp_path: Path, window: Path) -> None:
    program = build(tmp_path, "side_pair.c", *SOURCES, "vnc_checked.c", flags=(*CHECKED, f"-I{FIRMWARE}"))
    assert must_pass(program, seed(), STEPS // 20, window, CHECKED_MEMORY, 0).endswith("ok\n")


@pytest.mark.parametrize(
    ("at", "value", "code"),
    [(0, 0, 1), (8, 2, 2), (16, 1 << 17, 3), (24, 0, 4), (64, 0x1800, 3)],
    ids=["magic", "version", "size", "queues", "ring"],
)
def test_damaged_superblock_is_refused(opener: Path, window: Path, at: int, value: int, code: int) -> None:
    data = bytearray(window.read_bytes())
    data[at : at + 4] = value.to_bytes(4, "little")
    window.write_bytes(data)
    assert must_pass(opener, window, 1500) == f"{code}\n"


@pytest.mark.parametrize(("mtu", "code"), [(67, 5), (68, 0), (8118, 0), (8119, 5), (65_536, 5)])
def test_mtu_must_fit_the_rings(opener: Path, window: Path, mtu: int, code: int) -> None:
    assert must_pass(opener, window, mtu) == f"{code}\n"
