// SPDX-License-Identifier: MIT
//
// vnc_usp_write: cuts write bursts into memory write TLPs.
//
//   AW --> FIFO --+
//                 v
//   W ----> run of strobes --> the TLP that grows --> FIFO of TLPs
//                    +-------> FIFO of beats
//
// A TLP covers one run of enabled bytes, and ends at the maximum payload size, at a multiple of it in the address.
// Bursts must not cross 4 KiB, as AXI demands; so TLPs do not either.  Within a beat the strobes must be one run or 0:
// a beat with other strobes is not written, and its burst is answered with SLVERR.  Beats without a strobe are skipped.
// A burst without any strobe has no TLP; an `empty` one stands for it.
//
// Timing: a TLP is in its FIFO two cycles after its last beat, when all its beats are in theirs; a beat per cycle.

module vnc_usp_write #(
  parameter int unsigned DataW = 256,
  parameter int unsigned Beats = 128   // depth of the FIFO of beats: several TLPs of 1 KiB
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [1:0]         payload_i,    // maximum payload size: 128 << payload_i bytes

  input  logic               aw_valid_i,
  output logic               aw_ready_o,
  input  logic [1:0]         aw_id_i,
  input  logic [63:0]        aw_addr_i,
  input  logic               w_valid_i,
  output logic               w_ready_o,
  input  logic [DataW-1:0]   w_data_i,
  input  logic [DataW/8-1:0] w_strb_i,
  input  logic               w_last_i,

  output logic                tlp_valid_o,
  input  logic                tlp_ready_i,
  output vnc_usp_pkg::write_t tlp_o,
  output logic                beat_valid_o,
  input  logic                beat_ready_i,
  output logic [DataW-1:0]    beat_o
);
  localparam int unsigned Bytes   = DataW / 8;
  localparam int unsigned ByteW   = $clog2(Bytes);
  localparam int unsigned DwordW  = ByteW - 2;         // bits of the number of a dword in a beat

  // --- the address of each beat ------------------------------------------------------------------------

  logic             aw_valid, burst_end;
  logic [1:0]       aw_id;
  logic [63:ByteW]  aw_at;
  logic             first_q;     // the next beat is the first one of its burst
  logic [11:ByteW]  next_q;
  logic [63:ByteW]  w_at;

  vnc_fifo #(.Width(2 + 64 - ByteW), .Depth(4)) i_bursts (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(aw_valid_i), .in_ready_o(aw_ready_o), .in_data_i({aw_id_i, aw_addr_i[63:ByteW]}),
    .out_valid_o(aw_valid), .out_ready_i(burst_end), .out_data_o({aw_id, aw_at})
  );

  assign w_at      = {aw_at[63:12], first_q ? aw_at[11:ByteW] : next_q};
  assign burst_end = w_valid_i && w_ready_o && w_last_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) first_q <= 1'b1;
    else if (w_valid_i && w_ready_o) first_q <= w_last_i;
    if (w_valid_i && w_ready_o) next_q <= w_at[11:ByteW] + 1'b1;
  end

  // --- the run of strobes in a beat ------------------------------------------------------------------------

  logic [ByteW-1:0] low, high;   // the first and the last enabled byte
  logic             one_run;

  always_comb begin
    low  = '0;
    high = '0;
    for (int unsigned n = 0; n < Bytes; n++) begin
      if (w_strb_i[Bytes - 1 - n]) low = ByteW'(Bytes - 1 - n);
      if (w_strb_i[n]) high = ByteW'(n);
    end
  end

  // Added to its lowest one, a run of ones becomes a single bit above it.
  assign one_run = ((w_strb_i + (w_strb_i & (~w_strb_i + 1'b1))) & w_strb_i) == '0;

  logic             valid_q, any_q, bad_q, last_q, take;
  logic [ByteW-1:0] low_q, high_q;
  logic [DataW-1:0] data_q;
  logic [63:ByteW]  at_q;
  logic [1:0]       id_q;

  assign w_ready_o = aw_valid && (!valid_q || take);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (w_valid_i && w_ready_o) valid_q <= 1'b1;
    else if (take) valid_q <= 1'b0;
    if (w_ready_o) begin
      any_q  <= w_strb_i != '0 && one_run;
      bad_q  <= !one_run;
      last_q <= w_last_i;
      low_q  <= low;
      high_q <= high;
      data_q <= w_data_i;
      at_q   <= w_at;
      id_q   <= aw_id;
    end
  end

  // --- the TLP that grows ----------------------------------------------------------------------------------
  // `whole_q`: it has its last byte.  Otherwise its last beat was enabled to the end, and the next one may join.

  vnc_usp_pkg::write_t grows_q, pushed, begun;
  logic                open_q, whole_q, burst_bad_q;
  logic                joins, whole, push, tlps_ready, beats_ready, one_dword;
  logic [9:ByteW]      after, payload_mask;    // address after the beat, and its bits within the maximum payload size
  logic [3:0]          end_be;
  logic [DwordW-1:0]   low_dword, high_dword;

  assign low_dword  = low_q[ByteW-1:2];
  assign high_dword = high_q[ByteW-1:2];
  assign one_dword  = low_dword == high_dword;
  assign end_be     = 4'hf >> ~high_q[1:0];
  assign after      = at_q[9:ByteW] + 1'b1;
  assign payload_mask = (10 - ByteW)'((32'd128 << payload_i) - 32'd1 >> ByteW);
  assign whole      = last_q || high_q != '1 || (after & payload_mask) == '0;
  assign take       = valid_q && tlps_ready && beats_ready;
  assign joins      = open_q && !whole_q && any_q && low_q == '0;
  assign push       = open_q && tlps_ready && (whole_q || (take && !joins));

  always_comb begin
    pushed = grows_q;
    if (take && !whole_q && last_q && !any_q) begin
      pushed.last = 1'b1;
      pushed.bad  = burst_bad_q || bad_q;
    end
  end

  always_comb begin
    begun          = '0;
    begun.last     = last_q;
    begun.bad      = burst_bad_q || bad_q;
    begun.empty    = !any_q;
    begun.id       = id_q;
    begun.address  = {at_q, low_dword};
    begun.dwords   = 9'(high_dword) - 9'(low_dword) + 9'd1;
    begun.beats    = 6'd1;
    begun.first_be = (4'hf << low_q[1:0]) & (one_dword ? end_be : 4'hf);
    begun.last_be  = one_dword ? 4'h0 : end_be;
    if (joins) begin
      begun.empty    = 1'b0;
      begun.address  = grows_q.address;
      begun.dwords   = grows_q.dwords + 9'(high_dword) + 9'd1;
      begun.beats    = grows_q.beats + 6'd1;
      begun.first_be = grows_q.first_be;
      begun.last_be  = end_be;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      open_q      <= 1'b0;
      whole_q     <= 1'b0;
      burst_bad_q <= 1'b0;
    end else if (take) begin
      // A last beat without a strobe ends the open TLP, or needs an empty one.
      open_q      <= any_q || (last_q && !(open_q && !whole_q));
      whole_q     <= whole || !any_q;
      burst_bad_q <= (burst_bad_q || bad_q) && !last_q;
    end else if (push) begin
      open_q      <= 1'b0;
    end
    if (take) grows_q <= begun;
  end

  vnc_fifo #(.Width($bits(vnc_usp_pkg::write_t)), .Depth(32)) i_tlps (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(push), .in_ready_o(tlps_ready), .in_data_i(pushed),
    .out_valid_o(tlp_valid_o), .out_ready_i(tlp_ready_i), .out_data_o(tlp_o)
  );

  vnc_fifo #(.Width(DataW), .Depth(Beats)) i_beats (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(take && any_q), .in_ready_o(beats_ready), .in_data_i(data_q),
    .out_valid_o(beat_valid_o), .out_ready_i(beat_ready_i), .out_data_o(beat_o)
  );

  // A beat begins at a multiple of its size.
  logic unused;
  assign unused = ^aw_addr_i[ByteW-1:0];
endmodule
