// SPDX-License-Identifier: MIT
//
// vnc_publisher: selects the next prod to publish: a doorbell value whose bytes are all acknowledged.
//
//   target --> latest --> FIFO of doorbell values --> head --(acked - head not negative)--> due, value
//
// Only doorbell values are published, so a publication covers whole records.  While the FIFO is half full or more, a
// doorbell value waits in `latest`, where later ones replace it, until it is a 32nd of the ring beyond the last queued
// one.  A ring has 32 such parts, so the FIFO never fills up, and what becomes visible at once stays small however fast
// the doorbells come.  While a due value waits for its index word, later values replace it.
//
// Timing: a value is due two cycles after its bytes were acknowledged; one value every two cycles.

module vnc_publisher #(
  parameter int unsigned Depth = 64
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,   // `start_i` is the published index
  input  logic [31:0] start_i,
  input  logic [29:0] ring_mask_i,
  input  logic [31:0] target_i,
  input  logic [31:0] acked_i,
  input  logic        free_i,    // the index word can be sent: a due value is taken

  output logic        due_o,
  output logic [31:0] value_o
);
  localparam int unsigned CountW = $clog2(Depth + 3);

  // Units of lines: indices are multiples of 64.
  logic [25:0]       latest_q, queued_q, beyond, head, ahead, next_q;
  logic [23:0]       part_mask;
  logic [CountW-1:0] count_q;
  logic              half_q, far_q, push, ready, head_valid, covered_q, due_q;

  assign part_mask = ring_mask_i[29:6] >> 5;
  assign beyond    = latest_q - queued_q;
  assign push      = latest_q != queued_q && (!half_q || far_q) && ready;

  // Registered: the comparison of a block RAM's own output with acked would be the slowest path of all.
  vnc_fifo #(.Width(26), .Depth(Depth), .Registered(1'b1)) i_doorbells (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(push), .in_ready_o(ready), .in_data_i(latest_q),
    .out_valid_o(head_valid), .out_ready_i(covered_q), .out_data_o(head)
  );

  // Acked and head differ by less than half of the 26-bit range, so the sign of the difference is sufficient.
  assign ahead = acked_i[31:6] - head;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      latest_q  <= start_i[31:6];
      queued_q  <= start_i[31:6];
      next_q    <= start_i[31:6];
      count_q   <= '0;
      half_q    <= 1'b0;
      far_q     <= 1'b0;
      covered_q <= 1'b0;
      due_q     <= 1'b0;
    end else begin
      latest_q <= target_i[31:6];
      if (push) queued_q <= latest_q;
      count_q <= count_q + CountW'(push) - CountW'(covered_q);
      half_q  <= count_q >= CountW'(Depth / 2);
      far_q   <= (beyond[23:0] & ~part_mask) != '0 && !push;
      covered_q <= head_valid && !covered_q && !ahead[25];
      if (covered_q) next_q <= head;
      if (covered_q) due_q <= 1'b1;
      else if (free_i) due_q <= 1'b0;
    end
  end

  assign due_o   = due_q;
  assign value_o = {next_q, 6'b0};

  logic unused;
  assign unused = ^{start_i[5:0], target_i[5:0], acked_i[5:0], ring_mask_i[5:0], beyond[25:24], ahead[24:0]};
endmodule
