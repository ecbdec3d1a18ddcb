// SPDX-License-Identifier: MIT
//
// vnc_index_word: writes one index word of a window, waits for the response, and then reads need_wakeup to decide
// whether the reader of the word gets an interrupt.
//
//   due, next --> word request --> AW, W ... B --> shown --(NEED_WAKEUP)--> AR ... R --> need_wakeup != 0? --> wake
//                                                     |                                       +--> suppressed
//                                                     +--(without NEED_WAKEUP)--> wake
//
//   Idle --> Ask --> Wait --> Idle        Ask: the word's request waits to be taken; Wait: it waits for its response
//             ^        +----> CheckAsk --> CheckWait --> Idle        likewise for the read of need_wakeup
//          `send_start_i`: sends the start word, which is not a publication and raises no interrupt
//
// need_wakeup is read after the word was acknowledged.  The reader of the word stores need_wakeup, fences, and reads
// the word again before it sleeps: so at least one of the two sees the other's store.
//
// After a failure nothing is sent until `clear_i`.  `sent_o` is the value that may be visible, `shown_o` the last
// value that was acknowledged.
//
// Timing: one cycle from due to the request; wake in the cycle of the response; at least `Gap` cycles between two
// words.

module vnc_index_word #(
  parameter int unsigned Gap = 1  // limits the share of W that index words take
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,         // both indices become `start_i`
  input  logic        send_start_i,    // in the last cycle of clear: send the start word
  input  logic        run_i,           // 0: send no further word
  input  logic [31:0] start_i,
  input  logic        due_i,
  input  logic [31:0] next_i,
  input  logic        need_wakeup_i,

  output logic        idle_o,
  output logic        free_o,          // a due word is sent in this cycle
  output logic        word_busy_o,
  output logic        check_busy_o,
  output logic [31:0] sent_o,
  output logic [31:0] shown_o,
  output logic        word_failed_o,
  output logic        check_failed_o,
  output logic        done_event_o,  // acknowledged, except for the start word
  output logic        wake_event_o,
  output logic        suppressed_event_o,

  output logic        word_valid_o,
  input  logic        word_ready_i,
  output logic [31:0] word_o,
  input  logic        word_done_i,
  input  logic        word_error_i,
  output logic        check_valid_o,
  input  logic        check_ready_i,
  input  logic        check_done_i,
  input  logic        check_error_i,
  input  logic [31:0] check_word_i
);
  localparam int unsigned GapW = $clog2(Gap + 1);

  typedef enum logic [2:0] {Idle, Ask, Wait, CheckAsk, CheckWait} state_e;
  state_e          state_q;
  logic            first_q, word_failed_q, check_failed_q;
  logic            send, good, checked, sleeps;
  logic [31:0]     sent_q, shown_q;
  logic [GapW-1:0] gap_q;

  assign free_o  = run_i && state_q == Idle && gap_q == '0 && !word_failed_q && !check_failed_q;
  assign send    = free_o && due_i;
  assign good    = state_q == Wait && word_done_i && !word_error_i;
  assign checked = state_q == CheckWait && check_done_i;
  assign sleeps  = check_word_i != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      state_q <= rst_ni && send_start_i ? Ask : Idle;
    end else begin
      unique case (state_q)
        Idle:     if (send) state_q <= Ask;
        Ask:      if (word_ready_i) state_q <= Wait;
        Wait:     if (word_done_i) state_q <= good && need_wakeup_i && run_i && !first_q ? CheckAsk : Idle;
        CheckAsk: if (check_ready_i) state_q <= CheckWait; else if (!run_i) state_q <= Idle;
        default:  if (check_done_i) state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      first_q        <= 1'b1;
      word_failed_q  <= 1'b0;
      check_failed_q <= 1'b0;
      sent_q         <= start_i;
      shown_q        <= start_i;
      gap_q          <= '0;
    end else begin
      if (send) sent_q <= next_i;
      if (good) shown_q <= sent_q;
      if (state_q == Wait && word_done_i) first_q <= 1'b0;
      if (state_q == Wait && word_done_i && word_error_i) word_failed_q <= 1'b1;
      if (checked && check_error_i) check_failed_q <= 1'b1;
      if (send) gap_q <= GapW'(Gap);
      else if (gap_q != '0) gap_q <= gap_q - 1'b1;
    end
  end

  assign idle_o              = state_q == Idle;
  assign word_busy_o         = state_q == Ask || state_q == Wait;
  assign check_busy_o        = state_q == CheckAsk || state_q == CheckWait;
  assign sent_o              = sent_q;
  assign shown_o             = shown_q;
  assign word_failed_o       = word_failed_q;
  assign check_failed_o      = check_failed_q;
  assign done_event_o        = good && !first_q;
  // When need_wakeup was not read for any reason, raise the interrupt: a spurious one is harmless, a lost one is not.
  assign wake_event_o       = (done_event_o && !(need_wakeup_i && run_i)) || (checked && (sleeps || check_error_i)) ||
                              (state_q == CheckAsk && !check_ready_i && !run_i);
  assign suppressed_event_o = checked && !check_error_i && !sleeps;
  assign word_valid_o       = state_q == Ask;
  assign word_o             = sent_q;
  assign check_valid_o      = state_q == CheckAsk;
endmodule
