// SPDX-License-Identifier: MIT
//
// vnc_side_mover: copies the control line (64 bytes) of one side to the same offset of the peer's window.
//
//   side_doorbell --> pending --> AR, R --> line buffer --> AW, W (bytes 8 to 63) --> B
//                                            |                                     |
//                                            +------> AW, W (bytes 0 to 7) <-------+
//                                                            |
//                                                            +--> B --> AR, R (bytes 0 to 7), until they show
//                                                                              |
//                                  side_done, interrupt SIDE at the peer <-----+
//
// Bytes 0 to 7 (the head) are the epoch and the answer.  They are written in one beat, and only after the rest (the
// body) was acknowledged: a reader that sees the new head sees everything that was stored before it.
//
// B may come before the head is visible, so the head is read back until it shows.  An older value there means that the
// read overtook the write.  This measures the bridge with each new epoch, before a direction runs.
//
//   Off -- both enabled, windows valid --> Read --> Body --> Head --> Check --> Idle -- doorbell --> Read ...
//                                           |  error  |       |        |
//                                           +------> Halt <---+--------+       reset or not enabled: Drain, then Off
//
// On leaving Off the line is copied without a doorbell; `up_o` reports that this copy is complete, and no direction
// leaves Off before.  A doorbell during a copy causes one more copy; several doorbells during a copy count as one.
// `side_o.run` is set from the start of the first copy: a doorbell before that is not needed, because the first copy
// is still to come.
//
// Timing: doorbell to AR 3 cycles; last R beat to AW 3 cycles, B to the second AW and to the second AR 3 cycles.

