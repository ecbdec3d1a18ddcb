// SPDX-License-Identifier: MIT
//
// vnc_writer: writes complete bursts to the destination ring and counts the acknowledged bytes.
//
//   complete burst --> + ring --> request --> AW, taken one burst ahead of W
//                                |         W  <-- beats left of this burst, and of the next one <-- data
//                                +--> ack queue (lines) --> B --> acked
//
// Responses of one id arrive in order, so each belongs to the oldest burst.  After a failed response no further one
// is counted until `clear_i`, since a later response must not stand for it.  Beats whose AW was taken are always sent.
//
// Timing: one cycle from a complete burst to its request; one cycle from B to acked.

module vnc_writer #(
  parameter int unsigned DataW    = 64,
  parameter int unsigned BurstMax = 8    // bursts between AW and B: a power of two
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   clear_i,
  input  logic                   run_i,          // 0: start no further burst
  input  logic [31:0]            start_i,
  input  logic [29:0]            ring_i,         // offset of the ring in its window
  input  logic [29:0]            ring_mask_i,

  input  logic                   whole_valid_i,
  output logic                   whole_ready_o,
  input  vnc_status_pkg::burst_t whole_i,
  input  logic                   data_valid_i,
  output logic                   data_ready_o,

  output logic                   aw_valid_o,
  input  logic                   aw_ready_i,
  output logic [29:0]            aw_offset_o,
  output logic [7:0]             aw_len_o,
  output logic                   w_valid_o,      // the data does not pass through this module
  input  logic                   w_ready_i,
  output logic                   w_last_o,
  input  logic                   b_valid_i,
  input  logic                   b_error_i,

  output logic                   busy_o,         // a write is outstanding
  output logic                   sending_o,      // beats of a burst remain to be sent
  output logic                   failed_o,
  output logic [31:0]            acked_o         // every byte before this index is acknowledged
);
  localparam int unsigned LineBeats = vnc_pkg::Line / (DataW / 8);
  localparam int unsigned CountW    = $clog2(BurstMax + 1) + 1;

  function automatic logic [8:0] beats(logic [6:0] lines);
    return 9'(32'(lines) * LineBeats);
  endfunction

  // --- AW ----------------------------------------------------------------------------------------------

  logic       take, request_q, accepted, counted_q, ack_ready, next_valid_q;
  logic [6:0] lines_q, counted_lines_q;

  assign take          = whole_valid_i && !request_q;  // not in the cycle of `accepted`, which ends a long path
  assign whole_ready_o = take;
  assign aw_valid_o    = run_i && request_q && ack_ready && !next_valid_q;
  assign accepted      = aw_valid_o && aw_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) request_q <= 1'b0;
    else if (take) request_q <= 1'b1;
    else if (accepted) request_q <= 1'b0;
    counted_q <= rst_ni && !clear_i && accepted;  // registered: `accepted` ends a long path, and B comes later still
    counted_lines_q <= lines_q;
    if (take) begin
      aw_offset_o <= ring_i + (whole_i.index & ring_mask_i);
      aw_len_o    <= 8'(beats(whole_i.lines) - 9'd1);
      lines_q     <= whole_i.lines;
    end
  end

  // --- W: what is left of the burst on it, and the burst whose address went out ahead ------------------------

  logic [8:0] left_q, next_q;
  logic       left_valid_q, beat, last_beat;

  assign w_valid_o    = left_valid_q && data_valid_i;
  assign w_last_o     = left_q == 9'd1;
  assign beat         = w_valid_o && w_ready_i;
  assign last_beat    = beat && w_last_o;
  assign data_ready_o = left_valid_q && w_ready_i;
  assign sending_o    = left_valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_valid_q <= 1'b0;
      next_valid_q <= 1'b0;
    end else if (!left_valid_q || last_beat) begin
      left_valid_q <= next_valid_q || accepted;
      next_valid_q <= 1'b0;
    end else if (accepted) begin
      next_valid_q <= 1'b1;
    end
    if (!left_valid_q || last_beat) left_q <= next_valid_q ? next_q : beats(lines_q);
    else if (beat) left_q <= left_q - 9'd1;
    if (accepted) next_q <= beats(lines_q);
  end

  // --- B -----------------------------------------------------------------------------------------------

  logic [CountW-1:0] writes_q;  // bursts between AW and B
  logic [31:0]       acked_q;
  logic [6:0]        ack_lines;
  logic              ack_valid, failed_q;

  vnc_fifo #(.Width(7), .Depth(BurstMax)) i_ack_queue (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(counted_q), .in_ready_o(ack_ready), .in_data_i(counted_lines_q),
    .out_valid_o(ack_valid), .out_ready_i(b_valid_i), .out_data_o(ack_lines)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      writes_q <= '0;
      acked_q  <= start_i;
      failed_q <= 1'b0;
    end else begin
      writes_q <= writes_q + CountW'(counted_q) - CountW'(b_valid_i);
      if (b_valid_i && b_error_i) failed_q <= 1'b1;
      if (b_valid_i && !b_error_i && !failed_q) acked_q <= acked_q + {19'b0, ack_lines, 6'b0};
    end
  end

  assign busy_o   = counted_q || writes_q != '0;
  assign failed_o = failed_q;
  assign acked_o  = acked_q;

  // The queue holds an entry for every response, so its valid is not used.
  logic unused;
  assign unused = ack_valid;
endmodule
