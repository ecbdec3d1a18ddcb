// SPDX-License-Identifier: MIT
//
// The properties of prove_isolate.sv, which includes this file: guarantees, then how the tracking and the registers
// relate to the shadows.

  logic [7:0] aw_w, ar_w;  // the payloads but the length, which the wires above hold
  logic       dn_idle, up_idle;
  logic       w_fresh, b_fresh, r_fresh;  // a register was loaded in the cycle before

  assign aw_w    = {3'b0, s_aw_id_i, s_aw_addr_i};
  assign ar_w    = {3'b0, s_ar_id_i, s_ar_addr_i};
  assign dn_idle = dn_w_n_q == '0 && dn_whole_q == '0 && dn_aw_q == '0 && dn_r_n_q == '0;
  assign up_idle = up_w_n_q == '0 && up_owed_q == '0 && up_r_n_q == '0;

  // --- the tracking in the order of the shadows -----------------------------------------------------------

  logic [1:0]            w_count;
  logic                  w_last;  // the register of W holds the last beat of a burst
  logic [1:0][7:0]       w_len;
  burst_t [1:0]          w_burst;
  logic [1:0][1:0]       r_count;
  logic [1:0][1:0][7:0]  r_len;

  assign w_count = dut.w_wr_q - dut.w_rd_q;
  assign w_last  = m_w_valid && m_w_last;
  for (genvar n = 0; n < 2; n++) begin : g_tracked
    assign w_burst[n] = dut.writes[dut.w_rd_q[0] ^ 1'(n)];
    assign w_len[n]   = w_burst[n].len;
  end

  // --- properties -----------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    w_fresh <= rst_ni && !(m_w_valid && !m_w_ready_i);
    b_fresh <= rst_ni && !(s_b_valid && !s_b_ready_i);
    r_fresh <= rst_ni && !(s_r_valid && !s_r_ready_i);
  end

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      // The master sees whole transactions.
      a_b_is_owed: assert (!s_b_valid || s_lost_i || up_owed_q[s_b_id] != '0);
      a_r_is_owed: assert (!s_r_valid || s_lost_i || up_r_n_q[s_r_id] != '0);
      a_rlast_on_the_last_beat: assert (!s_r_valid || s_lost_i ||
        s_r_last == (up_r_beat_q[s_r_id] == up_r_q[s_r_id][0]));
      // So does the slave.
      a_w_after_its_address: assert (!m_w_valid || m_lost_i || dn_w_n_q != '0);
      a_wlast_on_the_last_beat: assert (!m_w_valid || m_lost_i || m_w_last == (dn_beat_q == dn_w_q[0].len));
      a_isolated_sees_nothing: assert (!isolated || !(m_aw_valid || m_w_valid || m_ar_valid));
      a_isolated_waits_for_nothing: assert (!isolated || dn_idle);
      // What is owed goes on.
      a_drain_takes_answers: assert (state != Drain || m_lost_i || (m_b_ready && m_r_ready));
      a_local_takes_beats: assert (state != Local || s_lost_i || up_w_n_q == '0 || s_w_ready);
      a_isolated_takes_writes: assert (state != Local || s_lost_i || !(isolate_i || m_lost_i) ||
        4'(up_w_n_q) + 4'(up_owed_q[0]) + 4'(up_owed_q[1]) >= 4'(Most) || s_aw_ready);
      a_isolated_takes_reads: assert (state != Local || s_lost_i || !(isolate_i || m_lost_i) ||
        4'(up_r_n_q[0]) + 4'(up_r_n_q[1]) >= 4'(Most) || s_ar_ready);
      if ($past(rst_ni) && $past(started_q)) begin
        a_lost_slave_is_answered_for: assert (!$past(m_lost_i) || state == Local);
        a_lost_master_is_drained: assert (!$past(s_lost_i) || state == Drain || state == Local);
        a_missing_beats_follow: assert (!$past(state == Drain && dn_w_n_q != '0 && !m_w_valid && !m_lost_i) ||
          m_w_valid);
        a_answers_are_made_up: assert (!$past(state == Local && up_owed_q != '0 && !s_b_valid && !s_lost_i) ||
          s_b_valid);
        a_beats_are_made_up: assert (!$past(state == Local && up_r_n_q != '0 && !s_r_valid && !s_lost_i) || s_r_valid);
        a_closing_ends: assert (!$past(state == 2'd1 && dn_idle && !isolate_i) || state != 2'd1);
        a_drain_ends: assert (!$past(state == Drain && dn_idle) || state == Local);
        a_opens_again: assert (!$past(state == Local && up_idle && !isolate_i && !s_lost_i && !m_lost_i) ||
          state == Open);
        a_opens_clean: assert (!($past(state == Local) && state == Open) ||
          (dn_idle && up_w_n_q == '0 && 4'(up_owed_q[0]) + 4'(up_owed_q[1]) == 4'(s_b_valid)));
        // Payloads pass, and stay while stalled.
        a_aw_forwarded: assert (!$past(new_aw && !m_lost_i) ||
          (m_aw_valid && {3'b0, m_aw_id, m_aw_addr} == $past(aw_w) && m_aw_len == $past(s_aw_len_i)));
        a_ar_forwarded: assert (!$past(new_ar && !m_lost_i) ||
          (m_ar_valid && {3'b0, m_ar_id, m_ar_addr} == $past(ar_w) && m_ar_len == $past(s_ar_len_i)));
        a_no_other_address: assert ((!m_aw_valid || $past(new_aw || m_aw_valid)) &&
          (!m_ar_valid || $past(new_ar || m_ar_valid)));
        a_w_forwarded: assert (!$past(s_w && state != Local && !m_lost_i) ||
          (m_w_valid && {m_w_data, m_w_strb} == $past({s_w_data_i, s_w_strb_i})));
        a_b_forwarded: assert (!$past(m_b && state != Drain && !s_lost_i) ||
          (s_b_valid && {s_b_id, s_b_resp} == $past({m_b_id_i, m_b_resp_i})));
        a_r_forwarded: assert (!$past(m_r && state != Drain && !s_lost_i) ||
          (s_r_valid && {s_r_id, s_r_data, s_r_resp} == $past({m_r_id_i, m_r_data_i, m_r_resp_i})));
        a_aw_is_stable: assert (!$past(m_aw_valid && !m_aw_ready_i && !m_lost_i) ||
          (m_aw_valid && $stable({m_aw_id, m_aw_addr, m_aw_len})));
        a_ar_is_stable: assert (!$past(m_ar_valid && !m_ar_ready_i && !m_lost_i) ||
          (m_ar_valid && $stable({m_ar_id, m_ar_addr, m_ar_len})));
        a_w_is_stable: assert (!$past(m_w_valid && !m_w_ready_i && !m_lost_i) ||
          (m_w_valid && $stable({m_w_data, m_w_strb, m_w_last})));
        a_b_is_stable: assert (!$past(s_b_valid && !s_b_ready_i && !s_lost_i) ||
          (s_b_valid && $stable({s_b_id, s_b_resp})));
        a_r_is_stable: assert (!$past(s_r_valid && !s_r_ready_i && !s_lost_i) ||
          (s_r_valid && $stable({s_r_id, s_r_data, s_r_resp, s_r_last})));
        a_missing_beats_write_nothing: assert (!(w_fresh && $past(state == Drain) && m_w_valid) || !m_w_strb);
        a_made_up_is_an_error: assert (
          (!(b_fresh && $past(state == Local) && s_b_valid) || s_b_resp == 2'b10) &&
          (!(r_fresh && $past(state == Local) && s_r_valid) || (s_r_resp == 2'b10 && s_r_data == '1)));
      end

      i_writes: assert (4'(dut.writes_q) == 4'(w_count) + 4'(dut.owed_q[0]) + 4'(dut.owed_q[1]) &&
        dut.writes_q <= 2'(Most));
      i_counts: assert (w_count <= 2'(Most) && dut.owed_q[0] <= 2'(Most) && dut.owed_q[1] <= 2'(Most));
      i_reads: assert (4'(dut.reads_q) == 4'(r_count[0]) + 4'(r_count[1]) && dut.reads_q <= 2'(Most) &&
        r_count[0] <= 2'(Most) && r_count[1] <= 2'(Most));
      i_w_beat: assert (w_count == '0 ? dut.w_beat_q == '0 : dut.w_beat_q <= w_len[0]);
      i_drain_answers_nothing: assert (state != Drain || (!s_b_valid && !s_r_valid && up_idle));
      i_up_empty: assert (state != Drain || (up_beat_q == '0 && up_r_beat_q == '0));
      i_up_w: assert (state == Drain || (up_w_n_q == w_count && up_beat_q == dut.w_beat_q &&
        (w_count == '0 || up_w_q[0] == w_burst[0]) && (w_count != 2'd2 || up_w_q[1] == w_burst[1])));
      i_dn_w: assert (state == Local || (4'(dn_w_n_q) == 4'(w_count) + 4'(w_last) &&
        (m_w_valid ? (m_w_last ? dut.w_beat_q == '0 : dut.w_beat_q == dn_beat_q + 8'd1) :
        dut.w_beat_q == dn_beat_q)));
      i_dn_beat: assert (state == Local || dn_w_n_q == '0 ? dn_beat_q == '0 : dn_beat_q <= dn_w_q[0].len);
      i_dn_list: assert (state == Local || ((w_count == '0 || dn_w_q[w_last] == w_burst[0]) &&
        (w_count != 2'd2 || dn_w_q[1] == w_burst[1])));
      i_slave_empty: assert (state != Local || (dn_beat_q == '0 && dn_r_beat_q == '0));

      c_write_through: cover (s_b && s_b_resp == 2'b00 && state == Open);
      c_drain_in_mid_burst: cover (state == Drain && dn_w_n_q == 2'd2 && dn_beat_q == 8'd1);
      c_drain_to_open: cover (state == Open && $past(state == Local, 2) && $past(dn_w_n_q != '0, 5));
      c_made_up_in_mid_burst: cover (state == Local && s_r && !s_r_last && up_r_beat_q[s_r_id] == 8'd1);
      c_made_up_of_both_ids: cover (state == Local && up_owed_q[0] != '0 && up_owed_q[1] != '0);
      c_isolated_and_back: cover (state == Open && $past(state == Local) && !$past(m_lost_i || s_lost_i, 2));
      c_slave_lost_while_draining: cover (state == Local && $past(state == Drain && m_lost_i && !s_lost_i));
    end
  end

  for (genvar k = 0; k < 2; k++) begin : g_proved
    logic [1:0] in_w;   // tracked writes of this id with missing beats
    logic       up_r_here, up_r_last;

    assign r_count[k] = dut.r_wr_q[k] - dut.r_rd_q[k];
    for (genvar n = 0; n < 2; n++) begin : g_reads
      assign r_len[k][n] = dut.lengths[{1'(k), dut.r_rd_q[k][0] ^ 1'(n)}];
    end
    assign in_w      = 2'(w_count != '0 && w_burst[0].id == 1'(k)) + 2'(w_count == 2'd2 && w_burst[1].id == 1'(k));
    assign up_r_here = s_r_valid && s_r_id == 1'(k);
    assign up_r_last = up_r_here && s_r_last;

    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        i_up_owed: assert (state == Drain || 4'(up_owed_q[k]) ==
          4'(dut.owed_q[k]) + 4'(s_b_valid && s_b_id == 1'(k)));
        i_dn_whole: assert (state == Local ||
          4'(dut.owed_q[k]) == 4'(dn_whole_q[k]) + 4'(w_last && dn_w_q[0].id == 1'(k)));
        i_dn_aw: assert (state == Local ||
          4'(dn_aw_q[k]) + 4'(m_aw_valid && m_aw_id == 1'(k)) == 4'(dut.owed_q[k]) + 4'(in_w));
        i_r_beat: assert (r_count[k] == '0 ? dut.r_beat_q[k] == '0 : dut.r_beat_q[k] <= r_len[k][0]);
        i_up_r_count: assert (state == Drain || 4'(up_r_n_q[k]) == 4'(r_count[k]) + 4'(up_r_last));
        i_up_r_beat: assert (state == Drain || (up_r_last ? dut.r_beat_q[k] == '0 && up_r_beat_q[k] == up_r_q[k][0] :
          dut.r_beat_q[k] == up_r_beat_q[k] + 8'(up_r_here)));
        i_up_r_range: assert (up_r_n_q[k] == '0 ? up_r_beat_q[k] == '0 : up_r_beat_q[k] <= up_r_q[k][0]);
        i_up_r_list: assert (state == Drain || ((r_count[k] == '0 || up_r_q[k][up_r_last] == r_len[k][0]) &&
          (r_count[k] != 2'd2 || up_r_q[k][2'd1 + 2'(up_r_last)] == r_len[k][1])));
        i_dn_r: assert (state == Local || (dn_r_n_q[k] == r_count[k] && dn_r_beat_q[k] == dut.r_beat_q[k] &&
          (r_count[k] == '0 || dn_r_q[k][0] == r_len[k][0]) && (r_count[k] != 2'd2 || dn_r_q[k][1] == r_len[k][1])));
        i_ar_is_tracked: assert (!(m_ar_valid && m_ar_id == 1'(k)) || dn_r_n_q[k] != '0);
      end
    end
  end
