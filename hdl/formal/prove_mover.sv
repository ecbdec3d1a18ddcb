// SPDX-License-Identifier: MIT
//
// prove_mover: for all doorbells, resets, errors and delays, vnc_mover publishes an index only after everything
// that it covers was acknowledged, keeps its indices in order, and has nothing outstanding when it is Off.
//
//   doorbells, resets, enable --> vnc_mover <--> a source that answers reads, and a destination that answers
//                                                writes, each in order, at any time, with or without error
//
// The source is a memory in which each beat holds its own index.  Only the FIFO handles data, so a beat with the
// right number in the right place stands for any data.  FIFOs are fifo_model.
//
// Scaled down: 512 bit, bursts of one or two beats, two reads, two queued doorbells.  Rings have their real sizes.
//
// The value of a doorbell is stable until the next one (prove_axil_regs).
//
// Assumed: the configuration is stable while enabled or not Off, and valid when config_ok_i is set (prove_config);
// start_i is a multiple of 64 (prove_axil_regs); the beats of a burst are taken from its second cycle on
// (prove_write_port); every answer belongs to an outstanding request, and RLAST is on the last beat.

module prove_mover (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        enable_i,
  input logic        reset_i,
  input logic        config_ok_i,
  input logic        side_up_i,
  input logic [31:0] start_i,
  input logic [29:0] ring_mask_i,
  input logic [29:0] src_ring_i,
  input logic [29:0] dst_ring_i,
  input logic        prod_valid_i,
  input logic [31:0] prod_i,
  input logic        cons_valid_i,
  input logic [31:0] cons_i,
  input logic        ar_ready_i,
  input logic        r_valid_i,
  input logic        r_error_i,
  input logic        aw_ready_i,
  input logic        w_ready_i,
  input logic        b_valid_i,
  input logic        b_error_i,
  input logic        prod_word_ready_i,
  input logic        prod_word_done_i,
  input logic        prod_word_error_i,
  input logic        cons_word_ready_i,
  input logic        cons_word_done_i,
  input logic        cons_word_error_i,
  input logic        prod_check_done_i,
  input logic        cons_check_done_i,
  input logic [31:0] some_i     // any one index, constant
);
  localparam int unsigned DataW = 512, BurstBeats = 2, ReadsMax = 2;
  localparam int unsigned FifoBeats = ReadsMax * BurstBeats;
  localparam logic [31:0] ProdLine = 32'h800, ConsLine = 32'h880;

  vnc_status_pkg::direction_t direction;
  vnc_status_pkg::events_t    events;
  logic             off, run, halt, drain;
  logic             ar_valid, aw_valid, w_valid, w_last, prod_word_valid, cons_word_valid;
  logic             prod_check_valid, cons_check_valid;
  logic [29:0]      ar_offset, aw_offset, prod_word_offset, cons_word_offset;
  logic [7:0]       ar_len, aw_len;
  logic [DataW-1:0] w_data;
  logic [31:0]      prod_word, cons_word;
  logic [31:0]      g_r_q;     // index of the beat on R
  logic             r_last;

  assign {off, run, halt, drain} = {direction.off, direction.run, direction.halt, direction.drain};

  // Free, because not connected: need_wakeup, its reads, and the signals of the watchdogs.
  vnc_mover #(
    .DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax), .ProdLine(ProdLine), .ConsLine(ConsLine)
  ) dut (
    .clk_i, .rst_ni, .enable_i, .reset_i, .config_ok_i, .side_up_i, .start_i,
    .ring_mask_i, .src_ring_i, .dst_ring_i,
    .prod_valid_i, .prod_i, .cons_valid_i, .cons_i, .direction_o(direction), .events_o(events),
    .ar_valid_o(ar_valid), .ar_ready_i, .ar_offset_o(ar_offset), .ar_len_o(ar_len),
    .r_valid_i, .r_data_i(DataW'(g_r_q)), .r_error_i, .r_last_i(r_last),
    .aw_valid_o(aw_valid), .aw_ready_i, .aw_offset_o(aw_offset), .aw_len_o(aw_len),
    .w_valid_o(w_valid), .w_ready_i, .w_data_o(w_data), .w_last_o(w_last),
    .b_valid_i, .b_error_i,
    .prod_word_valid_o(prod_word_valid), .prod_word_ready_i, .prod_word_offset_o(prod_word_offset),
    .prod_word_o(prod_word), .prod_word_done_i, .prod_word_error_i,
    .cons_word_valid_o(cons_word_valid), .cons_word_ready_i, .cons_word_offset_o(cons_word_offset),
    .cons_word_o(cons_word), .cons_word_done_i, .cons_word_error_i,
    .prod_check_valid_o(prod_check_valid), .prod_check_done_i, .cons_check_valid_o(cons_check_valid), .cons_check_done_i
  );

  defparam dut.i_publisher.Depth = 2;

  // --- shadow: outstanding requests at source and destination ----------------------------------------------------
  // Lists of bursts by beats, oldest first, as long as the queues of the mover allow.

  localparam int unsigned Most = ReadsMax + 1;

  logic             started_q = 1'b0;
  logic             ar_beat, aw_beat, w_beat, w_end, r_end;
  logic [1:0]       reads_q [Most];    // beats still to come of each read
  logic [2:0]       n_reads_q;
  logic [1:0]       writes_q [Most];   // beats of each write without B
  logic [2:0]       n_writes_q;
  logic [2:0]       n_whole_q;         // number of these with all their beats
  logic [1:0]       w_sent_q;          // beats sent of the first incomplete one
  logic             aw_before_q;       // a write was requested in the cycle before
  logic             prod_open_q, cons_open_q;  // an index word taken and not answered

  // Indices reached by read requests, write requests, written beats, and gapless OKAY responses.
  logic [31:0]      g_ar_q, g_aw_q, g_w_q, g_ack_q;
  logic             torn_q;                // a write failed: later responses are not counted
  logic [2:0]       failed_q;              // cycles since a failure, up to 7
  logic             good_q;                // on leaving Off, the configuration was valid and the side blocks copied
  logic             some_doorbell_q;       // some_i was a doorbell value since Off, or is the start index
  logic [31:0]      target, consumed;
  logic [31:0]      ring;

  assign ring    = {2'b0, ring_mask_i} + 32'd1;
  assign ar_beat = ar_valid && ar_ready_i;
  assign aw_beat = aw_valid && aw_ready_i;
  assign w_beat  = w_valid && w_ready_i;
  assign w_end   = w_beat && w_last;
  assign r_last  = reads_q[0] == 2'd1;
  assign r_end   = r_valid_i && r_last;

  assign target   = dut.target;
  assign consumed = dut.consumed;

  for (genvar n = 0; n < Most; n++) begin : g_lists
    always_ff @(posedge clk_i) begin
      if (ar_beat && n_reads_q == 3'(n) + 3'(r_end)) reads_q[n] <= ar_len[1:0] + 2'd1;
      else if (r_end && n + 1 < Most) reads_q[n] <= reads_q[(n + 1) % Most];
      else if (r_valid_i && n == 0) reads_q[n] <= reads_q[n] - 2'd1;
      if (aw_beat && n_writes_q == 3'(n) + 3'(b_valid_i)) writes_q[n] <= aw_len[1:0] + 2'd1;
      else if (b_valid_i && n + 1 < Most) writes_q[n] <= writes_q[(n + 1) % Most];
    end
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) begin
      aw_before_q <= 1'b0;
      n_reads_q   <= '0;
      n_writes_q  <= '0;
      n_whole_q   <= '0;
      w_sent_q    <= '0;
      prod_open_q <= 1'b0;
      cons_open_q <= 1'b0;
    end else begin
      aw_before_q <= aw_beat;
      n_reads_q   <= n_reads_q + 3'(ar_beat) - 3'(r_end);
      n_writes_q  <= n_writes_q + 3'(aw_beat) - 3'(b_valid_i);
      n_whole_q   <= n_whole_q + 3'(w_end) - 3'(b_valid_i);
      if (w_beat) w_sent_q <= w_last ? '0 : w_sent_q + 2'd1;
      prod_open_q <= (prod_open_q || (prod_word_valid && prod_word_ready_i)) && !prod_word_done_i;
      cons_open_q <= (cons_open_q || (cons_word_valid && cons_word_ready_i)) && !cons_word_done_i;
    end
  end

  always_ff @(posedge clk_i) if (off) good_q <= config_ok_i && side_up_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || off) begin
      g_ar_q          <= start_i;
      g_r_q           <= start_i;
      g_aw_q          <= start_i;
      g_w_q           <= start_i;
      g_ack_q         <= start_i;
      torn_q          <= 1'b0;
      failed_q        <= '0;
      some_doorbell_q <= some_i == start_i;
    end else begin
      if (ar_beat) g_ar_q <= g_ar_q + {22'b0, 10'(ar_len) + 10'd1} * 32'd64;
      if (r_valid_i) g_r_q <= g_r_q + 32'd64;
      if (aw_beat) g_aw_q <= g_aw_q + {22'b0, 10'(aw_len) + 10'd1} * 32'd64;
      if (w_beat) g_w_q <= g_w_q + 32'd64;
      if (b_valid_i && !b_error_i && !torn_q) g_ack_q <= g_ack_q + 32'(writes_q[0]) * 32'd64;
      if (b_valid_i && b_error_i) torn_q <= 1'b1;
      if (failed_q != '0 || (r_valid_i && r_error_i) || (b_valid_i && b_error_i) ||
          (prod_word_done_i && prod_word_error_i) || (cons_word_done_i && cons_word_error_i)) begin
        failed_q <= failed_q == '1 ? '1 : failed_q + 3'd1;
      end
      if (run && prod_valid_i && prod_i == some_i) some_doorbell_q <= 1'b1;
    end
  end

  // --- assumed -------------------------------------------------------------------------------------------

  always_comb begin
    if (!started_q) assume (!rst_ni);
    assume (start_i[5:0] == '0 && src_ring_i[11:0] == '0 && dst_ring_i[11:0] == '0);
    if (config_ok_i && enable_i) assume ((ring_mask_i & (ring_mask_i + 30'd1)) == '0 && ring_mask_i[11:0] == '1 &&
      !ring_mask_i[29]);
    assume (!w_ready_i || !(aw_before_q && n_writes_q - n_whole_q == 3'd1));
    assume (!r_valid_i || n_reads_q != '0);
    assume (!b_valid_i || n_whole_q != '0);
    assume (!prod_word_done_i || prod_open_q);
    assume (!cons_word_done_i || cons_open_q);
    assume (!prod_check_done_i || dut.prod_check_busy);
    assume (!cons_check_done_i || dut.cons_check_busy);
  end

  always_ff @(posedge clk_i) begin
    if (started_q) begin
      assume ($stable(some_i));
      assume ((prod_valid_i || $stable(prod_i)) && (cons_valid_i || $stable(cons_i)));
      if ($past(!off || enable_i)) assume ($stable(ring_mask_i) && $stable(src_ring_i) && $stable(dst_ring_i));
    end
  end

  // --- proved: guarantees --------------------------------------------------------------------------------------

  function automatic logic in_page(logic [29:0] offset, logic [7:0] len);
    return offset[5:0] == '0 && 13'(offset[11:0]) + (13'(len) + 13'd1) * 13'd64 <= 13'd4096;
  endfunction

  function automatic logic [25:0] lines_of(logic [7:0] len);
    return 26'(len) + 26'd1;
  endfunction

  logic [25:0] c_ring;
  assign c_ring = ring[31:6];

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      // Reads and writes follow the ring without gap or overlap, and stay within the produced bytes.
      a_reads_follow_the_ring: assert (!ar_valid || ar_offset == src_ring_i + (g_ar_q[29:0] & ring_mask_i));
      a_reads_stay_in_their_page: assert (!ar_valid || in_page(ar_offset, ar_len));
      a_reads_only_produced_bytes: assert (!ar_valid || 26'(target[31:6] - g_ar_q[31:6]) - lines_of(ar_len) <= c_ring);
      a_writes_follow_the_ring: assert (!aw_valid || aw_offset == dst_ring_i + (g_aw_q[29:0] & ring_mask_i));
      a_writes_stay_in_their_page: assert (!aw_valid || in_page(aw_offset, aw_len));
      a_writes_only_into_free_space: assert (!aw_valid ||
        26'(g_aw_q[31:6] - consumed[31:6]) + lines_of(aw_len) <= c_ring);
      a_writes_only_what_was_read: assert (!aw_valid || 26'(g_r_q[31:6] - g_aw_q[31:6]) - lines_of(aw_len) <= c_ring);
      a_beat_lands_where_it_was_read: assert (!w_valid || w_data[31:0] == g_w_q);
      a_wlast_on_the_last_beat: assert (!w_valid || w_last == (w_sent_q + 2'd1 == writes_q[n_whole_q[1:0]]));
      a_no_beat_without_its_address: assert (!w_valid || n_writes_q != n_whole_q);
      a_read_beat_has_a_place: assert (!r_valid_i || dut.i_reader.data_ready);
      a_answer_finds_its_burst: assert (!b_valid_i || dut.i_writer.ack_valid);

      // Publishing.
      a_published_only_when_acknowledged: assert (!prod_word_valid || 26'(g_ack_q[31:6] - prod_word[31:6]) <= c_ring &&
        prod_word[5:0] == '0);
      a_published_only_doorbell_values: assert (!prod_word_valid || prod_word != some_i || some_doorbell_q);
      a_one_word_at_a_time: assert (!(prod_word_valid && prod_open_q) && !(cons_word_valid && cons_open_q));
      a_words_go_to_their_lines: assert (prod_word_offset == ProdLine[29:0] && cons_word_offset == ConsLine[29:0]);
      a_event_only_when_acknowledged: assert (!events.published || (prod_word_done_i && !prod_word_error_i));

      // In Off nothing is outstanding.
      a_off_means_nothing_outstanding: assert (!off || (n_reads_q == '0 && n_writes_q == '0 && !prod_open_q &&
        !cons_open_q &&
        !ar_valid && !aw_valid && !w_valid && !prod_word_valid && !cons_word_valid &&
        !dut.prod_check_busy && !dut.cons_check_busy));
      a_requests_only_with_a_valid_configuration: assert (good_q || (!ar_valid && !aw_valid && !prod_word_valid &&
        !cons_word_valid && !prod_check_valid && !cons_check_valid));
      i_run: assert (run == (dut.state_q == 3'd2));
      a_failure_ends_run: assert (failed_q < 3'd4 || !run);

      if ($past(rst_ni)) begin
        a_w_is_stable: assert (!$past(w_valid && !w_ready_i) ||
          (w_valid && $stable(w_data[31:0]) && $stable(w_last)));
        a_prod_word_is_stable: assert (!$past(prod_word_valid && !prod_word_ready_i) ||
          (prod_word_valid && $stable(prod_word)));
        a_cons_word_is_stable: assert (!$past(cons_word_valid && !cons_word_ready_i) ||
          (cons_word_valid && $stable(cons_word)));
        a_cons_word_is_a_doorbell_value: assert (!cons_word_valid || $past(cons_word_valid || off) ||
          cons_word == $past(consumed));
        // The ports use a request only in the cycle in which they take it, so Halt and Drain may withdraw one; in
        // Run it is stable.
        a_ar_is_stable: assert (!($past(run && ar_valid && !ar_ready_i) && run) ||
          (ar_valid && $stable(ar_offset) && $stable(ar_len)));
        a_aw_is_stable: assert (!($past(run && aw_valid && !aw_ready_i) && run) ||
          (aw_valid && $stable(aw_offset) && $stable(aw_len)));
        a_nothing_new_outside_run: assert ($past(run || off) ||
          ((run || (!ar_valid && !aw_valid)) && (!prod_word_valid || $past(prod_word_valid)) &&
           (!cons_word_valid || $past(cons_word_valid))));
        a_leaves_off_only_when_enabled: assert (!$past(off && (!enable_i || reset_i)) || off);
        a_run_only_when_enabled: assert (!run || $past(enable_i));
        a_reset_leaves_run: assert (!$past(reset_i && !off) || drain || off);
      end
    end
  end

  // Invariants of the inside that the induction needs, and the order of all indices.
  `include "mover_inside.svh"

  // --- reachable ------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      c_line_published: cover (events.published && events.published_bytes == 32'd64);
      c_two_reads_open: cover (n_reads_q == 3'd2);
      c_write_error_halts: cover (halt && torn_q);
      c_drain_with_a_read_open: cover (drain && n_reads_q != '0);
      c_cons_returned: cover (cons_open_q && cons_word_done_i && !cons_word_error_i && cons_word == 32'h1040 &&
        some_i == 32'h1040);
    end
  end
endmodule
