// SPDX-License-Identifier: MIT
//
// mover_inside: the part of prove_mover that refers to the inside of the mover; included in that module.
//
//   doorbells -> target -> planner -> burst queue, reads -> data FIFO -> writes -> acked -> published
//
// Each stage holds a contiguous part of the ring, and the parts adjoin: the equations state this.

  // --- what induction needs to know ------------------------------------------------------------------------

  localparam int unsigned LinesW = 7, Doorbells = 4;

  logic        starting;
  logic [2:0]  whole, n_burst, n_data, n_part, n_requests, n_acks;
  logic [4:0]  n_doorbells;
  logic [6:0]  burst_lines [Most];
  logic [29:0] burst_index [Most];
  logic [31:0] burst_at [Most + 1];     // start of each burst of the queue, continued from the writes
  logic [2:0]  read_beats [Most + 1];   // outstanding beats of the first n reads
  logic [2:0]  held_beats [Most + 1];   // beats read for the first n bursts of the queue
  logic [2:0]  open_beats [Most + 1];   // beats of the first n writes
  logic [2:0]  ar_beats, aw_beats, left_beats;  // of the requested bursts; on W and next on W
  // Distances from the consumed index, in lines: small numbers that can be compared.
  logic [25:0] c_next, c_offered, c_ack, c_aw, c_ar, c_planned, c_target, c_latest, c_queued;

  assign starting    = dut.state_q == 3'd1;
  assign n_burst     = 3'(dut.i_reader.i_burst_queue.count_q);
  assign n_data      = 3'(dut.i_reader.i_data_fifo.count_q);
  assign n_acks      = 3'(dut.i_writer.i_ack_queue.count_q);
  assign n_doorbells = 5'(dut.i_publisher.i_doorbells.count_q);
  assign n_part      = n_writes_q - n_whole_q;
  assign n_requests  = 3'(dut.i_reader.request_q);
  assign whole       = n_burst - n_reads_q - n_requests;
  assign ar_beats    = dut.i_reader.request_q ? 3'(dut.i_reader.ar_len_o) + 3'd1 : '0;
  assign aw_beats    = dut.i_writer.request_q ? 3'(dut.i_writer.lines_q) : '0;
  assign left_beats  = (dut.i_writer.left_valid_q ? 3'(dut.i_writer.left_q) : '0) +
                      (dut.i_writer.next_valid_q ? 3'(dut.i_writer.next_q) : '0);
  assign c_next     = dut.i_publisher.next_q - consumed[31:6];
  assign c_queued   = dut.i_publisher.queued_q - consumed[31:6];
  assign c_latest   = dut.i_publisher.latest_q - consumed[31:6];
  assign c_offered  = dut.offered[31:6] - consumed[31:6];
  assign c_ack      = g_ack_q[31:6] - consumed[31:6];
  assign c_aw       = g_aw_q[31:6] - consumed[31:6];
  assign c_ar       = g_ar_q[31:6] - consumed[31:6];
  assign c_planned  = dut.i_planner.planned_q - consumed[31:6];
  assign c_target   = target[31:6] - consumed[31:6];

  assign burst_at[0]   = g_aw_q + 32'(aw_beats) * 32'd64;
  assign read_beats[0] = '0;
  assign held_beats[0] = '0;
  assign open_beats[0] = '0;

  for (genvar n = 0; n < Most; n++) begin : g_inside
    logic [2:0] at;  // the read that fills this burst of the queue
    assign at             = 3'(n) - whole;
    assign burst_lines[n] = dut.i_reader.i_burst_queue.list_q[n][LinesW-1:0];
    assign burst_index[n] = dut.i_reader.i_burst_queue.list_q[n][LinesW+:30];
    assign burst_at[n+1]  = burst_at[n] + (3'(n) < n_burst ? 32'(burst_lines[n]) * 32'd64 : '0);
    assign read_beats[n+1] = read_beats[n] + (3'(n) < n_reads_q ? 3'(reads_q[n]) : '0);
    assign held_beats[n+1] = held_beats[n] + (3'(n) < whole ? 3'(burst_lines[n]) :
      3'(n) == whole && n_reads_q != '0 ? 3'(burst_lines[n]) - 3'(reads_q[0]) : '0);
    assign open_beats[n+1] = open_beats[n] + (3'(n) < n_writes_q ? 3'(writes_q[n]) : '0);

    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        if (3'(n) < n_burst) begin
          i_burst_index: assert (burst_index[n] == burst_at[n][29:0] &&
            in_page(burst_index[n], 8'(burst_lines[n]) - 8'd1));
          i_burst_lines: assert (burst_lines[n] == 7'd1 || burst_lines[n] == 7'd2);
          i_read_beats: assert (3'(n) < whole ||
            (at == n_reads_q ? 3'(burst_lines[n]) == ar_beats :
             at == '0 ? reads_q[0] != '0 && 7'(reads_q[0]) <= burst_lines[n] : 7'(reads_q[at[1:0]]) == burst_lines[n]));
        end
        if (3'(n) < n_writes_q) begin
          i_write_beats: assert (7'(writes_q[n]) ==
            (3'(n) < n_acks ? dut.i_writer.i_ack_queue.list_q[n] : dut.i_writer.counted_lines_q) &&
            (writes_q[n] == 2'd1 || writes_q[n] == 2'd2));
        end
      end
    end
  end

  for (genvar n = 0; n < FifoBeats + 2; n++) begin : g_data
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni && 3'(n) < n_data) begin
        i_beat: assert (dut.i_reader.i_data_fifo.list_q[n][31:0] == g_w_q + 32'(n) * 32'd64);
      end
    end
  end

  for (genvar n = 0; n < Doorbells; n++) begin : g_doorbells
    logic [25:0] c_here, c_before;
    assign c_here = dut.i_publisher.i_doorbells.list_q[n] - consumed[31:6];
    if (n == 0) begin : g_first
      assign c_before = c_next;
    end else begin : g_later
      assign c_before = dut.i_publisher.i_doorbells.list_q[n-1] - consumed[31:6];
    end
    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni && 5'(n) < n_doorbells) begin
        i_doorbells_in_order: assert (c_before <= c_here);
        i_doorbells_behind_queued: assert (c_here <= c_queued);
        i_doorbells_rung: assert ({dut.i_publisher.i_doorbells.list_q[n], 6'b0} != some_i || some_doorbell_q);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      a_published_behind_acknowledged: assert (c_offered <= c_next && c_next <= c_ack);
      a_acknowledged_behind_written: assert (c_ack <= c_aw);
      a_written_behind_read: assert (c_aw <= c_ar);
      a_read_behind_planned: assert (c_ar <= c_planned);
      a_planned_behind_target: assert (c_planned <= c_target);
      a_target_within_a_ring: assert (c_target <= c_ring);
      i_state: assert (dut.state_q <= 3'd4 && (!torn_q || failed_q != '0));
      i_mask: assert (!(run || starting) ||
        ((ring_mask_i & (ring_mask_i + 30'd1)) == '0 && ring_mask_i[11:0] == '1 && !ring_mask_i[29]));
      i_words: assert (prod_open_q == (dut.i_prod_word.state_q == 3'd2) &&
        cons_open_q == (dut.i_cons_word.state_q == 3'd2) &&
        dut.i_prod_word.state_q <= 3'd5 && dut.i_cons_word.state_q <= 3'd5);
      i_reads: assert (3'(dut.i_reader.reads_q) == n_reads_q && n_burst <= 3'(Most) && n_reads_q <= n_burst &&
        n_requests <= n_burst - n_reads_q && 3'(dut.i_reader.whole_q) <= whole);
      i_writes: assert (3'(dut.i_writer.writes_q) == n_acks && n_acks + 3'(aw_before_q) == n_writes_q &&
        dut.i_writer.counted_q == aw_before_q &&
        (!aw_before_q || n_part != '0) && !(aw_before_q && dut.i_writer.request_q) &&
        n_writes_q <= 3'(Most) && n_whole_q <= n_writes_q &&
        n_part == 3'(dut.i_writer.left_valid_q) + 3'(dut.i_writer.next_valid_q) &&
        (dut.i_writer.left_valid_q || !dut.i_writer.next_valid_q));
      a_write_has_a_place_in_the_queue: assert (!aw_before_q || dut.i_writer.ack_ready);
      i_answerable: assert (n_whole_q == '0 || dut.i_writer.i_ack_queue.due_q);
      i_places: assert (5'(dut.i_reader.free_q) + 5'(n_data) + 5'(read_beats[Most]) + 5'(ar_beats) == 5'(FifoBeats));
      i_has_room: assert (!dut.i_reader.has_room_q || dut.i_reader.taken_q ||
        5'(dut.i_reader.free_q) >= 5'(BurstBeats));
      i_taken: assert (!dut.i_reader.taken_q || dut.i_reader.request_q);
      i_data: assert (5'(n_data) == 5'(held_beats[Most]) + 5'(aw_beats) + 5'(left_beats));
      i_requested_ar: assert (!dut.i_reader.request_q || (dut.i_reader.ar_len_o <= 8'd1 &&
        dut.i_reader.ar_offset_o == src_ring_i + (g_ar_q[29:0] & ring_mask_i) &&
        in_page(g_ar_q[29:0], dut.i_reader.ar_len_o)));
      i_requested_aw: assert (!dut.i_writer.request_q || (8'(dut.i_writer.lines_q) == dut.i_writer.aw_len_o + 8'd1 &&
        dut.i_writer.aw_len_o <= 8'd1 && dut.i_writer.aw_offset_o == dst_ring_i + (g_aw_q[29:0] & ring_mask_i) &&
        in_page(g_aw_q[29:0], dut.i_writer.aw_len_o)));
      i_part: assert ((n_part == '0 ? w_sent_q == '0 :
        9'(w_sent_q) + dut.i_writer.left_q == 9'(writes_q[n_whole_q[1:0]]) && dut.i_writer.left_q != '0 &&
        dut.i_writer.left_q <= 9'd2) &&
        (n_part != 3'd2 || dut.i_writer.next_q == 9'(writes_q[n_whole_q[1:0] + 2'd1])));
      i_indices: assert (g_w_q + 32'(left_beats) * 32'd64 == g_aw_q && g_w_q + 32'(n_data) * 32'd64 == g_r_q &&
        burst_at[Most] == g_ar_q + 32'(ar_beats) * 32'd64);
      i_plan: assert ({dut.i_planner.planned_q, 6'b0} == g_ar_q + 32'(ar_beats) * 32'd64 +
        (dut.plan_valid ? 32'(dut.plan.lines) * 32'd64 : '0));
      i_planned: assert (!dut.plan_valid || (dut.plan.index == g_ar_q[29:0] + 30'(ar_beats) * 30'd64 &&
        (dut.plan.lines == 7'd1 || dut.plan.lines == 7'd2) && in_page(dut.plan.index, 8'(dut.plan.lines) - 8'd1)));
      i_fresh: assert (!dut.i_planner.fresh_q || (dut.i_planner.to_do_q <= c_target - c_planned &&
        dut.i_planner.limit_q == 7'd2 - 7'(dut.i_planner.planned_q[0])));
      i_acked: assert (dut.acked == g_ack_q && dut.i_writer.failed_q == torn_q);
      i_ack_chain: assert (torn_q || g_ack_q + 32'(open_beats[Most]) * 32'd64 == g_aw_q);
      i_doorbells_count: assert (n_doorbells <= 5'(Doorbells));
      i_failed: assert (!(run || starting) || ((failed_q == '0 || dut.read_failed || dut.write_failed ||
        dut.prod_word_failed || dut.cons_word_failed) && (failed_q < 3'd2 || dut.fault) && failed_q < 3'd3));
      i_next_behind_queued: assert (c_next <= c_queued);
      i_queued_behind_latest: assert (c_queued <= c_latest);
      i_latest_behind_target: assert (c_latest <= c_target);
      i_covered: assert (!dut.i_publisher.covered_q || n_doorbells != '0);
      i_covered_behind_acked: assert (!dut.i_publisher.covered_q ||
        dut.i_publisher.i_doorbells.list_q[0] - consumed[31:6] <= c_ack);
      i_prod_check: assert (!(dut.i_prod_doorbell.differ_q || dut.i_prod_doorbell.judge_q) ||
        (dut.i_prod_doorbell.step_q == dut.i_prod_doorbell.value_q - target && dut.i_prod_doorbell.room_q[5:0] == '0 &&
        dut.i_prod_doorbell.room_q[31:6] <= c_ring - c_target));
      i_cons_check: assert (!(dut.i_cons_doorbell.differ_q || dut.i_cons_doorbell.judge_q) ||
        (dut.i_cons_doorbell.step_q == dut.i_cons_doorbell.value_q - consumed &&
        dut.i_cons_doorbell.room_q[5:0] == '0 && dut.i_cons_doorbell.room_q[31:6] <= c_offered));
      i_judged: assert ((!dut.i_prod_doorbell.judge_q || dut.i_prod_doorbell.good_q ==
        (dut.i_prod_doorbell.value_q[5:0] == '0 && dut.i_prod_doorbell.step_q <= dut.i_prod_doorbell.room_q)) &&
        (!dut.i_cons_doorbell.judge_q || dut.i_cons_doorbell.good_q ==
        (dut.i_cons_doorbell.value_q[5:0] == '0 && dut.i_cons_doorbell.step_q <= dut.i_cons_doorbell.room_q)));
      i_one_check: assert (!(dut.i_prod_doorbell.differ_q && dut.i_prod_doorbell.judge_q) &&
        !(dut.i_cons_doorbell.differ_q && dut.i_cons_doorbell.judge_q));
      i_limit: assert (!(run || (starting && dut.i_prod_word.state_q != 3'd1)) || (dut.prod_limit_q[5:0] == '0 &&
        dut.prod_limit_q[31:6] - target[31:6] <= c_ring - c_target));
      i_some: assert ((target != some_i && {dut.i_publisher.queued_q, 6'b0} != some_i &&
        {dut.i_publisher.latest_q, 6'b0} != some_i &&
        {dut.i_publisher.next_q, 6'b0} != some_i &&
        dut.offered != some_i &&
        (dut.i_prod_doorbell.value_q != some_i || !(dut.i_prod_doorbell.differ_q || dut.i_prod_doorbell.judge_q)) &&
        (!dut.i_prod_doorbell.pending_q || prod_i != some_i || prod_valid_i)) || some_doorbell_q);
      i_lines: assert (target[5:0] == '0 && consumed[5:0] == '0 && g_ar_q[5:0] == '0 && dut.offered[5:0] == '0);
      i_start: assert (!starting || (c_target == '0 && c_offered == '0 && n_burst == '0 && n_writes_q == '0 &&
        !dut.plan_valid && !dut.i_writer.request_q && !dut.i_publisher.due_q && n_doorbells == '0 &&
        !dut.i_prod_doorbell.differ_q && !dut.i_prod_doorbell.judge_q &&
        !dut.i_cons_doorbell.differ_q && !dut.i_cons_doorbell.judge_q));
      i_good: assert (good_q || (!run && !starting && dut.i_prod_word.state_q == '0 && dut.i_cons_word.state_q == '0));
      i_off: assert (!off || (dut.i_prod_word.state_q == '0 && dut.i_cons_word.state_q == '0 && n_reads_q == '0 &&
        n_writes_q == '0));
    end
  end
