// SPDX-License-Identifier: MIT
//
// vnc_card_top: the DMA engine on a clock of its own, which outlives the host.  Each register page and each master has
// its own clock and reset; any of them may be reset or stop in any cycle, and the others continue.
//
//   s_axil_host <--> vnc_axi_decoupler <--> +-------------+ <--> vnc_axi_decoupler <--> m_axi_host
//                                          | vnc_dma_top |
//   s_axil_card <--> vnc_axi_decoupler <--> +-------------+ <--> vnc_axi_decoupler <--> m_axi_card
//    *_aclk, *_aresetn                      clk_i, rst_ni
//
// When a master's side disappears its transactions are answered with SLVERR: the directions and side movers that used
// it halt.  A page whose engine is in reset or has no clock is answered with OKAY and all ones, as a PCI function that
// has gone: behind PCIe an error response to a register access can bring the host down.
//
// isolate_host_i, in the engine's clock, takes the host's memory away without a half-done transaction: for a reset of
// the bridge that is known in advance.
//
// Timing: a transaction takes longer than in vnc_dma_top by what vnc_axi_decoupler says, each way.

module vnc_card_top #(
  parameter int unsigned DataW       = 64,
  parameter int unsigned BurstBeats  = 64,
  parameter int unsigned ReadsMax    = 8,
  parameter int unsigned StallCycles = 4096  // of any clock, without an edge of another: that one has stopped
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               isolate_host_i,
  output logic               isolated_host_o,
  output logic               irq_host_o,  // s_axil_host_aclk
  output logic               irq_card_o,  // s_axil_card_aclk

  // Register page of the host.
  input  logic               s_axil_host_aclk,
  input  logic               s_axil_host_aresetn,
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
  input  logic               s_axil_card_aclk,
  input  logic               s_axil_card_aresetn,
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
  input  logic               m_axi_host_aclk,
  input  logic               m_axi_host_aresetn,
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
  input  logic               m_axi_card_aclk,
  input  logic               m_axi_card_aresetn,
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
  // Outstanding transactions of a master: of id 0 ReadsMax + 1, and one of each other id.
  localparam int unsigned Outstanding = 1 << $clog2(ReadsMax + 4);

  logic [11:0]        p_host_awaddr, p_host_araddr;
  logic [31:0]        p_host_wdata, p_host_rdata;
  logic [3:0]         p_host_wstrb;
  logic [1:0]         p_host_bresp, p_host_rresp;
  logic               p_host_awvalid, p_host_awready, p_host_wvalid, p_host_wready, p_host_bvalid;
  logic               p_host_bready, p_host_arvalid, p_host_arready, p_host_rvalid, p_host_rready;
  logic [63:0]        e_host_awaddr, e_host_araddr;
  logic [DataW-1:0]   e_host_wdata, e_host_rdata;
  logic [DataW/8-1:0] e_host_wstrb;
  logic [7:0]         e_host_awlen, e_host_arlen;
  logic [1:0]         e_host_awid, e_host_bid, e_host_arid, e_host_rid, e_host_bresp, e_host_rresp;
  logic               e_host_awvalid, e_host_awready, e_host_wvalid, e_host_wready, e_host_bvalid;
  logic               e_host_bready, e_host_arvalid, e_host_arready, e_host_rvalid, e_host_rready;
  logic               e_host_rlast;
  logic [11:0]        p_card_awaddr, p_card_araddr;
  logic [31:0]        p_card_wdata, p_card_rdata;
  logic [3:0]         p_card_wstrb;
  logic [1:0]         p_card_bresp, p_card_rresp;
  logic               p_card_awvalid, p_card_awready, p_card_wvalid, p_card_wready, p_card_bvalid;
  logic               p_card_bready, p_card_arvalid, p_card_arready, p_card_rvalid, p_card_rready;
  logic [63:0]        e_card_awaddr, e_card_araddr;
  logic [DataW-1:0]   e_card_wdata, e_card_rdata;
  logic [DataW/8-1:0] e_card_wstrb;
  logic [7:0]         e_card_awlen, e_card_arlen;
  logic [1:0]         e_card_awid, e_card_bid, e_card_arid, e_card_rid, e_card_bresp, e_card_rresp;
  logic               e_card_awvalid, e_card_awready, e_card_wvalid, e_card_wready, e_card_bvalid;
  logic               e_card_bready, e_card_arvalid, e_card_arready, e_card_rvalid, e_card_rready;
  logic               e_card_rlast;
  logic [1:0]         irq;

  vnc_dma_top #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax)) i_top (
    .clk_i, .rst_ni, .irq_host_o(irq[0]), .irq_card_o(irq[1]),
    .s_axil_host_awaddr(p_host_awaddr), .s_axil_host_awvalid(p_host_awvalid), .s_axil_host_awready(p_host_awready),
    .s_axil_host_wdata(p_host_wdata), .s_axil_host_wstrb(p_host_wstrb), .s_axil_host_wvalid(p_host_wvalid),
    .s_axil_host_wready(p_host_wready), .s_axil_host_bresp(p_host_bresp), .s_axil_host_bvalid(p_host_bvalid),
    .s_axil_host_bready(p_host_bready), .s_axil_host_awprot(3'b000),
    .s_axil_host_araddr(p_host_araddr), .s_axil_host_arvalid(p_host_arvalid), .s_axil_host_arready(p_host_arready),
    .s_axil_host_rdata(p_host_rdata), .s_axil_host_rresp(p_host_rresp), .s_axil_host_rvalid(p_host_rvalid),
    .s_axil_host_rready(p_host_rready), .s_axil_host_arprot(3'b000),
    .s_axil_card_awaddr(p_card_awaddr), .s_axil_card_awvalid(p_card_awvalid), .s_axil_card_awready(p_card_awready),
    .s_axil_card_wdata(p_card_wdata), .s_axil_card_wstrb(p_card_wstrb), .s_axil_card_wvalid(p_card_wvalid),
    .s_axil_card_wready(p_card_wready), .s_axil_card_bresp(p_card_bresp), .s_axil_card_bvalid(p_card_bvalid),
    .s_axil_card_bready(p_card_bready), .s_axil_card_awprot(3'b000),
    .s_axil_card_araddr(p_card_araddr), .s_axil_card_arvalid(p_card_arvalid), .s_axil_card_arready(p_card_arready),
    .s_axil_card_rdata(p_card_rdata), .s_axil_card_rresp(p_card_rresp), .s_axil_card_rvalid(p_card_rvalid),
    .s_axil_card_rready(p_card_rready), .s_axil_card_arprot(3'b000),
    .m_axi_host_awid(e_host_awid), .m_axi_host_awaddr(e_host_awaddr), .m_axi_host_awlen(e_host_awlen),
    .m_axi_host_awvalid(e_host_awvalid), .m_axi_host_awready(e_host_awready), .m_axi_host_wdata(e_host_wdata),
    .m_axi_host_wstrb(e_host_wstrb), .m_axi_host_wvalid(e_host_wvalid), .m_axi_host_wready(e_host_wready),
    .m_axi_host_bid(e_host_bid), .m_axi_host_bresp(e_host_bresp), .m_axi_host_bvalid(e_host_bvalid),
    .m_axi_host_bready(e_host_bready), .m_axi_host_awsize(), .m_axi_host_awburst(), .m_axi_host_awcache(),
    .m_axi_host_awprot(), .m_axi_host_wlast(),
    .m_axi_host_arid(e_host_arid), .m_axi_host_araddr(e_host_araddr), .m_axi_host_arlen(e_host_arlen),
    .m_axi_host_arvalid(e_host_arvalid), .m_axi_host_arready(e_host_arready), .m_axi_host_rid(e_host_rid),
    .m_axi_host_rdata(e_host_rdata), .m_axi_host_rresp(e_host_rresp), .m_axi_host_rlast(e_host_rlast),
    .m_axi_host_rvalid(e_host_rvalid), .m_axi_host_rready(e_host_rready), .m_axi_host_arsize(),
    .m_axi_host_arburst(), .m_axi_host_arcache(), .m_axi_host_arprot(),
    .m_axi_card_awid(e_card_awid), .m_axi_card_awaddr(e_card_awaddr), .m_axi_card_awlen(e_card_awlen),
    .m_axi_card_awvalid(e_card_awvalid), .m_axi_card_awready(e_card_awready), .m_axi_card_wdata(e_card_wdata),
    .m_axi_card_wstrb(e_card_wstrb), .m_axi_card_wvalid(e_card_wvalid), .m_axi_card_wready(e_card_wready),
    .m_axi_card_bid(e_card_bid), .m_axi_card_bresp(e_card_bresp), .m_axi_card_bvalid(e_card_bvalid),
    .m_axi_card_bready(e_card_bready), .m_axi_card_awsize(), .m_axi_card_awburst(), .m_axi_card_awcache(),
    .m_axi_card_awprot(), .m_axi_card_wlast(),
    .m_axi_card_arid(e_card_arid), .m_axi_card_araddr(e_card_araddr), .m_axi_card_arlen(e_card_arlen),
    .m_axi_card_arvalid(e_card_arvalid), .m_axi_card_arready(e_card_arready), .m_axi_card_rid(e_card_rid),
    .m_axi_card_rdata(e_card_rdata), .m_axi_card_rresp(e_card_rresp), .m_axi_card_rlast(e_card_rlast),
    .m_axi_card_rvalid(e_card_rvalid), .m_axi_card_rready(e_card_rready), .m_axi_card_arsize(),
    .m_axi_card_arburst(), .m_axi_card_arcache(), .m_axi_card_arprot()
  );

  // --- host --------------------------------------------------------------------------------------------------

  vnc_axi_decoupler #(
    .IdW(1), .AddrW(12), .DataW(32), .Depth(4), .Outstanding(2), .StallCycles(StallCycles), .MadeResp(2'b00)
  ) i_page_host (
    .s_clk_i(s_axil_host_aclk), .s_rst_ni(s_axil_host_aresetn), .s_isolate_i(1'b0), .s_isolated_o(),
    .s_aw_valid_i(s_axil_host_awvalid), .s_aw_ready_o(s_axil_host_awready), .s_aw_id_i(1'b0), .s_aw_len_i(8'd0),
    .s_aw_addr_i(s_axil_host_awaddr),
    .s_w_valid_i(s_axil_host_wvalid), .s_w_ready_o(s_axil_host_wready), .s_w_data_i(s_axil_host_wdata),
    .s_w_strb_i(s_axil_host_wstrb),
    .s_b_valid_o(s_axil_host_bvalid), .s_b_ready_i(s_axil_host_bready), .s_b_id_o(),
    .s_b_resp_o(s_axil_host_bresp),
    .s_ar_valid_i(s_axil_host_arvalid), .s_ar_ready_o(s_axil_host_arready), .s_ar_id_i(1'b0), .s_ar_len_i(8'd0),
    .s_ar_addr_i(s_axil_host_araddr),
    .s_r_valid_o(s_axil_host_rvalid), .s_r_ready_i(s_axil_host_rready), .s_r_id_o(),
    .s_r_data_o(s_axil_host_rdata), .s_r_resp_o(s_axil_host_rresp), .s_r_last_o(),
    .m_clk_i(clk_i), .m_rst_ni(rst_ni),
    .m_aw_valid_o(p_host_awvalid), .m_aw_ready_i(p_host_awready), .m_aw_id_o(), .m_aw_len_o(),
    .m_aw_addr_o(p_host_awaddr),
    .m_w_valid_o(p_host_wvalid), .m_w_ready_i(p_host_wready), .m_w_data_o(p_host_wdata), .m_w_strb_o(p_host_wstrb),
    .m_w_last_o(),
    .m_b_valid_i(p_host_bvalid), .m_b_ready_o(p_host_bready), .m_b_id_i(1'b0), .m_b_resp_i(p_host_bresp),
    .m_ar_valid_o(p_host_arvalid), .m_ar_ready_i(p_host_arready), .m_ar_id_o(), .m_ar_len_o(),
    .m_ar_addr_o(p_host_araddr),
    .m_r_valid_i(p_host_rvalid), .m_r_ready_o(p_host_rready), .m_r_id_i(1'b0), .m_r_data_i(p_host_rdata),
    .m_r_resp_i(p_host_rresp)
  );

  vnc_axi_decoupler #(
    .IdW(2), .AddrW(64), .DataW(DataW), .Outstanding(Outstanding), .StallCycles(StallCycles)
  ) i_master_host (
    .s_clk_i(clk_i), .s_rst_ni(rst_ni),
    .s_isolate_i(isolate_host_i), .s_isolated_o(isolated_host_o),
    .s_aw_valid_i(e_host_awvalid), .s_aw_ready_o(e_host_awready), .s_aw_id_i(e_host_awid),
    .s_aw_addr_i(e_host_awaddr), .s_aw_len_i(e_host_awlen),
    .s_w_valid_i(e_host_wvalid), .s_w_ready_o(e_host_wready), .s_w_data_i(e_host_wdata), .s_w_strb_i(e_host_wstrb),
    .s_b_valid_o(e_host_bvalid), .s_b_ready_i(e_host_bready), .s_b_id_o(e_host_bid), .s_b_resp_o(e_host_bresp),
    .s_ar_valid_i(e_host_arvalid), .s_ar_ready_o(e_host_arready), .s_ar_id_i(e_host_arid),
    .s_ar_addr_i(e_host_araddr), .s_ar_len_i(e_host_arlen),
    .s_r_valid_o(e_host_rvalid), .s_r_ready_i(e_host_rready), .s_r_id_o(e_host_rid), .s_r_data_o(e_host_rdata),
    .s_r_resp_o(e_host_rresp), .s_r_last_o(e_host_rlast),
    .m_clk_i(m_axi_host_aclk), .m_rst_ni(m_axi_host_aresetn),
    .m_aw_valid_o(m_axi_host_awvalid), .m_aw_ready_i(m_axi_host_awready), .m_aw_id_o(m_axi_host_awid),
    .m_aw_addr_o(m_axi_host_awaddr), .m_aw_len_o(m_axi_host_awlen),
    .m_w_valid_o(m_axi_host_wvalid), .m_w_ready_i(m_axi_host_wready), .m_w_data_o(m_axi_host_wdata),
    .m_w_strb_o(m_axi_host_wstrb), .m_w_last_o(m_axi_host_wlast),
    .m_b_valid_i(m_axi_host_bvalid), .m_b_ready_o(m_axi_host_bready), .m_b_id_i(m_axi_host_bid),
    .m_b_resp_i(m_axi_host_bresp),
    .m_ar_valid_o(m_axi_host_arvalid), .m_ar_ready_i(m_axi_host_arready), .m_ar_id_o(m_axi_host_arid),
    .m_ar_addr_o(m_axi_host_araddr), .m_ar_len_o(m_axi_host_arlen),
    .m_r_valid_i(m_axi_host_rvalid), .m_r_ready_o(m_axi_host_rready), .m_r_id_i(m_axi_host_rid),
    .m_r_data_i(m_axi_host_rdata), .m_r_resp_i(m_axi_host_rresp)
  );

  vnc_sync i_irq_host (.clk_i(s_axil_host_aclk), .async_i(irq[0]), .sync_o(irq_host_o));

  // --- card --------------------------------------------------------------------------------------------------

  vnc_axi_decoupler #(
    .IdW(1), .AddrW(12), .DataW(32), .Depth(4), .Outstanding(2), .StallCycles(StallCycles), .MadeResp(2'b00)
  ) i_page_card (
    .s_clk_i(s_axil_card_aclk), .s_rst_ni(s_axil_card_aresetn), .s_isolate_i(1'b0), .s_isolated_o(),
    .s_aw_valid_i(s_axil_card_awvalid), .s_aw_ready_o(s_axil_card_awready), .s_aw_id_i(1'b0), .s_aw_len_i(8'd0),
    .s_aw_addr_i(s_axil_card_awaddr),
    .s_w_valid_i(s_axil_card_wvalid), .s_w_ready_o(s_axil_card_wready), .s_w_data_i(s_axil_card_wdata),
    .s_w_strb_i(s_axil_card_wstrb),
    .s_b_valid_o(s_axil_card_bvalid), .s_b_ready_i(s_axil_card_bready), .s_b_id_o(),
    .s_b_resp_o(s_axil_card_bresp),
    .s_ar_valid_i(s_axil_card_arvalid), .s_ar_ready_o(s_axil_card_arready), .s_ar_id_i(1'b0), .s_ar_len_i(8'd0),
    .s_ar_addr_i(s_axil_card_araddr),
    .s_r_valid_o(s_axil_card_rvalid), .s_r_ready_i(s_axil_card_rready), .s_r_id_o(),
    .s_r_data_o(s_axil_card_rdata), .s_r_resp_o(s_axil_card_rresp), .s_r_last_o(),
    .m_clk_i(clk_i), .m_rst_ni(rst_ni),
    .m_aw_valid_o(p_card_awvalid), .m_aw_ready_i(p_card_awready), .m_aw_id_o(), .m_aw_len_o(),
    .m_aw_addr_o(p_card_awaddr),
    .m_w_valid_o(p_card_wvalid), .m_w_ready_i(p_card_wready), .m_w_data_o(p_card_wdata), .m_w_strb_o(p_card_wstrb),
    .m_w_last_o(),
    .m_b_valid_i(p_card_bvalid), .m_b_ready_o(p_card_bready), .m_b_id_i(1'b0), .m_b_resp_i(p_card_bresp),
    .m_ar_valid_o(p_card_arvalid), .m_ar_ready_i(p_card_arready), .m_ar_id_o(), .m_ar_len_o(),
    .m_ar_addr_o(p_card_araddr),
    .m_r_valid_i(p_card_rvalid), .m_r_ready_o(p_card_rready), .m_r_id_i(1'b0), .m_r_data_i(p_card_rdata),
    .m_r_resp_i(p_card_rresp)
  );

  vnc_axi_decoupler #(
    .IdW(2), .AddrW(64), .DataW(DataW), .Outstanding(Outstanding), .StallCycles(StallCycles)
  ) i_master_card (
    .s_clk_i(clk_i), .s_rst_ni(rst_ni),
    .s_isolate_i(1'b0), .s_isolated_o(),
    .s_aw_valid_i(e_card_awvalid), .s_aw_ready_o(e_card_awready), .s_aw_id_i(e_card_awid),
    .s_aw_addr_i(e_card_awaddr), .s_aw_len_i(e_card_awlen),
    .s_w_valid_i(e_card_wvalid), .s_w_ready_o(e_card_wready), .s_w_data_i(e_card_wdata), .s_w_strb_i(e_card_wstrb),
    .s_b_valid_o(e_card_bvalid), .s_b_ready_i(e_card_bready), .s_b_id_o(e_card_bid), .s_b_resp_o(e_card_bresp),
    .s_ar_valid_i(e_card_arvalid), .s_ar_ready_o(e_card_arready), .s_ar_id_i(e_card_arid),
    .s_ar_addr_i(e_card_araddr), .s_ar_len_i(e_card_arlen),
    .s_r_valid_o(e_card_rvalid), .s_r_ready_i(e_card_rready), .s_r_id_o(e_card_rid), .s_r_data_o(e_card_rdata),
    .s_r_resp_o(e_card_rresp), .s_r_last_o(e_card_rlast),
    .m_clk_i(m_axi_card_aclk), .m_rst_ni(m_axi_card_aresetn),
    .m_aw_valid_o(m_axi_card_awvalid), .m_aw_ready_i(m_axi_card_awready), .m_aw_id_o(m_axi_card_awid),
    .m_aw_addr_o(m_axi_card_awaddr), .m_aw_len_o(m_axi_card_awlen),
    .m_w_valid_o(m_axi_card_wvalid), .m_w_ready_i(m_axi_card_wready), .m_w_data_o(m_axi_card_wdata),
    .m_w_strb_o(m_axi_card_wstrb), .m_w_last_o(m_axi_card_wlast),
    .m_b_valid_i(m_axi_card_bvalid), .m_b_ready_o(m_axi_card_bready), .m_b_id_i(m_axi_card_bid),
    .m_b_resp_i(m_axi_card_bresp),
    .m_ar_valid_o(m_axi_card_arvalid), .m_ar_ready_i(m_axi_card_arready), .m_ar_id_o(m_axi_card_arid),
    .m_ar_addr_o(m_axi_card_araddr), .m_ar_len_o(m_axi_card_arlen),
    .m_r_valid_i(m_axi_card_rvalid), .m_r_ready_o(m_axi_card_rready), .m_r_id_i(m_axi_card_rid),
    .m_r_data_i(m_axi_card_rdata), .m_r_resp_i(m_axi_card_rresp)
  );

  vnc_sync i_irq_card (.clk_i(s_axil_card_aclk), .async_i(irq[1]), .sync_o(irq_card_o));

  // --- what never changes -----------------------------------------------------------------------------------

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

  // AxPROT is ignored; lasts are counted.
  logic unused;
  assign unused = ^{s_axil_host_awprot, s_axil_host_arprot, s_axil_card_awprot, s_axil_card_arprot,
                    m_axi_host_rlast, m_axi_card_rlast};
endmodule
