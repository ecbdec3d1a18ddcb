// SPDX-License-Identifier: MIT
//
// vnc_goal: which prod is published next, and when: once everything before it is acknowledged.
//
//   target --> FIFO of doorbell values --> head --(acked - head not negative)--> due, goal
//
// What is published is always a value that the producer rang, so always whole records.  While the FIFO is full,
// further doorbells become one; while a due goal waits for its word, later ones replace it.
//
// Timing: a goal is due two cycles after it was covered; one every two cycles.

module vnc_goal #(
  parameter int unsigned Depth = 16
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,   // everything before `start_i` is published
  input  logic [31:0] start_i,
  input  logic [31:0] target_i,
  input  logic [31:0] acked_i,
  input  logic        free_i,    // the word can be sent: a due goal is taken

  output logic        due_o,
  output logic [31:0] goal_o
);
  // In lines: indices are multiples of 64.
  logic [25:0] told_q, head, ahead, goal_q;
  logic        ready, head_valid, covered_q, due_q;

  vnc_fifo #(.Width(26), .Depth(Depth)) i_doorbells (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(target_i[31:6] != told_q), .in_ready_o(ready), .in_data_i(target_i[31:6]),
    .out_valid_o(head_valid), .out_ready_i(covered_q), .out_data_o(head)
  );

  // Acked and head are never further apart than half of what 26 bits tell, so the sign says enough.
  assign ahead = acked_i[31:6] - head;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      told_q    <= start_i[31:6];
      goal_q    <= start_i[31:6];
      covered_q <= 1'b0;
      due_q     <= 1'b0;
    end else begin
      if (ready) told_q <= target_i[31:6];
      covered_q <= head_valid && !covered_q && !ahead[25];
      if (covered_q) goal_q <= head;
      if (covered_q) due_q <= 1'b1;
      else if (free_i) due_q <= 1'b0;
    end
  end

  assign due_o  = due_q;
  assign goal_o = {goal_q, 6'b0};

  logic unused;
  assign unused = ^{start_i[5:0], target_i[5:0], acked_i[5:0], ahead[24:0]};
endmodule