module vnc_side_mover #(
  parameter int unsigned DataW  = 64,
  parameter int unsigned Offset = 0    // of the control line, in both windows
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               enable_i,      // both sides enabled
  input  logic               reset_i,       // a pulse
  input  logic               config_ok_i,   // both windows are valid
  input  logic [63:0]        src_base_i,
  input  logic [29:0]        src_window_mask_i,
  input  logic [63:0]        dst_base_i,
  input  logic [29:0]        dst_window_mask_i,
  input  logic               doorbell_valid_i,
  input  logic [31:0]        doorbell_i,    // last value written

  output vnc_status_pkg::side_t side_o,     // `done`: the doorbell value whose copy is complete
  output logic               up_o,
  output logic               done_event_o,
  output logic               error_event_o,
  output logic               overtaken_event_o,  // a read of the peer's memory overtook the write of the head

  // What waits for a memory, and time-outs: from bit 0 the read of the line, the writes, the read of the head.
  output logic [2:0]         busy_o,
  input  logic [2:0]         stuck_i,

  // This side's memory: read.
  output logic               ar_valid_o,
  input  logic               ar_ready_i,
  output logic [29:0]        ar_offset_o,
  output logic [7:0]         ar_len_o,
  input  logic               r_valid_i,
  input  logic [DataW-1:0]   r_data_i,
  input  logic               r_error_i,
  input  logic               r_last_i,

  // The peer's memory: write.
  output logic               aw_valid_o,
  input  logic               aw_ready_i,
  output logic [29:0]        aw_offset_o,
  output logic [7:0]         aw_len_o,
  input  logic               w_ready_i,     // a beat is taken
  output logic [DataW-1:0]   w_data_o,
  output logic [DataW/8-1:0] w_strb_o,
  output logic               w_last_o,
  input  logic               b_valid_i,
  input  logic               b_error_i,

  // The peer's memory: read of the head, one beat.
  output logic               check_valid_o,
  input  logic               check_ready_i,
  output logic [29:0]        check_offset_o,
  input  logic               check_done_i,
  input  logic               check_error_i,
  input  logic [63:0]        check_head_i
);
  localparam int unsigned HeadBytes = 8;
  localparam int unsigned BeatBytes = DataW / 8;
  localparam int unsigned LineBeats = vnc_pkg::Line / BeatBytes;
  localparam int unsigned BeatW     = LineBeats > 1 ? $clog2(LineBeats) : 1;
  // At 64 bit the first beat is the head, and the body starts at the second beat.
  localparam int unsigned BodyFirst = BeatBytes == HeadBytes ? 1 : 0;
  localparam logic [BeatBytes-1:0] HeadStrb = BeatBytes'((1 << HeadBytes) - 1);

  typedef logic [BeatW-1:0] beat_t;
  typedef enum logic [2:0] {Off, Idle, Read, Body, Head, Check, Halt, Drain} state_e;

  state_e state_q;
  logic   stop, start, failed, stuck, fault, read_done, body_done, head_done, again, copied;
  logic   writing, taken;
  logic   judge_q, same_q, check_error_q;  // the head was read, its answer
  logic   request_q;      // a request waits for the port
  logic   outstanding_q;  // a request was taken and its answer is incomplete
  logic   answered;       // the last R beat, B, or the beat of the head
  logic   pending_q, up_q;
  logic [DataW-1:0] line_q [LineBeats];

  assign stop     = reset_i || !enable_i;
  assign start    = !stop && ((state_q == Off && config_ok_i) || (state_q == Idle && pending_q));
  assign answered = (r_valid_i && r_last_i) || b_valid_i || check_done_i;
  assign taken    = (ar_valid_o && ar_ready_i) || (aw_valid_o && aw_ready_i) || (check_valid_o && check_ready_i);
  assign writing  = state_q == Body || state_q == Head;
  assign failed   = (state_q == Read && r_valid_i && r_error_i) ||
                    (writing && b_valid_i && b_error_i) ||
                    (state_q == Check && judge_q && check_error_q);
  assign busy_o   = {state_q == Check, writing, state_q == Read};
  assign stuck    = (stuck_i & busy_o) != '0;
  assign fault    = failed || stuck;

  assign read_done = state_q == Read && !stop && !fault && r_valid_i && r_last_i;
  assign body_done = state_q == Body && !stop && !fault && b_valid_i;
  assign head_done = state_q == Head && !stop && !fault && b_valid_i;
  assign again     = state_q == Check && !stop && !fault && judge_q && !same_q;
  assign copied    = state_q == Check && !stop && !fault && judge_q && same_q;

  // --- state -------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Off;
    end else begin
      unique case (state_q)
        Off, Idle: if (start) state_q <= Read; else if (stop) state_q <= Off;
        Drain:     if (!request_q && !outstanding_q) state_q <= Off;
        Halt:      if (stop) state_q <= Drain;
        default: begin  // Read, Body, Head, Check
          if (stop) state_q <= Drain;
          else if (fault) state_q <= Halt;
          else if (read_done) state_q <= Body;
          else if (body_done) state_q <= Head;
          else if (head_done) state_q <= Check;
          else if (copied) state_q <= Idle;
        end
      endcase
    end
  end

  // Registered: the comparison of a memory's answer would start a long path.
  always_ff @(posedge clk_i) begin
    judge_q       <= rst_ni && check_done_i;
    same_q        <= check_head_i == line_q[0][63:0];
    check_error_q <= check_error_i;
  end

  // The request of a step is made when the step begins.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      request_q     <= 1'b0;
      outstanding_q <= 1'b0;
    end else begin
      if (start || read_done || body_done || head_done || again) request_q <= 1'b1;
      else if (taken) request_q <= 1'b0;
      if (taken) outstanding_q <= 1'b1;
      else if (answered) outstanding_q <= 1'b0;
    end
  end

  // --- doorbell ----------------------------------------------------------------------------------------

  logic [31:0] taken_q, done_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q <= 1'b0;
      taken_q   <= '0;
      done_q    <= '0;
      up_q      <= 1'b0;
    end else begin
      if (start) pending_q <= 1'b0;
      else if (doorbell_valid_i) pending_q <= 1'b1;
      if (start) taken_q <= doorbell_i;
      if (copied) done_q <= taken_q;
      if (stop) up_q <= 1'b0;
      else if (copied) up_q <= 1'b1;
    end
  end

  // --- the line ----------------------------------------------------------------------------------------

  beat_t            r_beat_q, w_beat_q;
  logic             head_q;  // the write is the head

  always_ff @(posedge clk_i) begin
    if (r_valid_i) line_q[r_beat_q] <= r_data_i;
    if (start) r_beat_q <= '0;
    else if (r_valid_i) r_beat_q <= r_beat_q + 1'b1;
    if (start) begin
      head_q   <= 1'b0;
      w_beat_q <= beat_t'(BodyFirst);
    end else if (body_done) begin
      head_q   <= 1'b1;
      w_beat_q <= '0;
    end else if (w_ready_i) begin
      w_beat_q <= w_beat_q + 1'b1;
    end
  end

  assign w_data_o = line_q[w_beat_q];
  assign w_last_o = head_q || w_beat_q == beat_t'(LineBeats - 1);
  // Strobes of the first beat: the head or the rest.
  assign w_strb_o = w_beat_q != '0 ? '1 : head_q ? HeadStrb : ~HeadStrb;

  // --- requests ----------------------------------------------------------------------------------------

  logic writing_q;   // the request is a write
  logic checking_q;  // the request is the read of the head

  always_ff @(posedge clk_i) begin
    if (start) writing_q <= 1'b0;
    else if (head_done) writing_q <= 1'b0;
    else if (read_done) writing_q <= 1'b1;
    if (start) checking_q <= 1'b0;
    else if (head_done) checking_q <= 1'b1;
  end

  assign ar_valid_o  = request_q && !writing_q && !checking_q;
  assign ar_offset_o = 30'(Offset);
  assign ar_len_o    = 8'(LineBeats - 1);
  assign aw_valid_o  = request_q && writing_q;
  assign aw_offset_o = head_q ? 30'(Offset) : 30'(Offset + BodyFirst * BeatBytes);
  assign aw_len_o    = head_q ? 8'd0 : 8'(LineBeats - 1 - BodyFirst);

  assign check_valid_o  = request_q && checking_q;
  assign check_offset_o = 30'(Offset);

  // --- outputs -----------------------------------------------------------------------------------------

  logic [3:0]  cause_q;
  logic        at_dst_q;
  logic [29:0] offset_q;
  logic [63:0] address;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q == Off) begin
      cause_q  <= 4'(vnc_pkg::CauseNone);
      at_dst_q <= 1'b0;
      offset_q <= '0;
    end else if (fault && !stop) begin
      cause_q  <= 4'(!failed ? vnc_pkg::CauseTimeout : writing ? vnc_pkg::CauseWrite : vnc_pkg::CauseRead);
      at_dst_q <= state_q != Read;
      offset_q <= state_q == Read ? 30'(Offset + 32'(r_beat_q) * BeatBytes) : aw_offset_o;
    end
    side_o.error_addr <= cause_q == 4'(vnc_pkg::CauseNone) ? '0 : address;
  end

  vnc_address i_error_address (
    .base_i        (at_dst_q ? dst_base_i : src_base_i),
    .window_mask_i (at_dst_q ? dst_window_mask_i : src_window_mask_i),
    .offset_i      (offset_q),
    .address_o     (address)
  );

  assign side_o.off    = state_q == Off;
  assign side_o.run    = state_q inside {Idle, Read, Body, Head, Check};
  assign side_o.halt   = state_q == Halt;
  assign side_o.drain  = state_q == Drain;
  assign side_o.done   = done_q;
  assign side_o.cause  = cause_q;
  assign up_o          = up_q;
  assign done_event_o  = copied;
  assign error_event_o = fault && !stop;
  assign overtaken_event_o = again;
endmodule
