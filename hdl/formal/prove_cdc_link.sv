// SPDX-License-Identifier: MIT
//
// prove_cdc_link: the two sides of vnc_cdc_link never clear a pointer that the other side uses, and are up only after
// both have cleared, whatever the clocks and the resets do.
//
//   any reset, any clock --> leading side <--> following side <-- any reset, any clock
//
// A step is not a cycle: each of the clocks may rise in any step, or never.
//
// Assumed: the start is that after the first reset: both phases 0, in the synchronizers as well.

module prove_cdc_link (
  input logic s_clk_i,
  input logic s_rst_ni,
  input logic m_clk_i,
  input logic m_rst_ni
);
  logic [3:0] s_link, m_link;
  logic       s_up, m_up, s_clear, m_clear;

  vnc_cdc_link #(.Leads(1'b1), .StallCycles(3)) i_s (
    .clk_i(s_clk_i), .rst_ni(s_rst_ni), .peer_rst_ni(m_rst_ni), .peer_i(m_link), .link_o(s_link),
    .up_o(s_up), .clear_o(s_clear)
  );

  vnc_cdc_link #(.Leads(1'b0), .StallCycles(3)) i_m (
    .clk_i(m_clk_i), .rst_ni(m_rst_ni), .peer_rst_ni(s_rst_ni), .peer_i(s_link), .link_o(m_link),
    .up_o(m_up), .clear_o(m_clear)
  );

  // --- how often each side has started, and whether its pointers may have moved since they were cleared --------------

  logic       s_started_q = 1'b0, m_started_q = 1'b0;
  logic       s_moved_q, m_moved_q, s_start, m_start;
  logic [1:0] s_starts_q, m_starts_q;

  assign s_start = i_s.g_leads.start;
  assign m_start = !i_m.phase_q && i_m.peer_phase;

  always_ff @(posedge s_clk_i) begin
    s_started_q <= 1'b1;
    s_starts_q  <= s_starts_q + 2'(s_start);
    s_moved_q   <= !s_clear && (s_moved_q || s_up);
  end
  always_ff @(posedge m_clk_i) begin
    m_started_q <= 1'b1;
    m_starts_q  <= m_starts_q + 2'(m_start);
    m_moved_q   <= !m_clear && (m_moved_q || m_up);
  end

  // --- the phases as a ring of registers: at most one change travels in it ------------------------------------------

  logic [5:0] ring;
  logic [5:0] change;
  logic [2:0] changes;

  assign ring   = {i_s.phase_q, i_m.i_sync.first_q[3], i_m.i_sync.second_q[3],
                   i_m.phase_q, i_s.i_sync.first_q[3], i_s.i_sync.second_q[3]};
  assign change = {1'b0, ring[5:1] ^ ring[4:0]};
  always_comb begin
    changes = '0;
    for (int n = 0; n < 6; n++) changes = changes + 3'(change[n]);
  end

  always_comb begin
    if (!s_started_q && !m_started_q) begin
      assume (ring == '0 && !i_s.g_leads.cleared_q);
      assume (!s_moved_q && !m_moved_q && s_starts_q == '0 && m_starts_q == '0);
    end
    a_one_change_at_a_time: assert (changes <= 3'd1);
    a_leading_side_clears_alone: assert (!s_clear || !m_up);
    a_following_side_clears_alone: assert (!m_clear || !s_up);
    a_leading_side_starts_cleared: assert (!s_start || !s_moved_q);
    a_following_side_starts_cleared: assert (!m_start || !m_moved_q);
    a_up_after_both_have_started: assert (!(s_up || m_up) || s_starts_q == m_starts_q);
    i_starts: assert (s_starts_q - m_starts_q == 2'(i_s.phase_q && !i_m.phase_q));
    i_cleared: assert (!i_s.g_leads.cleared_q || !s_moved_q);
    c_up: cover (s_up && m_up);
    c_up_again: cover (s_up && m_up && s_starts_q == 2'd2);
    c_following_side_up_alone: cover (m_up && !s_up);
    c_leading_side_up_alone: cover (s_up && !m_up);
  end
endmodule
