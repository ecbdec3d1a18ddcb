// SPDX-License-Identifier: MIT
//
// vnc_stream_pick: selects one of N requests in turn.
//
//   valid_i --> the first one after the last that was taken, else the first one --> grant_o (one bit, or none)
//
// Timing: combinational; the turn changes in a cycle with `take_i`.

module vnc_stream_pick #(
  parameter int unsigned N = 2
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic [N-1:0] valid_i,
  input  logic         take_i,   // the granted request is taken in this cycle
  output logic [N-1:0] grant_o
);
  logic [N-1:0] later_q;  // those after the last one taken
  logic [N-1:0] later, chosen;

  assign later   = valid_i & later_q;
  assign chosen  = later != '0 ? later : valid_i;
  assign grant_o = chosen & (~chosen + 1'b1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) later_q <= '0;
    else if (take_i) later_q <= ~(grant_o | (grant_o - 1'b1));
  end
endmodule
