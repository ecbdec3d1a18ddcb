// SPDX-License-Identifier: MIT
//
// vnc_reader: reads bursts of the source ring into a FIFO and offers each burst once it is complete.
//
//   burst --(room in the FIFO for all of it?)--> + ring --> request --> AR
//     |                                                                 |
//     +--> burst queue --> whole_o, once it is complete                 v
//                          data_o  <--------- data FIFO <-------------- R
//
// FIFO space is reserved before the request, so R never waits.  A burst with a failed beat never becomes complete,
// nor does any burst after it: bytes that were not read are not written.  `failed_o` is set until `clear_i`; `next_o`
// is then the index of the failed beat.
//
// Timing: one cycle from a burst to its request; one cycle from the last R beat to whole_valid_o.

module vnc_reader #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   clear_i,
  input  logic                   run_i,          // 0: request nothing more
  input  logic [29:0]            start_i,
  input  logic [29:0]            ring_i,         // offset of the ring in its window
  input  logic [29:0]            ring_mask_i,

  input  logic                   burst_valid_i,
  output logic                   burst_ready_o,
  input  vnc_status_pkg::burst_t burst_i,

  output logic                   ar_valid_o,
  input  logic                   ar_ready_i,
  output logic [29:0]            ar_offset_o,
  output logic [7:0]             ar_len_o,
  input  logic                   r_valid_i,
  input  logic [DataW-1:0]       r_data_i,
  input  logic                   r_error_i,
  input  logic                   r_last_i,

  // Complete bursts and their beats.
  output logic                   whole_valid_o,
  input  logic                   whole_ready_i,
  output vnc_status_pkg::burst_t whole_o,
  output logic                   data_valid_o,
  input  logic                   data_ready_i,
  output logic [DataW-1:0]       data_o,

  output logic                   busy_o,         // a read is outstanding
  output logic                   failed_o,
  output logic [29:0]            next_o          // index of the next beat on R
);
  localparam int unsigned BeatBytes = DataW / 8;
  localparam int unsigned LineBeats = vnc_pkg::Line / BeatBytes;
  localparam int unsigned FifoBeats = ReadsMax * BurstBeats;
  localparam int unsigned FreeW     = $clog2(FifoBeats + 1);
  localparam int unsigned CountW    = $clog2(ReadsMax + 1) + 1;

  function automatic logic [8:0] beats(logic [6:0] lines);
    return 9'(32'(lines) * LineBeats);
  endfunction

  // --- AR ----------------------------------------------------------------------------------------------

  logic [FreeW-1:0]  free_q;       // beats of the FIFO that are not reserved
  logic              has_room_q;   // for the longest burst; one cycle late, so not valid right after a burst
  logic              taken_q, take, request_q, accepted, queue_ready;
  logic [CountW-1:0] reads_q;   // bursts between AR and their last R beat
  logic              beat;

  assign take          = run_i && burst_valid_i && has_room_q && !taken_q && queue_ready && !request_q;
  assign burst_ready_o = take;
  assign ar_valid_o    = run_i && request_q;
  assign accepted      = ar_valid_o && ar_ready_i;
  assign beat          = data_valid_o && data_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      free_q     <= FreeW'(FifoBeats);
      has_room_q <= 1'b1;
      taken_q    <= 1'b0;
      request_q  <= 1'b0;
      reads_q    <= '0;
    end else begin
      free_q     <= free_q - (take ? FreeW'(beats(burst_i.lines)) : '0) + FreeW'(beat);
      has_room_q <= 32'(free_q) >= BurstBeats;
      taken_q    <= take;
      if (take) request_q <= 1'b1;
      else if (accepted) request_q <= 1'b0;
      reads_q <= reads_q + CountW'(accepted) - CountW'(r_valid_i && r_last_i);
    end
    if (take) begin
      ar_offset_o <= ring_i + (burst_i.index & ring_mask_i);
      ar_len_o    <= 8'(beats(burst_i.lines) - 9'd1);
    end
  end

  assign busy_o = reads_q != '0;

  // --- R -----------------------------------------------------------------------------------------------

  logic [CountW-1:0] whole_q;  // bursts read completely and not yet taken
  logic              failed_q, good, queue_valid, data_ready;
  logic [29:0]       next_q;

  assign good = r_valid_i && !r_error_i && !failed_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      whole_q  <= '0;
      failed_q <= 1'b0;
      next_q   <= start_i;
    end else begin
      whole_q <= whole_q + CountW'(good && r_last_i) - CountW'(whole_valid_o && whole_ready_i);
      if (r_valid_i && r_error_i) failed_q <= 1'b1;
      if (good) next_q <= next_q + 30'(BeatBytes);
    end
  end

  vnc_fifo #(.Width($bits(vnc_status_pkg::burst_t)), .Depth(ReadsMax)) i_burst_queue (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(take), .in_ready_o(queue_ready), .in_data_i(burst_i),
    .out_valid_o(queue_valid), .out_ready_i(whole_valid_o && whole_ready_i), .out_data_o(whole_o)
  );

  vnc_fifo #(.Width(DataW), .Depth(FifoBeats), .Registered(1'b1)) i_data_fifo (
    .clk_i, .rst_ni, .clear_i,
    .in_valid_i(r_valid_i), .in_ready_o(data_ready), .in_data_i(r_data_i),
    .out_valid_o(data_valid_o), .out_ready_i(data_ready_i), .out_data_o(data_o)
  );

  assign whole_valid_o = whole_q != '0 && queue_valid;
  assign failed_o      = failed_q;
  assign next_o        = next_q;

  // The FIFO has room for every requested beat, so its readiness is not used.
  logic unused;
  assign unused = data_ready;
endmodule
