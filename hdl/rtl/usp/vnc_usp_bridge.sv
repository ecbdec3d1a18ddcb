// SPDX-License-Identifier: MIT
//
// vnc_usp_bridge: connects the host's side of vnc_dma_top to AMD's UltraScale+ integrated block for PCI Express
// (PG213).
//
//   m_axi_host  --> s_axi --AW,W--> vnc_usp_write ------> vnc_usp_requests --> RQ
//                         --AR----> vnc_usp_read ------------^
//                         <--B----- vnc_usp_responses <--------- pcie_rq_seq_num
//                         <--R----- vnc_usp_read <-------------- RC
//   s_axil_host <-- m_axil -------- vnc_usp_registers <--------- CQ
//                                                     ---------> CC
//   irq_host    --> irq ----------- vnc_usp_msi ---------------> cfg_interrupt_msi
//
// The rule that keeps the engine's order: B follows when the block has reported that the TLPs of the burst cannot be
// passed any more.  Whatever follows B, be it a read, an interrupt or the content of a register, arrives behind the
// bytes of the burst.  TLPs carry neither Relaxed Ordering nor ID-based Ordering.
//
// Settings of the block: dword-aligned, no straddling, tags managed by the user ("client tag"), MSI with one vector.
// clk_i is user_clk, rst_ni the inverse of user_reset.
//
// Timing: see the modules.

