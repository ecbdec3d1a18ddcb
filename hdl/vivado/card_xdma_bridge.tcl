# SPDX-License-Identifier: MIT
#
# A card with the DMA engine, on a Zynq UltraScale+ whose programmable logic has a PCIe block and transceivers:
#
#     vivado -mode batch -source hdl/vivado/card_xdma_bridge.tcl -tclargs FOLDER BOARD_PART
#
#     host == PCIe == bridge (XDMA as AXI bridge) --- M_AXI_B --- host_page --- s_axil_host   dma
#                                                  -- S_AXI_B --- host_memory - m_axi_host
#             ps --- M_AXI_HPM0_FPD --- card_page --- s_axil_card
#                 -- S_AXI_HP0_FPD ---- card_memory - m_axi_card
#
# hdl/README.md, "On a board", says what each connection must keep.  All of it runs on the bridge's clock: while that
# stands still (no reference clock), an access of the processing system to the registers does not end.
# Pins and the quad are the board's: add them in a constraints file, and see card_xdma_bridge.xdc.

source [file join [file dirname [file normalize [info script]]] card.tcl]
lassign [vnetcard::arguments card_xdma_bridge.tcl] folder board

# BAR0 of the bridge leads to this address of its master; host memory below host_top is in the engine's reach.
set host_page_address 0xA0010000
set host_top          1T

vnetcard::project $folder $board
vnetcard::processing_system \
    PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 0 PSU__USE__M_AXI_GP2 0 PSU__MAXIGP0__DATA_WIDTH 32 \
    PSU__USE__S_AXI_GP2 1 PSU__SAXIGP2__DATA_WIDTH 128 PSU__USE__IRQ0 1
vnetcard::cell refclk xilinx.com:ip:util_ds_buf C_BUF_TYPE IBUFDSGTE
vnetcard::cell bridge xilinx.com:ip:xdma \
    functional_mode AXI_Bridge mode_selection Advanced device_port_type PCI_Express_Endpoint_device \
    pl_link_cap_max_link_width X4 pl_link_cap_max_link_speed 8.0_GT/s \
    axi_addr_width 64 axi_data_width 128_bit axisten_freq 250 en_axi_slave_if true \
    pf0_bar0_64bit false pf0_bar0_prefetchable false pf0_bar0_scale Kilobytes pf0_bar0_size 4 \
    pciebar2axibar_0 [format 0x%016x $host_page_address] \
    axibar_num 1 axibar2pciebar_0 0x0000000000000000 xdma_num_usr_irq 1
vnetcard::cell dma vnetcard:user:vnc_dma DataW 128
foreach name {host_page host_memory card_page card_memory} {
    vnetcard::cell $name xilinx.com:ip:smartconnect NUM_SI 1 NUM_MI 1
}
add_files -norecurse [file join $vnetcard::here vnc_irq_hold.v]
create_bd_cell -type module -reference vnc_irq_hold msi

# --- PCIe ---------------------------------------------------------------------------------------------------------

make_bd_intf_pins_external -name pcie_refclk [get_bd_intf_pins refclk/CLK_IN_D]
make_bd_intf_pins_external -name pcie [get_bd_intf_pins bridge/pcie_mgt]
make_bd_pins_external -name pcie_perst_n [get_bd_pins bridge/sys_rst_n]
connect_bd_net [get_bd_pins refclk/IBUF_OUT] [get_bd_pins bridge/sys_clk_gt]
connect_bd_net [get_bd_pins refclk/IBUF_DS_ODIV2] [get_bd_pins bridge/sys_clk]

# --- interfaces ---------------------------------------------------------------------------------------------------

foreach {master connect slave} {
    bridge/M_AXI_B    host_page   dma/s_axil_host
    dma/m_axi_host    host_memory bridge/S_AXI_B
    ps/M_AXI_HPM0_FPD card_page   dma/s_axil_card
    dma/m_axi_card    card_memory ps/S_AXI_HP0_FPD
} {
    connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $connect/S00_AXI]
    connect_bd_intf_net [get_bd_intf_pins $connect/M00_AXI] [get_bd_intf_pins $slave]
}

# --- clock, reset, interrupts -------------------------------------------------------------------------------------

connect_bd_net [get_bd_pins bridge/axi_aclk] \
    [get_bd_pins ps/maxihpm0_fpd_aclk] [get_bd_pins ps/saxihp0_fpd_aclk] [get_bd_pins dma/aclk] [get_bd_pins msi/aclk] \
    [get_bd_pins host_page/aclk] [get_bd_pins host_memory/aclk] \
    [get_bd_pins card_page/aclk] [get_bd_pins card_memory/aclk]
connect_bd_net [get_bd_pins bridge/axi_aresetn] [get_bd_pins dma/aresetn] [get_bd_pins msi/aresetn] \
    [get_bd_pins host_page/aresetn] [get_bd_pins host_memory/aresetn] \
    [get_bd_pins card_page/aresetn] [get_bd_pins card_memory/aresetn]
connect_bd_net [get_bd_pins dma/irq_host] [get_bd_pins msi/irq]
connect_bd_net [get_bd_pins bridge/usr_irq_ack] [get_bd_pins msi/ack]
connect_bd_net [get_bd_pins msi/req] [get_bd_pins bridge/usr_irq_req]
connect_bd_net [get_bd_pins dma/irq_card] [get_bd_pins ps/pl_ps_irq0]

# --- addresses ----------------------------------------------------------------------------------------------------

foreach {space segment offset range} [list \
    bridge/M_AXI_B dma/s_axil_host/reg0       $host_page_address      4K \
    dma/m_axi_host bridge/S_AXI_B/BAR0        0x0                     $host_top \
    ps/Data        dma/s_axil_card/reg0       $vnetcard::page_address 4K \
    dma/m_axi_card ps/SAXIGP2/HP0_DDR_LOW     0x0                     2G \
] {
    assign_bd_address -offset $offset -range $range -target_address_space [get_bd_addr_spaces $space] \
        [get_bd_addr_segs $segment]
}

add_files -fileset constrs_1 -norecurse [file join $vnetcard::here card_xdma_bridge.xdc]
vnetcard::finish $folder
