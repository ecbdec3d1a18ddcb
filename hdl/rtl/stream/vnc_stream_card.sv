// SPDX-License-Identifier: MIT
//
// vnc_stream_card: a card without a processor's memory: the engine, the card's window in block RAM, and a stream port.
//
//   s_axil_host, m_axi_host --- vnc_dma_top --- m_axi_card ---> vnc_stream_ram <--- vnc_stream_port --> m_axis
//                                    |                               ^                  |          <-- s_axis
//   s_axil_card ---------> vnc_stream_doorbell <---------------------|------------------+
//   s_axil_ctl  --------------------------------------------> vnc_stream_regs
//
// The control plane (a soft core, or any AXI4-Lite master) is behind s_axil_card, the engine's register page, and
// s_axil_ctl, the window and the port's registers: it publishes the side block, agrees on epochs, and sets RUN.  The
// engine's window of the card is at bus address 0 and has 2^WindowLog2 bytes.
//
// Timing: see the parts.

module vnc_stream_card #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8,
  parameter int unsigned WindowLog2 = 16
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  output logic               irq_host_o,
  output logic               irq_card_o,

  // The engine's register page of the host.
  input  logic [11:0]              s_axil_host_awaddr,
  input  logic                     s_axil_host_awvalid,
  output logic                     s_axil_host_awready,
  input  logic [31:0]              s_axil_host_wdata,
  input  logic [3:0]               s_axil_host_wstrb,
  input  logic                     s_axil_host_wvalid,
  output logic                     s_axil_host_wready,
  output logic [1:0]               s_axil_host_bresp,
  output logic                     s_axil_host_bvalid,
  input  logic                     s_axil_host_bready,
  input  logic [11:0]              s_axil_host_araddr,
  input  logic                     s_axil_host_arvalid,
  output logic                     s_axil_host_arready,
  output logic [31:0]              s_axil_host_rdata,
  output logic [1:0]               s_axil_host_rresp,
  output logic                     s_axil_host_rvalid,
  input  logic                     s_axil_host_rready,

  // Control plane: the engine's register page of the card; the window and the port's registers.
  input  logic [11:0]              s_axil_card_awaddr,
  input  logic                     s_axil_card_awvalid,
  output logic                     s_axil_card_awready,
  input  logic [31:0]              s_axil_card_wdata,
  input  logic [3:0]               s_axil_card_wstrb,
  input  logic                     s_axil_card_wvalid,
  output logic                     s_axil_card_wready,
  output logic [1:0]               s_axil_card_bresp,
  output logic                     s_axil_card_bvalid,
  input  logic                     s_axil_card_bready,
  input  logic [11:0]              s_axil_card_araddr,
  input  logic                     s_axil_card_arvalid,
  output logic                     s_axil_card_arready,
  output logic [31:0]              s_axil_card_rdata,
  output logic [1:0]               s_axil_card_rresp,
  output logic                     s_axil_card_rvalid,
  input  logic                     s_axil_card_rready,
  input  logic [20:0]              s_axil_ctl_awaddr,
  input  logic                     s_axil_ctl_awvalid,
  output logic                     s_axil_ctl_awready,
  input  logic [31:0]              s_axil_ctl_wdata,
  input  logic [3:0]               s_axil_ctl_wstrb,
  input  logic                     s_axil_ctl_wvalid,
  output logic                     s_axil_ctl_wready,
  output logic [1:0]               s_axil_ctl_bresp,
  output logic                     s_axil_ctl_bvalid,
  input  logic                     s_axil_ctl_bready,
  input  logic [20:0]              s_axil_ctl_araddr,
  input  logic                     s_axil_ctl_arvalid,
  output logic                     s_axil_ctl_arready,
  output logic [31:0]              s_axil_ctl_rdata,
  output logic [1:0]               s_axil_ctl_rresp,
  output logic                     s_axil_ctl_rvalid,
  input  logic                     s_axil_ctl_rready,

  // Master towards the host's memory.
  output logic [1:0]               m_axi_host_awid,
  output logic [63:0]              m_axi_host_awaddr,
  output logic [7:0]               m_axi_host_awlen,
  output logic [2:0]               m_axi_host_awsize,
  output logic [1:0]               m_axi_host_awburst,
  output logic [3:0]               m_axi_host_awcache,
  output logic [2:0]               m_axi_host_awprot,
  output logic                     m_axi_host_awvalid,
  input  logic                     m_axi_host_awready,
  output logic [DataW-1:0]         m_axi_host_wdata,
  output logic [DataW/8-1:0]       m_axi_host_wstrb,
  output logic                     m_axi_host_wlast,
  output logic                     m_axi_host_wvalid,
  input  logic                     m_axi_host_wready,
  input  logic [1:0]               m_axi_host_bid,
  input  logic [1:0]               m_axi_host_bresp,
  input  logic                     m_axi_host_bvalid,
  output logic                     m_axi_host_bready,
  output logic [1:0]               m_axi_host_arid,
  output logic [63:0]              m_axi_host_araddr,
  output logic [7:0]               m_axi_host_arlen,
  output logic [2:0]               m_axi_host_arsize,
  output logic [1:0]               m_axi_host_arburst,
  output logic [3:0]               m_axi_host_arcache,
  output logic [2:0]               m_axi_host_arprot,
  output logic                     m_axi_host_arvalid,
  input  logic                     m_axi_host_arready,
  input  logic [1:0]               m_axi_host_rid,
  input  logic [DataW-1:0]         m_axi_host_rdata,
  input  logic [1:0]               m_axi_host_rresp,
  input  logic                     m_axi_host_rlast,
  input  logic                     m_axi_host_rvalid,
  output logic                     m_axi_host_rready,

  // Packets of the host, and packets for it.
  output logic                     m_axis_tvalid,
  input  logic                     m_axis_tready,
  output logic [DataW-1:0]         m_axis_tdata,
  output logic [DataW/8-1:0]       m_axis_tkeep,
  output logic                     m_axis_tlast,
  output logic                     m_axis_tuser,
  input  logic                     s_axis_tvalid,
  output logic                     s_axis_tready,
  input  logic [DataW-1:0]         s_axis_tdata,
  input  logic [DataW/8-1:0]       s_axis_tkeep,
  input  logic                     s_axis_tlast,
  input  logic                     s_axis_tuser
);
  // The card's master of the engine.
  logic [1:0]         awid, bid, arid, rid, bresp, rresp;
  logic [63:0]        awaddr, araddr;
  logic [7:0]         arlen, awlen;
  logic [2:0]         awsize, arsize, awprot, arprot;
  logic [1:0]         awburst, arburst;
  logic [3:0]         awcache, arcache;
  logic [DataW-1:0]   wdata, rdata;
  logic [DataW/8-1:0] wstrb;
  logic               awvalid, awready, wlast, wvalid, wready, bvalid, bready;
  logic               arvalid, arready, rlast, rvalid, rready;

  // The engine's page of the card, behind the doorbells.
  logic [11:0] page_awaddr;
  logic [31:0] page_wdata;
  logic [3:0]  page_wstrb;
  logic        page_awvalid, page_awready, page_wvalid, page_wready, page_bvalid, page_bready;

  assign bresp = 2'b00;
  assign rresp = 2'b00;

  vnc_dma_top #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax)) i_engine (
    .clk_i, .rst_ni, .irq_host_o, .irq_card_o,
    .s_axil_host_awaddr, .s_axil_host_awprot(3'd0), .s_axil_host_awvalid, .s_axil_host_awready,
    .s_axil_host_wdata, .s_axil_host_wstrb, .s_axil_host_wvalid, .s_axil_host_wready,
    .s_axil_host_bresp, .s_axil_host_bvalid, .s_axil_host_bready,
    .s_axil_host_araddr, .s_axil_host_arprot(3'd0), .s_axil_host_arvalid, .s_axil_host_arready,
    .s_axil_host_rdata, .s_axil_host_rresp, .s_axil_host_rvalid, .s_axil_host_rready,
    .s_axil_card_awaddr(page_awaddr), .s_axil_card_awprot(3'd0), .s_axil_card_awvalid(page_awvalid),
    .s_axil_card_awready(page_awready), .s_axil_card_wdata(page_wdata), .s_axil_card_wstrb(page_wstrb),
    .s_axil_card_wvalid(page_wvalid), .s_axil_card_wready(page_wready),
    .s_axil_card_bresp, .s_axil_card_bvalid(page_bvalid), .s_axil_card_bready(page_bready),
    .s_axil_card_araddr, .s_axil_card_arprot(3'd0), .s_axil_card_arvalid, .s_axil_card_arready,
    .s_axil_card_rdata, .s_axil_card_rresp, .s_axil_card_rvalid, .s_axil_card_rready,
    .m_axi_host_awid, .m_axi_host_awaddr, .m_axi_host_awlen, .m_axi_host_awsize, .m_axi_host_awburst,
    .m_axi_host_awcache, .m_axi_host_awprot, .m_axi_host_awvalid, .m_axi_host_awready, .m_axi_host_wdata,
    .m_axi_host_wstrb, .m_axi_host_wlast, .m_axi_host_wvalid, .m_axi_host_wready, .m_axi_host_bid, .m_axi_host_bresp,
    .m_axi_host_bvalid, .m_axi_host_bready, .m_axi_host_arid, .m_axi_host_araddr, .m_axi_host_arlen,
    .m_axi_host_arsize, .m_axi_host_arburst, .m_axi_host_arcache, .m_axi_host_arprot, .m_axi_host_arvalid,
    .m_axi_host_arready, .m_axi_host_rid, .m_axi_host_rdata, .m_axi_host_rresp, .m_axi_host_rlast, .m_axi_host_rvalid,
    .m_axi_host_rready,
    .m_axi_card_awid(awid), .m_axi_card_awaddr(awaddr), .m_axi_card_awlen(awlen), .m_axi_card_awsize(awsize),
    .m_axi_card_awburst(awburst), .m_axi_card_awcache(awcache), .m_axi_card_awprot(awprot),
    .m_axi_card_awvalid(awvalid), .m_axi_card_awready(awready),
    .m_axi_card_wdata(wdata), .m_axi_card_wstrb(wstrb), .m_axi_card_wlast(wlast),
    .m_axi_card_wvalid(wvalid), .m_axi_card_wready(wready),
    .m_axi_card_bid(bid), .m_axi_card_bresp(bresp), .m_axi_card_bvalid(bvalid), .m_axi_card_bready(bready),
    .m_axi_card_arid(arid), .m_axi_card_araddr(araddr), .m_axi_card_arlen(arlen), .m_axi_card_arsize(arsize),
    .m_axi_card_arburst(arburst), .m_axi_card_arcache(arcache), .m_axi_card_arprot(arprot),
    .m_axi_card_arvalid(arvalid), .m_axi_card_arready(arready),
    .m_axi_card_rid(rid), .m_axi_card_rdata(rdata), .m_axi_card_rresp(rresp), .m_axi_card_rlast(rlast),
    .m_axi_card_rvalid(rvalid), .m_axi_card_rready(rready)
  );

  // --- window, port and registers: local user 0 of the RAM is the port, 1 the control plane -------------------

  logic [1:0]                 rd_valid, rd_ready, rd_done, wr_valid, wr_ready;
  logic [1:0][WindowLog2-1:0] rd_at, wr_at;
  logic [DataW-1:0]           rd_data;
  logic [1:0][DataW-1:0]      wr_data;
  logic [1:0][DataW/8-1:0]    wr_strb;

  vnc_stream_ram #(.DataW(DataW), .WindowLog2(WindowLog2)) i_ram (
    .clk_i, .rst_ni,
    .s_axi_awid(awid), .s_axi_awaddr(awaddr), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
    .s_axi_wdata(wdata), .s_axi_wstrb(wstrb), .s_axi_wlast(wlast), .s_axi_wvalid(wvalid), .s_axi_wready(wready),
    .s_axi_bid(bid), .s_axi_bvalid(bvalid), .s_axi_bready(bready),
    .s_axi_arid(arid), .s_axi_araddr(araddr), .s_axi_arlen(arlen), .s_axi_arvalid(arvalid), .s_axi_arready(arready),
    .s_axi_rid(rid), .s_axi_rdata(rdata), .s_axi_rlast(rlast), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
    .rd_valid_i(rd_valid), .rd_ready_o(rd_ready), .rd_at_i(rd_at), .rd_done_o(rd_done), .rd_data_o(rd_data),
    .wr_valid_i(wr_valid), .wr_ready_o(wr_ready), .wr_at_i(wr_at), .wr_data_i(wr_data), .wr_strb_i(wr_strb)
  );

  logic        run, vnet, off, busy, rx_doorbell, tx_doorbell;
  logic [31:0] epoch, start, rx_index, tx_index, rx_records, tx_records;
  logic [16:0] frame_max, rx_len, tx_len;
  logic [29:0] rx_ring, tx_ring;
  logic [4:0]  rx_log2, tx_log2;
  logic [2:0]  rx_cause, tx_cause;
  logic        rx_done, tx_done, rx_fault, tx_fault, big, bad, down;

  vnc_stream_port #(.DataW(DataW), .WindowLog2(WindowLog2), .IsCard(1'b1)) i_port (
    .clk_i, .rst_ni,
    .run_i(run), .vnet_i(vnet), .epoch_i(epoch), .start_i(start), .frame_max_i(frame_max),
    .rx_ring_i(rx_ring), .rx_log2_i(rx_log2), .tx_ring_i(tx_ring), .tx_log2_i(tx_log2),
    .off_o(off), .rx_cause_o(rx_cause), .tx_cause_o(tx_cause), .rx_index_o(rx_index), .tx_index_o(tx_index),
    .rx_records_o(rx_records), .tx_records_o(tx_records), .rx_len_o(rx_len), .tx_len_o(tx_len),
    .rx_done_event_o(rx_done), .tx_done_event_o(tx_done), .rx_fault_event_o(rx_fault), .tx_fault_event_o(tx_fault),
    .big_event_o(big), .bad_event_o(bad), .down_event_o(down),
    .rd_valid_o(rd_valid[0]), .rd_ready_i(rd_ready[0]), .rd_at_o(rd_at[0]), .rd_done_i(rd_done[0]),
    .rd_data_i(rd_data), .wr_valid_o(wr_valid[0]), .wr_ready_i(wr_ready[0]), .wr_at_o(wr_at[0]),
    .wr_data_o(wr_data[0]), .wr_strb_o(wr_strb[0]),
    .rx_doorbell_o(rx_doorbell), .tx_doorbell_o(tx_doorbell),
    .m_axis_tvalid, .m_axis_tready, .m_axis_tdata, .m_axis_tkeep, .m_axis_tlast, .m_axis_tuser,
    .s_axis_tvalid, .s_axis_tready, .s_axis_tdata, .s_axis_tkeep, .s_axis_tlast, .s_axis_tuser
  );

  vnc_stream_regs #(.DataW(DataW), .WindowLog2(WindowLog2)) i_regs (
    .clk_i, .rst_ni,
    .s_axil_awaddr(s_axil_ctl_awaddr), .s_axil_awvalid(s_axil_ctl_awvalid), .s_axil_awready(s_axil_ctl_awready),
    .s_axil_wdata(s_axil_ctl_wdata), .s_axil_wstrb(s_axil_ctl_wstrb), .s_axil_wvalid(s_axil_ctl_wvalid),
    .s_axil_wready(s_axil_ctl_wready), .s_axil_bvalid(s_axil_ctl_bvalid), .s_axil_bready(s_axil_ctl_bready),
    .s_axil_araddr(s_axil_ctl_araddr), .s_axil_arvalid(s_axil_ctl_arvalid), .s_axil_arready(s_axil_ctl_arready),
    .s_axil_rdata(s_axil_ctl_rdata), .s_axil_rvalid(s_axil_ctl_rvalid), .s_axil_rready(s_axil_ctl_rready),
    .rd_valid_o(rd_valid[1]), .rd_ready_i(rd_ready[1]), .rd_at_o(rd_at[1]), .rd_done_i(rd_done[1]),
    .rd_data_i(rd_data), .wr_valid_o(wr_valid[1]), .wr_ready_i(wr_ready[1]), .wr_at_o(wr_at[1]),
    .wr_data_o(wr_data[1]), .wr_strb_o(wr_strb[1]),
    .run_o(run), .vnet_o(vnet), .epoch_o(epoch), .start_o(start), .frame_max_o(frame_max),
    .rx_ring_o(rx_ring), .rx_log2_o(rx_log2), .tx_ring_o(tx_ring), .tx_log2_o(tx_log2),
    .off_i(off && !busy), .rx_cause_i(rx_cause), .tx_cause_i(tx_cause), .rx_index_i(rx_index), .tx_index_i(tx_index),
    .rx_records_i(rx_records), .tx_records_i(tx_records), .rx_len_i(rx_len), .tx_len_i(tx_len),
    .rx_done_event_i(rx_done), .tx_done_event_i(tx_done), .rx_fault_event_i(rx_fault), .tx_fault_event_i(tx_fault),
    .big_event_i(big), .bad_event_i(bad), .down_event_i(down)
  );

  vnc_stream_doorbell i_doorbell (
    .clk_i, .rst_ni,
    .tx_doorbell_i(tx_doorbell), .tx_index_i(tx_index), .rx_doorbell_i(rx_doorbell), .rx_index_i(rx_index),
    .busy_o(busy),
    .s_axil_awaddr(s_axil_card_awaddr), .s_axil_awvalid(s_axil_card_awvalid), .s_axil_awready(s_axil_card_awready),
    .s_axil_wdata(s_axil_card_wdata), .s_axil_wstrb(s_axil_card_wstrb), .s_axil_wvalid(s_axil_card_wvalid),
    .s_axil_wready(s_axil_card_wready), .s_axil_bvalid(s_axil_card_bvalid), .s_axil_bready(s_axil_card_bready),
    .m_axil_awaddr(page_awaddr), .m_axil_awvalid(page_awvalid), .m_axil_awready(page_awready),
    .m_axil_wdata(page_wdata), .m_axil_wstrb(page_wstrb), .m_axil_wvalid(page_wvalid), .m_axil_wready(page_wready),
    .m_axil_bvalid(page_bvalid), .m_axil_bready(page_bready)
  );

  assign s_axil_ctl_bresp = 2'b00;
  assign s_axil_ctl_rresp = 2'b00;

  // Always full-width INCR bursts; the RAM ends a write burst at WLAST.
  logic unused;
  assign unused = ^{awlen, awsize, arsize, awburst, arburst, awcache, arcache, awprot, arprot};
endmodule