module vnc_usp_bridge #(
  parameter int unsigned DataW       = 256,    // 256 or 512
  parameter int unsigned Tags        = 32,     // outstanding read TLPs; more than 32 need extended tags on the link
  parameter int unsigned BufferBytes = 16384,  // bytes of outstanding reads
  parameter int unsigned TimeoutLog2 = 24,     // cycles until a read without a completion fails: 67 ms at 250 MHz
  parameter int unsigned Bar         = 0,
  localparam int unsigned RqW        = DataW == 512 ? 137 : 62,
  localparam int unsigned RcW        = DataW == 512 ? 161 : 75,
  localparam int unsigned CqW        = DataW == 512 ? 183 : 88,
  localparam int unsigned CcW        = DataW == 512 ? 81 : 33
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  // The engine's m_axi_host: full-width INCR bursts within 4 KiB.
  input  logic [1:0]          s_axi_awid,
  input  logic [63:0]         s_axi_awaddr,
  input  logic [7:0]          s_axi_awlen,
  input  logic [2:0]          s_axi_awsize,
  input  logic [1:0]          s_axi_awburst,
  input  logic [3:0]          s_axi_awcache,
  input  logic [2:0]          s_axi_awprot,
  input  logic                s_axi_awvalid,
  output logic                s_axi_awready,
  input  logic [DataW-1:0]    s_axi_wdata,
  input  logic [DataW/8-1:0]  s_axi_wstrb,
  input  logic                s_axi_wlast,
  input  logic                s_axi_wvalid,
  output logic                s_axi_wready,
  output logic [1:0]          s_axi_bid,
  output logic [1:0]          s_axi_bresp,
  output logic                s_axi_bvalid,
  input  logic                s_axi_bready,
  input  logic [1:0]          s_axi_arid,
  input  logic [63:0]         s_axi_araddr,
  input  logic [7:0]          s_axi_arlen,
  input  logic [2:0]          s_axi_arsize,
  input  logic [1:0]          s_axi_arburst,
  input  logic [3:0]          s_axi_arcache,
  input  logic [2:0]          s_axi_arprot,
  input  logic                s_axi_arvalid,
  output logic                s_axi_arready,
  output logic [1:0]          s_axi_rid,
  output logic [DataW-1:0]    s_axi_rdata,
  output logic [1:0]          s_axi_rresp,
  output logic                s_axi_rlast,
  output logic                s_axi_rvalid,
  input  logic                s_axi_rready,

  // The engine's s_axil_host, and irq_host_o.
  output logic [11:0]         m_axil_awaddr,
  output logic [2:0]          m_axil_awprot,
  output logic                m_axil_awvalid,
  input  logic                m_axil_awready,
  output logic [31:0]         m_axil_wdata,
  output logic [3:0]          m_axil_wstrb,
  output logic                m_axil_wvalid,
  input  logic                m_axil_wready,
  input  logic [1:0]          m_axil_bresp,
  input  logic                m_axil_bvalid,
  output logic                m_axil_bready,
  output logic [11:0]         m_axil_araddr,
  output logic [2:0]          m_axil_arprot,
  output logic                m_axil_arvalid,
  input  logic                m_axil_arready,
  input  logic [31:0]         m_axil_rdata,
  input  logic [1:0]          m_axil_rresp,
  input  logic                m_axil_rvalid,
  output logic                m_axil_rready,
  input  logic                irq_i,

  // RQ, RC, CQ and CC of the block: dword-aligned, without straddling.  TREADY of RQ and CC is any bit of the block's.
  output logic [DataW-1:0]    s_axis_rq_tdata,
  output logic [DataW/32-1:0] s_axis_rq_tkeep,
  output logic                s_axis_rq_tlast,
  output logic [RqW-1:0]      s_axis_rq_tuser,
  output logic                s_axis_rq_tvalid,
  input  logic                s_axis_rq_tready,
  input  logic [DataW-1:0]    m_axis_rc_tdata,
  input  logic [DataW/32-1:0] m_axis_rc_tkeep,
  input  logic                m_axis_rc_tlast,
  input  logic [RcW-1:0]      m_axis_rc_tuser,
  input  logic                m_axis_rc_tvalid,
  output logic                m_axis_rc_tready,
  input  logic [DataW-1:0]    m_axis_cq_tdata,
  input  logic [DataW/32-1:0] m_axis_cq_tkeep,
  input  logic                m_axis_cq_tlast,
  input  logic [CqW-1:0]      m_axis_cq_tuser,
  input  logic                m_axis_cq_tvalid,
  output logic                m_axis_cq_tready,
  output logic [DataW-1:0]    s_axis_cc_tdata,
  output logic [DataW/32-1:0] s_axis_cc_tkeep,
  output logic                s_axis_cc_tlast,
  output logic [CcW-1:0]      s_axis_cc_tuser,
  output logic                s_axis_cc_tvalid,
  input  logic                s_axis_cc_tready,

  input  logic [5:0]          pcie_rq_seq_num0,
  input  logic                pcie_rq_seq_num_vld0,
  input  logic [5:0]          pcie_rq_seq_num1,
  input  logic                pcie_rq_seq_num_vld1,
  output logic [1:0]          pcie_cq_np_req,

  input  logic [1:0]          cfg_max_payload,
  input  logic [2:0]          cfg_max_read_req,
  input  logic [15:0]         cfg_function_status,
  input  logic [3:0]          cfg_interrupt_msi_enable,
  output logic [31:0]         cfg_interrupt_msi_int,
  input  logic                cfg_interrupt_msi_sent,
  input  logic                cfg_interrupt_msi_fail
);
  if (DataW != 256 && DataW != 512) begin : g_bad_width
    $fatal(1, "vnc_usp_bridge: DataW must be 256 or 512");
  end

  localparam int unsigned W = DataW / 32;

  logic       master_q;   // bus mastering is on
  logic [1:0] payload_q;
  logic [2:0] request_q;

  always_ff @(posedge clk_i) begin
    master_q  <= rst_ni && cfg_function_status[2];
    payload_q <= cfg_max_payload;
    request_q <= cfg_max_read_req;
  end

  // --- writes ----------------------------------------------------------------------------------------------

  logic                write_valid, write_ready, beat_valid, beat_ready;
  vnc_usp_pkg::write_t write;
  logic [DataW-1:0]    beat;
  logic                number_valid, sent, done, failed;
  logic [4:0]          number;
  logic [1:0]          id;

  vnc_usp_write #(.DataW(DataW)) i_write (
    .clk_i, .rst_ni, .payload_i(payload_q),
    .aw_valid_i(s_axi_awvalid), .aw_ready_o(s_axi_awready), .aw_id_i(s_axi_awid), .aw_addr_i(s_axi_awaddr),
    .w_valid_i(s_axi_wvalid), .w_ready_o(s_axi_wready), .w_data_i(s_axi_wdata), .w_strb_i(s_axi_wstrb),
    .w_last_i(s_axi_wlast),
    .tlp_valid_o(write_valid), .tlp_ready_i(write_ready), .tlp_o(write),
    .beat_valid_o(beat_valid), .beat_ready_i(beat_ready), .beat_o(beat)
  );

  vnc_usp_responses i_responses (
    .clk_i, .rst_ni, .master_i(master_q),
    .number_valid_o(number_valid), .number_o(number), .sent_i(sent), .done_i(done), .failed_i(failed), .id_i(id),
    .seq_valid_i({pcie_rq_seq_num_vld1, pcie_rq_seq_num_vld0}), .seq_i({pcie_rq_seq_num1, pcie_rq_seq_num0}),
    .b_valid_o(s_axi_bvalid), .b_ready_i(s_axi_bready), .b_id_o(s_axi_bid), .b_resp_o(s_axi_bresp)
  );

  // --- reads -----------------------------------------------------------------------------------------------

  logic               read_valid, read_ready;
  vnc_usp_pkg::read_t read;

  vnc_usp_read #(
    .DataW(DataW), .Tags(Tags), .BufferBytes(BufferBytes), .TimeoutLog2(TimeoutLog2)
  ) i_read (
    .clk_i, .rst_ni, .master_i(master_q), .request_i(request_q),
    .ar_valid_i(s_axi_arvalid), .ar_ready_o(s_axi_arready), .ar_id_i(s_axi_arid), .ar_addr_i(s_axi_araddr),
    .ar_len_i(s_axi_arlen),
    .r_valid_o(s_axi_rvalid), .r_ready_i(s_axi_rready), .r_id_o(s_axi_rid), .r_data_o(s_axi_rdata),
    .r_resp_o(s_axi_rresp), .r_last_o(s_axi_rlast),
    .tlp_valid_o(read_valid), .tlp_ready_i(read_ready), .tlp_o(read),
    .rc_valid_i(m_axis_rc_tvalid), .rc_data_i(m_axis_rc_tdata), .rc_last_i(m_axis_rc_tlast),
    .rc_discontinue_i(m_axis_rc_tuser[DataW == 512 ? 96 : 42])
  );

  // Every completion has its place in the buffer.
  assign m_axis_rc_tready = 1'b1;

  // --- RQ --------------------------------------------------------------------------------------------------

  logic       first;
  logic [3:0] first_be, last_be, eop;
  logic [5:0] rq_number;

  vnc_usp_requests #(.DataW(DataW)) i_requests (
    .clk_i, .rst_ni, .master_i(master_q),
    .write_valid_i(write_valid), .write_ready_o(write_ready), .write_i(write),
    .beat_valid_i(beat_valid), .beat_ready_o(beat_ready), .beat_i(beat),
    .read_valid_i(read_valid), .read_ready_o(read_ready), .read_i(read),
    .number_valid_i(number_valid), .number_i(number), .write_sent_o(sent), .write_done_o(done),
    .write_failed_o(failed), .write_id_o(id),
    .rq_valid_o(s_axis_rq_tvalid), .rq_ready_i(s_axis_rq_tready), .rq_data_o(s_axis_rq_tdata),
    .rq_keep_o(s_axis_rq_tkeep), .rq_last_o(s_axis_rq_tlast), .rq_first_o(first), .rq_first_be_o(first_be),
    .rq_last_be_o(last_be), .rq_number_o(rq_number)
  );

  // The last dword of a beat.
  always_comb begin
    eop = '0;
    for (int unsigned n = 0; n < W; n++) if (s_axis_rq_tkeep[n]) eop = 4'(n);
  end

  always_comb begin
    s_axis_rq_tuser = '0;
    s_axis_rq_tuser[3:0] = first_be;
    if (DataW == 512) begin
      s_axis_rq_tuser[11:8]  = last_be;
      s_axis_rq_tuser[20]    = first;
      s_axis_rq_tuser[26]    = s_axis_rq_tlast;
      s_axis_rq_tuser[31:28] = s_axis_rq_tlast ? eop : '0;
      s_axis_rq_tuser[RqW-76 +: 6] = rq_number;
    end else begin
      s_axis_rq_tuser[7:4]        = last_be;
      s_axis_rq_tuser[27:24]      = rq_number[3:0];
      s_axis_rq_tuser[RqW-2 +: 2] = rq_number[5:4];
    end
  end

  // --- registers -------------------------------------------------------------------------------------------

  vnc_usp_registers #(.DataW(DataW), .Bar(Bar)) i_registers (
    .clk_i, .rst_ni,
    .cq_valid_i(m_axis_cq_tvalid), .cq_ready_o(m_axis_cq_tready), .cq_data_i(m_axis_cq_tdata),
    .cq_last_i(m_axis_cq_tlast), .cq_first_be_i(m_axis_cq_tuser[3:0]),
    .cq_last_be_i(DataW == 512 ? m_axis_cq_tuser[11:8] : m_axis_cq_tuser[7:4]),
    .cq_discontinue_i(m_axis_cq_tuser[DataW == 512 ? 96 : 41]),
    .cc_valid_o(s_axis_cc_tvalid), .cc_ready_i(s_axis_cc_tready), .cc_data_o(s_axis_cc_tdata),
    .cc_keep_o(s_axis_cc_tkeep),
    .aw_addr_o(m_axil_awaddr), .aw_valid_o(m_axil_awvalid), .aw_ready_i(m_axil_awready),
    .w_data_o(m_axil_wdata), .w_strb_o(m_axil_wstrb), .w_valid_o(m_axil_wvalid), .w_ready_i(m_axil_wready),
    .b_valid_i(m_axil_bvalid), .b_ready_o(m_axil_bready),
    .ar_addr_o(m_axil_araddr), .ar_valid_o(m_axil_arvalid), .ar_ready_i(m_axil_arready),
    .r_data_i(m_axil_rdata), .r_resp_i(m_axil_rresp), .r_valid_i(m_axil_rvalid), .r_ready_o(m_axil_rready)
  );

  assign s_axis_cc_tlast = 1'b1;
  assign pcie_cq_np_req  = 2'b01;
  assign m_axil_awprot   = 3'b010;
  assign m_axil_arprot   = 3'b010;

  always_comb begin
    s_axis_cc_tuser = '0;
    if (DataW == 512) begin
      s_axis_cc_tuser[0] = 1'b1;
      s_axis_cc_tuser[6] = 1'b1;
      for (int unsigned n = 0; n < W; n++) if (s_axis_cc_tkeep[n]) s_axis_cc_tuser[11:8] = 4'(n);
    end
  end

  // --- interrupt -------------------------------------------------------------------------------------------

  vnc_usp_msi i_msi (
    .clk_i, .rst_ni, .enable_i(cfg_interrupt_msi_enable[0] && master_q), .irq_i,
    .request_o(cfg_interrupt_msi_int[0]), .sent_i(cfg_interrupt_msi_sent), .fail_i(cfg_interrupt_msi_fail)
  );

  assign cfg_interrupt_msi_int[31:1] = '0;

  // Bursts are full-width INCR.  Of the other signals, nothing is needed without straddling and parity.
  logic unused;
  assign unused = ^{s_axi_awlen, s_axi_awsize, s_axi_awburst, s_axi_awcache, s_axi_awprot,
                    s_axi_arsize, s_axi_arburst, s_axi_arcache, s_axi_arprot, m_axil_bresp,
                    m_axis_rc_tkeep, m_axis_rc_tuser, m_axis_cq_tkeep, m_axis_cq_tuser,
                    cfg_function_status, cfg_interrupt_msi_enable};
endmodule
