// SPDX-License-Identifier: MIT
//
// vnc_usp_completions: takes completions from RC, stores their data at the place of their tag, and keeps for each tag
// how many beats arrived, whether it is done, and whether it failed.
//
//   RC --> register --> descriptor: whose, how many beats, an error?
//                   --> three dwords of this beat and the others of the one before --> buffer
//
// RC is dword-aligned without straddling: the data follow the three dwords of the descriptor.  Requests are whole
// beats, and completions are split at multiples of 64 bytes, so each completion carries whole beats.  One that does
// not, or carries more than was requested, fails its tag.
//
// Of a failed tag nothing more is stored; it is done when the block ends the request: with "request completed", or an
// error code that says so.  A lost tag is free again then.  Completions of other tags are ignored.

module vnc_usp_completions #(
  parameter int unsigned DataW  = 256,
  parameter int unsigned Tags   = 32,
  parameter int unsigned PlaceW = 9,
  parameter int unsigned BeatW  = 8,
  localparam int unsigned TagW  = $clog2(Tags)
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  // A tag gets its place.
  input  logic              place_i,
  input  logic              refused_i,     // no TLP is sent: the piece has failed
  input  logic              skipped_i,     // the tag is lost: it stays so
  input  logic [TagW-1:0]   place_tag_i,
  input  logic [PlaceW-1:0] place_start_i,
  input  logic [BeatW-1:0]  place_beats_i,

  input  logic              rc_valid_i,
  input  logic [DataW-1:0]  rc_data_i,
  input  logic              rc_last_i,
  input  logic              rc_discontinue_i,

  output logic              write_o,
  output logic [PlaceW-1:0] write_at_o,
  output logic [DataW-1:0]  write_data_o,

  output logic [Tags-1:0]   lost_o,
  input  logic [TagW-1:0]   head_i,
  input  logic              time_out_i,    // the head fails and its tag is lost
  output logic [BeatW-1:0]  arrived_o,
  output logic              done_o,
  output logic              failed_o,
  output logic              progress_o     // a completion of the head arrives
);
  localparam int unsigned W     = DataW / 32;
  localparam int unsigned ByteW = $clog2(DataW / 8);

  logic [Tags-1:0]   live_q, done_q, failed_q, lost_q;   // live: requested and not done
  logic [BeatW-1:0]  arrived_q [Tags];
  logic [PlaceW-1:0] start_q [Tags];
  logic [BeatW-1:0]  beats_q [Tags];

  // --- the beat from RC ------------------------------------------------------------------------------------

  logic               valid_q, last_q, discontinue_q, first_q;
  logic [W-1:0][31:0] data_q, before_q;

  always_ff @(posedge clk_i) begin
    valid_q       <= rst_ni && rc_valid_i;
    data_q        <= rc_data_i;
    last_q        <= rc_last_i;
    discontinue_q <= rc_discontinue_i;
    if (!rst_ni) first_q <= 1'b1;
    else if (valid_q) first_q <= last_q;
    if (valid_q) before_q <= data_q;
  end

  // --- the descriptor --------------------------------------------------------------------------------------

  logic [7:0]        tag;
  logic [3:0]        code;
  logic [10:0]       dwords;
  logic [2:0]        status;
  logic              completed, known, ends, fits, good;
  logic [TagW-1:0]   which;
  logic [BeatW-1:0]  count;                              // beats of data
  logic [TagW-1:0]   which_q;                            // of the packet, after its first beat
  logic              known_q, ends_q, good_q;
  logic [BeatW-1:0]  to_come_q;
  logic [PlaceW-1:0] at_q;

  assign code      = data_q[0][15:12];
  assign completed = data_q[0][30];
  assign dwords    = data_q[1][10:0];
  assign status    = data_q[1][13:11];
  assign tag       = data_q[2][7:0];
  assign which     = TagW'(tag);
  assign known     = 32'(tag) < Tags && (live_q[which] || lost_q[which]) && code != vnc_usp_pkg::InvalidTag;
  assign ends      = completed || code == vnc_usp_pkg::BadStatus || code == vnc_usp_pkg::BadLength ||
                     code == vnc_usp_pkg::FlrEnded || code == vnc_usp_pkg::TimedOut;
  assign count     = BeatW'(32'(dwords) / W);
  assign fits      = 32'(dwords) % W == 0 && data_q[0][ByteW-1:0] == '0 &&
                     32'(arrived_q[which]) + 32'(dwords) / W <= 32'(beats_q[which]);
  assign good      = code == vnc_usp_pkg::NoError && status == vnc_usp_pkg::Success && fits && !failed_q[which] &&
                     live_q[which];

  always_ff @(posedge clk_i) begin
    if (valid_q && first_q) begin
      which_q   <= which;
      known_q   <= known;
      ends_q    <= ends;
      good_q    <= good;
      to_come_q <= known && good ? count : '0;
      at_q      <= start_q[which] + PlaceW'(arrived_q[which]);
    end else if (write_o) begin
      to_come_q <= to_come_q - 1'b1;
      at_q      <= at_q + 1'b1;
    end
  end

  assign write_o    = valid_q && !first_q && to_come_q != '0;
  assign write_at_o = at_q;

  always_comb begin
    for (int unsigned n = 0; n < W; n++) write_data_o[32*n +: 32] = n < W - 3 ? before_q[n + 3] : data_q[n + 3 - W];
  end

  // --- the state of the tags -------------------------------------------------------------------------------
  // At the end of a packet.  `short`: the packet ended before its data, or the request before all of its data.

  logic              end_known, end_good, end_ends, packet_end, whole, cut;
  logic [TagW-1:0]   end_tag;
  logic [BeatW-1:0]  end_left, end_arrived;

  assign packet_end  = valid_q && last_q;
  assign end_tag     = first_q ? which : which_q;
  assign end_known   = first_q ? known : known_q;
  assign end_ends    = first_q ? ends : ends_q;
  assign end_good    = first_q ? good && count == '0 : good_q;
  assign end_left    = first_q ? '0 : to_come_q;
  assign end_arrived = arrived_q[end_tag] + BeatW'(write_o);
  assign whole       = end_arrived == beats_q[end_tag];
  assign cut         = discontinue_q || !end_good || end_left > BeatW'(1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      live_q   <= '0;
      done_q   <= '0;
      failed_q <= '0;
      lost_q   <= '0;
    end else begin
      if (packet_end && end_known) begin
        if (end_ends) begin
          live_q[end_tag] <= 1'b0;
          lost_q[end_tag] <= 1'b0;
        end
        if (live_q[end_tag]) begin
          if (end_ends) done_q[end_tag] <= 1'b1;
          if (cut || (end_ends && !whole)) failed_q[end_tag] <= 1'b1;
        end
      end
      if (time_out_i) begin
        live_q[head_i]   <= 1'b0;
        done_q[head_i]   <= 1'b1;
        failed_q[head_i] <= 1'b1;
        lost_q[head_i]   <= 1'b1;
      end
      if (place_i) begin
        live_q[place_tag_i]   <= !refused_i && !skipped_i;
        done_q[place_tag_i]   <= refused_i;
        failed_q[place_tag_i] <= refused_i;
      end
    end
    if (place_i) begin
      arrived_q[place_tag_i] <= '0;
      start_q[place_tag_i]   <= place_start_i;
      beats_q[place_tag_i]   <= place_beats_i;
    end
    if (write_o) arrived_q[which_q] <= arrived_q[which_q] + 1'b1;
  end

  assign lost_o     = lost_q;
  assign arrived_o  = arrived_q[head_i];
  assign done_o     = done_q[head_i];
  assign failed_o   = failed_q[head_i];
  assign progress_o = valid_q && end_known && end_tag == head_i;
endmodule
