// SPDX-License-Identifier: MIT
//
// vnc_index_word: writes one index word of a window, waits for the response, and looks whether the reader of the
// word sleeps.
//
//   due, next --> word request --> AW, W ... B --> shown --(look?)--> AR ... R --> need_wakeup != 0? --> wake
//                                                     |                                    +--> suppressed
//                                                     +--(do not look)--> wake
//
//   Idle --> Ask --> Wait --> Idle        Ask, Wait: the word's request is not taken yet; is not answered yet
//             ^        +----> LookAsk --> LookWait --> Idle
//          `leave_i`, with the start word, which is no publication and wakes nobody
//
// The look is made after the word was acknowledged.  The reader stores need_wakeup, fences, and looks at the word
// again before it sleeps: so one of the two sees the other.
//
// After a failure nothing is sent until `clear_i`.  `sent_o` is what may be visible, `shown_o` what certainly is.
//
// Timing: due to the request 1 cycle; response to wake the same cycle; between two words at least `Gap` cycles.

module vnc_index_word #(
  parameter int unsigned Gap = 1  // so that doorbells in a row do not fill W with words
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,    // both indices become `start_i`
  input  logic        leave_i,    // in the last cycle of clear: send the start word
  input  logic        run_i,      // 0: send nothing more
  input  logic [31:0] start_i,
  input  logic        due_i,
  input  logic [31:0] next_i,
  input  logic        look_i,

  output logic        idle_o,
  output logic        free_o,     // a due word would be sent now
  output logic        word_busy_o,
  output logic        look_busy_o,
  output logic [31:0] sent_o,
  output logic [31:0] shown_o,
  output logic        word_failed_o,
  output logic        look_failed_o,
  output logic        done_event_o,  // acknowledged, the start word excepted
  output logic        wake_event_o,
  output logic        suppressed_event_o,

  output logic        word_valid_o,
  input  logic        word_ready_i,
  output logic [31:0] word_o,
  input  logic        word_done_i,
  input  logic        word_error_i,
  output logic        look_valid_o,
  input  logic        look_ready_i,
  input  logic        look_done_i,
  input  logic        look_error_i,
  input  logic [31:0] look_word_i
);
  localparam int unsigned GapW = $clog2(Gap + 1);

  typedef enum logic [2:0] {Idle, Ask, Wait, LookAsk, LookWait} state_e;
  state_e          state_q;
  logic            first_q, word_failed_q, look_failed_q;
  logic            send, good, looked, sleeps;
  logic [31:0]     sent_q, shown_q;
  logic [GapW-1:0] gap_q;

  assign free_o = run_i && state_q == Idle && gap_q == '0 && !word_failed_q && !look_failed_q;
  assign send   = free_o && due_i;
  assign good   = state_q == Wait && word_done_i && !word_error_i;
  assign looked = state_q == LookWait && look_done_i;
  assign sleeps = look_word_i != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      state_q <= rst_ni && leave_i ? Ask : Idle;
    end else begin
      unique case (state_q)
        Idle:    if (send) state_q <= Ask;
        Ask:     if (word_ready_i) state_q <= Wait;
        Wait:    if (word_done_i) state_q <= good && look_i && run_i && !first_q ? LookAsk : Idle;
        LookAsk: if (look_ready_i) state_q <= LookWait; else if (!run_i) state_q <= Idle;
        default: if (look_done_i) state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      first_q       <= 1'b1;
      word_failed_q <= 1'b0;
      look_failed_q <= 1'b0;
      sent_q        <= start_i;
      shown_q       <= start_i;
      gap_q         <= '0;
    end else begin
      if (send) sent_q <= next_i;
      if (good) shown_q <= sent_q;
      if (state_q == Wait && word_done_i) first_q <= 1'b0;
      if (state_q == Wait && word_done_i && word_error_i) word_failed_q <= 1'b1;
      if (looked && look_error_i) look_failed_q <= 1'b1;
      if (send) gap_q <= GapW'(Gap);
      else if (gap_q != '0) gap_q <= gap_q - 1'b1;
    end
  end

  assign idle_o             = state_q == Idle;
  assign word_busy_o        = state_q == Ask || state_q == Wait;
  assign look_busy_o        = state_q == LookAsk || state_q == LookWait;
  assign sent_o             = sent_q;
  assign shown_o            = shown_q;
  assign word_failed_o      = word_failed_q;
  assign look_failed_o      = look_failed_q;
  assign done_event_o       = good && !first_q;
  // Not looked at for whatever reason: better one interrupt too many.
  assign wake_event_o       = (done_event_o && !(look_i && run_i)) || (looked && (sleeps || look_error_i)) ||
                              (state_q == LookAsk && !look_ready_i && !run_i);
  assign suppressed_event_o = looked && !look_error_i && !sleeps;
  assign word_valid_o       = state_q == Ask;
  assign word_o             = sent_q;
  assign look_valid_o       = state_q == LookAsk;
endmodule
