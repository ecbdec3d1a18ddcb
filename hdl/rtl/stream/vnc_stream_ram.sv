// SPDX-License-Identifier: MIT
//
// vnc_stream_ram: the window of a side without a processor's memory: a block RAM behind AXI4, with two local users.
//
//   AXI4: AW, W, B --+                        +-- AXI4: AR, R
//   local writes  ---+--> mem[2^WindowLog2] --+-- local reads
//
// One write and one read in each cycle; of several requests one is taken in turn.  A read of the word that is written
// in that cycle waits for the next one, so no value depends on the kind of block RAM.  B follows the last beat that is
// stored, so an index word written after B of its records is never visible before them.
//
// AXI4: full-width INCR bursts, one write and one read at a time; address bits above the window are ignored.
//
// Timing: a granted read is answered in the next cycle (locally), or four cycles later (AXI4).

module vnc_stream_ram #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,

  input  logic [1:0]                  s_axi_awid,
  input  logic [63:0]                 s_axi_awaddr,
  input  logic                        s_axi_awvalid,
  output logic                        s_axi_awready,
  input  logic [DataW-1:0]            s_axi_wdata,
  input  logic [DataW/8-1:0]          s_axi_wstrb,
  input  logic                        s_axi_wlast,
  input  logic                        s_axi_wvalid,
  output logic                        s_axi_wready,
  output logic [1:0]                  s_axi_bid,
  output logic                        s_axi_bvalid,
  input  logic                        s_axi_bready,
  input  logic [1:0]                  s_axi_arid,
  input  logic [63:0]                 s_axi_araddr,
  input  logic [7:0]                  s_axi_arlen,
  input  logic                        s_axi_arvalid,
  output logic                        s_axi_arready,
  output logic [1:0]                  s_axi_rid,
  output logic [DataW-1:0]            s_axi_rdata,
  output logic                        s_axi_rlast,
  output logic                        s_axi_rvalid,
  input  logic                        s_axi_rready,

  input  logic [1:0]                  rd_valid_i,
  output logic [1:0]                  rd_ready_o,
  input  logic [1:0][WindowLog2-1:0]  rd_at_i,
  output logic [1:0]                  rd_done_o,
  output logic [DataW-1:0]            rd_data_o,
  input  logic [1:0]                  wr_valid_i,
  output logic [1:0]                  wr_ready_o,
  input  logic [1:0][WindowLog2-1:0]  wr_at_i,
  input  logic [1:0][DataW-1:0]       wr_data_i,
  input  logic [1:0][DataW/8-1:0]     wr_strb_i
);
  localparam int unsigned Bytes = DataW / 8, LowW = $clog2(Bytes), AtW = WindowLog2 - LowW, RDepth = 8;

  // --- the memory: request 2 is AXI4 ---------------------------------------------------------------------

  logic [DataW-1:0]           mem [2**AtW];
  logic [2:0]                 wr_valid, wr_grant, rd_valid, rd_grant, rd_q;
  logic [2:0][AtW-1:0]        wr_at, rd_at;
  logic [2:0][DataW-1:0]      wr_data;
  logic [2:0][DataW/8-1:0]    wr_strb;
  logic [AtW-1:0]             write_at, read_at;
  logic [DataW-1:0]           write_data, read_q;
  logic [DataW/8-1:0]         write_strb;
  logic                       write, read, w_busy_q, r_issue;
  logic [AtW-1:0]             w_at_q, r_at_q;

  assign wr_valid = {w_busy_q && s_axi_wvalid, wr_valid_i};
  assign wr_at    = {w_at_q, wr_at_i[1][WindowLog2-1:LowW], wr_at_i[0][WindowLog2-1:LowW]};
  assign wr_data  = {s_axi_wdata, wr_data_i};
  assign wr_strb  = {s_axi_wstrb, wr_strb_i};
  assign rd_valid = {r_issue, rd_valid_i};
  assign rd_at    = {r_at_q, rd_at_i[1][WindowLog2-1:LowW], rd_at_i[0][WindowLog2-1:LowW]};
  assign write    = wr_valid != '0;
  assign read     = rd_valid != '0 && !(write && write_at == read_at);

  vnc_stream_pick #(.N(3)) i_pick_write (.clk_i, .rst_ni, .valid_i(wr_valid), .take_i(write), .grant_o(wr_grant));
  vnc_stream_pick #(.N(3)) i_pick_read (.clk_i, .rst_ni, .valid_i(rd_valid), .take_i(read), .grant_o(rd_grant));

  always_comb begin
    write_at   = '0;
    write_data = '0;
    write_strb = '0;
    read_at    = '0;
    for (int unsigned n = 0; n < 3; n++) begin
      write_at   |= wr_grant[n] ? wr_at[n] : '0;
      write_data |= wr_grant[n] ? wr_data[n] : '0;
      write_strb |= wr_grant[n] ? wr_strb[n] : '0;
      read_at    |= rd_grant[n] ? rd_at[n] : '0;
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned n = 0; n < Bytes; n++) begin
      if (write && write_strb[n]) mem[write_at][8*n+:8] <= write_data[8*n+:8];
    end
    if (read) read_q <= mem[read_at];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) rd_q <= '0;
    else rd_q <= read ? rd_grant : '0;
  end

  assign wr_ready_o = wr_grant[1:0];
  assign rd_ready_o = rd_grant[1:0] & {2{read}};
  assign rd_done_o  = rd_q[1:0];
  assign rd_data_o  = read_q;

  // --- AXI4 writes -----------------------------------------------------------------------------------------

  assign s_axi_awready = !w_busy_q && (!s_axi_bvalid || s_axi_bready);
  assign s_axi_wready  = wr_grant[2];

  always_ff @(posedge clk_i) begin
    if (s_axi_awvalid && s_axi_awready) begin
      w_at_q    <= s_axi_awaddr[WindowLog2-1:LowW];
      s_axi_bid <= s_axi_awid;
    end else if (wr_grant[2]) begin
      w_at_q <= w_at_q + 1'b1;
    end
    if (!rst_ni) begin
      w_busy_q     <= 1'b0;
      s_axi_bvalid <= 1'b0;
    end else begin
      if (s_axi_awvalid && s_axi_awready) w_busy_q <= 1'b1;
      else if (wr_grant[2] && s_axi_wlast) w_busy_q <= 1'b0;
      if (wr_grant[2] && s_axi_wlast) s_axi_bvalid <= 1'b1;
      else if (s_axi_bready) s_axi_bvalid <= 1'b0;
    end
  end

  // --- AXI4 reads --------------------------------------------------------------------------------------------

  logic       r_busy_q, r_last_q, ready;
  logic [7:0] r_left_q;
  logic [3:0] r_held_q;  // beats granted and not yet out of the FIFO

  assign r_issue       = r_busy_q && r_held_q < 4'(RDepth - 1);
  assign s_axi_arready = !r_busy_q && r_held_q == '0;

  always_ff @(posedge clk_i) begin
    r_last_q <= r_left_q == '0;
    if (s_axi_arvalid && s_axi_arready) begin
      r_at_q    <= s_axi_araddr[WindowLog2-1:LowW];
      r_left_q  <= s_axi_arlen;
      s_axi_rid <= s_axi_arid;
    end else if (rd_grant[2] && read) begin
      r_at_q   <= r_at_q + 1'b1;
      r_left_q <= r_left_q - 1'b1;
    end
    if (!rst_ni) begin
      r_busy_q <= 1'b0;
      r_held_q <= '0;
    end else begin
      if (s_axi_arvalid && s_axi_arready) r_busy_q <= 1'b1;
      else if (rd_grant[2] && read && r_left_q == '0) r_busy_q <= 1'b0;
      r_held_q <= r_held_q + 4'(rd_grant[2] && read) - 4'(s_axi_rvalid && s_axi_rready);
    end
  end

  vnc_fifo #(.Width(DataW + 1), .Depth(RDepth)) i_fifo (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(rd_q[2]), .in_ready_o(ready), .in_data_i({r_last_q, read_q}),
    .out_valid_o(s_axi_rvalid), .out_ready_i(s_axi_rready), .out_data_o({s_axi_rlast, s_axi_rdata})
  );

  // The FIFO has room for every beat that was asked for; addresses count in beats.
  logic unused;
  assign unused = ready ^ (^{s_axi_awaddr, s_axi_araddr, rd_at_i, wr_at_i});
endmodule
