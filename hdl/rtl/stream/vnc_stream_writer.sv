// SPDX-License-Identifier: MIT
//
// vnc_stream_writer: the producer of a ring: packets of an AXI-Stream become records in the window's RAM.
//
//   s_axis --> FIFO --> payload, behind the place of the header --> header --> prod word, doorbell
//                +--> malformed or too long: discarded up to TLAST, and counted; its place is used again
//
//   Off --> Body --> Head --> Publish --> Body             Body waits for room --> Refresh --> Epoch --> Judge --> Body
//     ^      +--> Discard --> Off                          (cons is no possible value) --> Halt, until `run_i` is 0
//
// A packet is visible only after its last beat, by the prod word.  A beat is stored only where cons has freed the ring;
// until then TREADY stays 0.  In Off and Halt packets are discarded and counted, so that logic whose output depends on
// its input does not stop the other direction; a generation begins with the first whole packet.
//
// s_axis must be packed: TKEEP is all ones but for the last beat, where its ones begin at bit 0 and may be none.  TUSER
// in the first beat is 1 for a packet that begins with a virtio_net_hdr of 10 bytes.
//
// The configuration must be stable unless `off_o`.  Timing: one beat per cycle while the RAM grants each write; three
// or four cycles more per record.

module vnc_stream_writer #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16,
  parameter int unsigned ProdWord   = 0,   // offsets in the window: this end's prod, the peer's cons, the peer's epoch
  parameter int unsigned ConsWord   = 0,
  parameter int unsigned EpochWord  = 0
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   run_i,
  input  logic                   vnet_i,       // offloads are agreed: packets may have a virtio_net_hdr
  input  logic [31:0]            epoch_i,      // the peer's epoch of this generation
  input  logic [31:0]            start_i,      // index at which the generation starts
  input  logic [16:0]            frame_max_i,
  input  logic [29:0]            ring_i,
  input  logic [4:0]             log2_i,
  output logic                   off_o,        // nothing is written
  output vnc_stream_pkg::cause_e cause_o,
  output logic [31:0]            index_o,      // prod
  output logic [31:0]            records_o,    // of this generation, or of the last one
  output logic                   done_event_o, // a record was published: `len_o` bytes
  output logic [16:0]            len_o,
  output logic                   fault_event_o, // a violation
  output logic                   big_event_o,   // a packet was discarded: too long,
  output logic                   bad_event_o,   // malformed,
  output logic                   down_event_o,  // or while no generation ran, or cut by its end

  // To the RAM; a granted read is answered one cycle later.
  output logic                   rd_valid_o,
  input  logic                   rd_ready_i,
  output logic [WindowLog2-1:0]  rd_at_o,
  input  logic                   rd_done_i,
  input  logic [31:0]            rd_word_i,
  output logic                   wr_valid_o,
  input  logic                   wr_ready_i,
  output logic [WindowLog2-1:0]  wr_at_o,
  output logic [DataW-1:0]       wr_data_o,
  output logic [DataW/8-1:0]     wr_strb_o,

  output logic                   doorbell_o,   // the prod word is stored: ring with `index_o`

  input  logic                   s_axis_tvalid,
  output logic                   s_axis_tready,
  input  logic [DataW-1:0]       s_axis_tdata,
  input  logic [DataW/8-1:0]     s_axis_tkeep,
  input  logic                   s_axis_tlast,
  input  logic                   s_axis_tuser
);
  localparam int unsigned Bytes = DataW / 8, HeadBeats = vnc_pkg::RecordHeader / Bytes;
  localparam int unsigned Pause = 7;

  typedef enum logic [3:0] {Off, Body, Refresh, Epoch, Judge, Head, Publish, Discard, Halt} state_e;
  state_e state_q;
  vnc_stream_pkg::cause_e cause_q;

  logic [31:0] prod_q, cons_q, seen_q, seq_q, next, mask;
  logic [16:0] len_q;     // bytes of the packet that are stored
  logic        asked_q, beat_q, vnet_q;
  logic        middle_q;  // the next beat is not the first of a packet
  logic        begun_q;   // the indices are those of this generation
  logic [2:0]  pause_q;

  logic             valid, pop, last, user;
  logic [DataW-1:0] data;
  logic [Bytes-1:0] keep;

  vnc_fifo #(.Width(DataW + Bytes + 2), .Depth(4)) i_fifo (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(s_axis_tvalid), .in_ready_o(s_axis_tready),
    .in_data_i({s_axis_tuser, s_axis_tlast, s_axis_tkeep, s_axis_tdata}),
    .out_valid_o(valid), .out_ready_i(pop), .out_data_o({user, last, keep, data})
  );

  // --- one beat ----------------------------------------------------------------------------------------

  logic [16:0] count, total, limit;
  logic [31:0] room;
  logic        malformed, big, fits, vnet, store, idle;

  always_comb begin
    count = '0;
    for (int unsigned n = 0; n < Bytes; n++) count += 17'(keep[n]);
  end

  assign mask      = (32'd1 << log2_i) - 32'd1;
  assign vnet      = middle_q ? vnet_q : user;
  assign total     = len_q + count;
  assign malformed = (keep & (keep + 1'b1)) != '0 || (!last && keep != '1) || (vnet && !vnet_i) ||
                     (last && total <= (vnet ? 17'(vnc_pkg::VnetHdr) : '0));
  assign limit     = 32'(frame_max_i) > mask - 32'd15 ? 17'(mask - 32'd15) : frame_max_i;
  assign big       = {1'b0, len_q} + 18'(count) > 18'(limit);
  assign room      = mask + 32'd1 - (prod_q - cons_q);
  assign fits      = 32'(len_q) + vnc_pkg::RecordHeader + 32'(Bytes) <= room;
  assign store     = state_q == Body && run_i && valid && !malformed && !big && fits;
  assign idle      = (state_q == Off && !run_i) || state_q == Halt;
  assign pop       = idle || state_q == Discard || (state_q == Body && run_i && (malformed || big)) ||
                     (store && wr_ready_i);

  // --- the RAM -----------------------------------------------------------------------------------------

  assign rd_valid_o = ((state_q == Refresh && pause_q == '0) || state_q == Epoch) && !asked_q;
  assign rd_at_o    = state_q == Epoch ? WindowLog2'(EpochWord) : WindowLog2'(ConsWord);
  assign wr_valid_o = store || state_q == Head || state_q == Publish;
  assign next       = prod_q + vnc_stream_pkg::record_bytes(len_q);

  logic [127:0] header;
  logic [29:0]  to;
  assign header = {32'd0, seq_q, vnet_q ? 16'(vnc_pkg::VnetHdr) : 16'd0, vnet_q ? 16'(vnc_pkg::RecVnet) : 16'd0,
                   15'd0, len_q};
  assign to     = 30'((state_q == Head ? prod_q + (beat_q ? 32'(Bytes) : '0)
                                       : prod_q + vnc_pkg::RecordHeader + 32'(len_q)) & mask);

  always_comb begin
    wr_at_o   = WindowLog2'(ring_i + to);
    wr_data_o = data;
    wr_strb_o = '1;
    if (state_q == Head) begin
      wr_data_o = DataW'(beat_q ? header >> (DataW % 128) : header);
    end else if (state_q == Publish) begin
      wr_at_o   = WindowLog2'(ProdWord);
      wr_data_o = DataW'(next);
      wr_strb_o = Bytes'(4'hf);
    end
  end

  // --- states ------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    fault_event_o <= 1'b0;
    done_event_o  <= 1'b0;
    doorbell_o    <= 1'b0;
    big_event_o   <= 1'b0;
    bad_event_o   <= 1'b0;
    down_event_o  <= idle && valid && !middle_q;
    if (rd_valid_o && rd_ready_i) asked_q <= 1'b1;
    else if (rd_done_i) asked_q <= 1'b0;
    if (pause_q != '0) pause_q <= pause_q - 1'b1;
    if (valid && pop) middle_q <= !last;
    if (valid && pop && !middle_q) vnet_q <= user;
    if (!run_i) begun_q <= 1'b0;
    if (!rst_ni) begin
      state_q  <= Off;
      cause_q  <= vnc_stream_pkg::None;
      asked_q  <= 1'b0;
      pause_q  <= '0;
      middle_q <= 1'b0;
      prod_q   <= '0;
      seq_q    <= '0;
    end else begin
      unique case (state_q)
        Off: begin
          len_q  <= '0;
          beat_q <= 1'b0;
          if (run_i) begun_q <= 1'b1;
          if (run_i && !begun_q) begin
            prod_q <= start_i;
            cons_q <= start_i;
            seq_q  <= '0;
          end
          if (run_i) state_q <= middle_q ? Discard : Body;
          if (run_i && !vnc_stream_pkg::ring_fits(ring_i, log2_i, WindowLog2)) begin
            state_q <= Halt;
            cause_q <= vnc_stream_pkg::Config;
          end
        end
        Body: begin
          if (!run_i) begin
            len_q        <= '0;
            down_event_o <= middle_q;
            state_q      <= Off;
          end else if (valid && (malformed || big)) begin
            len_q       <= '0;
            bad_event_o <= malformed;
            big_event_o <= !malformed;
            if (!last) state_q <= Discard;
          end else if (store && wr_ready_i) begin
            len_q <= total;
            if (last) state_q <= Head;
          end else if (valid && !fits) begin
            state_q <= Refresh;
          end
        end
        Refresh: begin
          seen_q <= rd_word_i;
          if (rd_done_i) pause_q <= 3'(Pause);
          if (rd_done_i) state_q <= rd_word_i == cons_q ? Body : Epoch;
        end
        Epoch: if (rd_done_i) begin
          state_q      <= rd_word_i == epoch_i ? Judge : Halt;
          down_event_o <= rd_word_i != epoch_i && middle_q;
          if (rd_word_i != epoch_i) cause_q <= vnc_stream_pkg::PeerRestarted;
        end
        Judge: begin
          cons_q  <= seen_q;
          state_q <= Body;
          if (seen_q[5:0] != '0 || prod_q - seen_q > prod_q - cons_q) begin
            cons_q        <= cons_q;
            state_q       <= Halt;
            cause_q       <= vnc_stream_pkg::BadIndex;
            fault_event_o <= 1'b1;
            down_event_o  <= middle_q;
          end
        end
        Head: if (wr_ready_i) begin
          beat_q <= HeadBeats == 2 && !beat_q;
          if (HeadBeats == 1 || beat_q) state_q <= Publish;
        end
        Publish: if (wr_ready_i) begin
          prod_q       <= next;
          seq_q        <= seq_q + 32'd1;
          len_o        <= len_q;
          len_q        <= '0;
          doorbell_o   <= 1'b1;
          done_event_o <= 1'b1;
          state_q      <= Body;
        end
        Discard: if (valid && last) state_q <= Off;
        default: if (!run_i) begin
          state_q <= Off;
          cause_q <= vnc_stream_pkg::None;
        end
      endcase
    end
  end

  assign off_o     = state_q == Off || state_q == Discard;
  assign cause_o   = cause_q;
  assign index_o   = prod_q;
  assign records_o = seq_q;
endmodule
