// SPDX-License-Identifier: MIT
//
// prove_read_share: vnc_read_share passes one read at a time to its port, each beat to the requester that asked, and
// serves each requester after at most one read of the other.
//
//   two requesters --> vnc_read_share --> a port that takes requests and answers with any delays
//
// Assumed: a requester with an outstanding read makes no request (prove_side_mover: one request at a time), and holds a
// request until it is taken; beats come only for an outstanding read.

module prove_read_share (
  input logic             clk_i,
  input logic             rst_ni,
  input logic [1:0]       req_valid_i,
  input logic [1:0][29:0] req_offset_i,
  input logic [1:0][7:0]  req_len_i,
  input logic             port_ready_i,
  input logic             port_r_valid_i,
  input logic             port_r_last_i
);
  logic [1:0]  req_ready, r_valid, take;
  logic        port_valid;
  logic [29:0] port_offset;
  logic [7:0]  port_len;

  vnc_read_share dut (
    .clk_i, .rst_ni, .req_valid_i, .req_ready_o(req_ready), .req_offset_i, .req_len_i, .r_valid_o(r_valid),
    .port_valid_o(port_valid), .port_ready_i, .port_offset_o(port_offset), .port_len_o(port_len),
    .port_r_valid_i, .port_r_last_i
  );

  // --- shadow: who has a read outstanding, and how many others were served while a request waited ------------------

  logic            started_q = 1'b0;
  logic [1:0]      open_q;
  logic [1:0][1:0] others_q;

  assign take = req_ready & req_valid_i;

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) open_q <= '0;
    else open_q <= (open_q | take) & ~(port_r_valid_i && port_r_last_i ? open_q : 2'b00);
    for (int k = 0; k < 2; k++) begin
      if (!rst_ni || !req_valid_i[k] || take[k]) others_q[k] <= '0;
      else if (take != '0) others_q[k] <= others_q[k] + 2'd1;
    end
  end

  always_comb begin
    if (!started_q) assume (!rst_ni);
    assume ((req_valid_i & open_q) == '0);
    assume (!port_r_valid_i || open_q != '0);
  end

  always_ff @(posedge clk_i) begin
    if (started_q && $past(rst_ni)) assume (($past(req_valid_i & ~take) & ~req_valid_i) == '0);
  end

  // --- proved --------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      a_one_read_at_a_time: assert ($onehot0(open_q) && $onehot0(take) && (take == '0 || open_q == '0));
      a_taken_with_the_port: assert ((take != '0) == (port_valid && port_ready_i));
      a_beat_to_the_one_that_asked: assert (r_valid == (port_r_valid_i ? open_q : 2'b00));
      i_busy: assert (dut.busy_q == (open_q != '0) && (open_q == '0 || open_q == 2'b01 << dut.last_q));
      c_both_wait: cover (req_valid_i == 2'b11 && open_q == '0);
      c_other_served: cover (open_q == 2'b10 && others_q[0] == 2'd1);
    end
  end

  for (genvar k = 0; k < 2; k++) begin : g_proved
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        a_request_as_made: assert (!take[k] || (port_offset == req_offset_i[k] && port_len == req_len_i[k]));
        a_served_after_at_most_one_other: assert (others_q[k] <= 2'd1);
        i_turn: assert (others_q[k] == '0 || dut.last_q != 1'(k));
      end
    end
  end
endmodule
