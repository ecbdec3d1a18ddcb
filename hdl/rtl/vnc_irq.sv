// SPDX-License-Identifier: MIT
//
// vnc_irq: the interrupt of one side: status bits, enable mask, and moderation of the two frequent events.
//
//   RX_PROD, TX_CONS --> held, counted --(count reached or time over)--> status --(& enable)--> irq
//   the others -------------------------------------------------------->
//
// An event in the cycle in which its bit is cleared sets the bit again.
//
// Timing: five cycles from an event to irq when it is not moderated.

module vnc_irq #(
  parameter int unsigned Bits = 6     // 0 and 1 are moderated
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic [Bits-1:0] events_i,
  input  logic [Bits-1:0] clear_i,
  input  logic [Bits-1:0] enable_i,
  input  logic [31:0]     count_i,    // events until the interrupt; 0 and 1: immediately
  input  logic [31:0]     time_i,     // cycles after the first of them; 0: no time limit
  output logic [Bits-1:0] status_o,
  output logic            irq_o
);
  logic [Bits-1:0] events_q;
  logic [1:0]  held_q;
  logic [31:0] more_q, left_q;  // events and cycles until the held ones reach status
  logic [1:0]  now;             // number of events in this cycle
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
    // The first event loads both counters; later events count.
    if (held_q == '0 || fire) begin
      more_q <= count_i > 32'(now) ? count_i - 32'(now) : '0;
      left_q <= time_i;
    end else begin
      more_q <= more_q > 32'(now) ? more_q - 32'(now) : '0;
      if (left_q != '0) left_q <= left_q - 32'd1;
    end
  end
endmodule
