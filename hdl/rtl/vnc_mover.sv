// SPDX-License-Identifier: MIT
//
// vnc_mover: moves one direction.  After a doorbell with the producer's new prod, it copies [moved, prod) of the
// source ring to the same offsets of the destination ring, waits for the write responses of all of it, and only then
// writes prod into the destination's prod line.  The consumer's cons is written back likewise, without data.
//
//   tx_prod --> vnc_doorbell --> target --> vnc_planner --> bursts --> vnc_reader --> AR, R  source ring
//                                  |                                       |
//                                  |                            complete bursts, beats
//                                  v                                       v
//                            vnc_publisher <----- acked ------------- vnc_writer --> AW, W, B  destination ring
//                                  |
//                                  +--> due, value --> vnc_index_word --> prod word, need_wakeup, interrupt
//
//   rx_cons --> vnc_doorbell --> consumed -----------> vnc_index_word --> cons word, need_wakeup, interrupt
//
// The indices are free-running byte counts.  At any time they are in this order and span at most one ring:
//   consumed <= published <= offered <= acked <= planned <= target
//
//   Off ---- enabled, configuration valid, ---> Start ---- both words ----> Run ---- bus error or ----> Halt
//    |       side blocks copied                  |        acknowledged      |      invalid index         |
//    |      (configuration invalid: to Halt)     +----------------- reset or not enabled ----------------+
//    |                                                                      v
//    +<------------------------ nothing outstanding ---------------------- Drain
//
// Start writes `start_i` into both index words, the consumer's prod and the producer's cons, and reads them back, so
// that both sides see the start index before Run.  Doorbells take effect only in Run: software rings after it has read
// RUN, and a doorbell before that is ignored.
//
// Halt keeps the first cause and address and starts no further transfer; an index word whose request was already
// taken is still written, and it covers only acknowledged bytes.  On leaving Off, every index is `start_i`.
//
// Timing: doorbell to the request for AR 6 cycles; last R beat to the request for AW 2 cycles; last B to the
// request for the index word 3 cycles.

