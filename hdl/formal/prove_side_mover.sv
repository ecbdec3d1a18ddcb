// SPDX-License-Identifier: MIT
//
// prove_side_mover: epoch and answer (bytes 0 to 7) are written only after the rest of the line was acknowledged,
// from one read of the line, and no doorbell is lost.
//
//   doorbells, resets, enable --> vnc_side_mover <--> a source and a destination with any delays and errors
//
// Proved at 64 bit, where the head is a separate beat, and at 256 bit, where it shares one.
//
// Assumed: the doorbell value changes only with its pulse (prove_axil_regs); answers belong to outstanding requests.

module prove_side_mover (
  input logic clk_i
);
  side_mover_checks #(.DataW(64)) i_64 (.clk_i);
  side_mover_checks #(.DataW(256)) i_256 (.clk_i);
endmodule

module side_mover_checks #(
  parameter int unsigned DataW = 64
) (
  input logic clk_i
);
  localparam int unsigned Offset = 32'h400;
  localparam int unsigned Beats  = 512 / DataW;
  localparam int unsigned BodyFirst = DataW == 64 ? 1 : 0;

  // Undriven nets: any value in any cycle (an undriven variable would keep one value).
  wire             rst_n, enable, reset, config_ok, doorbell_valid, check_ready, check_done, check_error;
  wire [2:0]       stuck;
  wire [63:0]      check_head;
  wire             ar_ready, r_valid, r_error, aw_ready, w_ready, b_valid, b_error;
  wire [31:0]      doorbell;
  wire [7:0]       r_byte;

  logic               up, done_event, error_event, overtaken, ar_valid, aw_valid, check_valid, w_last, r_last;
  logic [29:0]        ar_offset, aw_offset, check_offset;
  logic [7:0]         ar_len, aw_len;
  logic [DataW-1:0]   w_data;
  logic [DataW/8-1:0] w_strb;
  vnc_status_pkg::side_t side;

  vnc_side_mover #(.DataW(DataW), .Offset(Offset)) dut (
    .clk_i, .rst_ni(rst_n), .enable_i(enable), .reset_i(reset), .config_ok_i(config_ok),
    .doorbell_valid_i(doorbell_valid), .doorbell_i(doorbell), .side_o(side), .up_o(up),
    .done_event_o(done_event), .error_event_o(error_event),
    .overtaken_event_o(overtaken), .stuck_i(stuck),
    .ar_valid_o(ar_valid), .ar_ready_i(ar_ready), .ar_offset_o(ar_offset), .ar_len_o(ar_len),
    .r_valid_i(r_valid), .r_data_i(DataW'(r_byte)), .r_error_i(r_error), .r_last_i(r_last),
    .aw_valid_o(aw_valid), .aw_ready_i(aw_ready), .aw_offset_o(aw_offset), .aw_len_o(aw_len),
    .w_ready_i(w_ready), .w_data_o(w_data), .w_strb_o(w_strb), .w_last_o(w_last),
    .b_valid_i(b_valid), .b_error_i(b_error),
    .check_valid_o(check_valid), .check_ready_i(check_ready), .check_offset_o(check_offset),
    .check_done_i(check_done), .check_error_i(check_error), .check_head_i(check_head)
  );

  // --- shadow ------------------------------------------------------------------------------------------

  logic             started_q = 1'b0;
  logic             ar_beat, aw_beat, head_requested;
  logic [3:0]       r_left_q;                // outstanding beats of the read
  logic             w_open_q;                // a write without its B
  logic [3:0]       w_left_q;                // beats of it that the port has not taken
  logic             w_head_q;                // it is the head
  logic             line_bad_q, line_good_q; // since AR: a beat had an error; all beats had none
  logic             body_good_q;             // since AR: the rest was acknowledged
  logic             head_good_q;             // since AR: the head was acknowledged
  logic             k_open_q;                // a read of the head without its beat
  logic             k_judge_q, k_seen_q;     // its beat came in the cycle before, and was the head as read
  logic             k_bad_q;                 // it was an error
  logic             shown, copied_q;         // the head as read is there; since Off, it was
  logic [7:0]       line_q [Beats];          // the line as read: one byte of each beat stands for all
  logic [31:0]      doorbell_at_ar_q;        // the doorbell value one cycle before the request for the line
  logic             ar_before_q;
  logic [31:0]      doorbell_before_q;

  assign ar_beat    = ar_valid && ar_ready;
  assign aw_beat    = aw_valid && aw_ready;
  assign r_last     = r_left_q == 4'd1;
  assign shown      = k_seen_q && head_good_q;
  assign head_requested = aw_offset == 30'(Offset) && aw_len == '0;

  always_ff @(posedge clk_i) begin
    started_q         <= 1'b1;
    ar_before_q       <= ar_valid;
    doorbell_before_q <= doorbell;
    if (ar_valid && !ar_before_q) doorbell_at_ar_q <= doorbell_before_q;
    k_judge_q <= rst_n && check_done;
    k_seen_q  <= rst_n && check_done && !check_error && check_head == 64'(line_q[0]);
    k_bad_q   <= rst_n && check_done && check_error;
    if (r_valid) line_q[(Beats - 32'(r_left_q)) % Beats] <= r_byte;
    if (!rst_n) begin
      r_left_q    <= '0;
      w_open_q    <= 1'b0;
      w_left_q    <= '0;
      line_bad_q  <= 1'b0;
      line_good_q <= 1'b0;
      body_good_q <= 1'b0;
      head_good_q <= 1'b0;
      k_open_q    <= 1'b0;
      copied_q    <= 1'b0;
      ar_before_q <= 1'b0;
    end else begin
      if (ar_beat) r_left_q <= 4'(Beats);
      else if (r_valid) r_left_q <= r_left_q - 4'd1;
      if (ar_beat) line_bad_q <= 1'b0;
      else if (r_valid && r_error) line_bad_q <= 1'b1;
      if (ar_valid) line_good_q <= 1'b0;
      else if (r_valid && r_last) line_good_q <= !line_bad_q && !r_error;
      if (aw_beat) w_open_q <= 1'b1;
      else if (b_valid) w_open_q <= 1'b0;
      if (aw_beat) w_left_q <= 4'(aw_len) + 4'd1;
      else if (w_ready) w_left_q <= w_left_q - 4'd1;
      if (aw_beat) w_head_q <= head_requested;
      if (ar_valid) body_good_q <= 1'b0;
      else if (b_valid && !w_head_q) body_good_q <= !b_error;
      if (side.off) copied_q <= 1'b0;
      else if (shown) copied_q <= 1'b1;
      if (ar_valid) head_good_q <= 1'b0;
      else if (b_valid && w_head_q) head_good_q <= !b_error;
      if (check_valid && check_ready) k_open_q <= 1'b1;
      else if (check_done) k_open_q <= 1'b0;
    end
  end

  // --- assumed -------------------------------------------------------------------------------------------

  always_comb begin
    if (!started_q) assume (!rst_n);
    assume (!r_valid || r_left_q != '0);
    assume (!w_ready || w_left_q != '0);
    assume (!b_valid || (w_open_q && w_left_q == '0));
    assume (!check_done || k_open_q);
  end

  always_ff @(posedge clk_i) begin
    if (started_q) assume (doorbell_valid || $stable(doorbell));
  end

  // --- proved --------------------------------------------------------------------------------------------

  logic [3:0] beat;  // of the line, on W
  logic       idle;
  assign beat = w_head_q ? '0 : 4'(Beats) - w_left_q;
  assign idle = dut.state_q == 3'd1;

  always_ff @(posedge clk_i) begin
    if (started_q && rst_n) begin
      a_reads_only_the_line: assert (!ar_valid || (ar_offset == 30'(Offset) && ar_len == 8'(Beats - 1)));
      a_writes_only_a_line_read_whole: assert (!aw_valid || line_good_q);
      a_head_only_after_the_rest_was_acknowledged: assert (!aw_valid || !head_requested || body_good_q);
      a_rest_before_the_head: assert (!aw_valid || head_requested ||
        (!body_good_q && aw_offset == 30'(Offset + BodyFirst * 8) && aw_len == 8'(Beats - 1 - BodyFirst)));
      a_data_as_read: assert (w_left_q == '0 || w_data[7:0] == line_q[beat[2:0] % Beats]);
      a_head_writes_eight_bytes: assert (w_left_q == '0 || !w_head_q || w_strb == (DataW / 8)'(8'hff));
      a_rest_excludes_the_head: assert (w_left_q == '0 || w_head_q ||
        (beat == '0 ? w_strb == ~(DataW / 8)'(8'hff) : w_strb == '1));
      a_last_beat_marked: assert (w_left_q == '0 || w_last == (w_left_q == 4'd1));
      a_one_request_at_a_time: assert ($onehot0({ar_valid, aw_valid, check_valid}) &&
        (!(ar_valid || aw_valid || check_valid) || (r_left_q == '0 && !w_open_q && !k_open_q)));
      a_head_read_only_after_it_was_acknowledged: assert (!check_valid || (head_good_q &&
        check_offset == 30'(Offset)));
      a_done_only_when_the_head_shows: assert (!done_event || shown);
      a_overtaken_only_when_it_does_not: assert (!overtaken || (k_judge_q && head_good_q && !shown));
      a_up_only_after_a_copy: assert (!up || copied_q);
      a_off_means_nothing_outstanding: assert (!side.off || (!ar_valid && !aw_valid && !check_valid &&
        r_left_q == '0 && !w_open_q && !k_open_q));
      a_idle_means_the_last_doorbell_was_copied: assert (!idle || dut.pending_q || doorbell_valid ||
        side.done == doorbell);
      if ($past(rst_n)) begin
        a_leaves_off_only_when_allowed: assert (!$past(side.off && (!enable || reset || !config_ok)) || side.off);
        a_requests_are_stable: assert (
          (!$past(ar_valid && !ar_ready) || (ar_valid && $stable(ar_offset) && $stable(ar_len))) &&
          (!$past(aw_valid && !aw_ready) || (aw_valid && $stable(aw_offset) && $stable(aw_len))) &&
          (!$past(check_valid && !check_ready) || check_valid));
        a_done_is_the_doorbell_before_the_read: assert (!$past(done_event) || side.done == doorbell_at_ar_q);
        a_done_changes_with_its_event: assert ($past(done_event) || $stable(side.done));
        a_doorbell_causes_a_copy: assert (!$past(idle && dut.pending_q && enable && !reset) || ar_valid);
        a_failure_halts: assert (!$past(side.run && enable && !reset && ((r_valid && r_error) || (b_valid &&
          b_error) || k_bad_q)) ||
          side.halt);
      end
      i_outstanding: assert (dut.outstanding_q == (r_left_q != '0 || w_open_q || k_open_q) &&
        $onehot0({r_left_q != '0, w_open_q, k_open_q}) && r_left_q <= 4'(Beats) && (w_left_q == '0 || w_open_q));
      i_request: assert (!dut.request_q || !dut.outstanding_q);
      i_reading: assert ((r_left_q == '0 || !(dut.writing_q || dut.checking_q)) && (!w_open_q || dut.writing_q) &&
        (!k_open_q || (dut.checking_q && head_good_q && line_good_q)) &&
        (!(dut.request_q || dut.outstanding_q) || !(dut.writing_q && dut.checking_q)));
      i_state: assert ((!(side.off || idle) || (!dut.request_q && !dut.outstanding_q)) &&
        (dut.state_q != 3'd2 || (!dut.writing_q && !dut.checking_q && !dut.head_q && (dut.request_q ||
        (r_left_q != '0 &&
        !line_bad_q)))) &&
        (dut.state_q != 3'd3 || (dut.writing_q && !dut.head_q && (dut.request_q || w_open_q) && line_good_q)) &&
        (dut.state_q != 3'd4 || (dut.writing_q && dut.head_q && (dut.request_q || w_open_q) && line_good_q &&
        body_good_q)) &&
        (dut.state_q != 3'd5 || (dut.checking_q && dut.head_q && (dut.request_q || k_open_q || k_judge_q) &&
        line_good_q && head_good_q)));
      i_judge: assert (dut.judge_q == k_judge_q && (!k_judge_q || (!dut.request_q && !k_open_q)) &&
        (!k_judge_q || (dut.same_q == (dut.line_q[0][63:0] == $past(check_head)) &&
        dut.check_error_q == k_bad_q && (k_bad_q || dut.same_q == k_seen_q))));
      i_read: assert (r_left_q == '0 || (!line_good_q && !body_good_q && !head_good_q && !dut.head_q));
      i_up: assert (!(side.off || side.drain) || !up);
      i_head: assert (!dut.request_q || (dut.writing_q ? line_good_q && dut.head_q == body_good_q :
        dut.checking_q ? head_good_q && line_good_q : !dut.head_q));
      i_open: assert (!w_open_q || (line_good_q && w_head_q == dut.head_q && body_good_q == w_head_q));
      i_beats: assert ((r_left_q == '0 || 4'(dut.r_beat_q) == 4'(Beats) - r_left_q) &&
        (!(dut.request_q && !dut.writing_q && !dut.checking_q) || dut.r_beat_q == '0) &&
        (!((dut.request_q && !dut.checking_q) || w_left_q != '0 || r_left_q != '0) || 4'(dut.w_beat_q) ==
          (dut.head_q ? '0 : w_left_q != '0 ? 4'(Beats) - w_left_q : 4'(BodyFirst))) &&
        (w_left_q <= (dut.head_q ? 4'd1 : 4'(Beats - BodyFirst))));
      i_doorbell_fresh: assert (!(ar_valid && !ar_before_q) || dut.taken_q == doorbell_before_q);
      i_doorbell_taken: assert (!(dut.state_q inside {3'd2, 3'd3, 3'd4, 3'd5}) || (ar_valid && !ar_before_q) ||
        dut.taken_q == doorbell_at_ar_q);
      i_doorbell_new: assert (!(dut.state_q inside {3'd2, 3'd3, 3'd4, 3'd5}) || dut.pending_q || doorbell_valid ||
        dut.taken_q == doorbell);
      c_copied: cover (done_event);
      c_two_doorbells_one_copy: cover (done_event && dut.taken_q == 32'd7 && $past(dut.pending_q, 1));
      c_head_fails: cover (side.halt && body_good_q && !w_open_q && dut.head_q && line_good_q);
      c_reset_before_the_head: cover (side.drain && aw_valid && head_requested);
      c_up_again_after_a_reset: cover (up && $past(done_event) && side.done == 32'd9);
    end
  end

  for (genvar n = 0; n < Beats; n++) begin : g_line
    always_ff @(posedge clk_i) begin
      if (started_q && rst_n) begin
        i_line: assert (dut.line_q[n] == DataW'(line_q[n]) || !(line_good_q || (r_left_q != '0 &&
          4'(n) < 4'(Beats) - r_left_q)));
      end
    end
  end
endmodule
