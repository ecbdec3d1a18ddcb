// SPDX-License-Identifier: MIT
//
// vnc_stream_port: FPGA logic as one end of a link's FIFO: the data plane of one side, as two AXI-Streams.
//
//   peer's ring in this side's window --> vnc_stream_reader --> m_axis      packets of the peer
//   this side's ring in its window    <-- vnc_stream_writer <-- s_axis      packets for the peer
//                                          +--> tx_doorbell, rx_doorbell
//
// It takes everything of a generation from outside (the control plane): both epochs are agreed, `epoch_i` is the
// peer's, and the indices of both directions start at `start_i`.  It stops by itself on a violation and when the peer
// has another epoch; `run_i` = 0 stops it, and `off_o` says when the window is no longer used.
//
// The RAM grants one read and one write per cycle at most; a read is answered one cycle later, with `rd_done_i`.
//
// Timing: see the two ends.

module vnc_stream_port #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16,
  parameter bit          IsCard     = 1'b1
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,

  // Configuration: stable unless off_o.
  input  logic                  run_i,
  input  logic                  vnet_i,
  input  logic [31:0]           epoch_i,
  input  logic [31:0]           start_i,
  input  logic [16:0]           frame_max_i,
  input  logic [29:0]           rx_ring_i,
  input  logic [4:0]            rx_log2_i,
  input  logic [29:0]           tx_ring_i,
  input  logic [4:0]            tx_log2_i,

  // State and events.
  output logic                  off_o,
  output logic [2:0]            rx_cause_o,
  output logic [2:0]            tx_cause_o,
  output logic [31:0]           rx_index_o,
  output logic [31:0]           tx_index_o,
  output logic [31:0]           rx_records_o,
  output logic [31:0]           tx_records_o,
  output logic [16:0]           rx_len_o,
  output logic [16:0]           tx_len_o,
  output logic                  rx_done_event_o,
  output logic                  tx_done_event_o,
  output logic                  rx_fault_event_o,
  output logic                  tx_fault_event_o,
  output logic                  big_event_o,
  output logic                  bad_event_o,
  output logic                  down_event_o,

  // The window's RAM.
  output logic                  rd_valid_o,
  input  logic                  rd_ready_i,
  output logic [WindowLog2-1:0] rd_at_o,
  input  logic                  rd_done_i,
  input  logic [DataW-1:0]      rd_data_i,
  output logic                  wr_valid_o,
  input  logic                  wr_ready_i,
  output logic [WindowLog2-1:0] wr_at_o,
  output logic [DataW-1:0]      wr_data_o,
  output logic [DataW/8-1:0]    wr_strb_o,

  output logic                  rx_doorbell_o,  // rx_index_o moved, and is stored
  output logic                  tx_doorbell_o,

  output logic                  m_axis_tvalid,
  input  logic                  m_axis_tready,
  output logic [DataW-1:0]      m_axis_tdata,
  output logic [DataW/8-1:0]    m_axis_tkeep,
  output logic                  m_axis_tlast,
  output logic                  m_axis_tuser,
  input  logic                  s_axis_tvalid,
  output logic                  s_axis_tready,
  input  logic [DataW-1:0]      s_axis_tdata,
  input  logic [DataW/8-1:0]    s_axis_tkeep,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tuser
);
  if (DataW != 64 && DataW != 128) begin : g_bad_width
    $fatal(1, "vnc_stream_port: DataW must be 64 or 128");
  end
  if (WindowLog2 < 14 || WindowLog2 > 20) begin : g_bad_window
    $fatal(1, "vnc_stream_port: WindowLog2 must be 14 to 20");
  end

  localparam int unsigned H2cProd = vnc_pkg::QueueOffset + vnc_pkg::QH2cProd;
  localparam int unsigned H2cCons = vnc_pkg::QueueOffset + vnc_pkg::QH2cCons;
  localparam int unsigned C2hProd = vnc_pkg::QueueOffset + vnc_pkg::QC2hProd;
  localparam int unsigned C2hCons = vnc_pkg::QueueOffset + vnc_pkg::QC2hCons;
  localparam int unsigned PeerEpoch = vnc_pkg::SideOffset + (IsCard ? 0 : vnc_pkg::SideBytes);

  vnc_stream_pkg::cause_e rx_cause, tx_cause;
  logic                   rx_off, tx_off;
  logic [1:0]             reads, read_grant, read_q;  // index 0: the reader, index 1: the writer
  logic [WindowLog2-1:0]  rx_at, tx_at, word_at, data_at;
  logic                   word_valid, data_valid;
  logic [31:0]            word;
  logic [DataW-1:0]       data;
  logic [DataW/8-1:0]     strb;

  vnc_stream_reader #(
    .DataW(DataW), .WindowLog2(WindowLog2), .ProdWord(IsCard ? H2cProd : C2hProd),
    .ConsWord(IsCard ? H2cCons : C2hCons), .EpochWord(PeerEpoch)
  ) i_reader (
    .clk_i, .rst_ni, .run_i, .vnet_i, .epoch_i, .start_i, .frame_max_i, .ring_i(rx_ring_i), .log2_i(rx_log2_i),
    .off_o(rx_off), .cause_o(rx_cause), .index_o(rx_index_o), .records_o(rx_records_o),
    .done_event_o(rx_done_event_o), .len_o(rx_len_o), .fault_event_o(rx_fault_event_o),
    .rd_valid_o(reads[0]), .rd_ready_i(read_grant[0] && rd_ready_i), .rd_at_o(rx_at),
    .rd_done_i(rd_done_i && read_q[0]), .rd_data_i,
    .word_valid_o(word_valid), .word_ready_i(wr_ready_i), .word_at_o(word_at), .word_o(word),
    .doorbell_o(rx_doorbell_o),
    .m_axis_tvalid, .m_axis_tready, .m_axis_tdata, .m_axis_tkeep, .m_axis_tlast, .m_axis_tuser
  );

  vnc_stream_writer #(
    .DataW(DataW), .WindowLog2(WindowLog2), .ProdWord(IsCard ? C2hProd : H2cProd),
    .ConsWord(IsCard ? C2hCons : H2cCons), .EpochWord(PeerEpoch)
  ) i_writer (
    .clk_i, .rst_ni, .run_i, .vnet_i, .epoch_i, .start_i, .frame_max_i, .ring_i(tx_ring_i), .log2_i(tx_log2_i),
    .off_o(tx_off), .cause_o(tx_cause), .index_o(tx_index_o), .records_o(tx_records_o),
    .done_event_o(tx_done_event_o), .len_o(tx_len_o), .fault_event_o(tx_fault_event_o),
    .big_event_o, .bad_event_o, .down_event_o,
    .rd_valid_o(reads[1]), .rd_ready_i(read_grant[1] && rd_ready_i), .rd_at_o(tx_at),
    .rd_done_i(rd_done_i && read_q[1]), .rd_word_i(rd_data_i[31:0]),
    .wr_valid_o(data_valid), .wr_ready_i(wr_ready_i && !word_valid), .wr_at_o(data_at), .wr_data_o(data),
    .wr_strb_o(strb),
    .doorbell_o(tx_doorbell_o),
    .s_axis_tvalid, .s_axis_tready, .s_axis_tdata, .s_axis_tkeep, .s_axis_tlast, .s_axis_tuser
  );

  // --- sharing the RAM: reads in turn; a cons word before data, as there is one per record --------------------

  vnc_stream_pick #(.N(2)) i_pick (
    .clk_i, .rst_ni, .valid_i(reads), .take_i(rd_valid_o && rd_ready_i), .grant_o(read_grant)
  );

  always_ff @(posedge clk_i) read_q <= read_grant;

  assign rd_valid_o = reads != '0;
  assign rd_at_o    = read_grant[1] ? tx_at : rx_at;
  assign wr_valid_o = word_valid || data_valid;
  assign wr_at_o    = word_valid ? word_at : data_at;
  assign wr_data_o  = word_valid ? DataW'(word) : data;
  assign wr_strb_o  = word_valid ? (DataW / 8)'(4'hf) : strb;

  assign off_o      = rx_off && tx_off;
  assign rx_cause_o = rx_cause;
  assign tx_cause_o = tx_cause;
endmodule
