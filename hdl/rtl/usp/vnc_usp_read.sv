// SPDX-License-Identifier: MIT
//
// vnc_usp_read: turns read bursts into memory read TLPs, several at a time, and their completions into R.
//
//   AR --> FIFO --> pieces --> read TLPs (vnc_usp_requests)
//                     | a tag and room in the buffer, both in order
//                     v
//   R  <--------- buffer <-- vnc_usp_completions <-- RC, in any order
//
// A piece is what one TLP reads: up to the maximum read request size, at a multiple of it in the address.  Tags and the
// buffer are rings, so R is in the order of AR, whatever the ids are; completions of different tags arrive in any
// order.  Room is reserved before a TLP is sent: RC is never stalled.
//
// A piece whose read fails returns SLVERR in those of its beats that were not returned before.  One that makes no
// progress for 2^TimeoutLog2 cycles at the head of the ring fails too, and its tag is lost: it is not used again before
// its last completion arrived.  With bus mastering off, pieces fail without a TLP.
//
// Timing: two cycles per piece; the first beat of R follows its completion by four cycles; then a beat per cycle.

module vnc_usp_read #(
  parameter int unsigned DataW       = 256,
  parameter int unsigned Tags        = 32,    // a power of two up to 256; more than 32 need extended tags on the link
  parameter int unsigned BufferBytes = 16384, // a power of two, 4096 or more
  parameter int unsigned TimeoutLog2 = 24
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               master_i,        // bus mastering is on
  input  logic [2:0]         request_i,       // maximum read request size: 128 << request_i bytes

  input  logic               ar_valid_i,
  output logic               ar_ready_o,
  input  logic [1:0]         ar_id_i,
  input  logic [63:0]        ar_addr_i,
  input  logic [7:0]         ar_len_i,
  output logic               r_valid_o,
  input  logic               r_ready_i,
  output logic [1:0]         r_id_o,
  output logic [DataW-1:0]   r_data_o,
  output logic [1:0]         r_resp_o,
  output logic               r_last_o,

  output logic               tlp_valid_o,
  input  logic               tlp_ready_i,
  output vnc_usp_pkg::read_t tlp_o,

  input  logic               rc_valid_i,
  input  logic [DataW-1:0]   rc_data_i,
  input  logic               rc_last_i,
  input  logic               rc_discontinue_i
);
  if (Tags < 2 || Tags > 256 || (Tags & (Tags - 1)) != 0) begin : g_bad_tags
    $fatal(1, "vnc_usp_read: Tags must be a power of two, 2 to 256");
  end

  if (BufferBytes < 4096 || (BufferBytes & (BufferBytes - 1)) != 0) begin : g_bad_buffer
    $fatal(1, "vnc_usp_read: BufferBytes must be a power of two, 4096 or more");
  end

  localparam int unsigned Bytes = DataW / 8;
  localparam int unsigned ByteW = $clog2(Bytes);
  localparam int unsigned Room  = BufferBytes / Bytes;   // beats
  localparam int unsigned PlaceW = $clog2(Room);
  localparam int unsigned TagW  = $clog2(Tags);
  localparam int unsigned BeatW = 8;                     // beats of a piece: at most 128

  // --- pieces ----------------------------------------------------------------------------------------------

  logic             ar_valid, ar_take;
  logic [1:0]       ar_id;
  logic [63:ByteW]  ar_at;
  logic [7:0]       ar_len;

  vnc_fifo #(.Width(10 + 64 - ByteW), .Depth(8)) i_bursts (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(ar_valid_i), .in_ready_o(ar_ready_o), .in_data_i({ar_id_i, ar_len_i, ar_addr_i[63:ByteW]}),
    .out_valid_o(ar_valid), .out_ready_i(ar_take), .out_data_o({ar_id, ar_len, ar_at})
  );

  logic             burst_q, piece_q, place, skip;  // a burst is being cut; a piece of it waits for its place
  logic [1:0]       id_q;
  logic [63:ByteW]  at_q;
  logic [8:0]       left_q;                   // beats
  logic [BeatW-1:0] beats_q, to_limit;
  logic [11:ByteW]  limit, beyond;            // beats of the maximum request, minus one; those that follow this one

  assign limit    = (12 - ByteW)'((32'd128 << request_i) - 32'd1 >> ByteW);
  assign beyond   = limit & ~at_q[11:ByteW];
  assign to_limit = BeatW'(beyond) + 1'b1;
  assign ar_take  = ar_valid && !burst_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      burst_q <= 1'b0;
      piece_q <= 1'b0;
    end else begin
      if (ar_take) burst_q <= 1'b1;
      else if (place && left_q == 9'(beats_q)) burst_q <= 1'b0;
      piece_q <= piece_q ? !place : burst_q;
    end
    if (ar_take) begin
      id_q   <= ar_id;
      at_q   <= ar_at;
      left_q <= 9'(ar_len) + 9'd1;
    end else if (place) begin
      at_q   <= at_q + (64 - ByteW)'(beats_q);
      left_q <= left_q - 9'(beats_q);
    end
    if (!piece_q) beats_q <= left_q < 9'(to_limit) ? BeatW'(left_q) : to_limit;
  end

  // --- the ring of tags ------------------------------------------------------------------------------------
  // A lost tag that the ring comes to is taken by a piece of 0 beats.

  typedef struct packed {
    logic [1:0]        id;
    logic              last;    // the last piece of its burst
    logic [BeatW-1:0]  beats;
    logic [PlaceW-1:0] start;   // in the buffer
  } piece_t;

  logic [$bits(piece_t)-1:0] pieces [Tags];
  piece_t                    placed, head;
  logic [TagW-1:0]           tail_q, head_q;
  logic [TagW:0]             used_q;
  logic [PlaceW-1:0]         start_q;
  logic [PlaceW:0]           room_q;          // free beats in the buffer
  logic                      tag_free, read, pop;
  logic [Tags-1:0]           lost;

  assign tag_free = !used_q[TagW];
  assign skip     = tag_free && lost[tail_q];
  assign place    = piece_q && tag_free && !lost[tail_q] && 32'(room_q) >= 32'(beats_q) &&
                    (!tlp_valid_o || tlp_ready_i);
  assign placed   = '{id: id_q, last: left_q == 9'(beats_q), beats: skip ? '0 : beats_q, start: start_q};
  assign head     = pieces[head_q];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      tail_q  <= '0;
      head_q  <= '0;
      used_q  <= '0;
      start_q <= '0;
      room_q  <= (PlaceW + 1)'(Room);
    end else begin
      if (place || skip) tail_q <= tail_q + 1'b1;
      if (pop) head_q <= head_q + 1'b1;
      used_q <= used_q + (TagW + 1)'(place || skip) - (TagW + 1)'(pop);
      if (place) start_q <= start_q + PlaceW'(beats_q);
      room_q <= room_q - (place ? (PlaceW + 1)'(beats_q) : '0) + (PlaceW + 1)'(read);
    end
    if (place || skip) pieces[tail_q] <= placed;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) tlp_valid_o <= 1'b0;
    else if (place) tlp_valid_o <= master_i;
    else if (tlp_ready_i) tlp_valid_o <= 1'b0;
    if (place) tlp_o <= '{address: {at_q, (ByteW - 2)'(0)}, dwords: 11'(32'(beats_q) * (DataW / 32)), tag: 8'(tail_q)};
  end

  // --- completions -----------------------------------------------------------------------------------------

  logic                   write, time_out, done, failed, progress;
  logic [PlaceW-1:0]      write_at;
  logic [DataW-1:0]       write_data;
  logic [BeatW-1:0]       arrived;       // beats of the head

  vnc_usp_completions #(.DataW(DataW), .Tags(Tags), .PlaceW(PlaceW), .BeatW(BeatW)) i_completions (
    .clk_i, .rst_ni,
    .place_i(place || skip), .refused_i(!master_i && !skip), .skipped_i(skip), .place_tag_i(tail_q),
    .place_start_i(start_q), .place_beats_i(beats_q),
    .rc_valid_i, .rc_data_i, .rc_last_i, .rc_discontinue_i,
    .write_o(write), .write_at_o(write_at), .write_data_o(write_data),
    .lost_o(lost), .head_i(head_q), .time_out_i(time_out), .arrived_o(arrived), .done_o(done), .failed_o(failed),
    .progress_o(progress)
  );

  // --- R ---------------------------------------------------------------------------------------------------

  logic [DataW-1:0]       buffer [Room];
  logic [BeatW-1:0]       returned_q;    // beats of the head
  logic [TimeoutLog2:0]   wait_q;
  logic                   some, advance, ends;

  assign some    = used_q != '0;
  assign advance = !r_valid_o || r_ready_i;
  assign read    = some && advance && head.beats != '0 && (done || (returned_q < arrived && !failed));
  assign ends    = returned_q + 1'b1 == head.beats;
  assign pop     = some && (head.beats == '0 || (read && ends));

  always_ff @(posedge clk_i) begin
    if (write) buffer[write_at] <= write_data;
    if (read) r_data_o <= buffer[head.start + PlaceW'(returned_q)];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      r_valid_o  <= 1'b0;
      returned_q <= '0;
    end else begin
      if (advance) r_valid_o <= read;
      if (pop) returned_q <= '0;
      else if (read) returned_q <= returned_q + 1'b1;
    end
    if (read) begin
      r_id_o   <= head.id;
      r_resp_o <= failed ? vnc_usp_pkg::SlvErr : vnc_usp_pkg::Okay;
      r_last_o <= head.last && ends;
    end
  end

  assign time_out = wait_q[TimeoutLog2] && !progress;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !some || done || read || pop || progress || time_out) wait_q <= '0;
    else wait_q <= wait_q + 1'b1;
  end

  // Reads return whole beats.
  logic unused;
  assign unused = ^ar_addr_i[ByteW-1:0];
endmodule
