// SPDX-License-Identifier: MIT
//
// vnc_fault: latches the first failure of a direction, its cause and its address, until `clear_i`.
//
//   failed, stuck (per channel), bad indices --> fault_o --> cause, offset or value --> + base --> error_addr
//
// The parts of the mover stop by themselves at their first failure and stay stopped; this module only reports it.
// Of several failures in one cycle, the first in the list of channels below is reported.
//
// Timing: one cycle from the failure to fault_o, two to the cause, three to error_addr.

module vnc_fault #(
  parameter int unsigned ProdLine = 0,  // offsets of the index lines in both windows
  parameter int unsigned ConsLine = 0
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,
  input  logic        enable_i,
  input  logic        config_bad_i,      // a pulse
  input  logic [63:0] src_base_i,
  input  logic [29:0] src_window_mask_i,
  input  logic [29:0] src_ring_i,
  input  logic [63:0] dst_base_i,
  input  logic [29:0] dst_window_mask_i,
  input  logic [29:0] dst_ring_i,
  input  logic [29:0] ring_mask_i,

  // Per channel: data read, data write, prod word, cons word, read after prod, read after cons.
  input  logic [5:0]  failed_i,          // levels, until clear
  input  logic [5:0]  stuck_i,
  input  logic        prod_bad_i,        // levels, until clear, with their values
  input  logic [31:0] prod_value_i,
  input  logic        cons_bad_i,
  input  logic [31:0] cons_value_i,
  input  logic [29:0] read_index_i,      // index of each channel's next beat or burst
  input  logic [29:0] write_index_i,
  input  logic [29:0] prod_check_offset_i,  // of the reads after an index word
  input  logic [29:0] cons_check_offset_i,

  output logic        fault_o,           // level, until clear
  output logic [3:0]  cause_o,
  output logic [63:0] error_addr_o
);
  typedef enum logic [2:0] {Read, Write, ProdWord, ConsWord, ProdCheck, ConsCheck} channel_e;

  logic [5:0]  failed_q, stuck_q, which;
  logic        prod_bad_q, cons_bad_q, fault_q, known_q;
  logic [3:0]  cause_q, bus_cause;
  channel_e    channel_q, channel;
  logic        is_value_q;
  logic [31:0] value_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      failed_q   <= '0;
      stuck_q    <= '0;
      prod_bad_q <= 1'b0;
      cons_bad_q <= 1'b0;
      fault_q    <= 1'b0;
    end else if (enable_i && !fault_q) begin
      failed_q   <= failed_i;
      stuck_q    <= stuck_i;
      prod_bad_q <= prod_bad_i;
      cons_bad_q <= cons_bad_i;
      fault_q    <= failed_i != '0 || stuck_i != '0 || prod_bad_i || cons_bad_i;
    end
  end

  assign which   = failed_q != '0 ? failed_q : stuck_q;
  assign fault_o = fault_q;

  always_comb begin
    channel = Read;
    for (logic [2:0] n = 3'd6; n > 0; n--) if (which[n - 3'd1]) channel = channel_e'(n - 3'd1);
  end

  always_comb begin
    unique case (channel)
      Read:     bus_cause = 4'(vnc_pkg::CauseRead);
      Write:    bus_cause = 4'(vnc_pkg::CauseWrite);
      ProdWord: bus_cause = 4'(vnc_pkg::CauseProdWrite);
      ConsWord: bus_cause = 4'(vnc_pkg::CauseConsWrite);
      default:  bus_cause = 4'(vnc_pkg::CauseWakeupRead);
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cause_q <= 4'(vnc_pkg::CauseNone);
      known_q <= 1'b0;
    end else if (config_bad_i) begin
      cause_q <= 4'(vnc_pkg::CauseConfig);
      known_q <= 1'b1;
    end else if (clear_i) begin
      cause_q <= 4'(vnc_pkg::CauseNone);
      known_q <= 1'b0;
    end else if (fault_o && !known_q) begin
      known_q <= 1'b1;
      if (which != '0) cause_q <= failed_q != '0 ? bus_cause : 4'(vnc_pkg::CauseTimeout);
      else cause_q <= 4'(prod_bad_q ? vnc_pkg::CauseBadProd : vnc_pkg::CauseBadCons);
    end
    if (!known_q) begin
      channel_q  <= channel;
      is_value_q <= which == '0;
      value_q    <= config_bad_i || clear_i ? '0 : prod_bad_q ? prod_value_i : cons_bad_q ? cons_value_i : '0;
    end
  end

  // --- the address -------------------------------------------------------------------------------------

  logic        at_dst_q;
  logic [29:0] offset_q, read_index_q, write_index_q;
  logic [63:0] address;

  // The indices are latched with the fault: after a time-out a late answer still moves them.
  always_ff @(posedge clk_i) begin
    if (!fault_q) begin
      read_index_q  <= read_index_i;
      write_index_q <= write_index_i;
    end
  end

  always_ff @(posedge clk_i) begin
    at_dst_q <= channel_q == Write || channel_q == ProdWord || channel_q == ProdCheck;
    unique case (channel_q)
      Read:                offset_q <= src_ring_i + (read_index_q & ring_mask_i);
      Write:               offset_q <= dst_ring_i + (write_index_q & ring_mask_i);
      ProdWord:            offset_q <= 30'(ProdLine);
      ConsWord:            offset_q <= 30'(ConsLine);
      ProdCheck:           offset_q <= prod_check_offset_i;
      default:             offset_q <= cons_check_offset_i;
    endcase
    error_addr_o <= is_value_q ? {32'b0, value_q} : address;
  end

  vnc_address i_address (
    .base_i        (at_dst_q ? dst_base_i : src_base_i),
    .window_mask_i (at_dst_q ? dst_window_mask_i : src_window_mask_i),
    .offset_i      (offset_q),
    .address_o     (address)
  );

  assign cause_o = cause_q;
endmodule
