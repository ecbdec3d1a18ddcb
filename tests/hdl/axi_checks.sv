// SPDX-License-Identifier: MIT
//
// axi_checks: what every AXI4 master owes its slave, checked in each cycle; bound to the engine from outside.
//
//   payload and valid stand still until ready; no burst crosses 4 KiB; WLAST on the last beat and only there
//
// Written with plain registers, so that any tool can read it.

module axi_checks #(
  parameter int unsigned DataW = 64
) (
  input logic               clk_i,
  input logic               rst_ni,
  input logic [1:0]         awid,
  input logic [63:0]        awaddr,
  input logic [7:0]         awlen,
  input logic               awvalid,
  input logic               awready,
  input logic [DataW-1:0]   wdata,
  input logic [DataW/8-1:0] wstrb,
  input logic               wlast,
  input logic               wvalid,
  input logic               wready,
  input logic [63:0]        araddr,
  input logic [7:0]         arlen,
  input logic               arvalid,
  input logic               arready
);
  localparam int unsigned AwW = 2 + 64 + 8, WW = DataW + DataW / 8 + 1, ArW = 64 + 8;

  function automatic logic crosses(logic [63:0] address, logic [7:0] len);
    return 32'(address[11:0]) + (32'(len) + 1) * (DataW / 8) > 4096;
  endfunction

  // Registers start with random bits: nothing is judged before the first reset.
  logic           live_q = 1'b0;
  logic           aw_held_q, w_held_q, ar_held_q;
  logic [AwW-1:0] aw, aw_q;
  logic [WW-1:0]  w, w_q;
  logic [ArW-1:0] ar, ar_q;

  assign aw = {awid, awaddr, awlen};
  assign w  = {wdata, wstrb, wlast};
  assign ar = {araddr, arlen};

  always_ff @(posedge clk_i) begin
    aw_held_q <= rst_ni && awvalid && !awready;
    w_held_q  <= rst_ni && wvalid && !wready;
    ar_held_q <= rst_ni && arvalid && !arready;
    aw_q      <= aw;
    w_q       <= w;
    ar_q      <= ar;
    if (!rst_ni) live_q <= 1'b1;
    if (rst_ni && live_q) begin
      if (aw_held_q && !(awvalid && aw == aw_q)) $fatal(1, "AW changed while stalled");
      if (w_held_q && !(wvalid && w == w_q)) $fatal(1, "W changed while stalled");
      if (ar_held_q && !(arvalid && ar == ar_q)) $fatal(1, "AR changed while stalled");
      if (awvalid && crosses(awaddr, awlen)) $fatal(1, "a write burst crosses 4 KiB");
      if (arvalid && crosses(araddr, arlen)) $fatal(1, "a read burst crosses 4 KiB");
    end
  end

  // WLAST: the lengths of the bursts whose beats are still to come.  W may run ahead of AW, but here, in one
  // burst at a time, only while its AW is already valid.
  logic [7:0] lengths [$];
  logic       aw_seen_q;
  logic [8:0] beat_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      lengths.delete();
      aw_seen_q <= 1'b0;
      beat_q    <= '0;
    end else if (live_q) begin
      if (awvalid && !aw_seen_q) lengths.push_back(awlen);
      aw_seen_q <= awvalid && !awready;
      if (wvalid && wready) begin
        if (lengths.size() == 0) $fatal(1, "write data without an address");
        if (wlast != (beat_q == 9'(lengths[0]))) $fatal(1, "WLAST is wrong at beat %0d", beat_q);
        if (beat_q == 9'(lengths[0])) begin
          void'(lengths.pop_front());
          beat_q <= '0;
        end else begin
          beat_q <= beat_q + 9'd1;
        end
      end
    end
  end
endmodule

bind vnc_dma_top axi_checks #(.DataW(DataW)) i_checks_host (
  .clk_i, .rst_ni,
  .awid(m_axi_host_awid), .awaddr(m_axi_host_awaddr), .awlen(m_axi_host_awlen),
  .awvalid(m_axi_host_awvalid), .awready(m_axi_host_awready),
  .wdata(m_axi_host_wdata), .wstrb(m_axi_host_wstrb), .wlast(m_axi_host_wlast),
  .wvalid(m_axi_host_wvalid), .wready(m_axi_host_wready),
  .araddr(m_axi_host_araddr), .arlen(m_axi_host_arlen),
  .arvalid(m_axi_host_arvalid), .arready(m_axi_host_arready)
);
bind vnc_dma_top axi_checks #(.DataW(DataW)) i_checks_card (
  .clk_i, .rst_ni,
  .awid(m_axi_card_awid), .awaddr(m_axi_card_awaddr), .awlen(m_axi_card_awlen),
  .awvalid(m_axi_card_awvalid), .awready(m_axi_card_awready),
  .wdata(m_axi_card_wdata), .wstrb(m_axi_card_wstrb), .wlast(m_axi_card_wlast),
  .wvalid(m_axi_card_wvalid), .wready(m_axi_card_wready),
  .araddr(m_axi_card_araddr), .arlen(m_axi_card_arlen),
  .arvalid(m_axi_card_arvalid), .arready(m_axi_card_arready)
);
