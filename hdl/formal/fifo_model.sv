// SPDX-License-Identifier: MIT
//
// fifo_model: replaces vnc_fifo in the proof of a module that contains FIFOs.
//
//   in_* ---> a list of up to Depth + 1 words, or + 2 ---> out_*
//
// It guarantees no more than prove_fifo proves of vnc_fifo: the order, room for Depth words (one cycle late), stable
// output and readiness, and, unless Registered, that a word is visible in the second cycle after its push, or right
// after its predecessor was popped.  Whether it is visible earlier, and whether more than Depth words fit, is free.

module vnc_fifo #(
  parameter int unsigned Width      = 8,
  parameter int unsigned Depth      = 16,
  parameter bit          Registered = 1'b0
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             clear_i,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);
  localparam int unsigned Most = Depth + 1 + 32'(Registered), CountW = $clog2(Most + 1);

  // Undriven nets: any value in any cycle (an undriven variable would keep one value).
  wire               room_chance, show_chance;
  logic [Width-1:0]  list_q [Most];
  logic [CountW-1:0] count_q;
  logic              due_q, has_room_q, free_q;
  logic              push, pop;

  assign in_ready_o  = count_q < CountW'(Depth) || (count_q < CountW'(Most) && (has_room_q || room_chance));
  assign out_valid_o = count_q != '0 && (due_q || show_chance);
  assign out_data_o  = list_q[0];
  assign push        = in_valid_i && in_ready_o;
  assign pop         = out_valid_o && out_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      count_q    <= '0;
      due_q      <= 1'b0;
      has_room_q <= 1'b0;
      free_q     <= 1'b1;
    end else begin
      count_q    <= count_q + CountW'(push) - CountW'(pop);
      due_q      <= Registered ? out_valid_o && !pop : count_q > CountW'(pop);
      has_room_q <= in_ready_o && !push;
      free_q     <= count_q + CountW'(push) < CountW'(Depth);
    end
  end

  for (genvar n = 0; n < Most; n++) begin : g_list
    logic [Width-1:0] next;
    if (n + 1 < Most) begin : g_inner
      assign next = list_q[n+1];
    end else begin : g_last
      assign next = in_data_i;
    end
    always_ff @(posedge clk_i) begin
      if (push && count_q == CountW'(n) + CountW'(pop)) list_q[n] <= in_data_i;
      else if (pop) list_q[n] <= next;
    end
  end
endmodule
