"""``python -m tests.hdl.litex_soc FILE``: a LiteX SoC with the engine behind LitePCIe, as Verilog.

The PHY is that of ``litepcie_top.py``.  Before, ``add_vnetcard`` must refuse bad arguments.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from litepcie.core import LitePCIeEndpoint
from litex.build.generic_platform import Pins
from litex.build.sim import SimPlatform
from litex.soc.integration.soc_core import SoCCore
from migen import ClockDomain, Module

from tests.hdl.litepcie_top import StreamPhy
from vnetcard.hdl.litex import add_vnetcard


class Clocks(Module):  # type: ignore[misc]
    """The clock domain of the SoC, whose clock and reset are ports."""

    def __init__(self, platform: Any) -> None:
        self.clock_domains.cd_sys = ClockDomain("sys")
        self.comb += self.cd_sys.clk.eq(platform.request("sys_clk"))
        self.comb += self.cd_sys.rst.eq(platform.request("sys_rst"))


class Soc(SoCCore):  # type: ignore[misc]
    """A SoC without CPU: RAM, the engine at 64 bit, and the bus between them."""

    def __init__(self) -> None:
        platform = SimPlatform("SIM", [("sys_clk", 0, Pins(1)), ("sys_rst", 0, Pins(1))], name="litex_soc")
        self.submodules.crg = Clocks(platform)
        SoCCore.__init__(
            self, platform, clk_freq=100_000_000, cpu_type=None, with_uart=False, with_timer=False,
            integrated_sram_size=0x1000, integrated_main_ram_size=0x10000,
        )  # fmt: skip
        self.submodules.phy = StreamPhy(64)
        self.submodules.pcie = LitePCIeEndpoint(self.phy, max_pending_requests=8, address_width=64)
        self.refuses("address_width=64", LitePCIeEndpoint(self.phy, max_pending_requests=8, address_width=32))
        self.refuses("bar_offset", self.pcie, bar_offset=0x1000)
        add_vnetcard(self, self.pcie, page=0x3000_0000)

    def refuses(self, why: str, endpoint: Any, **others: Any) -> None:
        """Check that ``add_vnetcard`` raises ValueError with ``why`` in its message."""
        try:
            add_vnetcard(self, endpoint, **others)
        except ValueError as error:
            if why in str(error):
                return
            raise
        raise AssertionError(f"{why}: accepted")


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    with TemporaryDirectory() as folder:
        os.chdir(folder)  # LiteX writes the contents of its memories here
        soc = Soc()
        soc.finalize()
        soc.platform.get_verilog(soc, name="litex_soc").write(str(target))
