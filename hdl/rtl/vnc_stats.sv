// SPDX-License-Identifier: MIT
//
// vnc_stats: the counters of one direction since the reset of the whole engine.  Counters wrap.
//
//   events of a mover --> counters                                    --> both register pages
//   doorbell --> timer --> a published value that covers it --> latency -->
//
// One doorbell is timed at a time: the first one after the previous measurement.  `latency_max` is cleared when the
// direction is off.
//
// Timing: a counter shows an event one cycle later.

module vnc_stats (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        off_i,
  input  vnc_status_pkg::events_t     events_i,
  output vnc_status_pkg::statistics_t statistics_o
);
  vnc_status_pkg::statistics_t count_q;

  function automatic logic [31:0] plus(logic [31:0] count, logic event_now);
    return count + 32'(event_now);
  endfunction

  // The events end long paths, so they are registered first.
  vnc_status_pkg::events_t events_q;

  always_ff @(posedge clk_i) events_q <= rst_ni ? events_i : '0;

  // --- latency -----------------------------------------------------------------------------------------

  logic        timing_q, covered_q, done_q;
  logic [31:0] mark_q, timer_q, step;

  assign step = events_q.published_value - mark_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off_i) begin
      timing_q <= 1'b0;
      done_q   <= 1'b0;
    end else begin
      if (!timing_q) timing_q <= events_q.doorbell;
      else if (done_q && covered_q) timing_q <= 1'b0;
      done_q <= timing_q && events_q.published && !(done_q && covered_q);
    end
    covered_q <= !step[31];
    if (!timing_q) begin
      mark_q  <= events_q.doorbell_value;
      timer_q <= 32'd1;
    end else begin
      timer_q <= timer_q + 32'd1;
    end
  end

  // --- counters ----------------------------------------------------------------------------------------

  logic [31:0] taken_q;
  logic        show_q;

  always_ff @(posedge clk_i) begin
    taken_q <= timer_q - 32'd1;  // done_q is set one cycle after the event
    if (!rst_ni) begin
      count_q <= '0;
      show_q  <= 1'b0;
    end else begin
      show_q <= timing_q && done_q && covered_q;
      if (events_q.published) count_q.bytes <= count_q.bytes + 64'(events_q.published_bytes);
      count_q.publications <= plus(count_q.publications, events_q.published);
      count_q.bursts       <= plus(count_q.bursts, events_q.burst);
      count_q.errors       <= plus(count_q.errors, events_q.error);
      count_q.suppressed   <= plus(count_q.suppressed, events_q.suppressed);
      count_q.stall_read   <= plus(count_q.stall_read, events_q.stall_read);
      count_q.stall_write  <= plus(count_q.stall_write, events_q.stall_write);
      count_q.stall_ack    <= plus(count_q.stall_ack, events_q.stall_ack);
      if (show_q) count_q.latency <= taken_q;
      if (off_i) count_q.latency_max <= '0;
      else if (show_q && taken_q > count_q.latency_max) count_q.latency_max <= taken_q;
    end
  end

  assign statistics_o = count_q;

  // Only the sign of a difference of indices is used.
  logic unused;
  assign unused = ^step[30:0];
endmodule
