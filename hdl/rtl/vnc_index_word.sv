// SPDX-License-Identifier: MIT
//
// vnc_index_word: writes one index word of a window, waits for the response, and then reads the window, to decide
// whether the reader of the word gets an interrupt, and so that the word is visible before that interrupt.
//
//   due, next --> word request --> AW, W ... B --> shown --(NEED_WAKEUP)--> AR ... R --> need_wakeup != 0? --> wake
//                                                     |                                       +--> suppressed
//                                                     +--(interrupt enabled)--> AR ... R --> the word? --> wake
//                                                     |                          ^            |
//                                                     |                          +-- not yet -+
//                                                     +--(else)--> wake, which sets only a bit of irq_status
//
//   Idle --> Ask --> Wait --> Idle        Ask: the word's request waits to be taken; Wait: it waits for its response
//             ^        +----> CheckAsk --> CheckWait --> Judge --> Idle, or CheckAsk     likewise for the read
//          `send_start_i`: sends the start word, which is not a publication and raises no interrupt
//
// B may come before the word is visible.  A read that stays behind earlier writes pushes the word to its destination,
// and the answer proves that it is there.  need_wakeup is read after the word was acknowledged.  The reader of the word
// stores need_wakeup, fences, and reads the word again before it sleeps: so at least one of the two sees the other's
// store.  Without NEED_WAKEUP, and after the start word, the word itself is read back until it shows, so that not even
// the order of reads and writes matters; an older value there means that a read overtook the write.
//
// After a failure nothing is sent until `clear_i`.  `sent_o` is the value that may be visible, `shown_o` the last
// value that was acknowledged.
//
// Timing: one cycle from due to the request, one from B to the request for the read; wake one cycle after the answer;
// at least `Gap` cycles between two words.

module vnc_index_word #(
  parameter int unsigned Gap = 1  // limits the share of W that index words take
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,         // both indices become `start_i`
  input  logic        send_start_i,    // in the last cycle of clear: send the start word
  input  logic        run_i,           // 0: send no further word
  input  logic        active_i,        // Start or Run; 0: request no further read
  input  logic [31:0] start_i,
  input  logic        due_i,
  input  logic [31:0] next_i,
  input  logic        need_wakeup_i,
  input  logic        interrupts_i,    // the interrupt of the word's reader is enabled

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
  output logic        overtaken_event_o,  // the read came back with an older value of the word

  output logic        word_valid_o,
  input  logic        word_ready_i,
  output logic [31:0] word_o,
  input  logic        word_done_i,
  input  logic        word_error_i,
  output logic        check_valid_o,
  output logic        check_own_o,   // the read is of the word itself, not of need_wakeup; stable after a failure
  input  logic        check_ready_i,
  input  logic        check_done_i,
  input  logic        check_error_i,
  input  logic [31:0] check_index_i, // the first two words of the line that was read
  input  logic [31:0] check_word_i
);
  localparam int unsigned GapW = $clog2(Gap + 1);

  typedef enum logic [2:0] {Idle, Ask, Wait, CheckAsk, CheckWait, Judge} state_e;
  state_e          state_q;
  logic            open_q;  // the gap is over
  logic            first_q, own_q, word_failed_q, check_failed_q;
  logic            send, good, reads, again, checked;
  logic            older_q, sleeps_q, error_q;  // of the answer to the read
  logic [31:0]     sent_q, shown_q;
  logic [GapW-1:0] gap_q;

  assign free_o  = run_i && state_q == Idle && open_q && !word_failed_q && !check_failed_q;
  assign send    = free_o && due_i;
  assign good    = state_q == Wait && word_done_i && !word_error_i;
  assign reads    = good && active_i && (first_q || need_wakeup_i || interrupts_i);
  assign again   = state_q == Judge && own_q && older_q && !error_q;
  assign checked = state_q == Judge && !(again && active_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      state_q <= rst_ni && send_start_i ? Ask : Idle;
    end else begin
      unique case (state_q)
        Idle:      if (send) state_q <= Ask;
        Ask:       if (word_ready_i) state_q <= Wait;
        Wait:      if (word_done_i) state_q <= reads ? CheckAsk : Idle;
        CheckAsk:  if (check_ready_i) state_q <= CheckWait; else if (!active_i) state_q <= Idle;
        CheckWait: if (check_done_i) state_q <= Judge;
        default:   state_q <= again && active_i ? CheckAsk : Idle;  // Judge
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    older_q  <= check_index_i != sent_q;
    sleeps_q <= check_word_i != '0;
    error_q  <= check_error_i;
    if (!rst_ni || clear_i) begin
      first_q        <= 1'b1;
      own_q          <= 1'b0;
      word_failed_q  <= 1'b0;
      check_failed_q <= 1'b0;
      sent_q         <= start_i;
      shown_q        <= start_i;
      gap_q          <= '0;
      open_q         <= 1'b1;
    end else begin
      if (send) sent_q <= next_i;
      if (good) shown_q <= sent_q;
      if (send) first_q <= 1'b0;
      if (reads) own_q <= first_q || !need_wakeup_i;
      if (state_q == Wait && word_done_i && word_error_i) word_failed_q <= 1'b1;
      if (state_q == Judge && error_q) check_failed_q <= 1'b1;
      if (send) gap_q <= GapW'(Gap);
      else if (gap_q != '0) gap_q <= gap_q - 1'b1;
      open_q <= !send && gap_q <= GapW'(1);
    end
  end

  assign idle_o              = state_q == Idle;
  assign word_busy_o         = state_q == Ask || state_q == Wait;
  assign check_busy_o        = state_q == CheckAsk || state_q == CheckWait || state_q == Judge;
  assign sent_o              = sent_q;
  assign shown_o             = shown_q;
  assign word_failed_o       = word_failed_q;
  assign check_failed_o      = check_failed_q;
  assign done_event_o        = good && !first_q;
  // When need_wakeup was not read for any reason, raise the interrupt: a spurious one is harmless, a lost one is not.
  assign wake_event_o       = (done_event_o && !reads) ||
                              (!first_q && ((checked && (own_q || sleeps_q || error_q)) ||
                                            (state_q == CheckAsk && !check_ready_i && !active_i)));
  assign suppressed_event_o = checked && !own_q && !error_q && !sleeps_q;
  assign overtaken_event_o  = again;
  assign word_valid_o       = state_q == Ask;
  assign word_o             = sent_q;
  assign check_valid_o      = state_q == CheckAsk;
  assign check_own_o        = own_q;
endmodule
