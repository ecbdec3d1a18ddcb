// SPDX-License-Identifier: MIT
//
// vnc_dma: vnc_dma_top for a block design of Vivado, in Verilog-2001.
//
// Made by `python -m vnetcard.hdl.vivado` from the ports of vnc_dma_top; do not edit.

module vnc_dma #(
  parameter DataW = 64,
  parameter BurstBeats = 64,
  parameter ReadsMax = 8
) (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aclk, ASSOCIATED_BUSIF s_axil_host:s_axil_card:m_axi_host:m_axi_card, ASSOCIATED_RESET aresetn" *)
  input  wire aclk,
  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aresetn, POLARITY ACTIVE_LOW" *)
  input  wire aresetn,
  (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq_host INTERRUPT" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME irq_host, SENSITIVITY LEVEL_HIGH" *)
  output wire irq_host,
  (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq_card INTERRUPT" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME irq_card, SENSITIVITY LEVEL_HIGH" *)
  output wire irq_card,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host AWADDR" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME s_axil_host, PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 12" *)
  input  wire [11:0] s_axil_host_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host AWPROT" *)
  input  wire [2:0] s_axil_host_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host AWVALID" *)
  input  wire s_axil_host_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host AWREADY" *)
  output wire s_axil_host_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host WDATA" *)
  input  wire [31:0] s_axil_host_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host WSTRB" *)
  input  wire [3:0] s_axil_host_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host WVALID" *)
  input  wire s_axil_host_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host WREADY" *)
  output wire s_axil_host_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host BRESP" *)
  output wire [1:0] s_axil_host_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host BVALID" *)
  output wire s_axil_host_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host BREADY" *)
  input  wire s_axil_host_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host ARADDR" *)
  input  wire [11:0] s_axil_host_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host ARPROT" *)
  input  wire [2:0] s_axil_host_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host ARVALID" *)
  input  wire s_axil_host_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host ARREADY" *)
  output wire s_axil_host_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host RDATA" *)
  output wire [31:0] s_axil_host_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host RRESP" *)
  output wire [1:0] s_axil_host_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host RVALID" *)
  output wire s_axil_host_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_host RREADY" *)
  input  wire s_axil_host_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card AWADDR" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME s_axil_card, PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 12" *)
  input  wire [11:0] s_axil_card_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card AWPROT" *)
  input  wire [2:0] s_axil_card_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card AWVALID" *)
  input  wire s_axil_card_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card AWREADY" *)
  output wire s_axil_card_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card WDATA" *)
  input  wire [31:0] s_axil_card_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card WSTRB" *)
  input  wire [3:0] s_axil_card_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card WVALID" *)
  input  wire s_axil_card_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card WREADY" *)
  output wire s_axil_card_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card BRESP" *)
  output wire [1:0] s_axil_card_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card BVALID" *)
  output wire s_axil_card_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card BREADY" *)
  input  wire s_axil_card_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card ARADDR" *)
  input  wire [11:0] s_axil_card_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card ARPROT" *)
  input  wire [2:0] s_axil_card_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card ARVALID" *)
  input  wire s_axil_card_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card ARREADY" *)
  output wire s_axil_card_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card RDATA" *)
  output wire [31:0] s_axil_card_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card RRESP" *)
  output wire [1:0] s_axil_card_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card RVALID" *)
  output wire s_axil_card_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axil_card RREADY" *)
  input  wire s_axil_card_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWID" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME m_axi_host, PROTOCOL AXI4, ADDR_WIDTH 64, ID_WIDTH 2, SUPPORTS_NARROW_BURST 0" *)
  output wire [1:0] m_axi_host_awid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWADDR" *)
  output wire [63:0] m_axi_host_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWLEN" *)
  output wire [7:0] m_axi_host_awlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWSIZE" *)
  output wire [2:0] m_axi_host_awsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWBURST" *)
  output wire [1:0] m_axi_host_awburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWCACHE" *)
  output wire [3:0] m_axi_host_awcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWPROT" *)
  output wire [2:0] m_axi_host_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWVALID" *)
  output wire m_axi_host_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host AWREADY" *)
  input  wire m_axi_host_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host WDATA" *)
  output wire [DataW-1:0] m_axi_host_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host WSTRB" *)
  output wire [DataW/8-1:0] m_axi_host_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host WLAST" *)
  output wire m_axi_host_wlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host WVALID" *)
  output wire m_axi_host_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host WREADY" *)
  input  wire m_axi_host_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host BID" *)
  input  wire [1:0] m_axi_host_bid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host BRESP" *)
  input  wire [1:0] m_axi_host_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host BVALID" *)
  input  wire m_axi_host_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host BREADY" *)
  output wire m_axi_host_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARID" *)
  output wire [1:0] m_axi_host_arid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARADDR" *)
  output wire [63:0] m_axi_host_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARLEN" *)
  output wire [7:0] m_axi_host_arlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARSIZE" *)
  output wire [2:0] m_axi_host_arsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARBURST" *)
  output wire [1:0] m_axi_host_arburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARCACHE" *)
  output wire [3:0] m_axi_host_arcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARPROT" *)
  output wire [2:0] m_axi_host_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARVALID" *)
  output wire m_axi_host_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host ARREADY" *)
  input  wire m_axi_host_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RID" *)
  input  wire [1:0] m_axi_host_rid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RDATA" *)
  input  wire [DataW-1:0] m_axi_host_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RRESP" *)
  input  wire [1:0] m_axi_host_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RLAST" *)
  input  wire m_axi_host_rlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RVALID" *)
  input  wire m_axi_host_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_host RREADY" *)
  output wire m_axi_host_rready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWID" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME m_axi_card, PROTOCOL AXI4, ADDR_WIDTH 64, ID_WIDTH 2, SUPPORTS_NARROW_BURST 0" *)
  output wire [1:0] m_axi_card_awid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWADDR" *)
  output wire [63:0] m_axi_card_awaddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWLEN" *)
  output wire [7:0] m_axi_card_awlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWSIZE" *)
  output wire [2:0] m_axi_card_awsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWBURST" *)
  output wire [1:0] m_axi_card_awburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWCACHE" *)
  output wire [3:0] m_axi_card_awcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWPROT" *)
  output wire [2:0] m_axi_card_awprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWVALID" *)
  output wire m_axi_card_awvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card AWREADY" *)
  input  wire m_axi_card_awready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card WDATA" *)
  output wire [DataW-1:0] m_axi_card_wdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card WSTRB" *)
  output wire [DataW/8-1:0] m_axi_card_wstrb,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card WLAST" *)
  output wire m_axi_card_wlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card WVALID" *)
  output wire m_axi_card_wvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card WREADY" *)
  input  wire m_axi_card_wready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card BID" *)
  input  wire [1:0] m_axi_card_bid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card BRESP" *)
  input  wire [1:0] m_axi_card_bresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card BVALID" *)
  input  wire m_axi_card_bvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card BREADY" *)
  output wire m_axi_card_bready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARID" *)
  output wire [1:0] m_axi_card_arid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARADDR" *)
  output wire [63:0] m_axi_card_araddr,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARLEN" *)
  output wire [7:0] m_axi_card_arlen,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARSIZE" *)
  output wire [2:0] m_axi_card_arsize,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARBURST" *)
  output wire [1:0] m_axi_card_arburst,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARCACHE" *)
  output wire [3:0] m_axi_card_arcache,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARPROT" *)
  output wire [2:0] m_axi_card_arprot,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARVALID" *)
  output wire m_axi_card_arvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card ARREADY" *)
  input  wire m_axi_card_arready,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RID" *)
  input  wire [1:0] m_axi_card_rid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RDATA" *)
  input  wire [DataW-1:0] m_axi_card_rdata,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RRESP" *)
  input  wire [1:0] m_axi_card_rresp,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RLAST" *)
  input  wire m_axi_card_rlast,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RVALID" *)
  input  wire m_axi_card_rvalid,
  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m_axi_card RREADY" *)
  output wire m_axi_card_rready
);
  vnc_dma_top #(.DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax)) i_top (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .irq_host_o(irq_host),
    .irq_card_o(irq_card),
    .s_axil_host_awaddr(s_axil_host_awaddr),
    .s_axil_host_awprot(s_axil_host_awprot),
    .s_axil_host_awvalid(s_axil_host_awvalid),
    .s_axil_host_awready(s_axil_host_awready),
    .s_axil_host_wdata(s_axil_host_wdata),
    .s_axil_host_wstrb(s_axil_host_wstrb),
    .s_axil_host_wvalid(s_axil_host_wvalid),
    .s_axil_host_wready(s_axil_host_wready),
    .s_axil_host_bresp(s_axil_host_bresp),
    .s_axil_host_bvalid(s_axil_host_bvalid),
    .s_axil_host_bready(s_axil_host_bready),
    .s_axil_host_araddr(s_axil_host_araddr),
    .s_axil_host_arprot(s_axil_host_arprot),
    .s_axil_host_arvalid(s_axil_host_arvalid),
    .s_axil_host_arready(s_axil_host_arready),
    .s_axil_host_rdata(s_axil_host_rdata),
    .s_axil_host_rresp(s_axil_host_rresp),
    .s_axil_host_rvalid(s_axil_host_rvalid),
    .s_axil_host_rready(s_axil_host_rready),
    .s_axil_card_awaddr(s_axil_card_awaddr),
    .s_axil_card_awprot(s_axil_card_awprot),
    .s_axil_card_awvalid(s_axil_card_awvalid),
    .s_axil_card_awready(s_axil_card_awready),
    .s_axil_card_wdata(s_axil_card_wdata),
    .s_axil_card_wstrb(s_axil_card_wstrb),
    .s_axil_card_wvalid(s_axil_card_wvalid),
    .s_axil_card_wready(s_axil_card_wready),
    .s_axil_card_bresp(s_axil_card_bresp),
    .s_axil_card_bvalid(s_axil_card_bvalid),
    .s_axil_card_bready(s_axil_card_bready),
    .s_axil_card_araddr(s_axil_card_araddr),
    .s_axil_card_arprot(s_axil_card_arprot),
    .s_axil_card_arvalid(s_axil_card_arvalid),
    .s_axil_card_arready(s_axil_card_arready),
    .s_axil_card_rdata(s_axil_card_rdata),
    .s_axil_card_rresp(s_axil_card_rresp),
    .s_axil_card_rvalid(s_axil_card_rvalid),
    .s_axil_card_rready(s_axil_card_rready),
    .m_axi_host_awid(m_axi_host_awid),
    .m_axi_host_awaddr(m_axi_host_awaddr),
    .m_axi_host_awlen(m_axi_host_awlen),
    .m_axi_host_awsize(m_axi_host_awsize),
    .m_axi_host_awburst(m_axi_host_awburst),
    .m_axi_host_awcache(m_axi_host_awcache),
    .m_axi_host_awprot(m_axi_host_awprot),
    .m_axi_host_awvalid(m_axi_host_awvalid),
    .m_axi_host_awready(m_axi_host_awready),
    .m_axi_host_wdata(m_axi_host_wdata),
    .m_axi_host_wstrb(m_axi_host_wstrb),
    .m_axi_host_wlast(m_axi_host_wlast),
    .m_axi_host_wvalid(m_axi_host_wvalid),
    .m_axi_host_wready(m_axi_host_wready),
    .m_axi_host_bid(m_axi_host_bid),
    .m_axi_host_bresp(m_axi_host_bresp),
    .m_axi_host_bvalid(m_axi_host_bvalid),
    .m_axi_host_bready(m_axi_host_bready),
    .m_axi_host_arid(m_axi_host_arid),
    .m_axi_host_araddr(m_axi_host_araddr),
    .m_axi_host_arlen(m_axi_host_arlen),
    .m_axi_host_arsize(m_axi_host_arsize),
    .m_axi_host_arburst(m_axi_host_arburst),
    .m_axi_host_arcache(m_axi_host_arcache),
    .m_axi_host_arprot(m_axi_host_arprot),
    .m_axi_host_arvalid(m_axi_host_arvalid),
    .m_axi_host_arready(m_axi_host_arready),
    .m_axi_host_rid(m_axi_host_rid),
    .m_axi_host_rdata(m_axi_host_rdata),
    .m_axi_host_rresp(m_axi_host_rresp),
    .m_axi_host_rlast(m_axi_host_rlast),
    .m_axi_host_rvalid(m_axi_host_rvalid),
    .m_axi_host_rready(m_axi_host_rready),
    .m_axi_card_awid(m_axi_card_awid),
    .m_axi_card_awaddr(m_axi_card_awaddr),
    .m_axi_card_awlen(m_axi_card_awlen),
    .m_axi_card_awsize(m_axi_card_awsize),
    .m_axi_card_awburst(m_axi_card_awburst),
    .m_axi_card_awcache(m_axi_card_awcache),
    .m_axi_card_awprot(m_axi_card_awprot),
    .m_axi_card_awvalid(m_axi_card_awvalid),
    .m_axi_card_awready(m_axi_card_awready),
    .m_axi_card_wdata(m_axi_card_wdata),
    .m_axi_card_wstrb(m_axi_card_wstrb),
    .m_axi_card_wlast(m_axi_card_wlast),
    .m_axi_card_wvalid(m_axi_card_wvalid),
    .m_axi_card_wready(m_axi_card_wready),
    .m_axi_card_bid(m_axi_card_bid),
    .m_axi_card_bresp(m_axi_card_bresp),
    .m_axi_card_bvalid(m_axi_card_bvalid),
    .m_axi_card_bready(m_axi_card_bready),
    .m_axi_card_arid(m_axi_card_arid),
    .m_axi_card_araddr(m_axi_card_araddr),
    .m_axi_card_arlen(m_axi_card_arlen),
    .m_axi_card_arsize(m_axi_card_arsize),
    .m_axi_card_arburst(m_axi_card_arburst),
    .m_axi_card_arcache(m_axi_card_arcache),
    .m_axi_card_arprot(m_axi_card_arprot),
    .m_axi_card_arvalid(m_axi_card_arvalid),
    .m_axi_card_arready(m_axi_card_arready),
    .m_axi_card_rid(m_axi_card_rid),
    .m_axi_card_rdata(m_axi_card_rdata),
    .m_axi_card_rresp(m_axi_card_rresp),
    .m_axi_card_rlast(m_axi_card_rlast),
    .m_axi_card_rvalid(m_axi_card_rvalid),
    .m_axi_card_rready(m_axi_card_rready)
  );
endmodule
