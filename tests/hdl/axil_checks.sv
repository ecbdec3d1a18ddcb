// SPDX-License-Identifier: MIT
//
// axil_checks: checks in each cycle the rules that an AXI4-Lite slave must keep; bound to both register pages.
//
//   B, R   valid and payload are stable until ready; exactly one response per access
//   all    every response is OKAY

module axil_checks #(
  parameter int Most = 1  // accesses taken and not answered
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        awvalid,
  input logic        awready,
  input logic        wvalid,
  input logic        wready,
  input logic [1:0]  bresp,
  input logic        bvalid,
  input logic        bready,
  input logic        arvalid,
  input logic        arready,
  input logic [31:0] rdata,
  input logic [1:0]  rresp,
  input logic        rvalid,
  input logic        rready
);
  logic        live_q = 1'b0;
  logic        b_held_q, r_held_q;
  logic [31:0] rdata_q;
  int          addresses_q, words_q, reads_q;  // taken and not answered yet

  always_ff @(posedge clk_i) begin
    if (!rst_ni) live_q <= 1'b1;
    b_held_q <= rst_ni && bvalid && !bready;
    r_held_q <= rst_ni && rvalid && !rready;
    rdata_q  <= rdata;
    if (!rst_ni) begin
      addresses_q <= 0;
      words_q     <= 0;
      reads_q     <= 0;
    end else if (live_q) begin
      addresses_q <= addresses_q + 32'(awvalid && awready) - 32'(bvalid && bready);
      words_q     <= words_q + 32'(wvalid && wready) - 32'(bvalid && bready);
      reads_q     <= reads_q + 32'(arvalid && arready) - 32'(rvalid && rready);
      if (b_held_q && !bvalid) $fatal(1, "B withdrawn");
      if (r_held_q && !(rvalid && rdata == rdata_q)) $fatal(1, "R changed while stalled");
      if (bvalid && (addresses_q < 1 || words_q < 1)) $fatal(1, "B without a write");
      if (rvalid && reads_q < 1) $fatal(1, "R without a read");
      if (addresses_q > Most || words_q > Most || reads_q > Most) $fatal(1, "an access has no response");
      if ((bvalid && bresp != 2'b00) || (rvalid && rresp != 2'b00)) $fatal(1, "a response is not OKAY");
    end
  end
endmodule

`define VNC_CHECK_PAGE(side) \
  bind vnc_dma_top axil_checks i_checks_axil_``side ( \
    .clk_i, .rst_ni, \
    .awvalid(s_axil_``side``_awvalid), .awready(s_axil_``side``_awready), \
    .wvalid(s_axil_``side``_wvalid), .wready(s_axil_``side``_wready), \
    .bresp(s_axil_``side``_bresp), .bvalid(s_axil_``side``_bvalid), .bready(s_axil_``side``_bready), \
    .arvalid(s_axil_``side``_arvalid), .arready(s_axil_``side``_arready), \
    .rdata(s_axil_``side``_rdata), .rresp(s_axil_``side``_rresp), \
    .rvalid(s_axil_``side``_rvalid), .rready(s_axil_``side``_rready) \
  );

`VNC_CHECK_PAGE(host)
`VNC_CHECK_PAGE(card)
