// SPDX-License-Identifier: MIT
//
// vnc_mover: one direction.  Told a producer's new prod, it copies [moved, prod) of the source ring to the
// same offsets of the destination ring, waits for the write responses of all of it, and only then writes
// prod into the destination's prod line.  The consumer's cons goes back the same way, without data.
//
//   prod doorbell                                                                   AR
//        |          +------+   +------+  space kept in the FIFO beforehand   +--------------+
//        +-> check->| plan |-->|  AR  |------------------------------------->| source ring  |
//                   +------+   +------+                                      +--------------+
//                                  | offset, lines                                  | R
//                                  v                                                v
//                            +-----------+   whole bursts only    +---------------------+
//                            |burst queue|----------> AW <--------|      data FIFO      |
//                            +-----------+            |           +---------------------+
//                                                     |                     | W
//                                                     v                     v
//        acked >= goal <-- B, one for each burst <-- +-----------------------------+
//             |                                      |      destination ring       |
//             +--> prod word, its B, then event      +-----------------------------+
//
//   cons doorbell --> check --> cons word in the source's cons line, its B, then event
//
// A burst is written only once all its beats were read without error, so a failed read leaves nothing
// half done on the write side.  Rings start at multiples of 4 KiB and are at least 4 KiB long: a burst that
// ends at the page's end also ends at the ring's, so the wrap needs nothing of its own.
//
//   Off ---- enable, configuration good, ----> Start ---- both words ----> Run ---- bus error or ----> Halt
//    |       side blocks copied                  |        acknowledged      |         bad index          |
//    |      (configuration bad: to Halt)         +----------------- reset or not enable -----------------+
//    |                                                                      v
//    +<--------------------- nothing outstanding any more ---------------- Drain
//
// Start writes `start_i` into both index words, the consumer's prod and the producer's cons, so that both sides
// see the new beginning before Run.  Doorbells are heard in Run only: software rings when it has seen RUN, and
// what is rung before belongs to nothing.
//
// Halt keeps the first cause and address, and starts nothing more; an index word that was on its way by then
// still arrives, and covers acknowledged bytes only.  Leaving Off, every index is `start_i`.
//
// Timing: doorbell to AR 4 cycles; last R beat to AW 3 cycles; last B to the request for the index word
// 2 cycles.  One burst can be planned every 2 cycles.

