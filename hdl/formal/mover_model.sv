// SPDX-License-Identifier: MIT
//
// mover_model: replaces vnc_mover in the proof of the engine: requests of any kind in any cycle, and no more
// guarantees than prove_mover proves.
//
//   Off ---- enabled, no reset ----> anything ---- nothing outstanding ----> Off
//
// It sends requests only outside Off, and only if the configuration was valid when it left Off; in Off nothing is
// outstanding.  At most `Most` requests of each kind are outstanding: enough for every order of them at a port.

module vnc_mover #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8,
  parameter int unsigned ProdLine   = 0,
  parameter int unsigned ConsLine   = 0
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             enable_i,
  input  logic             reset_i,
  input  logic             config_ok_i,
  input  logic             side_up_i,
  input  logic [31:0]      start_i,
  input  logic [29:0]      ring_mask_i,
  input  logic [63:0]      src_base_i,
  input  logic [29:0]      src_window_mask_i,
  input  logic [29:0]      src_ring_i,
  input  logic             src_need_wakeup_i,
  input  logic             src_interrupts_i,
  input  logic [63:0]      dst_base_i,
  input  logic [29:0]      dst_window_mask_i,
  input  logic [29:0]      dst_ring_i,
  input  logic             dst_need_wakeup_i,
  input  logic             dst_interrupts_i,
  input  logic             prod_valid_i,
  input  logic [31:0]      prod_i,
  input  logic             cons_valid_i,
  input  logic [31:0]      cons_i,
  output vnc_status_pkg::direction_t direction_o,
  output vnc_status_pkg::events_t    events_o,
  output logic             prod_wake_o,
  output logic             cons_wake_o,
  output logic             src_overtaken_o,
  output logic             dst_overtaken_o,
  output logic [5:0]       busy_o,
  input  logic [5:0]       stuck_i,
  output logic             ar_valid_o,
  input  logic             ar_ready_i,
  output logic [29:0]      ar_offset_o,
  output logic [7:0]       ar_len_o,
  input  logic             r_valid_i,
  input  logic [DataW-1:0] r_data_i,
  input  logic             r_error_i,
  input  logic             r_last_i,
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
  localparam int unsigned Kinds = 6;
  localparam logic [1:0]  Most  = 2'd2;

  // Undriven nets: any value in any cycle (an undriven variable would keep one value).
  wire                                           leave_chance, rest_chance;
  wire [Kinds-1:0]                               ask_chance;
  wire [$bits(vnc_status_pkg::direction_t)-2:0]  any_state;
  wire [Kinds-1:0][29:0]                         any_offset;
  wire [1:0][7:0]                                any_len;
  wire [7:0]                                     any_flags;

  // Data read, data write, prod word, cons word, read after prod, read after cons.
  logic                  off_q, good_q;  // good_q: the configuration when it left Off
  logic [Kinds-1:0][1:0] outstanding_q;  // taken and not answered
  logic [Kinds-1:0]      ask, taken, answered, more;

  assign taken    = ask & {cons_check_ready_i, prod_check_ready_i, cons_word_ready_i, prod_word_ready_i, aw_ready_i,
    ar_ready_i};
  assign answered = {cons_check_done_i, prod_check_done_i, cons_word_done_i, prod_word_done_i, b_valid_i, r_valid_i &&
    r_last_i};

  for (genvar n = 0; n < Kinds; n++) begin : g_kind
    assign ask[n]  = ask_chance[n] && !off_q && good_q && outstanding_q[n] < Most;
    assign more[n] = taken[n] || outstanding_q[n] != '0;
    always_ff @(posedge clk_i) outstanding_q[n] <= rst_ni ? outstanding_q[n] + 2'(taken[n]) - 2'(answered[n]) : '0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) off_q <= 1'b1;
    else if (off_q) off_q <= !(leave_chance && enable_i && !reset_i);
    else off_q <= rest_chance && more == '0;
    if (off_q) good_q <= config_ok_i && side_up_i;
  end

  assign {cons_check_valid_o, prod_check_valid_o, cons_word_valid_o, prod_word_valid_o, aw_valid_o, ar_valid_o} = ask;
  assign direction_o          = {off_q, any_state};
  assign {aw_len_o, ar_len_o} = any_len;
  assign {busy_o, src_overtaken_o, dst_overtaken_o} = any_flags;
  assign {cons_check_offset_o, prod_check_offset_o, cons_word_offset_o, prod_word_offset_o, aw_offset_o, ar_offset_o} =
    any_offset;
endmodule
