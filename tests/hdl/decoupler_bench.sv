// SPDX-License-Identifier: MIT
//
// decoupler_bench: vnc_axi_decoupler between a master and a slave that check each beat, each in its own clock.
//
//   decoupler_master, s_clk_i --> vnc_axi_decoupler --> decoupler_slave, m_clk_i
//
// cocotb drives clocks, resets and traffic_i, and reads the counts; a violation ends the simulation by $fatal.

module decoupler_bench (
  input  logic        s_clk_i,
  input  logic        s_rst_ni,
  input  logic        m_clk_i,
  input  logic        m_rst_ni,
  input  logic        traffic_i,   // the master begins transactions
  input  logic        isolate_i,
  input  logic [6:0]  busy_i,      // percent of the cycles in which a channel is valid or ready
  output logic        isolated_o,
  output logic        s_idle_o,    // nothing is outstanding
  output logic        m_idle_o,
  output logic [31:0] good_o,      // transactions answered OKAY
  output logic [31:0] failed_o     // transactions answered SLVERR
);
  localparam int unsigned IdW = 2, AddrW = 32, DataW = 32;

  logic             s_awvalid, s_awready, s_wvalid, s_wready, s_bvalid, s_bready, s_arvalid, s_arready;
  logic             m_awvalid, m_awready, m_wvalid, m_wready, m_bvalid, m_bready, m_arvalid, m_arready;
  logic             s_rvalid, s_rready, m_rvalid, m_rready, s_wlast, s_rlast, m_wlast;
  logic [IdW-1:0]   s_awid, s_bid, s_arid, s_rid, m_awid, m_bid, m_arid, m_rid;
  logic [AddrW-1:0] s_awaddr, s_araddr, m_awaddr, m_araddr;
  logic [7:0]       s_awlen, s_arlen, m_awlen, m_arlen;
  logic [DataW-1:0] s_wdata, s_rdata, m_wdata, m_rdata;
  logic [3:0]       s_wstrb, m_wstrb;
  logic [1:0]       s_bresp, s_rresp, m_bresp, m_rresp;

  decoupler_master i_master (
    .clk_i(s_clk_i), .rst_ni(s_rst_ni), .traffic_i, .busy_i, .idle_o(s_idle_o), .good_o, .failed_o,
    .awvalid(s_awvalid), .awready(s_awready), .awid(s_awid), .awaddr(s_awaddr), .awlen(s_awlen),
    .wvalid(s_wvalid), .wready(s_wready), .wdata(s_wdata), .wstrb(s_wstrb), .wlast(s_wlast),
    .bvalid(s_bvalid), .bready(s_bready), .bid(s_bid), .bresp(s_bresp),
    .arvalid(s_arvalid), .arready(s_arready), .arid(s_arid), .araddr(s_araddr), .arlen(s_arlen),
    .rvalid(s_rvalid), .rready(s_rready), .rid(s_rid), .rdata(s_rdata), .rresp(s_rresp), .rlast(s_rlast)
  );

  vnc_axi_decoupler #(
    .IdW(IdW), .AddrW(AddrW), .DataW(DataW), .Depth(4), .Outstanding(8), .StallCycles(700)
  ) i_decoupler (
    .s_clk_i, .s_rst_ni, .s_isolate_i(isolate_i), .s_isolated_o(isolated_o),
    .s_aw_valid_i(s_awvalid), .s_aw_ready_o(s_awready), .s_aw_id_i(s_awid), .s_aw_addr_i(s_awaddr),
    .s_aw_len_i(s_awlen), .s_w_valid_i(s_wvalid), .s_w_ready_o(s_wready), .s_w_data_i(s_wdata),
    .s_w_strb_i(s_wstrb), .s_b_valid_o(s_bvalid), .s_b_ready_i(s_bready), .s_b_id_o(s_bid), .s_b_resp_o(s_bresp),
    .s_ar_valid_i(s_arvalid), .s_ar_ready_o(s_arready), .s_ar_id_i(s_arid), .s_ar_addr_i(s_araddr),
    .s_ar_len_i(s_arlen), .s_r_valid_o(s_rvalid), .s_r_ready_i(s_rready), .s_r_id_o(s_rid),
    .s_r_data_o(s_rdata), .s_r_resp_o(s_rresp), .s_r_last_o(s_rlast),
    .m_clk_i, .m_rst_ni,
    .m_aw_valid_o(m_awvalid), .m_aw_ready_i(m_awready), .m_aw_id_o(m_awid), .m_aw_addr_o(m_awaddr),
    .m_aw_len_o(m_awlen), .m_w_valid_o(m_wvalid), .m_w_ready_i(m_wready), .m_w_data_o(m_wdata),
    .m_w_strb_o(m_wstrb), .m_w_last_o(m_wlast), .m_b_valid_i(m_bvalid), .m_b_ready_o(m_bready), .m_b_id_i(m_bid),
    .m_b_resp_i(m_bresp), .m_ar_valid_o(m_arvalid), .m_ar_ready_i(m_arready), .m_ar_id_o(m_arid),
    .m_ar_addr_o(m_araddr), .m_ar_len_o(m_arlen), .m_r_valid_i(m_rvalid), .m_r_ready_o(m_rready),
    .m_r_id_i(m_rid), .m_r_data_i(m_rdata), .m_r_resp_i(m_rresp)
  );

  decoupler_slave i_slave (
    .clk_i(m_clk_i), .rst_ni(m_rst_ni), .busy_i, .idle_o(m_idle_o),
    .awvalid(m_awvalid), .awready(m_awready), .awid(m_awid), .awaddr(m_awaddr), .awlen(m_awlen),
    .wvalid(m_wvalid), .wready(m_wready), .wdata(m_wdata), .wstrb(m_wstrb), .wlast(m_wlast),
    .bvalid(m_bvalid), .bready(m_bready), .bid(m_bid), .bresp(m_bresp),
    .arvalid(m_arvalid), .arready(m_arready), .arid(m_arid), .araddr(m_araddr), .arlen(m_arlen),
    .rvalid(m_rvalid), .rready(m_rready), .rid(m_rid), .rdata(m_rdata), .rresp(m_rresp)
  );
endmodule
