// SPDX-License-Identifier: MIT
//
// card_checks: the rules of AXI4 and AXI4-Lite at the ports of vnc_card_top, each in the clock of its bus.  The checks
// of vnc_dma_top in axi_checks.sv and axil_checks.sv apply inside it as well.

`define VNC_CHECK_CARD(side) \
  bind vnc_card_top axi_checks #(.DataW(DataW), .ReadsMax(ReadsMax), .Engine(1'b0)) i_checks_``side ( \
    .clk_i(m_axi_``side``_aclk), .rst_ni(m_axi_``side``_aresetn), \
    .awid(m_axi_``side``_awid), .awaddr(m_axi_``side``_awaddr), .awlen(m_axi_``side``_awlen), \
    .awvalid(m_axi_``side``_awvalid), .awready(m_axi_``side``_awready), .wdata(m_axi_``side``_wdata), \
    .wstrb(m_axi_``side``_wstrb), .wlast(m_axi_``side``_wlast), .wvalid(m_axi_``side``_wvalid), \
    .wready(m_axi_``side``_wready), .bid(m_axi_``side``_bid), .bvalid(m_axi_``side``_bvalid), \
    .bready(m_axi_``side``_bready), .arid(m_axi_``side``_arid), .araddr(m_axi_``side``_araddr), \
    .arlen(m_axi_``side``_arlen), .arvalid(m_axi_``side``_arvalid), .arready(m_axi_``side``_arready), \
    .rid(m_axi_``side``_rid), .rlast(m_axi_``side``_rlast), .rvalid(m_axi_``side``_rvalid), \
    .rready(m_axi_``side``_rready) \
  ); \
  bind vnc_card_top axil_checks #(.Most(3)) i_checks_axil_``side ( \
    .clk_i(s_axil_``side``_aclk), .rst_ni(s_axil_``side``_aresetn), \
    .awvalid(s_axil_``side``_awvalid), .awready(s_axil_``side``_awready), .wvalid(s_axil_``side``_wvalid), \
    .wready(s_axil_``side``_wready), .bresp(s_axil_``side``_bresp), .bvalid(s_axil_``side``_bvalid), \
    .bready(s_axil_``side``_bready), .arvalid(s_axil_``side``_arvalid), .arready(s_axil_``side``_arready), \
    .rdata(s_axil_``side``_rdata), .rresp(s_axil_``side``_rresp), .rvalid(s_axil_``side``_rvalid), \
    .rready(s_axil_``side``_rready) \
  );

`VNC_CHECK_CARD(host)
`VNC_CHECK_CARD(card)
