"""A window of a simulation: bad input, in one line each."""

from __future__ import annotations

import os

import pytest

from vnetcard import layout as L
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window import open_window, read_window

NAME = f"vnc-contract-{os.getpid()}"


def test_simulation_that_does_not_run_is_named_with_its_remedy() -> None:
    with pytest.raises(WindowUnavailable, match=f"no simulation {NAME} is running: start `vnetcard-sim {NAME}`"):
        open_window(f"sim:{NAME}", side=L.HOST)


@pytest.mark.parametrize("place", [".hidden", "a/b", "x" * 201])
def test_impossible_name_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match="a name has 1 to 200 bytes"):
        open_window(f"sim:{place}", side=L.HOST)


@pytest.mark.parametrize("place", [NAME, f"{NAME}.fpga", "host"])
def test_reading_wants_to_know_whose_memory(place: str) -> None:
    with pytest.raises(ConfigError, match=r"name sim:.*\.host or sim:.*\.card"):
        read_window(f"sim:{place}")
