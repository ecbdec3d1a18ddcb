"""The files of the C pumps call only downwards; vnc_pump.h draws the layers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.unit.c_build import CORE, PUMP

LAYERS = (
    ("vnc_tap.c", "vnc_checked.c", "vnc_sigbus.c"),
    ("vnc_pump_core.c",),
    ("vnc_tx.c", "vnc_rx.c"),
    ("vnc_inline.c",),
    ("vnc_pump_thread.c",),
)
"""From the lowest; files of one layer do not call one another."""


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[str], set[str]]]:
    """By file of the core without Python: the ``vnc_`` symbols that it defines, and those that it uses from others."""
    out = tmp_path_factory.mktemp("objects")
    found = {}
    for source in sorted(CORE.glob("vnc_*.c")):
        target = out / f"{source.stem}.o"
        subprocess.run([need("gcc"), "-std=gnu11", "-O0", f"-I{CORE}", "-c", source, "-o", target], check=True)
        found[source.name] = (names(target, "--defined-only"), names(target, "--undefined-only"))
    return found


def names(target: Path, which: str) -> set[str]:
    done = subprocess.run([need("nm"), "-g", which, target], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.split()[-1].startswith("vnc_")}


def test_every_file_has_a_layer(symbols: dict[str, tuple[set[str], set[str]]]) -> None:
    files = [name for layer in LAYERS for name in layer]
    assert sorted(files) == sorted(symbols)
    assert set(PUMP) <= set(files)


@pytest.mark.parametrize("height", range(len(LAYERS)), ids=["-".join(layer) for layer in LAYERS])
def test_layer_uses_only_lower_layers(symbols: dict[str, tuple[set[str], set[str]]], height: int) -> None:
    below = {symbol for layer in LAYERS[:height] for name in layer for symbol in symbols[name][0]}
    for name in LAYERS[height]:
        assert symbols[name][1] <= below, f"{name} calls upwards or sideways"
