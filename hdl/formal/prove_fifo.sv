// SPDX-License-Identifier: MIT
//
// prove_fifo: vnc_fifo does not lose, duplicate or reorder a word, and never exceeds its capacity.
//
//   any pushes, pops, clears, resets --> vnc_fifo --> a shadow count, and one tracked word
//
// The tracked word is any word, since `follow_i` is free.  `ahead_q` counts the words in front of it.
//
// Nothing is assumed.  A word that is pushed or popped in the cycle of a clear is lost.

module prove_fifo (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       clear_i,
  input logic       in_valid_i,
  input logic [7:0] in_data_i,
  input logic       out_ready_i,
  input logic       follow_i
);
  for (genvar registered = 0; registered < 2; registered++) begin : g_both
    fifo_checks #(.Registered(registered != 0)) i_checks (
      .clk_i, .rst_ni, .clear_i, .in_valid_i, .in_data_i, .out_ready_i, .follow_i
    );
  end
endmodule

module fifo_checks #(
  parameter int unsigned Width      = 8,
  parameter int unsigned Depth      = 4,
  parameter bit          Registered = 1'b0
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             clear_i,
  input logic             in_valid_i,
  input logic [Width-1:0] in_data_i,
  input logic             out_ready_i,
  input logic             follow_i
);
  localparam int unsigned PtrW = $clog2(Depth);
  localparam int unsigned Most = Depth + 1 + 32'(Registered);

  logic             in_ready, out_valid;
  logic [Width-1:0] out_data;

  vnc_fifo #(.Width(Width), .Depth(Depth), .Registered(Registered)) dut (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data)
  );

  logic push, pop;
  assign push = in_valid_i && in_ready;
  assign pop  = out_valid && out_ready_i;

  // --- shadow: number of words, and position of the tracked one -----------------------------------------

  logic             started_q = 1'b0;
  logic [PtrW+1:0]  count_q;
  logic             followed_q;
  logic [1:0]       stale_q;  // cycles with a word inside and none at the output
  logic [PtrW+1:0]  ahead_q;
  logic [Width-1:0] word_q;

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni || clear_i) begin
      count_q    <= '0;
      stale_q    <= '0;
      followed_q <= 1'b0;
    end else begin
      count_q <= count_q + (PtrW + 2)'(push) - (PtrW + 2)'(pop);
      stale_q <= count_q == '0 || out_valid ? '0 : stale_q + 2'd1;
      if (push && follow_i && !followed_q) begin
        followed_q <= 1'b1;
        ahead_q    <= count_q - (PtrW + 2)'(pop);
        word_q     <= in_data_i;
      end else if (followed_q && pop) begin
        ahead_q <= ahead_q - 1'b1;
        if (ahead_q == '0) followed_q <= 1'b0;
      end
    end
  end

  // --- position of the tracked word in the memory: needed by the induction ---------------------------

  logic [PtrW:0]   used;
  logic [PtrW+1:0] ahead_of_memory;
  logic [PtrW+1:0] behind;  // words of the memory in front of the tracked one
  logic [PtrW-1:0] place;
  assign used   = dut.wr_q - dut.rd_q;
  assign ahead_of_memory = (PtrW + 2)'(dut.read_valid_q) + (PtrW + 2)'(Registered && out_valid);
  assign behind = ahead_q - ahead_of_memory;
  assign place  = dut.rd_q[PtrW-1:0] + behind[PtrW-1:0];

  always_comb begin
    if (!started_q) assume (!rst_ni);
  end

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      a_full_is_known: assert (used != (PtrW + 1)'(Depth) || !in_ready);
      i_some: assert (dut.some_q == (used != '0));
      i_full: assert (!dut.full_q || used + (PtrW + 1)'(1) >= (PtrW + 1)'(Depth));
      a_used_at_most_depth: assert (used <= (PtrW + 1)'(Depth));
      a_count_is_right: assert (count_q == (PtrW + 2)'(used) + ahead_of_memory);
      a_count_at_most_capacity: assert (count_q <= (PtrW + 2)'(Most));
      a_empty_offers_nothing: assert (count_q != '0 || !out_valid);
      a_every_word_becomes_visible: assert (stale_q <= 2'(Registered) + 2'd1);
      a_followed_is_inside: assert (!followed_q || ahead_q < count_q);
      a_followed_keeps_its_place: assert (!followed_q ||
        (ahead_q < ahead_of_memory ? (ahead_q == '0 && out_valid ? out_data : dut.read_q) : dut.mem[place]) == word_q);
      a_followed_comes_out_in_order: assert (!(followed_q && ahead_q == '0 && out_valid) || out_data == word_q);
      if ($past(rst_ni) && !$past(clear_i) && started_q) begin
        a_output_is_stable: assert (!$past(out_valid && !out_ready_i) || (out_valid && $stable(out_data)));
        a_accepts_while_there_is_room: assert (in_ready || $past(count_q + (PtrW + 2)'(push)) >= (PtrW + 2)'(Depth));
        a_readiness_is_stable: assert (!$past(in_ready && !in_valid_i) || in_ready);
        a_next_word_is_visible_at_once: assert (Registered || !$past(count_q > (PtrW + 2)'(pop)) || out_valid);
      end
      c_full: cover (count_q == (PtrW + 2)'(Most));
      c_followed_through_a_full_fifo: cover (followed_q && ahead_q == (PtrW + 2)'(Most - 1));
      c_followed_arrives_after_the_wrap: cover (followed_q && ahead_q == '0 && out_valid && dut.rd_q[PtrW]);
      c_cleared_while_full: cover (clear_i && !in_ready);
    end
  end
endmodule
