// SPDX-License-Identifier: MIT
//
// prove_cdc_fifo: vnc_cdc_fifo does not lose, duplicate or reorder a word, nor exceed its capacity, whatever its two
// clocks do; and each pointer that crosses changes in one bit at a time.
//
//   any pushes in one clock, any pops in the other --> vnc_cdc_fifo --> one tracked word
//
// A step is not a cycle: each of the clocks may rise in any step, or never.  The tracked word is any word, since
// follow_i is free.
//
// Assumed: the FIFO is empty at the start and both sides are up (prove_cdc_link: a side clears its pointers only while
// the other one stands still, and is up only after both have).

module prove_cdc_fifo (
  input logic       in_clk_i,
  input logic       in_valid_i,
  input logic [1:0] in_data_i,
  input logic       out_clk_i,
  input logic       out_ready_i,
  input logic       follow_i
);
  localparam int unsigned Depth = 4;

  typedef logic [2:0] pointer_t;

  logic       in_ready, out_valid, push, pop;
  logic [1:0] out_data;

  vnc_cdc_fifo #(.Width(2), .Depth(Depth)) dut (
    .in_clk_i, .in_up_i(1'b1), .in_clear_i(1'b0), .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_clk_i, .out_up_i(1'b1), .out_clear_i(1'b0), .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data)
  );

  assign push = in_valid_i && in_ready;
  assign pop  = out_valid && out_ready_i;

  // --- the tracked word: its number and its value -----------------------------------------------------------

  logic       in_started_q = 1'b0, out_started_q = 1'b0, started;
  logic       followed_q = 1'b0;
  pointer_t   place_q;
  logic [1:0] word_q;

  assign started = in_started_q || out_started_q;

  always_ff @(posedge in_clk_i) begin
    in_started_q <= 1'b1;
    if (push && follow_i && !followed_q) begin
      followed_q <= 1'b1;
      place_q    <= dut.wr_q;
      word_q     <= in_data_i;
    end
  end
  always_ff @(posedge out_clk_i) out_started_q <= 1'b1;

  // --- distances from the oldest word that the writing side may still see ------------------------------------------

  function automatic pointer_t binary(pointer_t gray);
    return {gray[2], gray[2] ^ gray[1], gray[2] ^ gray[1] ^ gray[0]};
  endfunction

  pointer_t rd_old, rd_mid, rd_at, wr_old, wr_mid, wr_at, place;

  assign rd_old = binary(dut.rd_seen);
  assign rd_mid = binary(dut.i_rd_sync.first_q) - rd_old;
  assign rd_at  = dut.rd_q - rd_old;
  assign wr_old = binary(dut.wr_seen) - rd_old;
  assign wr_mid = binary(dut.i_wr_sync.first_q) - rd_old;
  assign wr_at  = dut.wr_q - rd_old;
  assign place  = place_q - rd_old;

  logic present;  // the tracked word was pushed and not popped: it is followed until it leaves
  logic gone_q = 1'b0;
  always_ff @(posedge out_clk_i) if (pop && followed_q && place == rd_at) gone_q <= 1'b1;
  assign present = followed_q && !gone_q;

  always_comb begin
    if (!started) begin
      assume (dut.wr_q == '0 && dut.rd_q == '0 && dut.wr_gray_q == '0 && dut.rd_gray_q == '0);
      assume (dut.rd_seen == '0 && dut.i_rd_sync.first_q == '0 && dut.wr_seen == '0 && dut.i_wr_sync.first_q == '0);
      assume (!followed_q && !gone_q);
    end
    a_pointers_in_order: assert (rd_mid <= rd_at && rd_at <= wr_old && wr_old <= wr_mid && wr_mid <= wr_at);
    a_used_at_most_depth: assert (wr_at <= pointer_t'(Depth));
    a_gray: assert (binary(dut.wr_gray_q) == dut.wr_q && binary(dut.rd_gray_q) == dut.rd_q);
    a_tracked_word_is_inside: assert (!present || (place >= rd_at && place < wr_at));
    a_tracked_word_keeps_its_place: assert (!present || dut.mem[place_q[1:0]] == word_q);
    a_comes_out_in_order: assert (!(present && place == rd_at && out_valid) || out_data == word_q);
    a_empty_offers_nothing: assert (!out_valid || wr_at > rd_at);
    a_full_takes_nothing: assert (!in_ready || wr_at < pointer_t'(Depth));
    a_seen_word_is_offered: assert (out_valid || wr_old == rd_at);
    c_full: cover (wr_at == pointer_t'(Depth) && rd_at == '0);
    c_tracked_word_leaves: cover (gone_q && dut.rd_q == 3'd3);
    c_unequal_clocks: cover (in_started_q && !out_started_q && wr_at == pointer_t'(Depth));
  end
endmodule
