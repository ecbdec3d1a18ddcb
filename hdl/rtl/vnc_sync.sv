// SPDX-License-Identifier: MIT
//
// vnc_sync: a synchronizer, two registers per bit.
//
//   another clock: async_i --> register --> register --> sync_o :clk_i
//
// The bits are independent: a bus must change in one bit at a time (gray code), or hold still while it is read.  A
// constraint has to keep the delay of async_i below a period of the clock that drives it (hdl/README.md).
//
// Timing: two to three cycles.  No reset: the output follows the input at all times.

module vnc_sync #(
  parameter int unsigned Width = 1
) (
  input  logic             clk_i,
  input  logic [Width-1:0] async_i,
  output logic [Width-1:0] sync_o
);
  (* ASYNC_REG = "TRUE" *) logic [Width-1:0] first_q, second_q;

  always_ff @(posedge clk_i) begin
    first_q  <= async_i;
    second_q <= first_q;
  end

  assign sync_o = second_q;
endmodule
