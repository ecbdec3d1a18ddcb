"""The module that the simulator evaluates is the engine with a register before each input."""

from __future__ import annotations

import re

from vnetcard.sim.build import rtl_folder
from vnetcard.sim.wrapper import ENGINE, ports, wrapper

SOURCE = (rtl_folder() / f"{ENGINE}.sv").read_text()


def test_every_port_of_the_engine_is_found() -> None:
    header = SOURCE[: SOURCE.index(");")]
    assert len(ports(SOURCE)) == len(re.findall(r"^ *(?:input|output)\b", header, re.MULTILINE)) > 100


def test_each_input_but_clock_and_reset_has_a_register_of_its_width() -> None:
    text = wrapper(SOURCE)
    for port in ports(SOURCE):
        registered = port.direction == "input" and port.name not in ("clk_i", "rst_ni")
        assert (f"  logic {port.width} {port.name}_q;" in text) == registered
        assert (f"    {port.name}_q <= {port.name};" in text) == registered
        assert (f".{port.name}({port.name}_q)," in text) == registered
