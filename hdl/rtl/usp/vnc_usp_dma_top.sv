// SPDX-License-Identifier: MIT
//
// vnc_usp_dma_top: the engine behind the bridge to the UltraScale+ integrated block; only wiring.
//
//   integrated block <--> vnc_usp_bridge <--> vnc_dma_top <--> the card's register page and memory
//
// Timing: see vnc_usp_bridge and vnc_dma_top.

module vnc_usp_dma_top #(
  parameter int unsigned DataW       = 256,    // 256 or 512
  parameter int unsigned Tags        = 32,     // outstanding read TLPs; more than 32 need extended tags on the link
  parameter int unsigned BufferBytes = 16384,  // bytes of outstanding reads
  parameter int unsigned TimeoutLog2 = 24,     // cycles until a read without a completion fails: 67 ms at 250 MHz
  parameter int unsigned Bar         = 0,
  parameter int unsigned BurstBeats  = 64,
  parameter int unsigned ReadsMax    = 8,
  parameter int unsigned Queues      = 1,
  localparam int unsigned RqW        = DataW == 512 ? 137 : 62,
  localparam int unsigned RcW        = DataW == 512 ? 161 : 75,
  localparam int unsigned CqW        = DataW == 512 ? 183 : 88,
  localparam int unsigned CcW        = DataW == 512 ? 81 : 33
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  output logic                irq_card_o,

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
  input  logic                cfg_interrupt_msi_fail,

  // Register page of the card.
  input  logic [11:0]        s_axil_card_awaddr,
  input  logic [2:0]         s_axil_card_awprot,
  input  logic               s_axil_card_awvalid,
  output logic               s_axil_card_awready,
  input  logic [31:0]        s_axil_card_wdata,
  input  logic [3:0]         s_axil_card_wstrb,
  input  logic               s_axil_card_wvalid,
  output logic               s_axil_card_wready,
  output logic [1:0]         s_axil_card_bresp,
  output logic               s_axil_card_bvalid,
  input  logic               s_axil_card_bready,
  input  logic [11:0]        s_axil_card_araddr,
  input  logic [2:0]         s_axil_card_arprot,
  input  logic               s_axil_card_arvalid,
  output logic               s_axil_card_arready,
  output logic [31:0]        s_axil_card_rdata,
  output logic [1:0]         s_axil_card_rresp,
  output logic               s_axil_card_rvalid,
  input  logic               s_axil_card_rready,

  // Master towards the card's memory.
  output logic [1:0]         m_axi_card_awid,
  output logic [63:0]        m_axi_card_awaddr,
  output logic [7:0]         m_axi_card_awlen,
  output logic [2:0]         m_axi_card_awsize,
  output logic [1:0]         m_axi_card_awburst,
  output logic [3:0]         m_axi_card_awcache,
  output logic [2:0]         m_axi_card_awprot,
  output logic               m_axi_card_awvalid,
  input  logic               m_axi_card_awready,
  output logic [DataW-1:0]   m_axi_card_wdata,
  output logic [DataW/8-1:0] m_axi_card_wstrb,
  output logic               m_axi_card_wlast,
  output logic               m_axi_card_wvalid,
  input  logic               m_axi_card_wready,
  input  logic [1:0]         m_axi_card_bid,
  input  logic [1:0]         m_axi_card_bresp,
  input  logic               m_axi_card_bvalid,
  output logic               m_axi_card_bready,
  output logic [1:0]         m_axi_card_arid,
  output logic [63:0]        m_axi_card_araddr,
  output logic [7:0]         m_axi_card_arlen,
  output logic [2:0]         m_axi_card_arsize,
  output logic [1:0]         m_axi_card_arburst,
  output logic [3:0]         m_axi_card_arcache,
  output logic [2:0]         m_axi_card_arprot,
  output logic               m_axi_card_arvalid,
  input  logic               m_axi_card_arready,
  input  logic [1:0]         m_axi_card_rid,
  input  logic [DataW-1:0]   m_axi_card_rdata,
  input  logic [1:0]         m_axi_card_rresp,
  input  logic               m_axi_card_rlast,
  input  logic               m_axi_card_rvalid,
  output logic               m_axi_card_rready
);
  logic [1:0] s_axi_awid, s_axi_awburst, s_axi_bid, s_axi_bresp, s_axi_arid, s_axi_arburst, s_axi_rid, s_axi_rresp;
  logic [1:0] m_axil_bresp, m_axil_rresp;
  logic [63:0] s_axi_awaddr, s_axi_araddr;
  logic [7:0] s_axi_awlen, s_axi_arlen;
  logic [2:0] s_axi_awsize, s_axi_awprot, s_axi_arsize, s_axi_arprot, m_axil_awprot, m_axil_arprot;
  logic [3:0] s_axi_awcache, s_axi_arcache, m_axil_wstrb;
  logic s_axi_awvalid, s_axi_awready, s_axi_wlast, s_axi_wvalid, s_axi_wready, s_axi_bvalid, s_axi_bready;
  logic s_axi_arvalid, s_axi_arready, s_axi_rlast, s_axi_rvalid, s_axi_rready, m_axil_awvalid, m_axil_awready;
  logic m_axil_wvalid, m_axil_wready, m_axil_bvalid, m_axil_bready, m_axil_arvalid, m_axil_arready, m_axil_rvalid;
  logic m_axil_rready;
  logic [DataW-1:0] s_axi_wdata, s_axi_rdata;
  logic [DataW/8-1:0] s_axi_wstrb;
  logic [11:0] m_axil_awaddr, m_axil_araddr;
  logic [31:0] m_axil_wdata, m_axil_rdata;
  logic irq;

  vnc_usp_bridge #(
    .DataW(DataW), .Tags(Tags), .BufferBytes(BufferBytes), .TimeoutLog2(TimeoutLog2), .Bar(Bar)
  ) i_bridge (
    .clk_i, .rst_ni, .irq_i(irq),
    .s_axi_awid, .s_axi_awaddr, .s_axi_awlen, .s_axi_awsize, .s_axi_awburst, .s_axi_awcache, .s_axi_awprot,
    .s_axi_awvalid, .s_axi_awready, .s_axi_wdata, .s_axi_wstrb, .s_axi_wlast, .s_axi_wvalid, .s_axi_wready,
    .s_axi_bid, .s_axi_bresp, .s_axi_bvalid, .s_axi_bready, .s_axi_arid, .s_axi_araddr, .s_axi_arlen, .s_axi_arsize,
    .s_axi_arburst, .s_axi_arcache, .s_axi_arprot, .s_axi_arvalid, .s_axi_arready, .s_axi_rid, .s_axi_rdata,
    .s_axi_rresp, .s_axi_rlast, .s_axi_rvalid, .s_axi_rready, .m_axil_awaddr, .m_axil_awprot, .m_axil_awvalid,
    .m_axil_awready, .m_axil_wdata, .m_axil_wstrb, .m_axil_wvalid, .m_axil_wready, .m_axil_bresp, .m_axil_bvalid,
    .m_axil_bready, .m_axil_araddr, .m_axil_arprot, .m_axil_arvalid, .m_axil_arready, .m_axil_rdata, .m_axil_rresp,
    .m_axil_rvalid, .m_axil_rready,
    .s_axis_rq_tdata, .s_axis_rq_tkeep, .s_axis_rq_tlast, .s_axis_rq_tuser, .s_axis_rq_tvalid, .s_axis_rq_tready,
    .m_axis_rc_tdata, .m_axis_rc_tkeep, .m_axis_rc_tlast, .m_axis_rc_tuser, .m_axis_rc_tvalid, .m_axis_rc_tready,
    .m_axis_cq_tdata, .m_axis_cq_tkeep, .m_axis_cq_tlast, .m_axis_cq_tuser, .m_axis_cq_tvalid, .m_axis_cq_tready,
    .s_axis_cc_tdata, .s_axis_cc_tkeep, .s_axis_cc_tlast, .s_axis_cc_tuser, .s_axis_cc_tvalid, .s_axis_cc_tready,
    .pcie_rq_seq_num0, .pcie_rq_seq_num_vld0, .pcie_rq_seq_num1, .pcie_rq_seq_num_vld1, .pcie_cq_np_req,
    .cfg_max_payload, .cfg_max_read_req, .cfg_function_status, .cfg_interrupt_msi_enable, .cfg_interrupt_msi_int,
    .cfg_interrupt_msi_sent, .cfg_interrupt_msi_fail
  );

  vnc_dma_top #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax), .Queues(Queues)) i_engine (
    .clk_i, .rst_ni, .irq_host_o(irq), .irq_card_o,
    .m_axi_host_awid(s_axi_awid), .m_axi_host_awaddr(s_axi_awaddr), .m_axi_host_awlen(s_axi_awlen),
    .m_axi_host_awsize(s_axi_awsize), .m_axi_host_awburst(s_axi_awburst), .m_axi_host_awcache(s_axi_awcache),
    .m_axi_host_awprot(s_axi_awprot), .m_axi_host_awvalid(s_axi_awvalid), .m_axi_host_awready(s_axi_awready),
    .m_axi_host_wdata(s_axi_wdata), .m_axi_host_wstrb(s_axi_wstrb), .m_axi_host_wlast(s_axi_wlast),
    .m_axi_host_wvalid(s_axi_wvalid), .m_axi_host_wready(s_axi_wready), .m_axi_host_bid(s_axi_bid),
    .m_axi_host_bresp(s_axi_bresp), .m_axi_host_bvalid(s_axi_bvalid), .m_axi_host_bready(s_axi_bready),
    .m_axi_host_arid(s_axi_arid), .m_axi_host_araddr(s_axi_araddr), .m_axi_host_arlen(s_axi_arlen),
    .m_axi_host_arsize(s_axi_arsize), .m_axi_host_arburst(s_axi_arburst), .m_axi_host_arcache(s_axi_arcache),
    .m_axi_host_arprot(s_axi_arprot), .m_axi_host_arvalid(s_axi_arvalid), .m_axi_host_arready(s_axi_arready),
    .m_axi_host_rid(s_axi_rid), .m_axi_host_rdata(s_axi_rdata), .m_axi_host_rresp(s_axi_rresp),
    .m_axi_host_rlast(s_axi_rlast), .m_axi_host_rvalid(s_axi_rvalid), .m_axi_host_rready(s_axi_rready),
    .s_axil_host_awaddr(m_axil_awaddr), .s_axil_host_awprot(m_axil_awprot), .s_axil_host_awvalid(m_axil_awvalid),
    .s_axil_host_awready(m_axil_awready), .s_axil_host_wdata(m_axil_wdata), .s_axil_host_wstrb(m_axil_wstrb),
    .s_axil_host_wvalid(m_axil_wvalid), .s_axil_host_wready(m_axil_wready), .s_axil_host_bresp(m_axil_bresp),
    .s_axil_host_bvalid(m_axil_bvalid), .s_axil_host_bready(m_axil_bready), .s_axil_host_araddr(m_axil_araddr),
    .s_axil_host_arprot(m_axil_arprot), .s_axil_host_arvalid(m_axil_arvalid), .s_axil_host_arready(m_axil_arready),
    .s_axil_host_rdata(m_axil_rdata), .s_axil_host_rresp(m_axil_rresp), .s_axil_host_rvalid(m_axil_rvalid),
    .s_axil_host_rready(m_axil_rready),
    .s_axil_card_awaddr, .s_axil_card_awprot, .s_axil_card_awvalid, .s_axil_card_awready, .s_axil_card_wdata,
    .s_axil_card_wstrb, .s_axil_card_wvalid, .s_axil_card_wready, .s_axil_card_bresp, .s_axil_card_bvalid,
    .s_axil_card_bready, .s_axil_card_araddr, .s_axil_card_arprot, .s_axil_card_arvalid, .s_axil_card_arready,
    .s_axil_card_rdata, .s_axil_card_rresp, .s_axil_card_rvalid, .s_axil_card_rready, .m_axi_card_awid,
    .m_axi_card_awaddr, .m_axi_card_awlen, .m_axi_card_awsize, .m_axi_card_awburst, .m_axi_card_awcache,
    .m_axi_card_awprot, .m_axi_card_awvalid, .m_axi_card_awready, .m_axi_card_wdata, .m_axi_card_wstrb,
    .m_axi_card_wlast, .m_axi_card_wvalid, .m_axi_card_wready, .m_axi_card_bid, .m_axi_card_bresp, .m_axi_card_bvalid,
    .m_axi_card_bready, .m_axi_card_arid, .m_axi_card_araddr, .m_axi_card_arlen, .m_axi_card_arsize,
    .m_axi_card_arburst, .m_axi_card_arcache, .m_axi_card_arprot, .m_axi_card_arvalid, .m_axi_card_arready,
    .m_axi_card_rid, .m_axi_card_rdata, .m_axi_card_rresp, .m_axi_card_rlast, .m_axi_card_rvalid, .m_axi_card_rready
  );
endmodule