module vnc_mover #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,  // longest burst in beats, at most 4 KiB
  parameter int unsigned ReadsMax   = 8,   // bursts between AR and AW
  parameter int unsigned ProdLine   = 0,   // offsets of the direction's index lines in both windows
  parameter int unsigned ConsLine   = 0
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  // Control and configuration.  The register pages keep the configuration stable except in Off.
  input  logic             enable_i,
  input  logic             reset_i,         // a pulse
  input  logic             config_ok_i,
  input  logic             side_up_i,       // both side blocks were copied since the side movers left Off
  input  logic [31:0]      start_i,         // multiple of 64
  input  logic [29:0]      ring_mask_i,
  input  logic [63:0]      src_base_i,
  input  logic [29:0]      src_window_mask_i,
  input  logic [29:0]      src_ring_i,
  input  logic             src_need_wakeup_i,  // NEED_WAKEUP of the producer
  input  logic             src_interrupts_i,   // its interrupt for a new cons is enabled
  input  logic [63:0]      dst_base_i,
  input  logic [29:0]      dst_window_mask_i,
  input  logic [29:0]      dst_ring_i,
  input  logic             dst_need_wakeup_i,  // NEED_WAKEUP of the consumer
  input  logic             dst_interrupts_i,   // its interrupt for a new prod is enabled

  // Doorbells: pulses; the values are stable from one pulse to the next.
  input  logic             prod_valid_i,
  input  logic [31:0]      prod_i,
  input  logic             cons_valid_i,
  input  logic [31:0]      cons_i,

  // State, pulses for statistics, and pulses for the interrupts: a new index was published and its reader sleeps.
  output vnc_status_pkg::direction_t direction_o,
  output vnc_status_pkg::events_t    events_o,
  output logic             prod_wake_o,
  output logic             cons_wake_o,
  output logic             src_overtaken_o,    // a read of this memory overtook an earlier write
  output logic             dst_overtaken_o,

  // Per channel: what waits for a memory, and time-outs.  From bit 0: data read, data write, prod word, cons word, the
  // read after prod, the read after cons.
  output logic [5:0]       busy_o,
  input  logic [5:0]       stuck_i,

  // Source: read.
  output logic             ar_valid_o,
  input  logic             ar_ready_i,
  output logic [29:0]      ar_offset_o,
  output logic [7:0]       ar_len_o,
  input  logic             r_valid_i,
  input  logic [DataW-1:0] r_data_i,
  input  logic             r_error_i,
  input  logic             r_last_i,

  // Destination: write.
  output logic             aw_valid_o,
  input  logic             aw_ready_i,
  output logic [29:0]      aw_offset_o,
  output logic [7:0]       aw_len_o,
  output logic             w_valid_o,
  input  logic             w_ready_i,
  output logic [DataW-1:0] w_data_o,
  output logic             w_last_o,
  input  logic             b_valid_i,
  input  logic             b_error_i,

  // Index words: prod into the destination window, cons into the source window.
  output logic             prod_word_valid_o,
  input  logic             prod_word_ready_i,
  output logic [29:0]      prod_word_offset_o,
  output logic [31:0]      prod_word_o,
  input  logic             prod_word_done_i,
  input  logic             prod_word_error_i,
  output logic             cons_word_valid_o,
  input  logic             cons_word_ready_i,
  output logic [29:0]      cons_word_offset_o,
  output logic [31:0]      cons_word_o,
  input  logic             cons_word_done_i,
  input  logic             cons_word_error_i,

  // Reads after the index words, of need_wakeup or of the word: in the destination window, in the source window.
  output logic             prod_check_valid_o,
  input  logic             prod_check_ready_i,
  output logic [29:0]      prod_check_offset_o,
  input  logic             prod_check_done_i,
  input  logic             prod_check_error_i,
  input  logic [31:0]      prod_check_index_i,
  input  logic [31:0]      prod_check_word_i,
  output logic             cons_check_valid_o,
  input  logic             cons_check_ready_i,
  output logic [29:0]      cons_check_offset_o,
  input  logic             cons_check_done_i,
  input  logic             cons_check_error_i,
  input  logic [31:0]      cons_check_index_i,
  input  logic [31:0]      cons_check_word_i
);
  localparam int unsigned LineBeats  = vnc_pkg::Line / (DataW / 8);
  localparam int unsigned BurstLines = BurstBeats / LineBeats;
  localparam int unsigned WordGap    = 63;  // one word of each kind per 64 cycles leaves W to the data

  if (DataW != 64 && DataW != 128 && DataW != 256 && DataW != 512) begin : g_bad_width
    $fatal(1, "vnc_mover: DataW must be 64, 128, 256 or 512");
  end
  if (BurstBeats < LineBeats || BurstBeats > 256 || BurstBeats * DataW / 8 > 4096 ||
      (BurstBeats & (BurstBeats - 1)) != 0) begin : g_bad_burst
    $fatal(1, "vnc_mover: BurstBeats must be a power of two, at least one line, at most 256 beats and 4 KiB");
  end
  if (ReadsMax < 2 || ReadsMax > 64 || (ReadsMax & (ReadsMax - 1)) != 0) begin : g_bad_reads
    $fatal(1, "vnc_mover: ReadsMax must be a power of two, 2 to 64");
  end

  // --- state -------------------------------------------------------------------------------------------

  typedef enum logic [2:0] {Off, Start, Run, Halt, Drain} state_e;
  state_e state_q, state_d;
  logic   run, off, active, stop, leave, started, fault, config_bad, quiet;

  assign off        = state_q == Off;
  assign active     = run || state_q == Start;
  assign stop       = reset_i || !enable_i;
  assign leave      = off && !stop && config_ok_i && side_up_i;
  assign config_bad = off && !stop && !config_ok_i;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      Off:     if (leave) state_d = Start; else if (config_bad) state_d = Halt;
      Start:   if (stop) state_d = Drain; else if (fault) state_d = Halt; else if (started) state_d = Run;
      Run:     if (stop) state_d = Drain; else if (fault) state_d = Halt;
      Halt:    if (stop) state_d = Drain;
      default: if (quiet) state_d = Off;
    endcase
  end

  // `run` has its own register because long paths start at it.
  always_ff @(posedge clk_i) begin
    state_q <= rst_ni ? state_d : Off;
    run     <= rst_ni && state_d == Run;
  end

  // --- doorbells: prod must not pass what the consumer has freed, so nothing unread is ever overwritten ------

  logic [31:0] target, consumed, prod_limit_q, offered, published, returned, prod_value, cons_value;
  logic        prod_bad, cons_bad;

  always_ff @(posedge clk_i) prod_limit_q <= consumed + {2'b0, ring_mask_i} + 32'd1;

  vnc_doorbell i_prod_doorbell (
    .clk_i, .rst_ni, .clear_i(off), .start_i, .enable_i(run),
    .valid_i(prod_valid_i), .value_i(prod_i), .limit_i(prod_limit_q),
    .index_o(target), .bad_o(prod_bad), .bad_value_o(prod_value)
  );

  vnc_doorbell i_cons_doorbell (
    .clk_i, .rst_ni, .clear_i(off), .start_i, .enable_i(run),
    .valid_i(cons_valid_i), .value_i(cons_i), .limit_i(offered),
    .index_o(consumed), .bad_o(cons_bad), .bad_value_o(cons_value)
  );

  // --- data --------------------------------------------------------------------------------------------

  logic                   plan_valid, plan_ready, whole_valid, whole_ready, data_valid, data_ready;
  logic                   reading, writing, sending, read_failed, write_failed;
  vnc_status_pkg::burst_t plan, whole;
  logic [29:0]            read_next;
  logic [31:0]            acked;

  vnc_planner #(.BurstLines(BurstLines)) i_planner (
    .clk_i, .rst_ni, .clear_i(off), .start_i, .target_i(target),
    .burst_valid_o(plan_valid), .burst_ready_i(plan_ready), .burst_o(plan)
  );

  vnc_reader #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax)) i_reader (
    .clk_i, .rst_ni, .clear_i(off), .run_i(run), .start_i(start_i[29:0]), .ring_i(src_ring_i), .ring_mask_i,
    .burst_valid_i(plan_valid), .burst_ready_o(plan_ready), .burst_i(plan),
    .ar_valid_o, .ar_ready_i, .ar_offset_o, .ar_len_o, .r_valid_i, .r_data_i, .r_error_i, .r_last_i,
    .whole_valid_o(whole_valid), .whole_ready_i(whole_ready), .whole_o(whole),
    .data_valid_o(data_valid), .data_ready_i(data_ready), .data_o(w_data_o),
    .busy_o(reading), .failed_o(read_failed), .next_o(read_next)
  );

  vnc_writer #(.DataW(DataW), .BurstMax(ReadsMax)) i_writer (
    .clk_i, .rst_ni, .clear_i(off), .run_i(run), .start_i, .ring_i(dst_ring_i), .ring_mask_i,
    .whole_valid_i(whole_valid), .whole_ready_o(whole_ready), .whole_i(whole),
    .data_valid_i(data_valid), .data_ready_o(data_ready),
    .aw_valid_o, .aw_ready_i, .aw_offset_o, .aw_len_o, .w_valid_o, .w_ready_i, .w_last_o, .b_valid_i, .b_error_i,
    .busy_o(writing), .sending_o(sending), .failed_o(write_failed), .acked_o(acked)
  );

  // --- index words -------------------------------------------------------------------------------------

  logic        publish_due, prod_free, prod_idle, cons_idle, cons_due_q, suppressed, published_event;
  logic        prod_word_busy, prod_check_busy, prod_check_own, prod_word_failed, prod_check_failed;
  logic        cons_word_busy, cons_check_busy, cons_check_own, cons_word_failed, cons_check_failed;
  logic [31:0] publish_value, cons_sent;
  logic        cons_free, cons_done, cons_suppressed;

  vnc_publisher i_publisher (
    .clk_i, .rst_ni, .clear_i(off), .start_i, .ring_mask_i, .target_i(target), .acked_i(acked), .free_i(prod_free),
    .due_o(publish_due), .value_o(publish_value)
  );

  vnc_index_word #(.Gap(WordGap)) i_prod_word (
    .clk_i, .rst_ni, .clear_i(off), .send_start_i(leave), .run_i(run), .active_i(active),
    .start_i, .due_i(publish_due), .next_i(publish_value),
    .need_wakeup_i(dst_need_wakeup_i), .interrupts_i(dst_interrupts_i),
    .idle_o(prod_idle), .free_o(prod_free), .word_busy_o(prod_word_busy), .check_busy_o(prod_check_busy),
    .sent_o(offered), .shown_o(published), .word_failed_o(prod_word_failed), .check_failed_o(prod_check_failed),
    .done_event_o(published_event), .wake_event_o(prod_wake_o), .suppressed_event_o(suppressed),
    .overtaken_event_o(dst_overtaken_o),
    .word_valid_o(prod_word_valid_o), .word_ready_i(prod_word_ready_i), .word_o(prod_word_o),
    .word_done_i(prod_word_done_i), .word_error_i(prod_word_error_i),
    .check_valid_o(prod_check_valid_o), .check_own_o(prod_check_own), .check_ready_i(prod_check_ready_i),
    .check_done_i(prod_check_done_i), .check_error_i(prod_check_error_i),
    .check_index_i(prod_check_index_i), .check_word_i(prod_check_word_i)
  );

  always_ff @(posedge clk_i) cons_due_q <= consumed != cons_sent;

  vnc_index_word #(.Gap(WordGap)) i_cons_word (
    .clk_i, .rst_ni, .clear_i(off), .send_start_i(leave), .run_i(run), .active_i(active),
    .start_i, .due_i(cons_due_q), .next_i(consumed),
    .need_wakeup_i(src_need_wakeup_i), .interrupts_i(src_interrupts_i),
    .idle_o(cons_idle), .free_o(cons_free), .word_busy_o(cons_word_busy), .check_busy_o(cons_check_busy),
    .sent_o(cons_sent), .shown_o(returned), .word_failed_o(cons_word_failed), .check_failed_o(cons_check_failed),
    .done_event_o(cons_done), .wake_event_o(cons_wake_o), .suppressed_event_o(cons_suppressed),
    .overtaken_event_o(src_overtaken_o),
    .word_valid_o(cons_word_valid_o), .word_ready_i(cons_word_ready_i), .word_o(cons_word_o),
    .word_done_i(cons_word_done_i), .word_error_i(cons_word_error_i),
    .check_valid_o(cons_check_valid_o), .check_own_o(cons_check_own), .check_ready_i(cons_check_ready_i),
    .check_done_i(cons_check_done_i), .check_error_i(cons_check_error_i),
    .check_index_i(cons_check_index_i), .check_word_i(cons_check_word_i)
  );

  // The need_wakeup of each side is in the line of the index that this side writes.
  assign prod_word_offset_o  = 30'(ProdLine);
  assign prod_check_offset_o = prod_check_own ? 30'(ProdLine) : 30'(ConsLine);
  assign cons_word_offset_o  = 30'(ConsLine);
  assign cons_check_offset_o = cons_check_own ? 30'(ConsLine) : 30'(ProdLine);

  assign started = prod_idle && cons_idle && !prod_word_failed && !cons_word_failed && !prod_check_failed &&
                   !cons_check_failed;
  assign quiet   = !reading && !writing && prod_idle && cons_idle;

  assign busy_o = {cons_check_busy, prod_check_busy, cons_word_busy, prod_word_busy, writing || aw_valid_o,
                   reading || ar_valid_o};

  // --- faults ------------------------------------------------------------------------------------------

  vnc_fault #(.ProdLine(ProdLine), .ConsLine(ConsLine)) i_fault (
    .clk_i, .rst_ni, .clear_i(off), .enable_i(active), .config_bad_i(config_bad),
    .src_base_i, .src_window_mask_i, .src_ring_i, .dst_base_i, .dst_window_mask_i, .dst_ring_i, .ring_mask_i,
    .failed_i({cons_check_failed, prod_check_failed, cons_word_failed, prod_word_failed, write_failed, read_failed}),
    .stuck_i(stuck_i & busy_o), .prod_check_offset_i(prod_check_offset_o), .cons_check_offset_i(cons_check_offset_o),
    .prod_bad_i(prod_bad), .prod_value_i(prod_value), .cons_bad_i(cons_bad), .cons_value_i(cons_value),
    .read_index_i(read_next), .write_index_i(acked[29:0]),
    .fault_o(fault), .cause_o(direction_o.cause), .error_addr_o(direction_o.error_addr)
  );

  // --- outputs -----------------------------------------------------------------------------------------

  logic w_stalls, aw_stalls;

  assign w_stalls  = w_valid_o && !w_ready_i;
  assign aw_stalls = aw_valid_o && !aw_ready_i && !sending;

  assign direction_o.off       = off;
  assign direction_o.run       = run;
  assign direction_o.halt      = state_q == Halt;
  assign direction_o.drain     = state_q == Drain;
  assign direction_o.published = published;
  assign direction_o.returned  = returned;

  assign events_o.doorbell        = run && prod_valid_i;
  assign events_o.doorbell_value  = prod_i;
  assign events_o.published       = published_event;
  assign events_o.published_value = offered;
  assign events_o.published_bytes = offered - published;
  assign events_o.burst           = run && b_valid_i && !b_error_i && !write_failed;
  assign events_o.error           = config_bad || (fault && !stop && active);
  assign events_o.suppressed      = suppressed;
  assign events_o.stall_read      = run && reading && !sending && !aw_valid_o;
  assign events_o.stall_write     = run && (w_stalls || aw_stalls);
  assign events_o.stall_ack       = run && writing && !sending && !aw_valid_o && !reading;

  // Statistics count prod words only.
  logic unused;
  assign unused = cons_free ^ cons_done ^ cons_suppressed;
endmodule
