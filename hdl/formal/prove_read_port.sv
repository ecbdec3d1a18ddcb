// SPDX-License-Identifier: MIT
//
// prove_read_port: vnc_read_port keeps the rules of AXI, forwards each request unchanged and masked into its window,
// returns each beat to its requester, and serves each requester after at most one request of every other one.
//
//   requesters --> vnc_read_port --> a slave with any delays
//
// Requests may be withdrawn.  Assumed of base and mask: stable while a request waits for AR (prove_axil_regs: the
// lock).  Assumed of the slave: beats only of outstanding reads; at most 7 reads of an id are outstanding.

module prove_read_port (
  input logic             clk_i,
  input logic             rst_ni,
  input logic [63:0]      base_i,
  input logic [29:0]      window_mask_i,
  input logic [3:0]       req_valid_i,
  input logic [3:0][29:0] req_offset_i,
  input logic [3:0][7:0]  req_len_i,
  input logic             m_ar_ready_i,
  input logic             m_r_valid_i,
  input logic [1:0]       m_r_id_i,
  input logic [63:0]      m_r_data_i,
  input logic [1:0]       m_r_resp_i,
  input logic             m_r_last_i
);
  localparam int unsigned N = 4;

  logic [N-1:0] req_ready, r_valid;
  logic [63:0]  r_data, m_ar_addr;
  logic         r_error, r_last, m_ar_valid, m_r_ready;
  logic [1:0]   m_ar_id;
  logic [7:0]   m_ar_len;

  vnc_read_port #(.DataW(64), .Requesters(N)) dut (
    .clk_i, .rst_ni, .base_i, .window_mask_i,
    .req_valid_i, .req_ready_o(req_ready), .req_offset_i, .req_len_i,
    .r_valid_o(r_valid), .r_data_o(r_data), .r_error_o(r_error), .r_last_o(r_last),
    .m_ar_valid_o(m_ar_valid), .m_ar_ready_i, .m_ar_id_o(m_ar_id), .m_ar_addr_o(m_ar_addr), .m_ar_len_o(m_ar_len),
    .m_r_valid_i, .m_r_ready_o(m_r_ready), .m_r_id_i, .m_r_data_i, .m_r_resp_i, .m_r_last_i
  );

  // --- shadow: requests taken, in order, until the slave has them; outstanding reads by id --------------------------

  typedef struct packed {
    logic [1:0]  id;
    logic [29:0] offset;
    logic [7:0]  len;
  } request_t;

  logic             started_q = 1'b0;
  request_t         taken, first_q, second_q;
  logic [1:0]       waiting_q;   // number of these two that are valid
  logic [N-1:0]     take, end_of;
  logic             ar_beat;
  logic [N-1:0][3:0] requests_q, open_q;
  logic [N-1:0][2:0] others_q;

  assign take    = req_ready & req_valid_i;
  assign ar_beat = m_ar_valid && m_ar_ready_i;

  always_comb begin
    taken = '0;
    for (int k = 0; k < N; k++) if (take[k]) taken = '{id: 2'(k), offset: req_offset_i[k], len: req_len_i[k]};
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) waiting_q <= '0;
    else waiting_q <= waiting_q + 2'(take != '0) - 2'(ar_beat);
    if (take != '0 && waiting_q == 2'(ar_beat)) first_q <= taken;
    else if (ar_beat) first_q <= second_q;
    if (take != '0) second_q <= taken;
  end

  for (genvar k = 0; k < N; k++) begin : g_open
    assign end_of[k] = m_r_valid_i && m_r_last_i && m_r_id_i == 2'(k);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        requests_q[k] <= '0;
        open_q[k]  <= '0;
      end else begin
        requests_q[k] <= requests_q[k] + 4'(take[k]) - 4'(r_valid[k] && r_last);
        open_q[k]  <= open_q[k] + 4'(ar_beat && m_ar_id == 2'(k)) - 4'(end_of[k]);
      end
      if (!rst_ni || !req_valid_i[k] || take[k]) others_q[k] <= '0;
      else if (take != '0) others_q[k] <= others_q[k] + 3'd1;
    end
  end

  always_comb begin
    if (!started_q) assume (!rst_ni);
    for (int k = 0; k < N; k++) begin
      assume (!req_valid_i[k] || requests_q[k] < 4'd7);
      assume (!(m_r_valid_i && m_r_id_i == 2'(k)) || open_q[k] != '0);
    end
  end

  always_ff @(posedge clk_i) begin
    if (started_q && $past(rst_ni)) begin
      assume (!$past(waiting_q != '0 || take != '0) || ($stable(base_i) && $stable(window_mask_i)));
    end
  end

  // --- proved --------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      if ($past(rst_ni)) begin
        a_ar_is_stable: assert (!$past(m_ar_valid && !m_ar_ready_i) ||
          (m_ar_valid && $stable(m_ar_id) && $stable(m_ar_addr) && $stable(m_ar_len)));
      end
      a_one_taken_at_a_time: assert ($onehot0(take));
      a_ar_as_requested: assert (!m_ar_valid || (waiting_q != '0 && m_ar_id == first_q.id && m_ar_len == first_q.len));
      a_address_masked_into_the_window: assert (!m_ar_valid ||
        m_ar_addr == base_i + {34'b0, first_q.offset & window_mask_i});
      a_beat_always_taken: assert (m_r_ready);
      a_beat_to_its_requester: assert (r_valid == (m_r_valid_i ? 4'd1 << m_r_id_i : 4'd0) &&
        r_data == m_r_data_i && r_error == m_r_resp_i[1] && r_last == m_r_last_i);
      i_waiting: assert (waiting_q == 2'(dut.picked_q) + 2'(m_ar_valid));
      i_picked: assert (!dut.picked_q || {dut.id_q, dut.offset_q, dut.len_q} == second_q);
      i_first: assert (!(dut.picked_q && !m_ar_valid) || first_q == second_q);
      c_two_waiting: cover (waiting_q == 2'd2 && first_q.id != second_q.id);
      c_back_to_back: cover (ar_beat && $past(ar_beat));
      c_beats_of_two_mixed: cover (r_valid[2] && !r_last && $past(r_valid[1] && !r_last));
    end
  end

  for (genvar k = 0; k < N; k++) begin : g_proved
    logic [1:0] ahead;  // number of requesters before this one in the round robin
    assign ahead = 2'(k) - dut.last_served_q - 2'd1;
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        a_every_request_arrives: assert (requests_q[k] == open_q[k] +
          4'(waiting_q > 0 && first_q.id == 2'(k)) + 4'(waiting_q > 1 && second_q.id == 2'(k)));
        a_no_beat_without_a_request: assert (!r_valid[k] || requests_q[k] != '0);
        a_served_after_at_most_three_others: assert (others_q[k] <= 3'd3);
        i_turn: assert (others_q[k] + 3'(ahead) <= 3'd3);
        i_open: assert (requests_q[k] <= 4'd7 && open_q[k] <= 4'd7);
        c_served_after_three_others: cover (take[k] && others_q[k] == 3'd3);
      end
    end
  end
endmodule
