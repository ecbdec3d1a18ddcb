// SPDX-License-Identifier: MIT
//
// vnc_side_mover: takes one side's control line (64 bytes) to the same place of the peer's window.
//
//   side_bell --> pending --> AR, R --> line buffer --> AW, W (bytes 8 to 63) --> B
//                                            |                                     |
//                                            +------> AW, W (bytes 0 to 7) <-------+
//                                                            |
//                                                            +--> B --> side_done, interrupt SIDE at the peer
//
// Bytes 0 to 7 are the epoch and the answer.  They go in one beat, and only when everything else was
// acknowledged: whoever sees them sees what was stored before them.
//
//   Off -- both enabled, windows good --> Read --> Body --> Head --> Idle -- bell --> Read ...
//                                          |  error  |       |
//                                          +------> Halt <---+       reset or not enable: Drain, then Off
//
// Coming up copies the line without being asked; `up_o` says that this was done, and no direction leaves Off
// before.  A bell that rings during a copy leads to one more; bells in between are one.  `run_o` holds from the
// start of that first copy: a bell rung while it does not hold is not needed, for the copy is still to come.
//
// Timing: bell to AR 3 cycles; last R beat to AW 3 cycles, B to the second AW 3 cycles.

module vnc_side_mover #(
  parameter int unsigned DataW  = 64,
  parameter int unsigned Offset = 0    // of the control line, in both windows
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               enable_i,      // both sides enabled
  input  logic               reset_i,       // a pulse
  input  logic               config_ok_i,   // both windows are possible
  input  logic               bell_valid_i,
  input  logic [31:0]        bell_i,        // last value rung

  output logic               off_o,
  output logic               run_o,
  output logic               halt_o,
  output logic               drain_o,
  output logic               up_o,
  output logic [31:0]        done_o,        // the bell whose copy is complete
  output logic [3:0]         cause_o,
  output logic               error_at_dst_o,
  output logic [29:0]        error_offset_o,
  output logic               done_event_o,
  output logic               error_event_o,

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
  input  logic               b_error_i
);
  localparam int unsigned HeadBytes = 8;
  localparam int unsigned BeatBytes = DataW / 8;
  localparam int unsigned LineBeats = vnc_pkg::Line / BeatBytes;
  localparam int unsigned BeatW     = LineBeats > 1 ? $clog2(LineBeats) : 1;
  // With narrow beats the first one is the head alone: the body starts at the second.
  localparam int unsigned BodyFirst = BeatBytes == HeadBytes ? 1 : 0;
  localparam logic [BeatBytes-1:0] HeadStrb = BeatBytes'((1 << HeadBytes) - 1);

  typedef logic [BeatW-1:0] beat_t;
  typedef enum logic [2:0] {Off, Idle, Read, Body, Head, Halt, Drain} state_e;

  state_e state_q;
  logic   stop, start, fault, read_done, body_done, copied;
  logic   asked_q;   // a request that the port has not taken yet
  logic   away_q;    // taken, and not answered completely
  logic   answered;  // the last R beat, or B
  logic   pending_q, up_q;

  assign stop     = reset_i || !enable_i;
  assign start    = !stop && ((state_q == Off && config_ok_i) || (state_q == Idle && pending_q));
  assign answered = (r_valid_i && r_last_i) || b_valid_i;
  assign fault    = (state_q == Read && r_valid_i && r_error_i) ||
                    ((state_q == Body || state_q == Head) && b_valid_i && b_error_i);

  assign read_done = state_q == Read && !stop && !fault && r_valid_i && r_last_i;
  assign body_done = state_q == Body && !stop && !fault && b_valid_i;
  assign copied    = state_q == Head && !stop && !fault && b_valid_i;

  // --- state -------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Off;
    end else begin
      unique case (state_q)
        Off, Idle: if (start) state_q <= Read; else if (stop) state_q <= Off;
        Drain:     if (!asked_q && !away_q) state_q <= Off;
        Halt:      if (stop) state_q <= Drain;
        default: begin  // Read, Body, Head
          if (stop) state_q <= Drain;
          else if (fault) state_q <= Halt;
          else if (read_done) state_q <= Body;
          else if (body_done) state_q <= Head;
          else if (copied) state_q <= Idle;
        end
      endcase
    end
  end

  // A step's request is made as the step begins.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      asked_q <= 1'b0;
      away_q  <= 1'b0;
    end else begin
      if (start || read_done || body_done) asked_q <= 1'b1;
      else if ((ar_valid_o && ar_ready_i) || (aw_valid_o && aw_ready_i)) asked_q <= 1'b0;
      if ((ar_valid_o && ar_ready_i) || (aw_valid_o && aw_ready_i)) away_q <= 1'b1;
      else if (answered) away_q <= 1'b0;
    end
  end

  // --- bell --------------------------------------------------------------------------------------------

  logic [31:0] taken_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q <= 1'b0;
      taken_q   <= '0;
      done_o    <= '0;
      up_q      <= 1'b0;
    end else begin
      if (start) pending_q <= 1'b0;
      else if (bell_valid_i) pending_q <= 1'b1;
      if (start) taken_q <= bell_i;
      if (copied) done_o <= taken_q;
      if (stop) up_q <= 1'b0;
      else if (copied) up_q <= 1'b1;
    end
  end

  // --- the line ----------------------------------------------------------------------------------------

  logic [DataW-1:0] line_q [LineBeats];
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
  // Of the first beat, the head or the rest.
  assign w_strb_o = w_beat_q != '0 ? '1 : head_q ? HeadStrb : ~HeadStrb;

  // --- requests ----------------------------------------------------------------------------------------

  logic writing_q;  // the request is a write

  always_ff @(posedge clk_i) begin
    if (start) writing_q <= 1'b0;
    else if (answered) writing_q <= 1'b1;
  end

  assign ar_valid_o  = asked_q && !writing_q;
  assign ar_offset_o = 30'(Offset);
  assign ar_len_o    = 8'(LineBeats - 1);
  assign aw_valid_o  = asked_q && writing_q;
  assign aw_offset_o = head_q ? 30'(Offset) : 30'(Offset + BodyFirst * BeatBytes);
  assign aw_len_o    = head_q ? 8'd0 : 8'(LineBeats - 1 - BodyFirst);

  // --- and out -----------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q == Off) begin
      cause_o        <= 4'(vnc_pkg::CauseNone);
      error_at_dst_o <= 1'b0;
      error_offset_o <= '0;
    end else if (fault) begin
      cause_o        <= 4'(state_q == Read ? vnc_pkg::CauseRead : vnc_pkg::CauseWrite);
      error_at_dst_o <= state_q != Read;
      error_offset_o <= state_q == Read ? 30'(Offset + 32'(r_beat_q) * BeatBytes) : aw_offset_o;
    end
  end

  assign off_o         = state_q == Off;
  assign run_o         = state_q inside {Idle, Read, Body, Head};
  assign halt_o        = state_q == Halt;
  assign drain_o       = state_q == Drain;
  assign up_o          = up_q;
  assign done_event_o  = copied;
  assign error_event_o = fault && !stop;
endmodule
