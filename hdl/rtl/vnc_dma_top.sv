// SPDX-License-Identifier: MIT
//
// vnc_dma_top: the DMA engine with AXI port names.  It wires these to vnc_engine, whose arrays hold the host at
// index 0 and the card at index 1.
//
//                s_axil_host    s_axil_card
//                      |            |
//                 +----------------------+
//   m_axi_host <--| movers h2c, c2h      |--> m_axi_card
//   irq_host <----| side blocks          |----> irq_card
//                 +----------------------+
//
// The masters request non-bufferable, non-secure, unprivileged accesses (AxCACHE 2, AxPROT 2): B then comes from
// the memory itself and not from a buffer in between, so that an index published after B covers visible bytes.
//
// Timing: see vnc_mover and the ports.  AR, AW and W are driven by registers.

module vnc_dma_top #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8,
  parameter int unsigned Queues     = 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  output logic               irq_host_o,
  output logic               irq_card_o,

  // Register page of the host.
  input  logic [11:0]        s_axil_host_awaddr,
  input  logic [2:0]         s_axil_host_awprot,
  input  logic               s_axil_host_awvalid,
  output logic               s_axil_host_awready,
  input  logic [31:0]        s_axil_host_wdata,
  input  logic [3:0]         s_axil_host_wstrb,
  input  logic               s_axil_host_wvalid,
  output logic               s_axil_host_wready,
  output logic [1:0]         s_axil_host_bresp,
  output logic               s_axil_host_bvalid,
  input  logic               s_axil_host_bready,
  input  logic [11:0]        s_axil_host_araddr,
  input  logic [2:0]         s_axil_host_arprot,
  input  logic               s_axil_host_arvalid,
  output logic               s_axil_host_arready,
  output logic [31:0]        s_axil_host_rdata,
  output logic [1:0]         s_axil_host_rresp,
  output logic               s_axil_host_rvalid,
  input  logic               s_axil_host_rready,

  // Register page of the card.
  input  logic [11:0]        s_axil_card_awaddr,
  input  logic [2:0]         s_axil_card_awprot,
  input  logic               s_axil_card_awvalid,
  output logic               s_axil_card_awready,
  input  logic [31:0]        s_axil_card_wdata,
  input  logic [3:0]         s_axil_card_wstrb,
  input  logic               s_axil_card_wvalid,
  output logic               s_axil_card_wready,
  output logic [1:0]         s_axil_card_bresp,
  output logic               s_axil_card_bvalid,
  input  logic               s_axil_card_bready,
  input  logic [11:0]        s_axil_card_araddr,
  input  logic [2:0]         s_axil_card_arprot,
  input  logic               s_axil_card_arvalid,
  output logic               s_axil_card_arready,
  output logic [31:0]        s_axil_card_rdata,
  output logic [1:0]         s_axil_card_rresp,
  output logic               s_axil_card_rvalid,
  input  logic               s_axil_card_rready,

  // Master towards the host's memory.
  output logic [1:0]         m_axi_host_awid,
  output logic [63:0]        m_axi_host_awaddr,
  output logic [7:0]         m_axi_host_awlen,
  output logic [2:0]         m_axi_host_awsize,
  output logic [1:0]         m_axi_host_awburst,
  output logic [3:0]         m_axi_host_awcache,
  output logic [2:0]         m_axi_host_awprot,
  output logic               m_axi_host_awvalid,
  input  logic               m_axi_host_awready,
  output logic [DataW-1:0]   m_axi_host_wdata,
  output logic [DataW/8-1:0] m_axi_host_wstrb,
  output logic               m_axi_host_wlast,
  output logic               m_axi_host_wvalid,
  input  logic               m_axi_host_wready,
  input  logic [1:0]         m_axi_host_bid,
  input  logic [1:0]         m_axi_host_bresp,
  input  logic               m_axi_host_bvalid,
  output logic               m_axi_host_bready,
  output logic [1:0]         m_axi_host_arid,
  output logic [63:0]        m_axi_host_araddr,
  output logic [7:0]         m_axi_host_arlen,
  output logic [2:0]         m_axi_host_arsize,
  output logic [1:0]         m_axi_host_arburst,
  output logic [3:0]         m_axi_host_arcache,
  output logic [2:0]         m_axi_host_arprot,
  output logic               m_axi_host_arvalid,
  input  logic               m_axi_host_arready,
  input  logic [1:0]         m_axi_host_rid,
  input  logic [DataW-1:0]   m_axi_host_rdata,
  input  logic [1:0]         m_axi_host_rresp,
  input  logic               m_axi_host_rlast,
  input  logic               m_axi_host_rvalid,
  output logic               m_axi_host_rready,

  // Master towards the card's memory.
  output logic [1:0]         m_axi_card_awid,
  output logic [63:0]        m_axi_card_awaddr,
  output logic [7:0]         m_axi_card_awlen,
  output logic [2:0]         m_axi_card_awsize,
  output logic [1:0]         m_axi_card_awburst,
  output logic [3:0]         m_axi_card_awcache,
  output logic [2:0]         m_axi_card_awprot,
  output logic               m_axi_card_awvalid,
  input  logic               m_axi_card_awready,
  output logic [DataW-1:0]   m_axi_card_wdata,
  output logic [DataW/8-1:0] m_axi_card_wstrb,
  output logic               m_axi_card_wlast,
  output logic               m_axi_card_wvalid,
  input  logic               m_axi_card_wready,
  input  logic [1:0]         m_axi_card_bid,
  input  logic [1:0]         m_axi_card_bresp,
  input  logic               m_axi_card_bvalid,
  output logic               m_axi_card_bready,
  output logic [1:0]         m_axi_card_arid,
  output logic [63:0]        m_axi_card_araddr,
  output logic [7:0]         m_axi_card_arlen,
  output logic [2:0]         m_axi_card_arsize,
  output logic [1:0]         m_axi_card_arburst,
  output logic [3:0]         m_axi_card_arcache,
  output logic [2:0]         m_axi_card_arprot,
  output logic               m_axi_card_arvalid,
  input  logic               m_axi_card_arready,
  input  logic [1:0]         m_axi_card_rid,
  input  logic [DataW-1:0]   m_axi_card_rdata,
  input  logic [1:0]         m_axi_card_rresp,
  input  logic               m_axi_card_rlast,
  input  logic               m_axi_card_rvalid,
  output logic               m_axi_card_rready
);
  vnc_engine #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax), .Queues(Queues)) i_engine (
    .clk_i, .rst_ni,
    .irq_o({irq_card_o, irq_host_o}),
    .s_aw_valid_i({s_axil_card_awvalid, s_axil_host_awvalid}),
    .s_aw_ready_o({s_axil_card_awready, s_axil_host_awready}),
    .s_aw_addr_i({s_axil_card_awaddr, s_axil_host_awaddr}),
    .s_w_valid_i({s_axil_card_wvalid, s_axil_host_wvalid}),
    .s_w_ready_o({s_axil_card_wready, s_axil_host_wready}),
    .s_w_data_i({s_axil_card_wdata, s_axil_host_wdata}),
    .s_w_strb_i({s_axil_card_wstrb, s_axil_host_wstrb}),
    .s_b_valid_o({s_axil_card_bvalid, s_axil_host_bvalid}),
    .s_b_ready_i({s_axil_card_bready, s_axil_host_bready}),
    .s_ar_valid_i({s_axil_card_arvalid, s_axil_host_arvalid}),
    .s_ar_ready_o({s_axil_card_arready, s_axil_host_arready}),
    .s_ar_addr_i({s_axil_card_araddr, s_axil_host_araddr}),
    .s_r_valid_o({s_axil_card_rvalid, s_axil_host_rvalid}),
    .s_r_ready_i({s_axil_card_rready, s_axil_host_rready}),
    .s_r_data_o({s_axil_card_rdata, s_axil_host_rdata}),
    .m_aw_valid_o({m_axi_card_awvalid, m_axi_host_awvalid}),
    .m_aw_ready_i({m_axi_card_awready, m_axi_host_awready}),
    .m_aw_id_o({m_axi_card_awid, m_axi_host_awid}),
    .m_aw_addr_o({m_axi_card_awaddr, m_axi_host_awaddr}),
    .m_aw_len_o({m_axi_card_awlen, m_axi_host_awlen}),
    .m_w_valid_o({m_axi_card_wvalid, m_axi_host_wvalid}),
    .m_w_ready_i({m_axi_card_wready, m_axi_host_wready}),
    .m_w_data_o({m_axi_card_wdata, m_axi_host_wdata}),
    .m_w_strb_o({m_axi_card_wstrb, m_axi_host_wstrb}),
    .m_w_last_o({m_axi_card_wlast, m_axi_host_wlast}),
    .m_b_valid_i({m_axi_card_bvalid, m_axi_host_bvalid}),
    .m_b_ready_o({m_axi_card_bready, m_axi_host_bready}),
    .m_b_id_i({m_axi_card_bid, m_axi_host_bid}),
    .m_b_resp_i({m_axi_card_bresp, m_axi_host_bresp}),
    .m_ar_valid_o({m_axi_card_arvalid, m_axi_host_arvalid}),
    .m_ar_ready_i({m_axi_card_arready, m_axi_host_arready}),
    .m_ar_id_o({m_axi_card_arid, m_axi_host_arid}),
    .m_ar_addr_o({m_axi_card_araddr, m_axi_host_araddr}),
    .m_ar_len_o({m_axi_card_arlen, m_axi_host_arlen}),
    .m_r_valid_i({m_axi_card_rvalid, m_axi_host_rvalid}),
    .m_r_ready_o({m_axi_card_rready, m_axi_host_rready}),
    .m_r_id_i({m_axi_card_rid, m_axi_host_rid}),
    .m_r_data_i({m_axi_card_rdata, m_axi_host_rdata}),
    .m_r_resp_i({m_axi_card_rresp, m_axi_host_rresp}),
    .m_r_last_i({m_axi_card_rlast, m_axi_host_rlast})
  );

  // --- what never changes -----------------------------------------------------------------------------------

  assign s_axil_host_bresp  = 2'b00;
  assign s_axil_host_rresp  = 2'b00;
  assign s_axil_card_bresp  = 2'b00;
  assign s_axil_card_rresp  = 2'b00;

  assign m_axi_host_awsize  = 3'($clog2(DataW / 8));
  assign m_axi_host_awburst = 2'b01;
  assign m_axi_host_awcache = 4'b0010;
  assign m_axi_host_awprot  = 3'b010;
  assign m_axi_host_arsize  = 3'($clog2(DataW / 8));
  assign m_axi_host_arburst = 2'b01;
  assign m_axi_host_arcache = 4'b0010;
  assign m_axi_host_arprot  = 3'b010;

  assign m_axi_card_awsize  = 3'($clog2(DataW / 8));
  assign m_axi_card_awburst = 2'b01;
  assign m_axi_card_awcache = 4'b0010;
  assign m_axi_card_awprot  = 3'b010;
  assign m_axi_card_arsize  = 3'($clog2(DataW / 8));
  assign m_axi_card_arburst = 2'b01;
  assign m_axi_card_arcache = 4'b0010;
  assign m_axi_card_arprot  = 3'b010;

  // AxPROT is ignored.
  logic unused;
  assign unused = ^{s_axil_host_awprot, s_axil_host_arprot, s_axil_card_awprot, s_axil_card_arprot};
endmodule
