// SPDX-License-Identifier: MIT
//
// vnc_doorbell: takes an index from its doorbell register after checking that it is valid.
//
//   valid, value --> pending --> value - index, limit - index --> step <= room, multiple of 64? --> index
//                                                                         |
//                                                                         +-- no: bad, until `clear_i`
//
// The value must be stable from one pulse to the next.  A doorbell that rings during a check is checked after it;
// of several values the last one counts.  Doorbells are ignored while `enable_i` is 0 and after a bad value.
//
// Timing: three cycles from the pulse to the index.

module vnc_doorbell (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,   // the index becomes `start_i`
  input  logic [31:0] start_i,
  input  logic        enable_i,

  input  logic        valid_i,
  input  logic [31:0] value_i,
  input  logic [31:0] limit_i,   // largest valid index; it never decreases

  output logic [31:0] index_o,
  output logic        bad_o,
  output logic [31:0] bad_value_o
);
  logic        pending_q, differ_q, judge_q, good_q, check, bad_q;
  logic [31:0] index_q, value_q, step_q, room_q;

  assign check = enable_i && (valid_i || pending_q) && !differ_q && !judge_q && !bad_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      pending_q <= 1'b0;
      differ_q  <= 1'b0;
      judge_q   <= 1'b0;
      bad_q     <= 1'b0;
      index_q   <= start_i;
    end else begin
      pending_q <= enable_i && (valid_i || pending_q) && !check;
      differ_q  <= check;
      judge_q   <= differ_q;
      if (judge_q && good_q) index_q <= value_q;
      if (judge_q && !good_q) bad_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (check) begin
      value_q <= value_i;
      step_q  <= value_i - index_q;
      room_q  <= limit_i - index_q;
    end
    good_q <= value_q[5:0] == '0 && step_q <= room_q;
  end

  assign index_o     = index_q;
  assign bad_o       = bad_q;
  assign bad_value_o = value_q;
endmodule
