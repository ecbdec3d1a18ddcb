// SPDX-License-Identifier: MIT
//
// vnc_publisher: selects the next prod to publish: a doorbell value whose bytes are all acknowledged.
//
//   target --> FIFO of doorbell values --> head --(acked - head not negative)--> due, value
//
// Only doorbell values are published, so a publication covers whole records.  While the FIFO is full, further
// doorbells merge into one; while a due value waits for its index word, later values replace it.
//
// Timing: a value is due two cycles after its bytes were acknowledged; one value every two cycles.

module vnc_publisher #(
  parameter int unsigned Depth = 16
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,   // `start_i` is the published index
  input  logic [31:0] start_i,
  input  logic [31:0] target_i,
  input  logic [31:0] acked_i,
  input  logic        free_i,    // the index word can be sent: a due value is taken

  output logic        due_o,
  output logic [31:0] value_o
);
  // Units of lines: indices are multiples of 64.
  logic [25:0] queued_q, head, ahead, next_q;
  logic        ready, head_valid, covered_q, due_q;

  vnc_fifo #(.Width(26), .Depth(Depth)) i_doorbells (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(target_i[31:6] != queued_q), .in_ready_o(ready), .in_data_i(target_i[31:6]),
    .out_valid_o(head_valid), .out_ready_i(covered_q), .out_data_o(head)
  );

  // Acked and head differ by less than half of the 26-bit range, so the sign of the difference is sufficient.
  assign ahead = acked_i[31:6] - head;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      queued_q  <= start_i[31:6];
      next_q    <= start_i[31:6];
      covered_q <= 1'b0;
      due_q     <= 1'b0;
    end else begin
      if (ready) queued_q <= target_i[31:6];
      covered_q <= head_valid && !covered_q && !ahead[25];
      if (covered_q) next_q <= head;
      if (covered_q) due_q <= 1'b1;
      else if (free_i) due_q <= 1'b0;
    end
  end

  assign due_o   = due_q;
  assign value_o = {next_q, 6'b0};

  logic unused;
  assign unused = ^{start_i[5:0], target_i[5:0], acked_i[5:0], ahead[24:0]};
endmodule
