// SPDX-License-Identifier: MIT
//
// vnc_isolate: stands between an AXI master and a slave of which either may disappear.  Both always see whole
// transactions: a burst that has begun ends, and every transaction is answered, if need be by this module.
//
//   master                                                                    slave
//   AW, W, AR --> admitted? --> tracking: length and id of each --> register --> AW, W, AR
//   B, R <-- register <------- answer of the slave, or one made up <------------- B, R
//
//   Open     everything passes
//   Closing  isolate_i is set: nothing new is taken, what is outstanding ends as usual
//   Drain    the master has gone (s_lost_i): missing beats of W are given without strobes, the answers are dropped
//   Local    the slave has gone (m_lost_i) or is isolated: W is taken and dropped, each answer is made up: MadeResp and
//            all ones
//
// From Drain and Closing it becomes Local when nothing is outstanding, and from Local Open when nothing is and the
// inputs permit it.  The tracking holds Outstanding writes and as many reads; answers of one id keep their order.
// The side that has gone must have dropped its transactions when it returns; s_lost_i and m_lost_i report that.
//
// The lengths count, not WLAST and RLAST.  W is taken after its AW.
//
// Timing: one cycle per channel and direction, one beat per cycle; the ready signals are not registered.

module vnc_isolate #(
  parameter int unsigned IdW         = 2,
  parameter int unsigned AddrW       = 64,
  parameter int unsigned DataW       = 64,
  parameter int unsigned Outstanding = 16,    // a power of two
  parameter logic [1:0]  MadeResp    = 2'b10  // SLVERR
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               isolate_i,
  output logic               isolated_o,  // the slave sees nothing: Local
  input  logic               s_lost_i,
  input  logic               m_lost_i,

  input  logic               s_aw_valid_i,
  output logic               s_aw_ready_o,
  input  logic [IdW-1:0]     s_aw_id_i,
  input  logic [AddrW-1:0]   s_aw_addr_i,
  input  logic [7:0]         s_aw_len_i,
  input  logic               s_w_valid_i,
  output logic               s_w_ready_o,
  input  logic [DataW-1:0]   s_w_data_i,
  input  logic [DataW/8-1:0] s_w_strb_i,
  output logic               s_b_valid_o,
  input  logic               s_b_ready_i,
  output logic [IdW-1:0]     s_b_id_o,
  output logic [1:0]         s_b_resp_o,
  input  logic               s_ar_valid_i,
  output logic               s_ar_ready_o,
  input  logic [IdW-1:0]     s_ar_id_i,
  input  logic [AddrW-1:0]   s_ar_addr_i,
  input  logic [7:0]         s_ar_len_i,
  output logic               s_r_valid_o,
  input  logic               s_r_ready_i,
  output logic [IdW-1:0]     s_r_id_o,
  output logic [DataW-1:0]   s_r_data_o,
  output logic [1:0]         s_r_resp_o,
  output logic               s_r_last_o,

  output logic               m_aw_valid_o,
  input  logic               m_aw_ready_i,
  output logic [IdW-1:0]     m_aw_id_o,
  output logic [AddrW-1:0]   m_aw_addr_o,
  output logic [7:0]         m_aw_len_o,
  output logic               m_w_valid_o,
  input  logic               m_w_ready_i,
  output logic [DataW-1:0]   m_w_data_o,
  output logic [DataW/8-1:0] m_w_strb_o,
  output logic               m_w_last_o,
  input  logic               m_b_valid_i,
  output logic               m_b_ready_o,
  input  logic [IdW-1:0]     m_b_id_i,
  input  logic [1:0]         m_b_resp_i,
  output logic               m_ar_valid_o,
  input  logic               m_ar_ready_i,
  output logic [IdW-1:0]     m_ar_id_o,
  output logic [AddrW-1:0]   m_ar_addr_o,
  output logic [7:0]         m_ar_len_o,
  input  logic               m_r_valid_i,
  output logic               m_r_ready_o,
  input  logic [IdW-1:0]     m_r_id_i,
  input  logic [DataW-1:0]   m_r_data_i,
  input  logic [1:0]         m_r_resp_i
);
  if (Outstanding < 2 || (Outstanding & (Outstanding - 1)) != 0) begin : g_bad_outstanding
    $fatal(1, "vnc_isolate: Outstanding must be a power of two, 2 or more");
  end

  localparam int unsigned Ids  = 1 << IdW;
  localparam int unsigned PtrW = $clog2(Outstanding);

  typedef logic [PtrW:0] count_t;  // one bit more than an address needs

  // --- state ---------------------------------------------------------------------------------------------

  typedef enum logic [1:0] {Open, Closing, Drain, Local} state_e;

  state_e state_q;
  count_t writes_q, reads_q;  // outstanding
  logic   passes;             // the slave's answers go to the master
  logic   away;               // one of the sides is not there
  logic   opening, forget;

  assign passes     = state_q == Open || state_q == Closing;
  assign away       = isolate_i || s_lost_i || m_lost_i;
  // Local takes transactions only while away, so that it ends whatever the master does.
  assign opening    = state_q == Local && writes_q == '0 && reads_q == '0 && !away;
  // Neither side waits for what is tracked.
  assign forget     = (m_lost_i && (s_lost_i || state_q == Drain)) || (s_lost_i && state_q == Local);
  assign isolated_o = state_q == Local;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || m_lost_i) state_q <= Local;
    else if (s_lost_i && passes) state_q <= Drain;
    else if (state_q == Local) state_q <= opening ? Open : Local;
    else if (state_q == Open) state_q <= isolate_i ? Closing : Open;
    else if (writes_q == '0 && reads_q == '0) state_q <= Local;
  end

  // --- AW: admitted writes, in order, until their last beat ------------------------------------------------------

  logic               aw_take, aw_free;
  logic [IdW+7:0]     writes [Outstanding];  // id and length
  count_t             w_wr_q, w_rd_q;
  logic               w_open;                // beats are missing
  logic [IdW-1:0]     w_id;
  logic [7:0]         w_len, w_beat_q;
  logic               w_take, w_free, w_done;

  assign aw_free      = !m_aw_valid_o || m_aw_ready_i;
  assign s_aw_ready_o = !s_lost_i && writes_q != count_t'(Outstanding) &&
                        ((state_q == Open && aw_free) || (state_q == Local && away));
  assign aw_take      = s_aw_valid_i && s_aw_ready_o;

  always_ff @(posedge clk_i) begin
    if (aw_take) writes[w_wr_q[PtrW-1:0]] <= {s_aw_id_i, s_aw_len_i};
    if (!rst_ni || m_lost_i) m_aw_valid_o <= 1'b0;
    else if (aw_take && state_q == Open) m_aw_valid_o <= 1'b1;
    else if (aw_free) m_aw_valid_o <= 1'b0;
    if (aw_free) begin
      m_aw_id_o   <= s_aw_id_i;
      m_aw_addr_o <= s_aw_addr_i;
      m_aw_len_o  <= s_aw_len_i;
    end
  end

  // --- W -------------------------------------------------------------------------------------------------

  assign w_open        = w_wr_q != w_rd_q;
  assign {w_id, w_len} = writes[w_rd_q[PtrW-1:0]];
  assign w_free        = !m_w_valid_o || m_w_ready_i;
  assign s_w_ready_o   = !s_lost_i && w_open && ((passes && w_free) || state_q == Local);
  assign w_take        = (s_w_valid_i && s_w_ready_o) || (state_q == Drain && w_open && w_free);
  assign w_done        = w_take && w_beat_q == w_len;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || forget) begin
      w_wr_q   <= '0;
      w_rd_q   <= '0;
      w_beat_q <= '0;
    end else begin
      w_wr_q <= w_wr_q + count_t'(aw_take);
      w_rd_q <= w_rd_q + count_t'(w_done);
      if (w_take) w_beat_q <= w_done ? '0 : w_beat_q + 8'd1;
    end
    if (!rst_ni || m_lost_i) m_w_valid_o <= 1'b0;
    else if (w_take && state_q != Local) m_w_valid_o <= 1'b1;
    else if (w_free) m_w_valid_o <= 1'b0;
    if (w_free) begin
      m_w_data_o <= state_q == Drain ? '0 : s_w_data_i;
      m_w_strb_o <= state_q == Drain ? '0 : s_w_strb_i;
      m_w_last_o <= w_beat_q == w_len;
    end
  end

  // --- B -------------------------------------------------------------------------------------------------

  count_t         owed_q [Ids];  // writes with all their beats and without an answer
  logic           b_make, b_free, b_take;
  logic [IdW-1:0] b_pick, b_id;

  always_comb begin
    b_make = 1'b0;
    b_pick = '0;
    for (int unsigned n = 0; n < Ids; n++) begin
      if (owed_q[n] != '0) begin
        b_make = 1'b1;
        b_pick = IdW'(n);
      end
    end
  end

  assign b_free      = !s_b_valid_o || s_b_ready_i;
  assign m_b_ready_o = !m_lost_i && ((passes && b_free) || state_q == Drain);
  assign b_id        = state_q == Local ? b_pick : m_b_id_i;
  assign b_take      = (m_b_valid_i && m_b_ready_o) || (state_q == Local && b_make && b_free);

  always_ff @(posedge clk_i) begin
    for (int unsigned n = 0; n < Ids; n++) begin
      if (!rst_ni || forget) owed_q[n] <= '0;
      else owed_q[n] <= owed_q[n] + count_t'(w_done && w_id == IdW'(n)) - count_t'(b_take && b_id == IdW'(n));
    end
    if (!rst_ni || forget) writes_q <= '0;
    else writes_q <= writes_q + count_t'(aw_take) - count_t'(b_take);
    if (!rst_ni || s_lost_i) s_b_valid_o <= 1'b0;
    else if (b_take && state_q != Drain) s_b_valid_o <= 1'b1;
    else if (b_free) s_b_valid_o <= 1'b0;
    if (b_free) begin
      s_b_id_o   <= b_id;
      s_b_resp_o <= state_q == Local ? MadeResp : m_b_resp_i;
    end
  end

  // --- AR: admitted reads of each id, in order, until their last beat ------------------------------------------------

  logic           ar_take, ar_free;
  logic [7:0]     lengths [Ids*Outstanding];
  count_t         r_wr_q [Ids], r_rd_q [Ids];
  logic [7:0]     r_beat_q [Ids];
  logic           r_make, r_free, r_take, r_last;
  logic [IdW-1:0] r_pick, r_id;

  assign ar_free      = !m_ar_valid_o || m_ar_ready_i;
  assign s_ar_ready_o = !s_lost_i && reads_q != count_t'(Outstanding) &&
                        ((state_q == Open && ar_free) || (state_q == Local && away));
  assign ar_take      = s_ar_valid_i && s_ar_ready_o;

  always_ff @(posedge clk_i) begin
    if (ar_take) lengths[{s_ar_id_i, r_wr_q[s_ar_id_i][PtrW-1:0]}] <= s_ar_len_i;
    if (!rst_ni || m_lost_i) m_ar_valid_o <= 1'b0;
    else if (ar_take && state_q == Open) m_ar_valid_o <= 1'b1;
    else if (ar_free) m_ar_valid_o <= 1'b0;
    if (ar_free) begin
      m_ar_id_o   <= s_ar_id_i;
      m_ar_addr_o <= s_ar_addr_i;
      m_ar_len_o  <= s_ar_len_i;
    end
  end

  // --- R -------------------------------------------------------------------------------------------------

  always_comb begin
    r_make = 1'b0;
    r_pick = '0;
    for (int unsigned n = 0; n < Ids; n++) begin
      if (r_wr_q[n] != r_rd_q[n]) begin
        r_make = 1'b1;
        r_pick = IdW'(n);
      end
    end
  end

  assign r_free      = !s_r_valid_o || s_r_ready_i;
  assign m_r_ready_o = !m_lost_i && ((passes && r_free) || state_q == Drain);
  assign r_id        = state_q == Local ? r_pick : m_r_id_i;
  assign r_take      = (m_r_valid_i && m_r_ready_o) || (state_q == Local && r_make && r_free);
  assign r_last      = r_beat_q[r_id] == lengths[{r_id, r_rd_q[r_id][PtrW-1:0]}];

  always_ff @(posedge clk_i) begin
    for (int unsigned n = 0; n < Ids; n++) begin
      if (!rst_ni || forget) begin
        r_wr_q[n]   <= '0;
        r_rd_q[n]   <= '0;
        r_beat_q[n] <= '0;
      end else begin
        r_wr_q[n] <= r_wr_q[n] + count_t'(ar_take && s_ar_id_i == IdW'(n));
        r_rd_q[n] <= r_rd_q[n] + count_t'(r_take && r_last && r_id == IdW'(n));
        if (r_take && r_id == IdW'(n)) r_beat_q[n] <= r_last ? '0 : r_beat_q[n] + 8'd1;
      end
    end
    if (!rst_ni || forget) reads_q <= '0;
    else reads_q <= reads_q + count_t'(ar_take) - count_t'(r_take && r_last);
    if (!rst_ni || s_lost_i) s_r_valid_o <= 1'b0;
    else if (r_take && state_q != Drain) s_r_valid_o <= 1'b1;
    else if (r_free) s_r_valid_o <= 1'b0;
    if (r_free) begin
      s_r_id_o   <= r_id;
      s_r_data_o <= state_q == Local ? '1 : m_r_data_i;
      s_r_resp_o <= state_q == Local ? MadeResp : m_r_resp_i;
      s_r_last_o <= r_last;
    end
  end
endmodule
