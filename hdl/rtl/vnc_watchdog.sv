// SPDX-License-Identifier: MIT
//
// vnc_watchdog: reports that channels with an outstanding transaction have not moved for `limit_i` cycles.
//
//   busy and no progress --> cycles left --> 0: stuck, until there is progress
//
// Timing: stuck_o is set one cycle after the last of these cycles.  A limit of 0 disables it; a new limit counts from
// the cycle in which it is set.

module vnc_watchdog (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic [31:0] limit_i,
  input  logic        busy_i,
  input  logic        progress_i,
  output logic        stuck_o
);
  logic [31:0] left_q, limit_q;
  logic        waiting;

  assign waiting = busy_i && !progress_i && limit_q != '0 && limit_q == limit_i;

  always_ff @(posedge clk_i) begin
    limit_q <= limit_i;
    if (!rst_ni) begin
      left_q  <= '0;
      stuck_o <= 1'b0;
    end else begin
      if (!waiting) left_q <= limit_i;
      else if (left_q != '0) left_q <= left_q - 32'd1;
      stuck_o <= waiting && left_q == '0;
    end
  end
endmodule
