// SPDX-License-Identifier: MIT
//
// prove_watchdog: vnc_watchdog reports a client exactly when that client has waited without progress for about its
// limit, whatever the other client does.
//
//   two clients that wait and progress in any cycle --> vnc_watchdog
//
// Assumed: nothing waits in a reset, which lasts two cycles or more.
//
// Proved for a limit of 8 cycles, which is constant.  The depth is the history that an age needs to become old.

module prove_watchdog (
  input logic       clk_i,
  input logic       rst_ni,
  input logic [1:0] busy_i,
  input logic [1:0] progress_i
);
  localparam int unsigned Limit = 8;
  localparam int unsigned Latest = Limit + Limit / 4 + 8;

  logic            started_q = 1'b0;
  logic [1:0]      stuck;
  logic [1:0][5:0] waited_q;  // cycles, up to 63

  vnc_watchdog #(.Clients(2)) dut (
    .clk_i, .rst_ni, .limit_i(32'(Limit)), .busy_i, .progress_i, .stuck_o(stuck)
  );

  always_ff @(posedge clk_i) started_q <= 1'b1;

  always_comb begin
    if (!started_q) assume (!rst_ni);
    assume (rst_ni || busy_i == '0);
  end

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      i_timer: assert (dut.off_q || (dut.limit_q == 32'(Limit) && dut.left_q <= 30'(Limit / 4)));
    end
  end

  for (genvar k = 0; k < 2; k++) begin : g_client
    always_ff @(posedge clk_i) begin
      if (!rst_ni || !busy_i[k] || progress_i[k]) waited_q[k] <= '0;
      else if (waited_q[k] != '1) waited_q[k] <= waited_q[k] + 6'd1;
      if (started_q && rst_ni) begin
        a_not_before_the_limit: assert (!stuck[k] || $past(stuck[k]) || $past(waited_q[k]) >= 6'(Limit));
        a_at_the_latest_a_quarter_later: assert (waited_q[k] < 6'(Latest) || stuck[k]);
        i_age: assert (dut.off_q || dut.age_q[k] <= 3'd5);
        c_stuck: cover (stuck[k] && !stuck[1-k] && progress_i[1-k]);
        c_progress_ends_it: cover (!stuck[k] && $past(stuck[k]) && busy_i[k]);
      end
    end
  end
endmodule
