// SPDX-License-Identifier: MIT
//
// axi_checks: checks in each cycle the rules that an AXI4 master must keep; bound to both masters of the engine, and
// without the rules of its own (Engine 0: strobes, ready, number outstanding) to those of vnc_card_top.
//
//   AW, W, AR   payload and valid are stable until ready
//   AW, AR      no burst crosses 4 KiB
//   W           WLAST exactly on the last beat; strobes of whole beats, index words, and parts of a line
//   R, B        always ready; each response belongs to an outstanding transaction
//   all         at most ReadsMax + 1 bursts outstanding, one transaction of every other id
//
// Written with plain registers, so that any tool can parse it.  A two-state simulator has no X: registers without a
// reset start with random bits instead, and nothing is checked before the first reset.

module axi_checks #(
  parameter int unsigned DataW    = 64,
  parameter int unsigned ReadsMax = 8,
  parameter bit          Engine   = 1'b1
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
  input logic [1:0]         bid,
  input logic               bvalid,
  input logic               bready,
  input logic [1:0]         arid,
  input logic [63:0]        araddr,
  input logic [7:0]         arlen,
  input logic               arvalid,
  input logic               arready,
  input logic [1:0]         rid,
  input logic               rlast,
  input logic               rvalid,
  input logic               rready
);
  localparam int unsigned AwW = 2 + 64 + 8, WW = DataW + DataW / 8 + 1, ArW = AwW;
  // The bursts of a mover have id 0: as many as its queue holds, and one that leaves it.
  localparam int unsigned BurstsMax = ReadsMax + 1;

  function automatic logic crosses(logic [63:0] address, logic [7:0] len);
    return 32'(address[11:0]) + (32'(len) + 1) * (DataW / 8) > 4096;
  endfunction

  logic live_q = 1'b0;
  always_ff @(posedge clk_i) if (!rst_ni) live_q <= 1'b1;

  // --- stable while stalled; 4 KiB -----------------------------------------------------------------------

  logic           aw_held_q, w_held_q, ar_held_q;
  logic [AwW-1:0] aw, aw_q;
  logic [WW-1:0]  w, w_q;
  logic [ArW-1:0] ar, ar_q;

  assign aw = {awid, awaddr, awlen};
  assign w  = {wdata, wstrb, wlast};
  assign ar = {arid, araddr, arlen};

  always_ff @(posedge clk_i) begin
    aw_held_q <= rst_ni && awvalid && !awready;
    w_held_q  <= rst_ni && wvalid && !wready;
    ar_held_q <= rst_ni && arvalid && !arready;
    aw_q      <= aw;
    w_q       <= w;
    ar_q      <= ar;
    if (rst_ni && live_q) begin
      if (aw_held_q && !(awvalid && aw == aw_q)) $fatal(1, "AW changed while stalled");
      if (w_held_q && !(wvalid && w == w_q)) $fatal(1, "W changed while stalled");
      if (ar_held_q && !(arvalid && ar == ar_q)) $fatal(1, "AR changed while stalled");
      if (awvalid && crosses(awaddr, awlen)) $fatal(1, "a write burst crosses 4 KiB");
      if (arvalid && crosses(araddr, arlen)) $fatal(1, "a read burst crosses 4 KiB");
      if (Engine && (!rready || !bready)) $fatal(1, "a response is stalled");
    end
  end

  // --- WLAST and strobes ---------------------------------------------------------------------------------
  // The lengths of the bursts with outstanding beats.  W may precede the acceptance of AW, but not AWVALID.

  localparam logic [DataW/8-1:0] Word = (DataW / 8)'(4'hf), Head = (DataW / 8)'(8'hff);

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
        if (!(wstrb inside {'1, Word, Head, ~Head}) && (Engine || wstrb != '0)) $fatal(1, "strobes %h", wstrb);
        if (beat_q == 9'(lengths[0])) begin
          void'(lengths.pop_front());
          beat_q <= '0;
        end else begin
          beat_q <= beat_q + 9'd1;
        end
      end
    end
  end

  // --- outstanding, by id ------------------------------------------------------------------------------------

  int unsigned reads_q [4], writes_q [4];

  always_ff @(posedge clk_i) begin
    for (int unsigned n = 0; n < 4; n++) begin
      if (!rst_ni) begin
        reads_q[n]  <= 0;
        writes_q[n] <= 0;
      end else if (live_q) begin
        reads_q[n]  <= reads_q[n] + 32'(arvalid && arready && arid == 2'(n)) -
                       32'(rvalid && rready && rlast && rid == 2'(n));
        writes_q[n] <= writes_q[n] + 32'(awvalid && awready && awid == 2'(n)) - 32'(bvalid && bready && bid == 2'(n));
        if (Engine && reads_q[n] > (n == 0 ? BurstsMax : 1))
          $fatal(1, "%0d reads of id %0d outstanding", reads_q[n], n);
        if (Engine && writes_q[n] > (n == 0 ? BurstsMax : 1))
          $fatal(1, "%0d writes of id %0d outstanding", writes_q[n], n);
        if (rvalid && rid == 2'(n) && reads_q[n] == 0) $fatal(1, "read data without a request, id %0d", n);
        if (bvalid && bid == 2'(n) && writes_q[n] == 0) $fatal(1, "a response without a write, id %0d", n);
      end
    end
  end
endmodule

`define VNC_CHECK_MASTER(side) \
  bind vnc_dma_top axi_checks #(.DataW(DataW), .ReadsMax(ReadsMax)) i_checks_``side ( \
    .clk_i, .rst_ni, \
    .awid(m_axi_``side``_awid), .awaddr(m_axi_``side``_awaddr), .awlen(m_axi_``side``_awlen), \
    .awvalid(m_axi_``side``_awvalid), .awready(m_axi_``side``_awready), \
    .wdata(m_axi_``side``_wdata), .wstrb(m_axi_``side``_wstrb), .wlast(m_axi_``side``_wlast), \
    .wvalid(m_axi_``side``_wvalid), .wready(m_axi_``side``_wready), \
    .bid(m_axi_``side``_bid), .bvalid(m_axi_``side``_bvalid), .bready(m_axi_``side``_bready), \
    .arid(m_axi_``side``_arid), .araddr(m_axi_``side``_araddr), .arlen(m_axi_``side``_arlen), \
    .arvalid(m_axi_``side``_arvalid), .arready(m_axi_``side``_arready), \
    .rid(m_axi_``side``_rid), .rlast(m_axi_``side``_rlast), \
    .rvalid(m_axi_``side``_rvalid), .rready(m_axi_``side``_rready) \
  );

`VNC_CHECK_MASTER(host)
`VNC_CHECK_MASTER(card)
