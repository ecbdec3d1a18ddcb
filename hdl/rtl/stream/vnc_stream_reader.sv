// SPDX-License-Identifier: MIT
//
// vnc_stream_reader: the consumer of a ring: records in the window's RAM become packets of an AXI-Stream.
//
//   prod word --> peer's epoch --> header --> checked? --> payload --> FIFO --> m_axis
//                     |                         |  no          +--> cons word, doorbell
//                     +--> another one: halt    +--> halt: nothing of this record enters the stream
//
//   Off --> Poll --> Epoch --> Judge --> Head --> Check --> Body --> Tail --> Publish --> Poll, or Head
//            ^ prod == cons; every 8th cycle at most                (any violation) --> Halt, until `run_i` is 0
//
// A record is read only when its header fits the published bytes, so every packet that begins is complete, and every
// read of payload stays in the ring.  The peer's epoch is read after prod and before the records, as a restarting
// producer publishes its epoch before it changes prod.  `run_i` = 0 stops after the current record.
//
// m_axis is packed: TKEEP is all ones but for the last beat, where its ones begin at bit 0.  TUSER is 1 for a packet
// that begins with a virtio_net_hdr of 10 bytes, the same in all of its beats.
//
// The configuration must be stable unless `off_o`.  Timing: one beat per cycle while the RAM grants each read; about
// 12 cycles more per record.

