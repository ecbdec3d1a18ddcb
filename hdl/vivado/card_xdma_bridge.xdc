# SPDX-License-Identifier: MIT
#
# Constraints of card_xdma_bridge.tcl that no board changes; its pins belong in a file of the board, for example
#
#     set_property PACKAGE_PIN <pin> [get_ports pcie_refclk_clk_p]
#     set_property PACKAGE_PIN <pin> [get_ports pcie_perst_n]
#     set_property IOSTANDARD LVCMOS33 [get_ports pcie_perst_n]
#
# The engine, the register pages and both memory ports run on one clock, the bridge's, which follows from this one.
# A design that clocks one of them otherwise adds `set_clock_groups -asynchronous` for the two clocks, and only if each
# signal between them passes through a clock crossing.

create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_clk_p]
set_false_path -from [get_ports pcie_perst_n]
