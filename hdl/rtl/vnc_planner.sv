// SPDX-License-Identifier: MIT
//
// vnc_planner: cuts [planned, target) into bursts.
//
//   target --> target - planned, lines to the next boundary --> the smaller --> burst
//                                                                  +--> planned
//
// A burst ends at the next multiple of the longest burst size, which divides 4 KiB, so it crosses no 4 KiB page.
// Rings start at multiples of 4 KiB and hold at least 4 KiB, so no burst crosses the end of a ring either.
//
// Timing: two cycles from a new target to a burst; one burst every two cycles.

module vnc_planner #(
  parameter int unsigned BurstLines = 8  // the longest burst: a power of two up to 64
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   clear_i,   // planned becomes `start_i`
  input  logic [31:0]            start_i,
  input  logic [31:0]            target_i,

  output logic                   burst_valid_o,
  input  logic                   burst_ready_i,
  output vnc_status_pkg::burst_t burst_o
);
  localparam int unsigned LowW = BurstLines > 1 ? $clog2(BurstLines) : 1;

  // Units of lines of 64 bytes.
  logic [25:0]     planned_q, to_do_q;
  logic [LowW-1:0] low;
  logic [6:0]      limit_q, cut;
  logic            fresh_q;  // to_do_q and limit_q belong to planned_q
  logic            plan;

  if (BurstLines > 1) begin : g_low
    assign low = planned_q[LowW-1:0];
  end else begin : g_line
    assign low = '0;
  end

  assign plan = fresh_q && to_do_q != '0 && (!burst_valid_o || burst_ready_i);
  assign cut  = to_do_q < 26'(limit_q) ? to_do_q[6:0] : limit_q;

  always_ff @(posedge clk_i) begin
    to_do_q <= target_i[31:6] - planned_q;
    limit_q <= 7'(BurstLines) - 7'(low);
    if (!rst_ni || clear_i) begin
      fresh_q       <= 1'b0;
      burst_valid_o <= 1'b0;
      planned_q     <= start_i[31:6];
    end else begin
      fresh_q <= !plan;
      if (plan) planned_q <= planned_q + 26'(cut);
      if (plan) burst_valid_o <= 1'b1;
      else if (burst_ready_i) burst_valid_o <= 1'b0;
    end
    if (plan) burst_o <= '{index: {planned_q[23:0], 6'b0}, lines: cut};
  end

  // Indices are multiples of 64.
  logic unused;
  assign unused = ^{start_i[5:0], target_i[5:0]};
endmodule