module vnc_stream_reader #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16,
  parameter int unsigned ProdWord   = 0,   // offsets in the window: the peer's prod, this end's cons, the peer's epoch
  parameter int unsigned ConsWord   = 0,
  parameter int unsigned EpochWord  = 0
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   run_i,
  input  logic                   vnet_i,       // offloads are agreed: records may have VNET
  input  logic [31:0]            epoch_i,      // the peer's epoch of this generation
  input  logic [31:0]            start_i,      // index at which the generation starts
  input  logic [16:0]            frame_max_i,
  input  logic [29:0]            ring_i,
  input  logic [4:0]             log2_i,
  output logic                   off_o,
  output vnc_stream_pkg::cause_e cause_o,
  output logic [31:0]            index_o,      // cons
  output logic [31:0]            records_o,    // of this generation, or of the last one
  output logic                   done_event_o, // a record was consumed: `len_o` bytes
  output logic [16:0]            len_o,
  output logic                   fault_event_o, // a violation

  // To the RAM; a granted read is answered one cycle later.
  output logic                   rd_valid_o,
  input  logic                   rd_ready_i,
  output logic [WindowLog2-1:0]  rd_at_o,
  input  logic                   rd_done_i,
  input  logic [DataW-1:0]       rd_data_i,
  output logic                   word_valid_o,
  input  logic                   word_ready_i,
  output logic [WindowLog2-1:0]  word_at_o,
  output logic [31:0]            word_o,

  output logic                   doorbell_o,   // the cons word is stored: ring with `index_o`

  output logic                   m_axis_tvalid,
  input  logic                   m_axis_tready,
  output logic [DataW-1:0]       m_axis_tdata,
  output logic [DataW/8-1:0]     m_axis_tkeep,
  output logic                   m_axis_tlast,
  output logic                   m_axis_tuser
);
  localparam int unsigned Bytes = DataW / 8, HeadBeats = vnc_pkg::RecordHeader / Bytes;
  localparam int unsigned Depth = 16, Pause = 7;

  typedef enum logic [3:0] {Off, Poll, Epoch, Judge, Head, Check, Body, Tail, Publish, Halt} state_e;
  state_e state_q;
  vnc_stream_pkg::cause_e cause_q, wrong;

  logic [31:0]  cons_q, prod_q, seen_q, seq_q, next_q, fill, filled;
  logic [127:0] head_q;
  logic         asked_q;  // a read of a word is granted and not answered
  logic         beat_q;   // the second beat of a header
  logic [2:0]   pause_q;
  logic [16:0]  len_q, left_q;
  logic [31:0]  at_q;     // index of the next payload beat
  logic         vnet_q;
  logic         ask, beat, last, pop, stop, pushed_last_q;
  logic [4:0]   held_q;   // beats granted and not yet out of the FIFO
  logic [Bytes-1:0] keep, pushed_keep_q;
  logic [31:0]  mask;

  assign mask = (32'd1 << log2_i) - 32'd1;

  // --- the RAM -----------------------------------------------------------------------------------------

  assign ask        = (state_q == Poll && pause_q == '0) || state_q == Epoch || state_q == Head;
  assign beat       = state_q == Body && held_q < 5'(Depth - 1);
  assign rd_valid_o = (ask && !asked_q) || beat;
  assign last       = left_q <= 17'(Bytes);

  always_comb begin
    unique case (state_q)
      Poll:    rd_at_o = WindowLog2'(ProdWord);
      Epoch:   rd_at_o = WindowLog2'(EpochWord);
      Head:    rd_at_o = WindowLog2'(ring_i + 30'((cons_q + (beat_q ? 32'(Bytes) : '0)) & mask));
      default: rd_at_o = WindowLog2'(ring_i + 30'(at_q & mask));
    endcase
  end

  assign word_valid_o = state_q == Publish;
  assign word_at_o    = WindowLog2'(ConsWord);
  assign word_o       = next_q;

  // --- checks ------------------------------------------------------------------------------------------

  logic [31:0] head_len, head_seq, head_crc;
  logic [15:0] head_flags, head_vnet;
  assign {head_crc, head_seq, head_vnet, head_flags, head_len} = head_q;
  assign fill   = seen_q - cons_q;
  assign filled = prod_q - cons_q;

  always_comb begin
    wrong = vnc_stream_pkg::None;
    if (head_len == '0 || head_len > 32'(frame_max_i) ||
        vnc_stream_pkg::record_bytes(head_len[16:0]) > filled) wrong = vnc_stream_pkg::BadLen;
    else if (head_flags > 16'(vnet_i ? vnc_pkg::RecVnet : 0) || 32'(head_vnet) >= head_len || head_crc != '0 ||
             head_vnet != (head_flags[0] ? 16'(vnc_pkg::VnetHdr) : '0)) wrong = vnc_stream_pkg::BadHeader;
    else if (head_seq != seq_q) wrong = vnc_stream_pkg::BadSeq;
  end

  // --- states ------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    fault_event_o <= 1'b0;
    done_event_o  <= 1'b0;
    doorbell_o    <= 1'b0;
    if (rd_valid_o && rd_ready_i && !beat) asked_q <= 1'b1;
    else if (rd_done_i) asked_q <= 1'b0;
    if (pause_q != '0) pause_q <= pause_q - 1'b1;
    if (!rst_ni) begin
      state_q <= Off;
      cause_q <= vnc_stream_pkg::None;
      asked_q <= 1'b0;
      pause_q <= '0;
      cons_q  <= '0;
      seq_q   <= '0;
    end else begin
      unique case (state_q)
        Off: begin
          beat_q <= 1'b0;
          if (run_i) begin
            cons_q  <= start_i;
            prod_q  <= start_i;
            seq_q   <= '0;
            state_q <= vnc_stream_pkg::ring_fits(ring_i, log2_i, WindowLog2) ? Poll : Halt;
            if (!vnc_stream_pkg::ring_fits(ring_i, log2_i, WindowLog2)) cause_q <= vnc_stream_pkg::Config;
          end
        end
        Poll: begin
          seen_q <= rd_data_i[31:0];
          if (rd_done_i) pause_q <= 3'(Pause);
          if (rd_done_i && rd_data_i[31:0] != cons_q) state_q <= Epoch;
          else if (stop) state_q <= Off;
        end
        Epoch: if (rd_done_i) begin
          state_q <= rd_data_i[31:0] == epoch_i ? Judge : Halt;
          if (rd_data_i[31:0] != epoch_i) cause_q <= vnc_stream_pkg::PeerRestarted;
        end
        Judge: begin
          prod_q  <= seen_q;
          state_q <= Head;
          if (seen_q[5:0] != '0 || fill > mask + 32'd1) begin
            state_q       <= Halt;
            cause_q       <= vnc_stream_pkg::BadIndex;
            fault_event_o <= 1'b1;
          end
        end
        Head: if (rd_done_i) begin
          head_q <= 128'({rd_data_i, head_q} >> DataW);
          beat_q <= HeadBeats == 2 && !beat_q;
          if (HeadBeats == 1 || beat_q) state_q <= Check;
        end
        Check: begin
          len_q   <= head_len[16:0];
          left_q  <= head_len[16:0];
          vnet_q  <= head_flags[0];
          at_q    <= cons_q + vnc_pkg::RecordHeader;
          next_q  <= cons_q + vnc_stream_pkg::record_bytes(head_len[16:0]);
          state_q <= Body;
          if (wrong != vnc_stream_pkg::None) begin
            state_q       <= Halt;
            cause_q       <= wrong;
            fault_event_o <= 1'b1;
          end
        end
        Body: if (beat && rd_ready_i) begin
          at_q   <= at_q + 32'(Bytes);
          left_q <= left_q - 17'(Bytes);
          if (last) state_q <= Tail;
        end
        Tail: state_q <= Publish;  // the last beat arrives
        Publish: if (word_ready_i) begin
          cons_q       <= next_q;
          seq_q        <= seq_q + 32'd1;
          doorbell_o   <= 1'b1;
          done_event_o <= 1'b1;
          state_q      <= run_i && next_q != prod_q ? Head : Poll;
        end
        default: if (!run_i) begin
          state_q <= Off;
          cause_q <= vnc_stream_pkg::None;
        end
      endcase
    end
  end

  assign stop      = !run_i && !asked_q && !(rd_valid_o && rd_ready_i);
  assign off_o     = state_q == Off;
  assign cause_o   = cause_q;
  assign index_o   = cons_q;
  assign records_o = seq_q;
  assign len_o     = len_q;

  // --- payload -------------------------------------------------------------------------------------------

  logic push, ready;

  assign keep = last ? Bytes'((17'd1 << left_q[$clog2(Bytes):0]) - 17'd1) : '1;
  assign push = rd_done_i && (state_q == Body || state_q == Tail);
  assign pop  = m_axis_tvalid && m_axis_tready;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) held_q <= '0;
    else held_q <= held_q + 5'(beat && rd_ready_i) - 5'(pop);
    pushed_last_q <= last;
    pushed_keep_q <= keep;
  end

  vnc_fifo #(.Width(DataW + Bytes + 2), .Depth(Depth)) i_fifo (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(push), .in_ready_o(ready), .in_data_i({vnet_q, pushed_last_q, pushed_keep_q, rd_data_i}),
    .out_valid_o(m_axis_tvalid), .out_ready_i(m_axis_tready),
    .out_data_o({m_axis_tuser, m_axis_tlast, m_axis_tkeep, m_axis_tdata})
  );

  // The FIFO has room for every beat that was asked for.
  logic unused;
  assign unused = ready;
endmodule
