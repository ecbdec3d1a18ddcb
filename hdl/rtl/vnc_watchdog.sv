// SPDX-License-Identifier: MIT
//
// vnc_watchdog: reports each client of a port that has waited for `limit_i` cycles without progress of its own.
//
//   limit --> ticks, four per limit --> age of each client: ticks since it began to wait, or since its last progress
//                                                 |
//                                                 +--> 5: stuck, until there is progress
//
// The clients are separate because each waits for answers of its own: one lost answer is reported however much the
// others move.  They share the timer, so an age is a few bits.
//
// Timing: a client is stuck after `limit_i` cycles, at the latest a quarter and eight cycles later.  A limit of 0
// disables it; a new limit counts from the cycle in which it is set.

module vnc_watchdog #(
  parameter int unsigned Clients = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [31:0]        limit_i,
  input  logic [Clients-1:0] busy_i,      // it waits for the port or for an answer
  input  logic [Clients-1:0] progress_i,
  output logic [Clients-1:0] stuck_o
);
  localparam logic [2:0] Old = 3'd5;  // the first tick may come at once: four whole periods have passed

  logic [31:0]             limit_q;
  logic [29:0]             left_q;     // until the next tick
  logic                    off_q, tick_q;
  logic [Clients-1:0]      rest_q;     // does not wait, or has moved
  logic [Clients-1:0][2:0] age_q;

  always_ff @(posedge clk_i) begin
    limit_q <= limit_i;
    off_q   <= !rst_ni || limit_q == '0 || limit_q != limit_i;
    left_q  <= off_q || left_q == '0 ? limit_q[31:2] : left_q - 30'd1;
    tick_q  <= !off_q && left_q == '0;
    rest_q  <= ~busy_i | progress_i;
    for (int unsigned n = 0; n < Clients; n++) begin
      if (off_q || rest_q[n]) age_q[n] <= '0;
      else if (tick_q && age_q[n] != Old) age_q[n] <= age_q[n] + 3'd1;
      stuck_o[n] <= rst_ni && !rest_q[n] && age_q[n] == Old;
    end
  end
endmodule
