// SPDX-License-Identifier: MIT
//
// prove_isolate: vnc_isolate shows whole transactions to both sides, whichever of them disappears in whichever cycle;
// a burst that has begun ends, and every transaction is answered once, by its id and with its number of beats.
//
//   any master, lost at any time --> vnc_isolate --> any slave, lost at any time
//
// A burst ends because no step that is still owed waits longer than a cycle for anything but the side that takes it:
// a_lost_slave_is_answered_for, a_lost_master_is_drained, a_missing_beats_follow, a_local_takes_beats,
// a_answers_are_made_up, a_beats_are_made_up, a_opens_again.
//
// Assumed of the slave: it answers only what it has; delays, order among ids and responses are free, and anything while
// it is lost.  Nothing is assumed of the master.

module prove_isolate (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       isolate_i,
  input logic       s_lost_i,
  input logic       m_lost_i,
  input logic       s_aw_valid_i,
  input logic       s_aw_id_i,
  input logic [3:0] s_aw_addr_i,
  input logic [7:0] s_aw_len_i,
  input logic       s_w_valid_i,
  input logic [7:0] s_w_data_i,
  input logic       s_w_strb_i,
  input logic       s_b_ready_i,
  input logic       s_ar_valid_i,
  input logic       s_ar_id_i,
  input logic [3:0] s_ar_addr_i,
  input logic [7:0] s_ar_len_i,
  input logic       s_r_ready_i,
  input logic       m_aw_ready_i,
  input logic       m_w_ready_i,
  input logic       m_b_valid_i,
  input logic       m_b_id_i,
  input logic [1:0] m_b_resp_i,
  input logic       m_ar_ready_i,
  input logic       m_r_valid_i,
  input logic       m_r_id_i,
  input logic [7:0] m_r_data_i,
  input logic [1:0] m_r_resp_i
);
  localparam int unsigned Most = 2;  // outstanding
  localparam logic [1:0] Open = 2'd0, Drain = 2'd2, Local = 2'd3;

  logic       isolated, s_aw_ready, s_w_ready, s_b_valid, s_b_id, s_ar_ready, s_r_valid, s_r_id, s_r_last;
  logic       m_aw_valid, m_aw_id, m_w_valid, m_w_strb, m_w_last, m_b_ready, m_ar_valid, m_ar_id, m_r_ready;
  logic [1:0] s_b_resp, s_r_resp;
  logic [3:0] m_aw_addr, m_ar_addr;
  logic [7:0] s_r_data, m_aw_len, m_w_data, m_ar_len;

  vnc_isolate #(.IdW(1), .AddrW(4), .DataW(8), .Outstanding(Most)) dut (
    .clk_i, .rst_ni, .isolate_i, .isolated_o(isolated), .s_lost_i, .m_lost_i,
    .s_aw_valid_i, .s_aw_ready_o(s_aw_ready), .s_aw_id_i, .s_aw_addr_i, .s_aw_len_i,
    .s_w_valid_i, .s_w_ready_o(s_w_ready), .s_w_data_i, .s_w_strb_i,
    .s_b_valid_o(s_b_valid), .s_b_ready_i, .s_b_id_o(s_b_id), .s_b_resp_o(s_b_resp),
    .s_ar_valid_i, .s_ar_ready_o(s_ar_ready), .s_ar_id_i, .s_ar_addr_i, .s_ar_len_i,
    .s_r_valid_o(s_r_valid), .s_r_ready_i, .s_r_id_o(s_r_id), .s_r_data_o(s_r_data), .s_r_resp_o(s_r_resp),
    .s_r_last_o(s_r_last),
    .m_aw_valid_o(m_aw_valid), .m_aw_ready_i, .m_aw_id_o(m_aw_id), .m_aw_addr_o(m_aw_addr), .m_aw_len_o(m_aw_len),
    .m_w_valid_o(m_w_valid), .m_w_ready_i, .m_w_data_o(m_w_data), .m_w_strb_o(m_w_strb), .m_w_last_o(m_w_last),
    .m_b_valid_i, .m_b_ready_o(m_b_ready), .m_b_id_i, .m_b_resp_i,
    .m_ar_valid_o(m_ar_valid), .m_ar_ready_i, .m_ar_id_o(m_ar_id), .m_ar_addr_o(m_ar_addr), .m_ar_len_o(m_ar_len),
    .m_r_valid_i, .m_r_ready_o(m_r_ready), .m_r_id_i, .m_r_data_i, .m_r_resp_i
  );

  // --- shadows: what each side still waits for ------------------------------------------------------------------

  typedef struct packed {
    logic       id;
    logic [7:0] len;
  } burst_t;

  // Of the master: writes with missing beats, in order; whole writes and reads without an answer, by id.
  burst_t [Most-1:0]           up_w_q;
  logic [1:0]                  up_w_n_q;
  logic [7:0]                  up_beat_q;
  logic [1:0][1:0]             up_owed_q;
  logic [1:0][Most:0][7:0]     up_r_q;  // one more than is tracked: in the register of R
  logic [1:0][1:0]             up_r_n_q;
  logic [1:0][7:0]             up_r_beat_q;

  // Of the slave: writes with missing beats, of which the newest AW may not be accepted; whole writes; reads.
  burst_t [Most-1:0]           dn_w_q;
  logic [1:0]                  dn_w_n_q;
  logic [7:0]                  dn_beat_q;
  logic [1:0][1:0]             dn_whole_q, dn_aw_q;  // by id: with all beats, with an accepted AW; not answered
  logic [1:0][Most-1:0][7:0]   dn_r_q;
  logic [1:0][1:0]             dn_r_n_q;
  logic [1:0][7:0]             dn_r_beat_q;

  logic       started_q = 1'b0;
  logic       s_aw, s_w, s_b, s_ar, s_r, m_aw, m_w, m_b, m_ar, m_r;  // transfers
  logic       new_aw, new_ar;                                       // shown to the slave from the next cycle
  logic       up_w_end, dn_w_end, s_r_end, m_r_end;
  logic [1:0] state;

  assign state    = dut.state_q;
  assign s_aw     = s_aw_valid_i && s_aw_ready;
  assign s_w      = s_w_valid_i && s_w_ready;
  assign s_b      = s_b_valid && s_b_ready_i;
  assign s_ar     = s_ar_valid_i && s_ar_ready;
  assign s_r      = s_r_valid && s_r_ready_i;
  assign m_aw     = m_aw_valid && m_aw_ready_i;
  assign m_w      = m_w_valid && m_w_ready_i;
  assign m_b      = m_b_valid_i && m_b_ready;
  assign m_ar     = m_ar_valid && m_ar_ready_i;
  assign m_r      = m_r_valid_i && m_r_ready;
  assign new_aw   = s_aw && state == Open;
  assign new_ar   = s_ar && state == Open;
  assign up_w_end = s_w && up_beat_q == up_w_q[0].len;
  assign dn_w_end = m_w && m_w_last;
  assign s_r_end  = s_r && s_r_last;
  assign m_r_end  = m_r && dn_r_beat_q[m_r_id_i] == dn_r_q[m_r_id_i][0];

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;

    if (s_aw && up_w_n_q == 2'(up_w_end)) up_w_q[0] <= {s_aw_id_i, s_aw_len_i};
    else if (up_w_end) up_w_q[0] <= up_w_q[1];
    if (s_aw && up_w_n_q == 2'd1 + 2'(up_w_end)) up_w_q[1] <= {s_aw_id_i, s_aw_len_i};
    if (new_aw && dn_w_n_q == 2'(dn_w_end)) dn_w_q[0] <= {s_aw_id_i, s_aw_len_i};
    else if (dn_w_end) dn_w_q[0] <= dn_w_q[1];
    if (new_aw && dn_w_n_q == 2'd1 + 2'(dn_w_end)) dn_w_q[1] <= {s_aw_id_i, s_aw_len_i};
    if (!rst_ni || s_lost_i) begin
      up_w_n_q  <= '0;
      up_beat_q <= '0;
    end else begin
      up_w_n_q <= up_w_n_q + 2'(s_aw) - 2'(up_w_end);
      if (s_w) up_beat_q <= up_w_end ? '0 : up_beat_q + 8'd1;
    end
    if (!rst_ni || m_lost_i) begin
      dn_w_n_q  <= '0;
      dn_beat_q <= '0;
    end else begin
      dn_w_n_q <= dn_w_n_q + 2'(new_aw) - 2'(dn_w_end);
      if (m_w) dn_beat_q <= m_w_last ? '0 : dn_beat_q + 8'd1;
    end

    for (int k = 0; k < 2; k++) begin
      for (int n = 0; n <= Most; n++) begin
        if (s_ar && s_ar_id_i == 1'(k) && up_r_n_q[k] == 2'(n) + 2'(s_r_end && s_r_id == 1'(k)))
          up_r_q[k][n] <= s_ar_len_i;
        else if (s_r_end && s_r_id == 1'(k) && n < Most) up_r_q[k][n] <= up_r_q[k][(n + 1) % (Most + 1)];
      end
      if (new_ar && s_ar_id_i == 1'(k) && dn_r_n_q[k] == 2'(m_r_end && m_r_id_i == 1'(k))) dn_r_q[k][0] <= s_ar_len_i;
      else if (m_r_end && m_r_id_i == 1'(k)) dn_r_q[k][0] <= dn_r_q[k][1];
      if (new_ar && s_ar_id_i == 1'(k) && dn_r_n_q[k] == 2'd1 + 2'(m_r_end && m_r_id_i == 1'(k)))
        dn_r_q[k][1] <= s_ar_len_i;
      if (!rst_ni || s_lost_i) begin
        up_owed_q[k]   <= '0;
        up_r_n_q[k]    <= '0;
        up_r_beat_q[k] <= '0;
      end else begin
        up_owed_q[k] <= up_owed_q[k] + 2'(up_w_end && up_w_q[0].id == 1'(k)) - 2'(s_b && s_b_id == 1'(k));
        up_r_n_q[k]  <= up_r_n_q[k] + 2'(s_ar && s_ar_id_i == 1'(k)) - 2'(s_r_end && s_r_id == 1'(k));
        if (s_r && s_r_id == 1'(k)) up_r_beat_q[k] <= s_r_last ? '0 : up_r_beat_q[k] + 8'd1;
      end
      if (!rst_ni || m_lost_i) begin
        dn_whole_q[k]  <= '0;
        dn_aw_q[k]     <= '0;
        dn_r_n_q[k]    <= '0;
        dn_r_beat_q[k] <= '0;
      end else begin
        dn_whole_q[k] <= dn_whole_q[k] + 2'(dn_w_end && dn_w_q[0].id == 1'(k)) - 2'(m_b && m_b_id_i == 1'(k));
        dn_aw_q[k]    <= dn_aw_q[k] + 2'(m_aw && m_aw_id == 1'(k)) - 2'(m_b && m_b_id_i == 1'(k));
        dn_r_n_q[k]   <= dn_r_n_q[k] + 2'(new_ar && s_ar_id_i == 1'(k)) - 2'(m_r_end && m_r_id_i == 1'(k));
        if (m_r && m_r_id_i == 1'(k)) dn_r_beat_q[k] <= m_r_end ? '0 : dn_r_beat_q[k] + 8'd1;
      end
    end
  end

  // --- assumed -------------------------------------------------------------------------------------------

  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (m_b_valid_i && !m_lost_i) assume (dn_whole_q[m_b_id_i] != '0 && dn_aw_q[m_b_id_i] != '0);
    if (m_r_valid_i && !m_lost_i) assume (dn_r_n_q[m_r_id_i] > 2'(m_ar_valid && m_ar_id == m_r_id_i));
  end

  `include "isolate_properties.svh"
endmodule
