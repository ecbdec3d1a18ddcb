# SPDX-License-Identifier: MIT
#
# A card without programmable logic: the PCIe controller of a Zynq UltraScale+ as an endpoint, with the window in the
# processing system's DDR behind BAR 2 (hdl/README.md, "The card without programmable logic"):
#
#     vivado -mode batch -source hdl/vivado/card_ps_pcie.tcl -tclargs FOLDER BOARD_PART
#
# Lanes, reference clock and the reset's pin are those of many boards; change them to yours.

source [file join [file dirname [file normalize [info script]]] card.tcl]
lassign [vnetcard::arguments card_ps_pcie.tcl] folder board

set lanes   {0 1}
set refclk  {Ref Clk0}
set perst_n {MIO 30}

vnetcard::project $folder $board
set properties [list \
    PSU__PCIE__PERIPHERAL__ENABLE 1 PSU__PCIE__DEVICE_PORT_TYPE {Endpoint Device} \
    PSU__PCIE__PERIPHERAL__ROOTPORT_ENABLE 0 \
    PSU__PCIE__PERIPHERAL__ENDPOINT_ENABLE 1 PSU__PCIE__PERIPHERAL__ENDPOINT_IO $perst_n \
    PSU__PCIE__REF_CLK_SEL $refclk PSU__PCIE__REF_CLK_FREQ 100 \
    PSU__PCIE__LINK_SPEED {5.0 Gb/s} PSU__PCIE__MAXIMUM_LINK_WIDTH x[llength $lanes] \
    PSU__PCIE__DEVICE_ID 0xD021 PSU__PCIE__CLASS_CODE_BASE 0x05 PSU__PCIE__CLASS_CODE_SUB 0x80 \
    PSU__PCIE__BAR2_ENABLE 1 PSU__PCIE__BAR2_TYPE Memory PSU__PCIE__BAR2_64BIT 1 PSU__PCIE__BAR2_PREFETCHABLE 1 \
    PSU__PCIE__BAR2_SCALE Megabytes PSU__PCIE__BAR2_SIZE [string trimright $vnetcard::window_size M] \
    PSU__USE__M_AXI_GP0 0 PSU__USE__M_AXI_GP1 0 PSU__USE__M_AXI_GP2 0]
foreach lane {0 1 2 3} {
    lappend properties PSU__PCIE__LANE${lane}__ENABLE [expr {$lane in $lanes}]
    if {$lane in $lanes} {
        lappend properties PSU__PCIE__LANE${lane}__IO "GT Lane$lane"
    }
}
vnetcard::processing_system {*}$properties
vnetcard::finish $folder
