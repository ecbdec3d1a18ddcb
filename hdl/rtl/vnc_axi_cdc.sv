// SPDX-License-Identifier: MIT
//
// vnc_axi_cdc: an AXI4 or AXI4-Lite bus between two unrelated clocks.
//
//   s_*, s_clk_i --> FIFO each of AW, W, AR --> m_*, m_clk_i        vnc_cdc_fifo
//                <-- FIFO each of B, R      <--
//   s_up_o      <--> agreement on being up  <--> m_up_o             vnc_cdc_link
//
// Each side has its own reset, which may be set in any cycle while the other side continues.  Then both sides see
// `up` fall, everything inside is dropped, and both rise again when both are out of reset and their clocks run.  While
// `up` is 0 no channel is valid or ready: a transaction may be cut off.  vnc_isolate on both sides hides that
// (vnc_axi_decoupler).
//
// WLAST and RLAST do not cross, since vnc_isolate counts beats.  AXI4-Lite has IdW 1 and all ids and lengths 0.
//
// Timing: see vnc_cdc_fifo; a word takes about four cycles of its receiver.

module vnc_axi_cdc #(
  parameter int unsigned IdW         = 2,
  parameter int unsigned AddrW       = 64,
  parameter int unsigned DataW       = 64,
  parameter int unsigned Depth       = 16,   // words of each FIFO
  parameter int unsigned StallCycles = 4096  // see vnc_cdc_link
) (
  input  logic                     s_clk_i,
  input  logic                     s_rst_ni,
  output logic                     s_up_o,
  input  logic                     s_aw_valid_i,
  output logic                     s_aw_ready_o,
  input  logic [IdW-1:0]           s_aw_id_i,
  input  logic [AddrW-1:0]         s_aw_addr_i,
  input  logic [7:0]               s_aw_len_i,
  input  logic                     s_w_valid_i,
  output logic                     s_w_ready_o,
  input  logic [DataW-1:0]         s_w_data_i,
  input  logic [DataW/8-1:0]       s_w_strb_i,
  output logic                     s_b_valid_o,
  input  logic                     s_b_ready_i,
  output logic [IdW-1:0]           s_b_id_o,
  output logic [1:0]               s_b_resp_o,
  input  logic                     s_ar_valid_i,
  output logic                     s_ar_ready_o,
  input  logic [IdW-1:0]           s_ar_id_i,
  input  logic [AddrW-1:0]         s_ar_addr_i,
  input  logic [7:0]               s_ar_len_i,
  output logic                     s_r_valid_o,
  input  logic                     s_r_ready_i,
  output logic [IdW-1:0]           s_r_id_o,
  output logic [DataW-1:0]         s_r_data_o,
  output logic [1:0]               s_r_resp_o,

  input  logic                     m_clk_i,
  input  logic                     m_rst_ni,
  output logic                     m_up_o,
  output logic                     m_aw_valid_o,
  input  logic                     m_aw_ready_i,
  output logic [IdW-1:0]           m_aw_id_o,
  output logic [AddrW-1:0]         m_aw_addr_o,
  output logic [7:0]               m_aw_len_o,
  output logic                     m_w_valid_o,
  input  logic                     m_w_ready_i,
  output logic [DataW-1:0]         m_w_data_o,
  output logic [DataW/8-1:0]       m_w_strb_o,
  input  logic                     m_b_valid_i,
  output logic                     m_b_ready_o,
  input  logic [IdW-1:0]           m_b_id_i,
  input  logic [1:0]               m_b_resp_i,
  output logic                     m_ar_valid_o,
  input  logic                     m_ar_ready_i,
  output logic [IdW-1:0]           m_ar_id_o,
  output logic [AddrW-1:0]         m_ar_addr_o,
  output logic [7:0]               m_ar_len_o,
  input  logic                     m_r_valid_i,
  output logic                     m_r_ready_o,
  input  logic [IdW-1:0]           m_r_id_i,
  input  logic [DataW-1:0]         m_r_data_i,
  input  logic [1:0]               m_r_resp_i
);
  // --- agreement -----------------------------------------------------------------------------------------

  logic [3:0] s_link, m_link;
  logic       s_up, m_up, s_clear, m_clear;

  vnc_cdc_link #(.Leads(1'b1), .StallCycles(StallCycles)) i_s_link (
    .clk_i(s_clk_i), .rst_ni(s_rst_ni), .peer_rst_ni(m_rst_ni), .peer_i(m_link), .link_o(s_link),
    .up_o(s_up), .clear_o(s_clear)
  );

  vnc_cdc_link #(.Leads(1'b0), .StallCycles(StallCycles)) i_m_link (
    .clk_i(m_clk_i), .rst_ni(m_rst_ni), .peer_rst_ni(s_rst_ni), .peer_i(s_link), .link_o(m_link),
    .up_o(m_up), .clear_o(m_clear)
  );

  assign s_up_o = s_up;
  assign m_up_o = m_up;

  // --- channels ------------------------------------------------------------------------------------------

  vnc_cdc_fifo #(.Width(IdW + AddrW + 8), .Depth(Depth)) i_aw (
    .in_clk_i(s_clk_i), .in_up_i(s_up), .in_clear_i(s_clear),
    .in_valid_i(s_aw_valid_i), .in_ready_o(s_aw_ready_o),
    .in_data_i({s_aw_id_i, s_aw_addr_i, s_aw_len_i}),
    .out_clk_i(m_clk_i), .out_up_i(m_up), .out_clear_i(m_clear),
    .out_valid_o(m_aw_valid_o), .out_ready_i(m_aw_ready_i),
    .out_data_o({m_aw_id_o, m_aw_addr_o, m_aw_len_o})
  );

  vnc_cdc_fifo #(.Width(DataW + DataW/8), .Depth(Depth)) i_w (
    .in_clk_i(s_clk_i), .in_up_i(s_up), .in_clear_i(s_clear),
    .in_valid_i(s_w_valid_i), .in_ready_o(s_w_ready_o),
    .in_data_i({s_w_data_i, s_w_strb_i}),
    .out_clk_i(m_clk_i), .out_up_i(m_up), .out_clear_i(m_clear),
    .out_valid_o(m_w_valid_o), .out_ready_i(m_w_ready_i),
    .out_data_o({m_w_data_o, m_w_strb_o})
  );

  vnc_cdc_fifo #(.Width(IdW + 2), .Depth(Depth)) i_b (
    .in_clk_i(m_clk_i), .in_up_i(m_up), .in_clear_i(m_clear),
    .in_valid_i(m_b_valid_i), .in_ready_o(m_b_ready_o),
    .in_data_i({m_b_id_i, m_b_resp_i}),
    .out_clk_i(s_clk_i), .out_up_i(s_up), .out_clear_i(s_clear),
    .out_valid_o(s_b_valid_o), .out_ready_i(s_b_ready_i),
    .out_data_o({s_b_id_o, s_b_resp_o})
  );

  vnc_cdc_fifo #(.Width(IdW + AddrW + 8), .Depth(Depth)) i_ar (
    .in_clk_i(s_clk_i), .in_up_i(s_up), .in_clear_i(s_clear),
    .in_valid_i(s_ar_valid_i), .in_ready_o(s_ar_ready_o),
    .in_data_i({s_ar_id_i, s_ar_addr_i, s_ar_len_i}),
    .out_clk_i(m_clk_i), .out_up_i(m_up), .out_clear_i(m_clear),
    .out_valid_o(m_ar_valid_o), .out_ready_i(m_ar_ready_i),
    .out_data_o({m_ar_id_o, m_ar_addr_o, m_ar_len_o})
  );

  vnc_cdc_fifo #(.Width(IdW + DataW + 2), .Depth(Depth)) i_r (
    .in_clk_i(m_clk_i), .in_up_i(m_up), .in_clear_i(m_clear),
    .in_valid_i(m_r_valid_i), .in_ready_o(m_r_ready_o),
    .in_data_i({m_r_id_i, m_r_data_i, m_r_resp_i}),
    .out_clk_i(s_clk_i), .out_up_i(s_up), .out_clear_i(s_clear),
    .out_valid_o(s_r_valid_o), .out_ready_i(s_r_ready_i),
    .out_data_o({s_r_id_o, s_r_data_o, s_r_resp_o})
  );
endmodule
