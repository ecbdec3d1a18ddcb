// SPDX-License-Identifier: MIT
//
// stream_checks: checks in each cycle the rules that a stream port must keep; bound to vnc_stream_port.
//
//   m_axis      valid and payload are stable until ready; packed: TKEEP all ones but for the last beat, whose ones
//               begin at bit 0 and are not none; TUSER the same in all beats of a packet
//   rd, wr      every address is in its own ring, or is one of the words that this end reads or writes; strobes
//   off_o       no access to the RAM
//
// Written with plain registers, as axi_checks.

module stream_checks #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16,
  parameter bit          IsCard     = 1'b1
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  off,
  input logic [29:0]           rx_ring,
  input logic [4:0]            rx_log2,
  input logic [29:0]           tx_ring,
  input logic [4:0]            tx_log2,
  input logic                  rd_valid,
  input logic [WindowLog2-1:0] rd_at,
  input logic                  wr_valid,
  input logic [WindowLog2-1:0] wr_at,
  input logic [DataW/8-1:0]    wr_strb,
  input logic                  tvalid,
  input logic                  tready,
  input logic [DataW-1:0]      tdata,
  input logic [DataW/8-1:0]    tkeep,
  input logic                  tlast,
  input logic                  tuser
);
  localparam int unsigned W = DataW + DataW / 8 + 2;
  // The card reads prod of h2c and cons of c2h and writes cons of h2c and prod of c2h; the host does the opposite.
  localparam bit [31:0] Own[2] = IsCard ? '{32'h880, 32'h900} : '{32'h800, 32'h980};
  localparam bit [31:0] Peer[2] = IsCard ? '{32'h800, 32'h980} : '{32'h880, 32'h900};
  localparam bit [31:0] Epoch = IsCard ? 32'h400 : 32'h600;

  function automatic logic inside_ring(logic [WindowLog2-1:0] at, logic [29:0] ring, logic [4:0] log2);
    return 32'(at) >= 32'(ring) && 32'(at) + DataW / 8 <= 32'(ring) + (32'd1 << log2);
  endfunction

  logic         live_q = 1'b0, held_q, middle_q, user_q;
  logic [W-1:0] beat, beat_q;

  assign beat = {tdata, tkeep, tlast, tuser};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) live_q <= 1'b1;
    held_q <= rst_ni && tvalid && !tready;
    beat_q <= beat;
    if (!rst_ni) middle_q <= 1'b0;
    else if (tvalid && tready) middle_q <= !tlast;
    if (tvalid && tready) user_q <= tuser;
    if (rst_ni && live_q) begin
      if (held_q && !(tvalid && beat == beat_q)) $fatal(1, "the stream changed while stalled");
      if (tvalid && !tlast && tkeep != '1) $fatal(1, "TKEEP %h before the last beat", tkeep);
      if (tvalid && (tkeep == '0 || (tkeep & (tkeep + 1'b1)) != '0)) $fatal(1, "TKEEP %h", tkeep);
      if (tvalid && middle_q && tuser != user_q) $fatal(1, "TUSER changed within a packet");
      if (off && (rd_valid || wr_valid)) $fatal(1, "an access while off");
      if (rd_valid && !inside_ring(rd_at, rx_ring, rx_log2) && !(32'(rd_at) inside {Peer[0], Peer[1], Epoch}))
        $fatal(1, "read at %h", rd_at);
      if (wr_valid && !inside_ring(wr_at, tx_ring, tx_log2) && !(32'(wr_at) inside {Own[0], Own[1]}))
        $fatal(1, "write at %h", wr_at);
      if (wr_valid && wr_strb != (32'(wr_at) inside {Own[0], Own[1]} ? (DataW / 8)'(4'hf) : '1))
        $fatal(1, "strobes %h at %h", wr_strb, wr_at);
    end
  end
endmodule

bind vnc_stream_port stream_checks #(.DataW(DataW), .WindowLog2(WindowLog2), .IsCard(IsCard)) i_stream_checks (
  .clk_i, .rst_ni, .off(off_o), .rx_ring(rx_ring_i), .rx_log2(rx_log2_i), .tx_ring(tx_ring_i), .tx_log2(tx_log2_i),
  .rd_valid(rd_valid_o), .rd_at(rd_at_o), .wr_valid(wr_valid_o), .wr_at(wr_at_o), .wr_strb(wr_strb_o),
  .tvalid(m_axis_tvalid), .tready(m_axis_tready), .tdata(m_axis_tdata), .tkeep(m_axis_tkeep), .tlast(m_axis_tlast),
  .tuser(m_axis_tuser)
);
