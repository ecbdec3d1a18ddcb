// SPDX-License-Identifier: MIT
//
// side_mover_model: replaces vnc_side_mover in the proof of the engine: a read at either side or a write in any cycle,
// and no more guarantees than prove_side_mover proves.
//
//   Off ---- enabled, windows good, no reset ----> anything ---- nothing outstanding ----> Off
//
// It sends requests only outside Off, one at a time; in Off nothing is outstanding.

module vnc_side_mover #(
  parameter int unsigned DataW  = 64,
  parameter int unsigned Offset = 0
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               enable_i,
  input  logic               reset_i,
  input  logic               config_ok_i,
  input  logic [63:0]        src_base_i,
  input  logic [29:0]        src_window_mask_i,
  input  logic [63:0]        dst_base_i,
  input  logic [29:0]        dst_window_mask_i,
  input  logic               doorbell_valid_i,
  input  logic [31:0]        doorbell_i,
  output vnc_status_pkg::side_t side_o,
  output logic               up_o,
  output logic               done_event_o,
  output logic               error_event_o,
  output logic               overtaken_event_o,
  output logic [2:0]         busy_o,
  input  logic [2:0]         stuck_i,
  output logic               ar_valid_o,
  input  logic               ar_ready_i,
  output logic [29:0]        ar_offset_o,
  output logic [7:0]         ar_len_o,
  input  logic               r_valid_i,
  input  logic [DataW-1:0]   r_data_i,
  input  logic               r_error_i,
  input  logic               r_last_i,
  output logic               aw_valid_o,
  input  logic               aw_ready_i,
  output logic [29:0]        aw_offset_o,
  output logic [7:0]         aw_len_o,
  input  logic               w_ready_i,
  output logic [DataW-1:0]   w_data_o,
  output logic [DataW/8-1:0] w_strb_o,
  output logic               w_last_o,
  input  logic               b_valid_i,
  input  logic               b_error_i,
  output logic               check_valid_o,
  input  logic               check_ready_i,
  output logic [29:0]        check_offset_o,
  input  logic               check_done_i,
  input  logic               check_error_i,
  input  logic [63:0]        check_head_i
);
  // Undriven nets: any value in any cycle (an undriven variable would keep one value).
  wire                                    leave_chance, rest_chance, ar_chance, aw_chance, check_chance, any_up;
  wire [3:0]                              any_flags;
  wire [2:0][29:0]                        any_offset;
  wire [$bits(vnc_status_pkg::side_t)-2:0] any_state;

  logic       off_q;
  logic [2:0] outstanding_q, taken;  // read, write, read at the peer

  assign ar_valid_o = ar_chance && !off_q && outstanding_q == '0;
  assign aw_valid_o = aw_chance && !off_q && outstanding_q == '0 && !ar_valid_o;
  assign check_valid_o = check_chance && !off_q && outstanding_q == '0 && !ar_valid_o && !aw_valid_o;
  assign taken      = {check_valid_o && check_ready_i, aw_valid_o && aw_ready_i, ar_valid_o && ar_ready_i};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) outstanding_q <= '0;
    else outstanding_q <= (outstanding_q | taken) & ~{check_done_i, b_valid_i, r_valid_i && r_last_i};
    if (!rst_ni) off_q <= 1'b1;
    else if (off_q) off_q <= !(leave_chance && enable_i && !reset_i && config_ok_i);
    else off_q <= rest_chance && (outstanding_q | taken) == '0;
  end

  assign side_o = {off_q, any_state};
  assign up_o   = any_up;
  assign {check_offset_o, aw_offset_o, ar_offset_o} = any_offset;
  assign {overtaken_event_o, busy_o} = any_flags;
endmodule
