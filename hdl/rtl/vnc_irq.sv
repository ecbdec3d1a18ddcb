// SPDX-License-Identifier: MIT
//
// vnc_irq: one side's interrupt: what happened, what of it is wanted, and moderation of the frequent ones.
//
//   RX_PROD, TX_CONS --> held, counted --(count reached, time over)--> status --(& enable)--> irq
//   the others ------------------------------------------------------>
//
// An event in the cycle of its clearing stays.
//
// Timing: event to irq 5 cycles when not moderated.

module vnc_irq #(
  parameter int unsigned Bits = 6     // 0 and 1 are moderated
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic [Bits-1:0] events_i,
  input  logic [Bits-1:0] clear_i,
  input  logic [Bits-1:0] enable_i,
  input  logic [31:0]     count_i,    // events until the interrupt; 0 and 1: at once
  input  logic [31:0]     time_i,     // cycles after the first of them; 0: without a limit
  output logic [Bits-1:0] status_o,
  output logic            irq_o
);
  logic [Bits-1:0] events_q;
  logic [1:0]  held_q;
  logic [31:0] more_q, left_q;  // events and cycles until the held ones show
  logic [1:0]  now;             // events of this cycle
  logic        fire, due_q;
  logic        at_once_q, limited_q;  // the settings as flags

  assign now  = 2'(events_q[0]) + 2'(events_q[1]);
  assign fire = due_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      events_q <= '0;
      due_q    <= 1'b0;
      held_q   <= '0;
      status_o <= '0;
      irq_o    <= 1'b0;
    end else begin
      events_q <= events_i;
      due_q    <= !fire && held_q != '0 && (at_once_q || more_q == '0 || (limited_q && left_q == '0));
      held_q   <= (fire ? 2'b00 : held_q) | events_q[1:0];
      status_o <= (status_o & ~clear_i) | {events_q[Bits-1:2], fire ? held_q : 2'b00};
      irq_o    <= (status_o & enable_i) != '0;
    end
    at_once_q <= count_i <= 32'd1;
    limited_q <= time_i != '0;
    // The first event sets both; the others count.
    if (held_q == '0 || fire) begin
      more_q <= count_i > 32'(now) ? count_i - 32'(now) : '0;
      left_q <= time_i;
    end else begin
      more_q <= more_q > 32'(now) ? more_q - 32'(now) : '0;
      if (left_q != '0) left_q <= left_q - 32'd1;
    end
  end
endmodule