module vnc_mover #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,  // longest burst in beats; 4 KiB limits it as well
  parameter int unsigned ReadsMax   = 8,   // bursts between AR and AW
  parameter int unsigned ProdLine   = 0,   // offset of the destination's prod line in its window
  parameter int unsigned ConsLine   = 0    // offset of the source's cons line in its window
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  // Control and configuration.  Configuration stands still except in Off; the register pages see to it.
  input  logic             enable_i,
  input  logic             reset_i,         // a pulse
  input  logic             config_ok_i,
  input  logic             side_up_i,       // both side blocks were copied since coming up
  input  logic [31:0]      start_i,         // multiple of 64
  input  logic [29:0]      ring_mask_i,
  input  logic [63:0]      src_base_i,
  input  logic [29:0]      src_window_mask_i,
  input  logic [29:0]      src_ring_i,
  input  logic [63:0]      dst_base_i,
  input  logic [29:0]      dst_window_mask_i,
  input  logic [29:0]      dst_ring_i,

  // Doorbells: pulses with a value; heard only in Run.
  input  logic             prod_valid_i,
  input  logic [31:0]      prod_i,
  input  logic             cons_valid_i,
  input  logic [31:0]      cons_i,

  // State, and pulses for statistics and interrupts.
  output logic             off_o,
  output logic             run_o,
  output logic             halt_o,
  output logic             drain_o,
  output logic [3:0]       cause_o,
  output logic [63:0]      error_addr_o,
  output logic [31:0]      published_o,
  output logic [31:0]      returned_o,
  output logic             publish_event_o,
  output logic [31:0]      publish_bytes_o,
  output logic             cons_event_o,
  output logic             burst_event_o,
  output logic             error_event_o,

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
  input  logic             cons_word_error_i
);
  localparam int unsigned BeatBytes  = DataW / 8;
  localparam int unsigned LineBeats  = vnc_pkg::Line / BeatBytes;
  localparam int unsigned PageLines  = 4096 / vnc_pkg::Line;
  localparam int unsigned WantLines  = BurstBeats / LineBeats;
  localparam int unsigned BurstLines = WantLines < PageLines ? WantLines : PageLines;
  localparam int unsigned FifoBeats  = ReadsMax * BurstBeats;
  localparam int unsigned FreeW      = $clog2(FifoBeats + 1);
  localparam int unsigned CountW     = $clog2(ReadsMax + 1) + 1;

  if (DataW != 64 && DataW != 128 && DataW != 256 && DataW != 512) begin : g_bad_width
    $fatal(1, "vnc_mover: DataW must be 64, 128, 256 or 512");
  end
  if (BurstBeats < LineBeats || BurstBeats > 256 || (BurstBeats & (BurstBeats - 1)) != 0) begin : g_bad_burst
    $fatal(1, "vnc_mover: BurstBeats must be a power of two, at least one line and at most 256");
  end
  if (ReadsMax < 2 || (ReadsMax & (ReadsMax - 1)) != 0) begin : g_bad_reads
    $fatal(1, "vnc_mover: ReadsMax must be a power of two, 2 or more");
  end

  typedef logic [6:0] lines_t;  // 1 to 64

  typedef struct packed {
    logic [29:0] index;  // of its first byte
    lines_t      lines;
  } burst_t;

  function automatic logic [8:0] beats(lines_t lines);
    return 9'(32'(lines) * LineBeats);
  endfunction

  function automatic logic [31:0] bytes(lines_t lines);
    return {19'b0, lines, 6'b0};
  endfunction

  // --- state -------------------------------------------------------------------------------------------

  typedef enum logic [2:0] {Off, Start, Run, Halt, Drain} state_e;
  state_e state_q;
  logic   run, off, stop, leave, started, fault, quiet;

  assign run  = state_q == Run;
  assign off  = state_q == Off;
  assign stop = reset_i || !enable_i;

  assign leave   = off && !stop && config_ok_i && side_up_i;
  assign started = !prod_word_q && !prod_wait_q && !cons_word_q && !cons_wait_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Off;
    end else begin
      unique case (state_q)
        Off:     if (leave) state_q <= Start; else if (config_fault) state_q <= Halt;
        Start:   if (stop) state_q <= Drain; else if (fault) state_q <= Halt; else if (started) state_q <= Run;
        Run:     if (stop) state_q <= Drain; else if (fault) state_q <= Halt;
        Halt:    if (stop) state_q <= Drain;
        default: if (quiet) state_q <= Off;
      endcase
    end
  end

  // --- indices -----------------------------------------------------------------------------------------
  // All free-running byte counts, in this order at any time, no further apart than one ring:
  //   consumed <= published <= offered <= acked <= planned <= target

  logic [31:0] target_q;     // the producer's last good prod
  logic [31:0] planned_q;    // up to here bursts are planned
  logic [31:0] read_q;       // the next beat on R
  logic [31:0] acked_q;      // up to here written and acknowledged
  logic [31:0] goal_q;       // the prod to publish next: always a doorbell's value, so always whole records
  logic [31:0] offered_q;    // the consumer may have seen this much
  logic [31:0] published_q;  // and it certainly can see this much
  logic [31:0] consumed_q;   // the consumer's last good cons
  logic [31:0] returned_q;   // the cons that the producer can see

  // --- doorbells ---------------------------------------------------------------------------------------
  // prod must not pass what the consumer has freed: the engine never overwrites unread bytes.

  logic [31:0] room;
  logic        prod_good, cons_good, bad_prod, bad_cons;

  assign room      = {2'b0, ring_mask_i} + 32'd1 - (target_q - consumed_q);
  assign prod_good = prod_i[5:0] == '0 && (prod_i - target_q) <= room;
  assign cons_good = cons_i[5:0] == '0 && (cons_i - consumed_q) <= (offered_q - consumed_q);
  assign bad_prod  = run && prod_valid_i && !prod_good;
  assign bad_cons  = run && cons_valid_i && !cons_good;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      target_q   <= start_i;
      consumed_q <= start_i;
    end else if (run) begin
      if (prod_valid_i && prod_good) target_q <= prod_i;
      if (cons_valid_i && cons_good) consumed_q <= cons_i;
    end
  end

  // --- plan: cut [planned, target) into bursts ---------------------------------------------------------

  logic        plan_valid_q, plan_take;
  burst_t      plan_q;
  logic [31:0] to_do;
  lines_t      in_page, cut;

  assign to_do   = target_q - planned_q;
  assign in_page = lines_t'(PageLines) - {1'b0, planned_q[11:6]};

  always_comb begin
    cut = in_page < lines_t'(BurstLines) ? in_page : lines_t'(BurstLines);
    if (to_do < bytes(cut)) cut = to_do[12:6];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      plan_valid_q <= 1'b0;
      planned_q    <= start_i;
    end else if (plan_take) begin
      plan_valid_q <= 1'b0;
    end else if (run && !plan_valid_q && to_do != '0) begin
      plan_valid_q <= 1'b1;
      planned_q    <= planned_q + bytes(cut);
    end
    if (!plan_valid_q) plan_q <= '{index: planned_q[29:0], lines: cut};
  end

  // --- AR: only with space in the FIFO for the whole burst, so R never waits ------------------------------

  logic [FreeW-1:0]  free_q;     // beats of the FIFO that nobody counts on
  logic [CountW-1:0] reads_q;    // bursts between AR and their last R beat
  logic [CountW-1:0] whole_q;    // bursts read completely and not yet handed to AW
  logic              queue_ready, queue_valid, aw_take;
  logic              r_end, w_beat;
  burst_t            queue_head;

  assign ar_valid_o  = run && plan_valid_q && queue_ready && 32'(free_q) >= 32'(beats(plan_q.lines));
  assign ar_offset_o = src_ring_i + (plan_q.index & ring_mask_i);
  assign ar_len_o    = 8'(beats(plan_q.lines) - 9'd1);
  assign plan_take   = ar_valid_o && ar_ready_i;
  assign r_end       = r_valid_i && r_last_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      reads_q <= '0;
      whole_q <= '0;
      free_q  <= FreeW'(FifoBeats);
      read_q  <= start_i;
    end else begin
      reads_q <= reads_q + CountW'(plan_take) - CountW'(r_end);
      whole_q <= whole_q + CountW'(r_end) - CountW'(aw_take);
      free_q  <= free_q - (plan_take ? FreeW'(beats(plan_q.lines)) : '0) + FreeW'(w_beat);
      if (r_valid_i) read_q <= read_q + BeatBytes;
    end
  end

  vnc_fifo #(.Width($bits(burst_t)), .Depth(ReadsMax)) i_burst_queue (
    .clk_i, .rst_ni, .clear_i(off),
    .in_valid_i(plan_take), .in_ready_o(queue_ready), .in_data_i(plan_q),
    .out_valid_o(queue_valid), .out_ready_i(aw_take), .out_data_o(queue_head)
  );

  // --- data FIFO ---------------------------------------------------------------------------------------

  logic data_ready, data_valid;

  vnc_fifo #(.Width(DataW), .Depth(FifoBeats)) i_data_fifo (
    .clk_i, .rst_ni, .clear_i(off),
    .in_valid_i(r_valid_i), .in_ready_o(data_ready), .in_data_i(r_data_i),
    .out_valid_o(data_valid), .out_ready_i(w_beat), .out_data_o(w_data_o)
  );

  // --- AW, W: bursts that have been read completely --------------------------------------------------------

  logic [8:0] w_left_q, w_next_q;  // beats to go of the burst on W, and of the one whose AW went out ahead of it
  logic       w_end;
  logic       ack_ready, ack_valid;
  lines_t     ack_lines;

  assign aw_valid_o  = run && w_next_q == '0 && whole_q != '0 && queue_valid && ack_ready;
  assign aw_take     = aw_valid_o && aw_ready_i;
  assign aw_offset_o = dst_ring_i + (queue_head.index & ring_mask_i);
  assign aw_len_o    = 8'(beats(queue_head.lines) - 9'd1);
  assign w_valid_o   = w_left_q != '0 && data_valid;
  assign w_last_o    = w_left_q == 9'd1;
  assign w_beat      = w_valid_o && w_ready_i;
  assign w_end       = w_beat && w_last_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      w_left_q <= '0;
      w_next_q <= '0;
    end else if (w_left_q == '0 || w_end) begin
      w_left_q <= w_next_q != '0 ? w_next_q : aw_take ? beats(queue_head.lines) : '0;
      w_next_q <= '0;
    end else begin
      w_left_q <= w_left_q - 9'(w_beat);
      if (aw_take) w_next_q <= beats(queue_head.lines);
    end
  end

  // --- B: count what is acknowledged -----------------------------------------------------------------------
  // Responses of one id come in order, so each belongs to the oldest burst.

  logic [CountW-1:0] writes_q;  // bursts between AW and B
  logic              b_good;

  vnc_fifo #(.Width($bits(lines_t)), .Depth(ReadsMax)) i_ack_queue (
    .clk_i, .rst_ni, .clear_i(off),
    .in_valid_i(aw_take), .in_ready_o(ack_ready), .in_data_i(queue_head.lines),
    .out_valid_o(ack_valid), .out_ready_i(b_valid_i), .out_data_o(ack_lines)
  );

  assign b_good        = b_valid_i && !b_error_i;
  assign burst_event_o = run && b_good;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      writes_q <= '0;
      acked_q  <= start_i;
    end else begin
      writes_q <= writes_q + CountW'(aw_take) - CountW'(b_valid_i);
      // Not in Halt: a response after a failed one must not stand in for it.
      if (run && b_good) acked_q <= acked_q + bytes(ack_lines);
    end
  end

  // --- publish -----------------------------------------------------------------------------------------

  logic prod_word_q, prod_wait_q;  // requested; taken and not yet acknowledged
  logic prod_first_q;              // the word that Start writes is no publication
  logic prod_start;

  assign prod_start = run && !prod_word_q && !prod_wait_q && goal_q != published_q &&
                      (acked_q - published_q) >= (goal_q - published_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      goal_q      <= start_i;
      offered_q   <= start_i;
      published_q <= start_i;
      prod_word_q <= leave;
      prod_wait_q <= 1'b0;
      prod_first_q <= 1'b1;
    end else begin
      if (run && goal_q == published_q) goal_q <= target_q;
      if (prod_start) begin
        prod_word_q <= 1'b1;
        offered_q   <= goal_q;
      end else if (prod_word_ready_i) begin
        prod_word_q <= 1'b0;
      end
      if (prod_word_q && prod_word_ready_i) prod_wait_q <= 1'b1;
      if (prod_wait_q && prod_word_done_i) begin
        prod_wait_q  <= 1'b0;
        prod_first_q <= 1'b0;
        if (!prod_word_error_i) published_q <= goal_q;
      end
    end
  end

  assign prod_word_valid_o = prod_word_q;
  assign prod_word_offset_o = 30'(ProdLine);
  assign prod_word_o       = goal_q;
  assign publish_event_o   = prod_wait_q && prod_word_done_i && !prod_word_error_i && !prod_first_q;
  assign publish_bytes_o   = goal_q - published_q;

  // --- cons goes back ----------------------------------------------------------------------------------

  logic        cons_word_q, cons_wait_q, cons_first_q;
  logic [31:0] cons_sent_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      cons_word_q  <= leave;
      cons_wait_q  <= 1'b0;
      cons_first_q <= 1'b1;
      cons_sent_q  <= start_i;
      returned_q   <= start_i;
    end else begin
      if (run && !cons_word_q && !cons_wait_q && consumed_q != returned_q) begin
        cons_word_q <= 1'b1;
        cons_sent_q <= consumed_q;
      end else if (cons_word_ready_i) begin
        cons_word_q <= 1'b0;
      end
      if (cons_word_q && cons_word_ready_i) cons_wait_q <= 1'b1;
      if (cons_wait_q && cons_word_done_i) begin
        cons_wait_q  <= 1'b0;
        cons_first_q <= 1'b0;
        if (!cons_word_error_i) returned_q <= cons_sent_q;
      end
    end
  end

  assign cons_word_valid_o = cons_word_q;
  assign cons_word_offset_o = 30'(ConsLine);
  assign cons_word_o       = cons_sent_q;
  assign cons_event_o      = cons_wait_q && cons_word_done_i && !cons_word_error_i && !cons_first_q;

  // --- faults: the first one is kept ------------------------------------------------------------------------

  logic        read_fault, write_fault, prod_fault, cons_fault, config_fault;
  logic [3:0]  cause_q;
  logic [29:0] fault_offset_q;  // for a bus fault, where in which window
  logic        fault_at_dst_q;
  logic [31:0] fault_value_q;   // for a bad index, the value
  logic        fault_is_value;
  logic [63:0] fault_addr;

  assign read_fault   = r_valid_i && r_error_i;
  assign write_fault  = b_valid_i && b_error_i;
  assign prod_fault   = prod_wait_q && prod_word_done_i && prod_word_error_i;
  assign cons_fault   = cons_wait_q && cons_word_done_i && cons_word_error_i;
  assign config_fault = off && !stop && !config_ok_i;
  assign fault        = (run || state_q == Start) &&
                        (read_fault || write_fault || prod_fault || cons_fault || bad_prod || bad_cons);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cause_q <= '0;
    end else if (config_fault) begin
      cause_q       <= 4'(vnc_pkg::CauseConfig);
      fault_value_q <= '0;
    end else if (off) begin
      cause_q       <= 4'(vnc_pkg::CauseNone);
      fault_value_q <= '0;
    end else if (fault) begin
      if (read_fault) begin
        cause_q        <= 4'(vnc_pkg::CauseRead);
        fault_at_dst_q <= 1'b0;
        fault_offset_q <= src_ring_i + (read_q[29:0] & ring_mask_i);
      end else if (write_fault) begin
        cause_q        <= 4'(vnc_pkg::CauseWrite);
        fault_at_dst_q <= 1'b1;
        fault_offset_q <= dst_ring_i + (acked_q[29:0] & ring_mask_i);
      end else if (prod_fault) begin
        cause_q        <= 4'(vnc_pkg::CauseProdWrite);
        fault_at_dst_q <= 1'b1;
        fault_offset_q <= prod_word_offset_o;
      end else if (cons_fault) begin
        cause_q        <= 4'(vnc_pkg::CauseConsWrite);
        fault_at_dst_q <= 1'b0;
        fault_offset_q <= cons_word_offset_o;
      end else if (bad_prod) begin
        cause_q       <= 4'(vnc_pkg::CauseBadProd);
        fault_value_q <= prod_i;
      end else begin
        cause_q       <= 4'(vnc_pkg::CauseBadCons);
        fault_value_q <= cons_i;
      end
    end
  end

  vnc_address i_fault_address (
    .base_i        (fault_at_dst_q ? dst_base_i : src_base_i),
    .window_mask_i (fault_at_dst_q ? dst_window_mask_i : src_window_mask_i),
    .offset_i      (fault_offset_q),
    .address_o     (fault_addr)
  );

  assign fault_is_value = cause_q inside {4'(vnc_pkg::CauseNone), 4'(vnc_pkg::CauseConfig),
                                          4'(vnc_pkg::CauseBadProd), 4'(vnc_pkg::CauseBadCons)};

  always_ff @(posedge clk_i) error_addr_o <= fault_is_value ? {32'b0, fault_value_q} : fault_addr;

  // --- and out -----------------------------------------------------------------------------------------

  assign quiet = reads_q == '0 && writes_q == '0 && !prod_word_q && !prod_wait_q &&
                 !cons_word_q && !cons_wait_q;

  assign off_o         = off;
  assign run_o         = run;
  assign halt_o        = state_q == Halt;
  assign drain_o       = state_q == Drain;
  assign cause_o       = cause_q;
  assign published_o   = published_q;
  assign returned_o    = returned_q;
  assign error_event_o = fault || config_fault;

  // The FIFO has space for every beat asked for, and a response always finds its burst: not looked at.
  logic unused;
  assign unused = data_ready ^ ack_valid;
endmodule
