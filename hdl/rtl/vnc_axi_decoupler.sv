// SPDX-License-Identifier: MIT
//
// vnc_axi_decoupler: an AXI4 or AXI4-Lite bus between two clocks, each with its own reset, either of which may be reset
// or stop in any cycle: the other side sees only whole transactions.
//
//   master, s_clk_i --> vnc_isolate --> vnc_axi_cdc --> vnc_isolate --> slave, m_clk_i
//                        m_lost <------- up    up ------> s_lost
//
// When the slave's side disappears the first vnc_isolate answers the master; when the master's side disappears the
// second one ends the bursts that the slave has begun to receive.
//
// Timing: the sum of the parts, about six cycles of the receiver for a word.

module vnc_axi_decoupler #(
  parameter int unsigned IdW         = 2,
  parameter int unsigned AddrW       = 64,
  parameter int unsigned DataW       = 64,
  parameter int unsigned Depth       = 16,     // words of each FIFO
  parameter int unsigned Outstanding = 16,     // writes, and reads
  parameter int unsigned StallCycles = 4096,   // see vnc_cdc_link
  parameter logic [1:0]  MadeResp    = 2'b10   // response to what the slave cannot answer: SLVERR
) (
  input  logic                     s_clk_i,
  input  logic                     s_rst_ni,
  input  logic                     s_isolate_i,   // stop without an error once nothing is outstanding
  output logic                     s_isolated_o,
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
  output logic                     s_r_last_o,

  input  logic                     m_clk_i,
  input  logic                     m_rst_ni,
  output logic                     m_aw_valid_o,
  input  logic                     m_aw_ready_i,
  output logic [IdW-1:0]           m_aw_id_o,
  output logic [AddrW-1:0]         m_aw_addr_o,
  output logic [7:0]               m_aw_len_o,
  output logic                     m_w_valid_o,
  input  logic                     m_w_ready_i,
  output logic [DataW-1:0]         m_w_data_o,
  output logic [DataW/8-1:0]       m_w_strb_o,
  output logic                     m_w_last_o,
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
  // Between the first vnc_isolate and the FIFOs (s_), and between these and the second one (m_).
  logic s_up, m_up;
  logic s_aw_valid, s_aw_ready, s_w_valid, s_w_ready, s_b_valid, s_b_ready;
  logic s_ar_valid, s_ar_ready, s_r_valid, s_r_ready;
  logic m_aw_valid, m_aw_ready, m_w_valid, m_w_ready, m_b_valid, m_b_ready;
  logic m_ar_valid, m_ar_ready, m_r_valid, m_r_ready;
  logic [IdW-1:0]     s_aw_id, s_b_id, s_ar_id, s_r_id, m_aw_id, m_b_id, m_ar_id, m_r_id;
  logic [AddrW-1:0]   s_aw_addr, s_ar_addr, m_aw_addr, m_ar_addr;
  logic [7:0]         s_aw_len, s_ar_len, m_aw_len, m_ar_len;
  logic [DataW-1:0]   s_w_data, s_r_data, m_w_data, m_r_data;
  logic [DataW/8-1:0] s_w_strb, m_w_strb;
  logic [1:0]         s_b_resp, s_r_resp, m_b_resp, m_r_resp;
  logic               s_w_last, m_r_last, isolated;

  vnc_isolate #(
    .IdW(IdW), .AddrW(AddrW), .DataW(DataW), .Outstanding(Outstanding), .MadeResp(MadeResp)
  ) i_s_isolate (
    .clk_i(s_clk_i), .rst_ni(s_rst_ni), .isolate_i(s_isolate_i), .isolated_o(s_isolated_o),
    .s_lost_i(1'b0), .m_lost_i(!s_up),
    .s_aw_valid_i, .s_aw_ready_o, .s_aw_id_i, .s_aw_addr_i, .s_aw_len_i,
    .s_w_valid_i, .s_w_ready_o, .s_w_data_i, .s_w_strb_i,
    .s_b_valid_o, .s_b_ready_i, .s_b_id_o, .s_b_resp_o,
    .s_ar_valid_i, .s_ar_ready_o, .s_ar_id_i, .s_ar_addr_i, .s_ar_len_i,
    .s_r_valid_o, .s_r_ready_i, .s_r_id_o, .s_r_data_o, .s_r_resp_o, .s_r_last_o,
    .m_aw_valid_o(s_aw_valid), .m_aw_ready_i(s_aw_ready), .m_aw_id_o(s_aw_id), .m_aw_addr_o(s_aw_addr),
    .m_aw_len_o(s_aw_len),
    .m_w_valid_o(s_w_valid), .m_w_ready_i(s_w_ready), .m_w_data_o(s_w_data), .m_w_strb_o(s_w_strb),
    .m_w_last_o(s_w_last),
    .m_b_valid_i(s_b_valid), .m_b_ready_o(s_b_ready), .m_b_id_i(s_b_id), .m_b_resp_i(s_b_resp),
    .m_ar_valid_o(s_ar_valid), .m_ar_ready_i(s_ar_ready), .m_ar_id_o(s_ar_id), .m_ar_addr_o(s_ar_addr),
    .m_ar_len_o(s_ar_len),
    .m_r_valid_i(s_r_valid), .m_r_ready_o(s_r_ready), .m_r_id_i(s_r_id), .m_r_data_i(s_r_data),
    .m_r_resp_i(s_r_resp)
  );

  vnc_axi_cdc #(
    .IdW(IdW), .AddrW(AddrW), .DataW(DataW), .Depth(Depth), .StallCycles(StallCycles)
  ) i_cdc (
    .s_clk_i, .s_rst_ni, .s_up_o(s_up),
    .s_aw_valid_i(s_aw_valid), .s_aw_ready_o(s_aw_ready), .s_aw_id_i(s_aw_id), .s_aw_addr_i(s_aw_addr),
    .s_aw_len_i(s_aw_len),
    .s_w_valid_i(s_w_valid), .s_w_ready_o(s_w_ready), .s_w_data_i(s_w_data), .s_w_strb_i(s_w_strb),
    .s_b_valid_o(s_b_valid), .s_b_ready_i(s_b_ready), .s_b_id_o(s_b_id), .s_b_resp_o(s_b_resp),
    .s_ar_valid_i(s_ar_valid), .s_ar_ready_o(s_ar_ready), .s_ar_id_i(s_ar_id), .s_ar_addr_i(s_ar_addr),
    .s_ar_len_i(s_ar_len),
    .s_r_valid_o(s_r_valid), .s_r_ready_i(s_r_ready), .s_r_id_o(s_r_id), .s_r_data_o(s_r_data),
    .s_r_resp_o(s_r_resp),
    .m_clk_i, .m_rst_ni, .m_up_o(m_up),
    .m_aw_valid_o(m_aw_valid), .m_aw_ready_i(m_aw_ready), .m_aw_id_o(m_aw_id), .m_aw_addr_o(m_aw_addr),
    .m_aw_len_o(m_aw_len),
    .m_w_valid_o(m_w_valid), .m_w_ready_i(m_w_ready), .m_w_data_o(m_w_data), .m_w_strb_o(m_w_strb),
    .m_b_valid_i(m_b_valid), .m_b_ready_o(m_b_ready), .m_b_id_i(m_b_id), .m_b_resp_i(m_b_resp),
    .m_ar_valid_o(m_ar_valid), .m_ar_ready_i(m_ar_ready), .m_ar_id_o(m_ar_id), .m_ar_addr_o(m_ar_addr),
    .m_ar_len_o(m_ar_len),
    .m_r_valid_i(m_r_valid), .m_r_ready_o(m_r_ready), .m_r_id_i(m_r_id), .m_r_data_i(m_r_data),
    .m_r_resp_i(m_r_resp)
  );

  vnc_isolate #(
    .IdW(IdW), .AddrW(AddrW), .DataW(DataW), .Outstanding(Outstanding), .MadeResp(MadeResp)
  ) i_m_isolate (
    .clk_i(m_clk_i), .rst_ni(m_rst_ni), .isolate_i(1'b0), .isolated_o(isolated),
    .s_lost_i(!m_up), .m_lost_i(1'b0),
    .s_aw_valid_i(m_aw_valid), .s_aw_ready_o(m_aw_ready), .s_aw_id_i(m_aw_id), .s_aw_addr_i(m_aw_addr),
    .s_aw_len_i(m_aw_len),
    .s_w_valid_i(m_w_valid), .s_w_ready_o(m_w_ready), .s_w_data_i(m_w_data), .s_w_strb_i(m_w_strb),
    .s_b_valid_o(m_b_valid), .s_b_ready_i(m_b_ready), .s_b_id_o(m_b_id), .s_b_resp_o(m_b_resp),
    .s_ar_valid_i(m_ar_valid), .s_ar_ready_o(m_ar_ready), .s_ar_id_i(m_ar_id), .s_ar_addr_i(m_ar_addr),
    .s_ar_len_i(m_ar_len),
    .s_r_valid_o(m_r_valid), .s_r_ready_i(m_r_ready), .s_r_id_o(m_r_id), .s_r_data_o(m_r_data),
    .s_r_resp_o(m_r_resp), .s_r_last_o(m_r_last),
    .m_aw_valid_o, .m_aw_ready_i, .m_aw_id_o, .m_aw_addr_o, .m_aw_len_o,
    .m_w_valid_o, .m_w_ready_i, .m_w_data_o, .m_w_strb_o, .m_w_last_o,
    .m_b_valid_i, .m_b_ready_o, .m_b_id_i, .m_b_resp_i,
    .m_ar_valid_o, .m_ar_ready_i, .m_ar_id_o, .m_ar_addr_o, .m_ar_len_o,
    .m_r_valid_i, .m_r_ready_o, .m_r_id_i, .m_r_data_i, .m_r_resp_i
  );

  // Lasts do not cross: the receiver counts.
  logic unused;
  assign unused = ^{s_w_last, m_r_last, isolated};
endmodule
