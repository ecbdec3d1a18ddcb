// SPDX-License-Identifier: MIT
//
// prove_write_port: vnc_write_port keeps the rules of AXI, forwards each request unchanged and masked into its
// window, returns each response to its requester, and serves each requester after at most three others.
//
//   requesters (below) --> vnc_write_port --> a slave with any delays, answers in any order
//
// Assumed of the requesters: the beats of a burst or of a side block are stable until taken and the last one is
// marked (prove_mover, prove_side_mover); at most 7 writes per requester are outstanding.  Requests may be withdrawn.
// Assumed of base and mask: stable while a request waits for AW (prove_axil_regs: the lock).
// Assumed of the slave: it responds only to a write whose address and last beat it has.

module prove_write_port (
  input logic             clk_i,
  input logic             rst_ni,
  input logic [63:0]      base_i,
  input logic [29:0]      window_mask_i,
  input logic [3:0]       req_valid_i,
  input logic [3:0][29:0] req_offset_i,
  input logic [3:0][7:0]  req_len_i,
  input logic             burst_valid_i,
  input logic [63:0]      burst_data_i,
  input logic             burst_last_i,
  input logic [1:0][31:0] word_i,
  input logic [63:0]      side_data_i,
  input logic [7:0]       side_strb_i,
  input logic             side_last_i,
  input logic             m_aw_ready_i,
  input logic             m_w_ready_i,
  input logic             m_b_valid_i,
  input logic [1:0]       m_b_id_i,
  input logic [1:0]       m_b_resp_i
);
  localparam logic [1:0] Burst = 2'd0, Side = 2'd3;

  logic [3:0]  req_ready, done;
  logic        error, burst_ready, side_ready;
  logic        m_aw_valid, m_w_valid, m_w_last, m_b_ready;
  logic [1:0]  m_aw_id;
  logic [63:0] m_aw_addr, m_w_data;
  logic [7:0]  m_aw_len, m_w_strb;

  vnc_write_port #(.DataW(64)) dut (
    .clk_i, .rst_ni, .base_i, .window_mask_i,
    .req_valid_i, .req_ready_o(req_ready), .req_offset_i, .req_len_i, .done_o(done), .error_o(error),
    .burst_valid_i, .burst_ready_o(burst_ready), .burst_data_i, .burst_last_i, .word_i,
    .side_ready_o(side_ready), .side_data_i, .side_strb_i, .side_last_i,
    .m_aw_valid_o(m_aw_valid), .m_aw_ready_i, .m_aw_id_o(m_aw_id), .m_aw_addr_o(m_aw_addr), .m_aw_len_o(m_aw_len),
    .m_w_valid_o(m_w_valid), .m_w_ready_i, .m_w_data_o(m_w_data), .m_w_strb_o(m_w_strb), .m_w_last_o(m_w_last),
    .m_b_valid_i, .m_b_ready_o(m_b_ready), .m_b_id_i, .m_b_resp_i
  );

  // --- shadow: requests taken, in order, until the slave has their address and until it has their data --------

  typedef struct packed {
    logic [1:0]  id;
    logic [29:0] offset;
    logic [7:0]  len;
    logic [31:0] word;
  } request_t;

  localparam int unsigned AwMost = 2, WMost = 3;

  logic       started_q = 1'b0;
  request_t   taken, aw_list_q [AwMost], w_list_q [WMost];
  logic [1:0] n_aw_q, n_w_q;
  logic [7:0] beat_q;  // beats of w_list_q[0] that the slave has
  logic [3:0] take;
  logic       aw_beat, w_beat, w_end;

  assign take    = req_ready & req_valid_i;
  assign aw_beat = m_aw_valid && m_aw_ready_i;
  assign w_beat  = m_w_valid && m_w_ready_i;
  assign w_end   = w_beat && m_w_last;

  always_comb begin
    taken = '0;
    for (int k = 0; k < 4; k++) begin
      if (take[k]) taken = '{id: 2'(k), offset: req_offset_i[k], len: req_len_i[k], word: word_i[k == 2]};
    end
  end

  for (genvar n = 0; n < WMost; n++) begin : g_lists
    always_ff @(posedge clk_i) begin
      if (n < AwMost) begin
        if (take != '0 && n_aw_q == 2'(n) + 2'(aw_beat)) aw_list_q[n % AwMost] <= taken;
        else if (aw_beat && n + 1 < AwMost) aw_list_q[n % AwMost] <= aw_list_q[(n + 1) % AwMost];
      end
      if (take != '0 && n_w_q == 2'(n) + 2'(w_end)) w_list_q[n] <= taken;
      else if (w_end && n + 1 < WMost) w_list_q[n] <= w_list_q[(n + 1) % WMost];
    end
  end

  logic taken_before_q;  // a request was taken in the cycle before

  always_ff @(posedge clk_i) begin
    started_q      <= 1'b1;
    taken_before_q <= rst_ni && take != '0;
    if (!rst_ni) begin
      n_aw_q <= '0;
      n_w_q  <= '0;
      beat_q <= '0;
    end else begin
      n_aw_q <= n_aw_q + 2'(take != '0) - 2'(aw_beat);
      n_w_q  <= n_w_q + 2'(take != '0) - 2'(w_end);
      if (w_beat) beat_q <= m_w_last ? '0 : beat_q + 8'd1;
    end
  end

  // --- shadow: outstanding writes by id, and the number of others taken while a request waited ---------------------

  logic [3:0][3:0] requests_q;  // taken and not answered to the requester
  logic [3:0][3:0] aw_in_q;     // address with the slave, not answered
  logic [3:0][3:0] w_in_q;      // data with the slave, not answered
  logic [3:0][2:0] others_q;
  logic [3:0]      answer;

  for (genvar k = 0; k < 4; k++) begin : g_open
    assign answer[k] = m_b_valid_i && m_b_id_i == 2'(k);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        requests_q[k] <= '0;
        aw_in_q[k]    <= '0;
        w_in_q[k]     <= '0;
      end else begin
        requests_q[k] <= requests_q[k] + 4'(take[k]) - 4'(done[k]);
        aw_in_q[k] <= aw_in_q[k] + 4'(aw_beat && m_aw_id == 2'(k)) - 4'(answer[k]);
        w_in_q[k]  <= w_in_q[k] + 4'(w_end && w_list_q[0].id == 2'(k)) - 4'(answer[k]);
      end
      if (!rst_ni || !req_valid_i[k] || take[k]) others_q[k] <= '0;
      else if (take != '0) others_q[k] <= others_q[k] + 3'd1;
    end
  end

  // --- assumed -------------------------------------------------------------------------------------------

  logic last_beat;
  assign last_beat = beat_q == w_list_q[0].len;

  always_comb begin
    if (!started_q) assume (!rst_ni);
    assume (req_len_i[1] == '0 && req_len_i[2] == '0);
    if (n_w_q != '0 && w_list_q[0].id == Burst) assume (burst_last_i == last_beat);
    if (n_w_q != '0 && w_list_q[0].id == Side) assume (side_last_i == last_beat);
    for (int k = 0; k < 4; k++) begin
      assume (!req_valid_i[k] || requests_q[k] < 4'd7);
      assume (!answer[k] || (aw_in_q[k] != '0 && w_in_q[k] != '0));
    end
  end

  always_ff @(posedge clk_i) begin
    if (started_q && $past(rst_ni)) begin
      assume (!$past(burst_valid_i && !burst_ready) || (burst_valid_i && $stable(burst_data_i)));
      assume (!$past(n_w_q != '0 && w_list_q[0].id == Side && !side_ready) || ($stable(side_data_i) &&
        $stable(side_strb_i)));
      assume (!$past(n_aw_q != '0 || take != '0) || ($stable(base_i) && $stable(window_mask_i)));
    end
  end

  // --- proved --------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      if ($past(rst_ni)) begin
        a_aw_is_stable: assert (!$past(m_aw_valid && !m_aw_ready_i) ||
          (m_aw_valid && $stable(m_aw_id) && $stable(m_aw_addr) && $stable(m_aw_len)));
        a_w_is_stable: assert (!$past(m_w_valid && !m_w_ready_i) ||
          (m_w_valid && $stable(m_w_data) && $stable(m_w_strb) && $stable(m_w_last)));
      end
      a_one_taken_at_a_time: assert ($onehot0(take));
      a_aw_as_requested: assert (!m_aw_valid ||
        (n_aw_q != '0 && m_aw_id == aw_list_q[0].id && m_aw_len == aw_list_q[0].len));
      a_address_masked_into_the_window: assert (!m_aw_valid ||
        m_aw_addr == base_i + {34'b0, aw_list_q[0].offset & window_mask_i});
      a_w_in_the_order_of_aw: assert (!m_w_valid || n_w_q != '0);
      a_no_data_before_its_address_is_valid: assert (!m_w_valid || m_aw_valid || n_w_q > n_aw_q);
      a_no_beat_in_the_cycle_after_taking: assert (!m_w_valid || !(taken_before_q && n_w_q == 2'd1));
      a_wlast_on_the_last_beat: assert (!m_w_valid || m_w_last == last_beat);
      a_burst_data_unchanged: assert (!(m_w_valid && w_list_q[0].id == Burst) ||
        (burst_valid_i && m_w_data == burst_data_i && m_w_strb == '1));
      a_side_data_unchanged: assert (!(m_w_valid && w_list_q[0].id == Side) ||
        (m_w_data == side_data_i && m_w_strb == side_strb_i));
      a_word_as_requested: assert (!(m_w_valid && (w_list_q[0].id inside {2'd1, 2'd2})) ||
        (m_w_data[31:0] == w_list_q[0].word && m_w_strb == 8'h0f));
      a_burst_beat_taken_once: assert ((burst_ready && burst_valid_i) == (w_beat && w_list_q[0].id == Burst));
      a_side_beat_taken_once: assert (side_ready == (w_beat && w_list_q[0].id == Side));
      a_response_to_its_requester: assert (done == answer && error == m_b_resp_i[1]);
      a_response_always_taken: assert (m_b_ready);
      i_lengths: assert (n_aw_q == 2'(dut.picked_q) + 2'(m_aw_valid) && n_aw_q <= 2'(AwMost) &&
        n_w_q == 2'(dut.picked_q) + 2'(dut.first_valid_q) + 2'(dut.second_valid_q) &&
        (dut.first_valid_q || !dut.second_valid_q));
      i_beat: assert (n_w_q == '0 ? beat_q == '0 : beat_q <= w_list_q[0].len);
      i_one_at_most_waits: assert (!dut.second_valid_q || !dut.picked_q);
      i_beat_of_first: assert (dut.first_valid_q || beat_q == '0);
      i_picked: assert (!dut.picked_q || {dut.beats_q.id, dut.offset_q, dut.len_q} ==
        {aw_list_q[m_aw_valid].id, aw_list_q[m_aw_valid].offset, aw_list_q[m_aw_valid].len});
      i_first: assert (!dut.first_valid_q || {dut.first_q.id, dut.first_q.word} == {w_list_q[0].id, w_list_q[0].word});
      i_first_is_a_burst: assert (!dut.first_valid_q || dut.first_burst_q == (dut.first_q.id == Burst));
      i_second: assert (!dut.second_valid_q || {dut.beats_q.id, dut.beats_q.word} == {w_list_q[1].id,
        w_list_q[1].word});
      i_third: assert (!dut.picked_q || {dut.beats_q.id, dut.beats_q.word} ==
        {w_list_q[n_w_q - 2'd1].id, w_list_q[n_w_q - 2'd1].word});
      i_word_is_one_beat: assert (n_w_q == '0 || !(w_list_q[0].id inside {2'd1, 2'd2}) || w_list_q[0].len == '0);
      i_words_are_one_beat: assert ((n_w_q < 2'd2 || !(w_list_q[1].id inside {2'd1, 2'd2}) || w_list_q[1].len == '0) &&
        (n_w_q < 2'd3 || !(w_list_q[2].id inside {2'd1, 2'd2}) || w_list_q[2].len == '0));
      c_burst_of_three: cover (w_end && w_list_q[0].id == Burst && beat_q == 8'd2);
      c_data_before_address: cover (w_end && n_aw_q == n_w_q);
      c_address_ahead_of_data: cover (n_w_q == 2'd2 && n_aw_q == 2'd0);
      c_bursts_back_to_back: cover (w_beat && $past(w_end && w_list_q[0].id == Burst) && w_list_q[0].id == Burst);
      c_responses_out_of_order: cover (done[1] && requests_q[0] == 4'd2 && aw_in_q[0] == 4'd2 && w_in_q[0] == 4'd2);
      c_error_to_the_side_mover: cover (done[3] && error);
    end
  end

  for (genvar k = 0; k < 4; k++) begin : g_proved
    logic [1:0] ahead;  // number of requesters before this one in the round robin
    logic [1:0] in_aw, in_w;
    assign ahead = 2'(k) - dut.last_served_q - 2'd1;
    assign in_aw = 2'(n_aw_q > 0 && aw_list_q[0].id == 2'(k)) + 2'(n_aw_q > 1 && aw_list_q[1].id == 2'(k));
    assign in_w  = 2'(n_w_q > 0 && w_list_q[0].id == 2'(k)) + 2'(n_w_q > 1 && w_list_q[1].id == 2'(k)) +
                   2'(n_w_q > 2 && w_list_q[2].id == 2'(k));
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        a_no_response_without_a_request: assert (!done[k] || requests_q[k] != '0);
        a_every_address_arrives: assert (requests_q[k] == aw_in_q[k] + 4'(in_aw));
        a_every_write_has_its_data: assert (requests_q[k] == w_in_q[k] + 4'(in_w));
        a_served_after_at_most_three_others: assert (others_q[k] <= 3'd3);
        i_turn: assert (others_q[k] + 3'(ahead) <= 3'd3);
        i_open: assert (requests_q[k] <= 4'd7 && aw_in_q[k] <= 4'd7 && w_in_q[k] <= 4'd7);
        c_served_after_three_others: cover (take[k] && others_q[k] == 3'd3);
      end
    end
  end
endmodule
