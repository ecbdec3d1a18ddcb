// SPDX-License-Identifier: MIT
//
// vnc_write_port: shares the write channels of one AXI master between the bursts of a mover and the index
// words of both directions (the prod of the one that ends here, the cons of the one that starts here).
//
//   burst (aw, w) --- id 0 --+
//   index 0 --------- id 1 --+-- round robin, one burst at a time --> AW, W
//   index 1 --------- id 2 --+
//   b_*, done, error <-------- by id ------------------------------- B
//
// An index word is one beat with four strobes on a line's first word.  The ids differ, so nothing here
// orders an index behind a burst: that is the mover's task, by waiting for B.
//
// Timing: one cycle from a request to AW; one idle cycle between bursts.

module vnc_write_port #(
  parameter int unsigned DataW = 64
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  // The mover's bursts.
  input  logic               aw_valid_i,
  output logic               aw_ready_o,
  input  logic [63:0]        aw_addr_i,
  input  logic [7:0]         aw_len_i,
  input  logic               w_valid_i,
  output logic               w_ready_o,
  input  logic [DataW-1:0]   w_data_i,
  input  logic               w_last_i,
  output logic               b_valid_o,
  output logic               b_error_o,

  // Index words: a request stays until taken; done comes with its write response.
  input  logic [1:0]         index_valid_i,
  output logic [1:0]         index_ready_o,
  input  logic [1:0][63:0]   index_addr_i,
  input  logic [1:0][31:0]   index_data_i,
  output logic [1:0]         index_done_o,
  output logic               index_error_o,

  // The master.
  output logic               m_aw_valid_o,
  input  logic               m_aw_ready_i,
  output logic [1:0]         m_aw_id_o,
  output logic [63:0]        m_aw_addr_o,
  output logic [7:0]         m_aw_len_o,
  output logic               m_w_valid_o,
  input  logic               m_w_ready_i,
  output logic [DataW-1:0]   m_w_data_o,
  output logic [DataW/8-1:0] m_w_strb_o,
  output logic               m_w_last_o,
  input  logic               m_b_valid_i,
  output logic               m_b_ready_o,
  input  logic [1:0]         m_b_id_i,
  input  logic [1:0]         m_b_resp_i
);
  logic [2:0]  wanted;
  logic [1:0]  pick;
  logic [1:0]  turn_q;     // who was served last
  logic        aw_valid_q, w_active_q;
  logic [1:0]  id_q;
  logic [63:0] addr_q;
  logic [7:0]  len_q;
  logic [31:0] word_q;
  logic        idle, take;

  assign wanted = {index_valid_i, aw_valid_i};
  assign idle   = !aw_valid_q && !w_active_q;
  assign take   = idle && wanted != '0;

  // The next one after the last served that wants something.
  always_comb begin
    unique case (turn_q)
      2'd0:    pick = wanted[1] ? 2'd1 : wanted[2] ? 2'd2 : 2'd0;
      2'd1:    pick = wanted[2] ? 2'd2 : wanted[0] ? 2'd0 : 2'd1;
      default: pick = wanted[0] ? 2'd0 : wanted[1] ? 2'd1 : 2'd2;
    endcase
  end

  assign aw_ready_o    = take && pick == 2'd0;
  assign index_ready_o = {take && pick == 2'd2, take && pick == 2'd1};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      turn_q     <= 2'd0;
      aw_valid_q <= 1'b0;
      w_active_q <= 1'b0;
      id_q       <= 2'd0;
    end else if (take) begin
      turn_q     <= pick;
      id_q       <= pick;
      aw_valid_q <= 1'b1;
      w_active_q <= 1'b1;
    end else begin
      if (m_aw_ready_i) aw_valid_q <= 1'b0;
      if (m_w_valid_o && m_w_ready_i && m_w_last_o) w_active_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      addr_q <= pick == 2'd0 ? aw_addr_i : index_addr_i[pick == 2'd2];
      len_q  <= pick == 2'd0 ? aw_len_i : 8'd0;
      word_q <= index_data_i[pick == 2'd2];
    end
  end

  assign m_aw_valid_o = aw_valid_q;
  assign m_aw_id_o    = id_q;
  assign m_aw_addr_o  = addr_q;
  assign m_aw_len_o   = len_q;

  always_comb begin
    if (id_q == 2'd0) begin
      m_w_valid_o = w_active_q && w_valid_i;
      m_w_data_o  = w_data_i;
      m_w_strb_o  = '1;
      m_w_last_o  = w_last_i;
    end else begin
      m_w_valid_o = w_active_q;
      m_w_data_o  = DataW'(word_q);
      m_w_strb_o  = (DataW / 8)'(4'hf);
      m_w_last_o  = 1'b1;
    end
  end
  assign w_ready_o = w_active_q && id_q == 2'd0 && m_w_ready_i;

  assign m_b_ready_o   = 1'b1;
  assign b_valid_o     = m_b_valid_i && m_b_id_i == 2'd0;
  assign b_error_o     = m_b_resp_i[1];  // SLVERR or DECERR
  assign index_done_o  = {m_b_valid_i && m_b_id_i == 2'd2, m_b_valid_i && m_b_id_i == 2'd1};
  assign index_error_o = m_b_resp_i[1];

  // The other bit tells OKAY from EXOKAY and SLVERR from DECERR; neither matters here.
  logic unused;
  assign unused = m_b_resp_i[0];
endmodule
