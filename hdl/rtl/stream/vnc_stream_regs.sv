// SPDX-License-Identifier: MIT
//
// vnc_stream_regs: what the control plane of a stream port sees behind AXI4-Lite: the window's RAM and registers.
//
//   address bit 20:  0 --> RAM, 2^WindowLog2 bytes            1 --> registers, see hdl/README.md
//
// Configuration is locked while RUN is 1 or OFF is 0, and RUN can be set only while OFF is 1: an end never sees a
// generation change under it.  Counters are free-running; rx_records and tx_records belong to the generation.
//
// Only whole words reach a register.  Every access is answered OKAY.  Timing: one access at a time; three cycles.

module vnc_stream_regs #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned WindowLog2 = 16
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,

  input  logic [20:0]           s_axil_awaddr,
  input  logic                  s_axil_awvalid,
  output logic                  s_axil_awready,
  input  logic [31:0]           s_axil_wdata,
  input  logic [3:0]            s_axil_wstrb,
  input  logic                  s_axil_wvalid,
  output logic                  s_axil_wready,
  output logic                  s_axil_bvalid,
  input  logic                  s_axil_bready,
  input  logic [20:0]           s_axil_araddr,
  input  logic                  s_axil_arvalid,
  output logic                  s_axil_arready,
  output logic [31:0]           s_axil_rdata,
  output logic                  s_axil_rvalid,
  input  logic                  s_axil_rready,

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

  output logic                  run_o,
  output logic                  vnet_o,
  output logic [31:0]           epoch_o,
  output logic [31:0]           start_o,
  output logic [16:0]           frame_max_o,
  output logic [29:0]           rx_ring_o,
  output logic [4:0]            rx_log2_o,
  output logic [29:0]           tx_ring_o,
  output logic [4:0]            tx_log2_o,

  input  logic                  off_i,
  input  logic [2:0]            rx_cause_i,
  input  logic [2:0]            tx_cause_i,
  input  logic [31:0]           rx_index_i,
  input  logic [31:0]           tx_index_i,
  input  logic [31:0]           rx_records_i,
  input  logic [31:0]           tx_records_i,
  input  logic [16:0]           rx_len_i,
  input  logic [16:0]           tx_len_i,
  input  logic                  rx_done_event_i,
  input  logic                  tx_done_event_i,
  input  logic                  rx_fault_event_i,
  input  logic                  tx_fault_event_i,
  input  logic                  big_event_i,
  input  logic                  bad_event_i,
  input  logic                  down_event_i
);
  localparam int unsigned Lanes = DataW / 32, LaneW = $clog2(Lanes);

  // --- write ---------------------------------------------------------------------------------------------

  logic        write_q, locked;
  logic [20:0] waddr_q, raddr_q;
  logic [31:0] wdata_q;
  logic [3:0]  wstrb_q;

  assign s_axil_awready = s_axil_wvalid && s_axil_awvalid && !write_q && !s_axil_bvalid;
  assign s_axil_wready  = s_axil_awready;
  assign locked         = run_o || !off_i;
  assign wr_valid_o     = write_q && !waddr_q[20];
  assign wr_at_o        = waddr_q[WindowLog2-1:0];
  assign wr_data_o      = {Lanes{wdata_q}};
  assign wr_strb_o      = (DataW / 8)'(wstrb_q) << {waddr_q[2+:LaneW], 2'b00};

  always_ff @(posedge clk_i) begin
    if (s_axil_awready) begin
      waddr_q <= s_axil_awaddr;
      wdata_q <= s_axil_wdata;
      wstrb_q <= s_axil_wstrb;
    end
    if (!rst_ni) begin
      write_q       <= 1'b0;
      s_axil_bvalid <= 1'b0;
    end else begin
      if (s_axil_awready) write_q <= 1'b1;
      else if (waddr_q[20] || wr_ready_i) write_q <= 1'b0;
      if (write_q && (waddr_q[20] || wr_ready_i)) s_axil_bvalid <= 1'b1;
      else if (s_axil_bready) s_axil_bvalid <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      run_o       <= 1'b0;
      vnet_o      <= 1'b0;
      epoch_o     <= '0;
      start_o     <= '0;
      frame_max_o <= '0;
      rx_ring_o   <= '0;
      rx_log2_o   <= '0;
      tx_ring_o   <= '0;
      tx_log2_o   <= '0;
    end else if (write_q && waddr_q[20] && wstrb_q == '1) begin
      if (waddr_q[7:2] == 6'h00 && (!wdata_q[0] || !locked)) run_o <= wdata_q[0];
      if (!locked) begin
        unique case (waddr_q[7:2])
          6'h00:   vnet_o      <= wdata_q[1];
          6'h02:   epoch_o     <= wdata_q;
          6'h03:   start_o     <= {wdata_q[31:6], 6'b0};
          6'h04:   frame_max_o <= wdata_q > vnc_pkg::FrameMax ? 17'(vnc_pkg::FrameMax) : wdata_q[16:0];
          6'h05:   rx_ring_o   <= wdata_q[29:0];
          6'h06:   rx_log2_o   <= wdata_q[31:5] == '0 ? wdata_q[4:0] : '0;
          6'h07:   tx_ring_o   <= wdata_q[29:0];
          6'h08:   tx_log2_o   <= wdata_q[31:5] == '0 ? wdata_q[4:0] : '0;
          default: ;
        endcase
      end
    end
  end

  // --- counters ------------------------------------------------------------------------------------------

  logic [31:0] rx_bytes_q, tx_bytes_q, big_q, bad_q, down_q, rx_faults_q, tx_faults_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {rx_bytes_q, tx_bytes_q, big_q, bad_q, down_q, rx_faults_q, tx_faults_q} <= '0;
    end else begin
      if (rx_done_event_i) rx_bytes_q <= rx_bytes_q + 32'(rx_len_i);
      if (tx_done_event_i) tx_bytes_q <= tx_bytes_q + 32'(tx_len_i);
      big_q       <= big_q + 32'(big_event_i);
      bad_q       <= bad_q + 32'(bad_event_i);
      down_q      <= down_q + 32'(down_event_i);
      rx_faults_q <= rx_faults_q + 32'(rx_fault_event_i);
      tx_faults_q <= tx_faults_q + 32'(tx_fault_event_i);
    end
  end

  // --- read ------------------------------------------------------------------------------------------------

  logic read_q, asked_q;

  assign s_axil_arready = !read_q && !s_axil_rvalid;
  assign rd_valid_o     = read_q && !raddr_q[20] && !asked_q;
  assign rd_at_o        = raddr_q[WindowLog2-1:0];

  always_ff @(posedge clk_i) begin
    if (s_axil_arvalid && s_axil_arready) raddr_q <= s_axil_araddr;
    if (!rst_ni) begin
      read_q        <= 1'b0;
      asked_q       <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end else begin
      if (s_axil_arvalid && s_axil_arready) read_q <= 1'b1;
      else if (raddr_q[20] || rd_done_i) read_q <= 1'b0;
      if (rd_valid_o && rd_ready_i) asked_q <= 1'b1;
      else if (rd_done_i) asked_q <= 1'b0;
      if (read_q && (raddr_q[20] || rd_done_i)) s_axil_rvalid <= 1'b1;
      else if (s_axil_rready) s_axil_rvalid <= 1'b0;
    end
    if (read_q) begin
      s_axil_rdata <= rd_data_i[32*raddr_q[2+:LaneW]+:32];
      if (raddr_q[20]) begin
        unique case (raddr_q[7:2])
          6'h00:   s_axil_rdata <= {30'd0, vnet_o, run_o};
          6'h01:   s_axil_rdata <= {17'd0, tx_cause_i, 1'b0, rx_cause_i, 7'd0, off_i};
          6'h02:   s_axil_rdata <= epoch_o;
          6'h03:   s_axil_rdata <= start_o;
          6'h04:   s_axil_rdata <= 32'(frame_max_o);
          6'h05:   s_axil_rdata <= 32'(rx_ring_o);
          6'h06:   s_axil_rdata <= 32'(rx_log2_o);
          6'h07:   s_axil_rdata <= 32'(tx_ring_o);
          6'h08:   s_axil_rdata <= 32'(tx_log2_o);
          6'h10:   s_axil_rdata <= rx_index_i;
          6'h11:   s_axil_rdata <= tx_index_i;
          6'h12:   s_axil_rdata <= rx_records_i;
          6'h13:   s_axil_rdata <= tx_records_i;
          6'h14:   s_axil_rdata <= rx_bytes_q;
          6'h15:   s_axil_rdata <= tx_bytes_q;
          6'h16:   s_axil_rdata <= rx_faults_q;
          6'h17:   s_axil_rdata <= tx_faults_q;
          6'h18:   s_axil_rdata <= big_q;
          6'h19:   s_axil_rdata <= bad_q;
          6'h1a:   s_axil_rdata <= down_q;
          default: s_axil_rdata <= '0;
        endcase
      end
    end
  end

  // RAM addresses wrap at the window's size; registers repeat.
  logic unused;
  assign unused = ^{waddr_q, raddr_q};
endmodule
