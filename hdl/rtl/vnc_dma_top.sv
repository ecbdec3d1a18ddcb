// SPDX-License-Identifier: MIT
//
// vnc_dma_top: the DMA engine.  Two movers, crossed between two memories, and a register page for each side.
//
//                       s_axil_host            s_axil_card
//                           |                       |
//                     vnc_axil_regs           vnc_axil_regs
//                           |    \             /    |
//      m_axi_host           |     doorbells,        |           m_axi_card
//   R  -------------------> |     configuration     | ------------------->  AW W B
//        mover h2c ---------------- data --------------> vnc_write_port
//        (its cons words go to the host's port)
//   AW W B <--------------- |                       | <-------------------  R
//        vnc_write_port <---------- data -------------- mover c2h
//        (its cons words go to the card's port)
//
// The masters ask for non-bufferable, non-secure, unprivileged accesses (AxCACHE 2, AxPROT 2): B then
// comes from the memory itself and not from a buffer on the way, and publishing an index after B means what it
// says.
//
// Timing: see vnc_mover.  AR and AW come from registers, W from the data FIFO's output register.

module vnc_dma_top #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  output logic               irq_host_o,
  output logic               irq_card_o,

  // Register page of the host.
  input  logic [11:0]        s_axil_host_awaddr,
  input  logic [2:0]         s_axil_host_awprot,
  input  logic               s_axil_host_awvalid,
  output logic               s_axil_host_awready,
  input  logic [31:0]        s_axil_host_wdata,
  input  logic [3:0]         s_axil_host_wstrb,
  input  logic               s_axil_host_wvalid,
  output logic               s_axil_host_wready,
  output logic [1:0]         s_axil_host_bresp,
  output logic               s_axil_host_bvalid,
  input  logic               s_axil_host_bready,
  input  logic [11:0]        s_axil_host_araddr,
  input  logic [2:0]         s_axil_host_arprot,
  input  logic               s_axil_host_arvalid,
  output logic               s_axil_host_arready,
  output logic [31:0]        s_axil_host_rdata,
  output logic [1:0]         s_axil_host_rresp,
  output logic               s_axil_host_rvalid,
  input  logic               s_axil_host_rready,

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

  // Master towards the host's memory.
  output logic [1:0]         m_axi_host_awid,
  output logic [63:0]        m_axi_host_awaddr,
  output logic [7:0]         m_axi_host_awlen,
  output logic [2:0]         m_axi_host_awsize,
  output logic [1:0]         m_axi_host_awburst,
  output logic [3:0]         m_axi_host_awcache,
  output logic [2:0]         m_axi_host_awprot,
  output logic               m_axi_host_awvalid,
  input  logic               m_axi_host_awready,
  output logic [DataW-1:0]   m_axi_host_wdata,
  output logic [DataW/8-1:0] m_axi_host_wstrb,
  output logic               m_axi_host_wlast,
  output logic               m_axi_host_wvalid,
  input  logic               m_axi_host_wready,
  input  logic [1:0]         m_axi_host_bid,
  input  logic [1:0]         m_axi_host_bresp,
  input  logic               m_axi_host_bvalid,
  output logic               m_axi_host_bready,
  output logic [1:0]         m_axi_host_arid,
  output logic [63:0]        m_axi_host_araddr,
  output logic [7:0]         m_axi_host_arlen,
  output logic [2:0]         m_axi_host_arsize,
  output logic [1:0]         m_axi_host_arburst,
  output logic [3:0]         m_axi_host_arcache,
  output logic [2:0]         m_axi_host_arprot,
  output logic               m_axi_host_arvalid,
  input  logic               m_axi_host_arready,
  input  logic [1:0]         m_axi_host_rid,
  input  logic [DataW-1:0]   m_axi_host_rdata,
  input  logic [1:0]         m_axi_host_rresp,
  input  logic               m_axi_host_rlast,
  input  logic               m_axi_host_rvalid,
  output logic               m_axi_host_rready,

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
  localparam int unsigned Host = 0, Card = 1;  // a side; also the direction that it produces
  localparam int unsigned H2cProd = vnc_pkg::QueueOffset + vnc_pkg::QH2cProd;
  localparam int unsigned H2cCons = vnc_pkg::QueueOffset + vnc_pkg::QH2cCons;
  localparam int unsigned C2hProd = vnc_pkg::QueueOffset + vnc_pkg::QC2hProd;
  localparam int unsigned C2hCons = vnc_pkg::QueueOffset + vnc_pkg::QC2hCons;

  // --- by side -----------------------------------------------------------------------------------------

  logic [1:0]       enable;
  logic [1:0][63:0] base;
  logic [1:0][4:0]  window_log2;
  logic [1:0][29:0] window_mask, h2c_ring, c2h_ring;
  logic [1:0][4:0]  h2c_log2, c2h_log2;
  logic [1:0][31:0] prod_bell, cons_bell, tx_start;
  logic [1:0]       prod_bell_valid, cons_bell_valid;
  logic [1:0][2:0]  side_reset;  // by side: tx, rx, side block
  logic [63:0]      cycles_q;

  // --- by direction: 0 is h2c, 1 is c2h ----------------------------------------------------------------

  logic [1:0]       off, run, halt, drain, reset_direction, config_ok;
  logic [1:0][3:0]  cause;
  logic [1:0][63:0] error_addr, bytes;
  logic [1:0][31:0] published, returned, publish_bytes, bursts, publications, errors;
  logic [1:0]       publish_event, cons_event, burst_event, error_event;
  logic [1:0][29:0] ring_mask;
  logic             windows_ok;

  // --- the side blocks, by the side that produces ----------------------------------------------------------

  logic [1:0]       side_off, side_run, side_halt, side_drain, side_up, side_bell_valid, side_event, side_error;
  logic [1:0]       side_at_dst;
  logic             windows_ok_q;
  logic [1:0][3:0]  side_cause;
  logic [1:0][31:0] side_bell, side_done;
  logic [1:0][29:0] side_error_offset;
  logic [1:0][63:0] side_error_addr;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cycles_q <= '0;
    else cycles_q <= cycles_q + 64'd1;
  end

  function automatic logic [29:0] mask(logic [4:0] log2);
    return 30'((31'd1 << log2) - 31'd1);
  endfunction

  // A window: a size that exists, and not at the very end of the address space, where base + offset wraps.
  function automatic logic window_ok(logic [63:30] at, logic [4:0] log2);
    return log2 >= 5'd14 && log2 <= 5'd30 && at != '1;
  endfunction

  function automatic logic ring_ok(logic [4:0] a, logic [4:0] b, logic [4:0] window_a, logic [4:0] window_b);
    return a == b && a >= 5'd12 && a <= 5'd29 && a < window_a && a < window_b;
  endfunction

  always_comb begin
    for (int unsigned side = 0; side < 2; side++) window_mask[side] = mask(window_log2[side]);
    ring_mask = {mask(c2h_log2[Host]), mask(h2c_log2[Host])};
  end

  assign windows_ok = window_ok(base[Host][63:30], window_log2[Host]) &&
                      window_ok(base[Card][63:30], window_log2[Card]);

  // Registered: configuration is written long before it is used.
  always_ff @(posedge clk_i) begin
    windows_ok_q <= windows_ok;
    config_ok[0] <= windows_ok && ring_ok(h2c_log2[Host], h2c_log2[Card], window_log2[Host], window_log2[Card]);
    config_ok[1] <= windows_ok && ring_ok(c2h_log2[Host], c2h_log2[Card], window_log2[Host], window_log2[Card]);
  end

  // Bit 0 of a side's reset is its tx, bit 1 its rx.
  assign reset_direction = {side_reset[Card][0] | side_reset[Host][1], side_reset[Host][0] | side_reset[Card][1]};

  // --- register page of the host ------------------------------------------------------------------------

  vnc_axil_regs #(.DataW(DataW), .BurstBeats(BurstBeats), .IsCard(1'b0)) i_regs_host (
    .clk_i, .rst_ni,
    .aw_valid_i(s_axil_host_awvalid), .aw_ready_o(s_axil_host_awready), .aw_addr_i(s_axil_host_awaddr),
    .w_valid_i(s_axil_host_wvalid), .w_ready_o(s_axil_host_wready), .w_data_i(s_axil_host_wdata),
    .w_strb_i(s_axil_host_wstrb), .b_valid_o(s_axil_host_bvalid), .b_ready_i(s_axil_host_bready),
    .ar_valid_i(s_axil_host_arvalid), .ar_ready_o(s_axil_host_arready), .ar_addr_i(s_axil_host_araddr),
    .r_valid_o(s_axil_host_rvalid), .r_ready_i(s_axil_host_rready), .r_data_o(s_axil_host_rdata),
    .irq_o(irq_host_o),
    .enable_o(enable[Host]), .window_base_o(base[Host]), .window_log2_o(window_log2[Host]),
    .h2c_ring_o(h2c_ring[Host]), .h2c_log2_o(h2c_log2[Host]),
    .c2h_ring_o(c2h_ring[Host]), .c2h_log2_o(c2h_log2[Host]),
    .prod_valid_o(prod_bell_valid[Host]), .prod_o(prod_bell[Host]),
    .cons_valid_o(cons_bell_valid[Host]), .cons_o(cons_bell[Host]),
    .tx_start_o(tx_start[Host]), .reset_o(side_reset[Host]),
    .side_valid_o(side_bell_valid[Host]), .side_bell_o(side_bell[Host]),
    // {rx, tx}: a side's tx is the direction of its own number.
    .off_i({off[1], off[0]}),
    .run_i({run[1], run[0]}),
    .halt_i({halt[1], halt[0]}),
    .drain_i({drain[1], drain[0]}),
    .cause_i({cause[1], cause[0]}),
    .error_addr_i({error_addr[1], error_addr[0]}),
    .published_i({published[1], published[0]}),
    .returned_i({returned[1], returned[0]}),
    .bytes_i({bytes[1], bytes[0]}),
    .bursts_i({bursts[1], bursts[0]}),
    .publications_i({publications[1], publications[0]}),
    .errors_i({errors[1], errors[0]}),
    .halt_event_i({error_event[1], error_event[0]}),
    .rx_prod_event_i(publish_event[1]), .tx_cons_event_i(cons_event[0]),
    .cycles_i(cycles_q),
    .side_off_i(side_off == 2'b11), .side_run_i(side_run[Host]), .side_halt_i(side_halt[Host]),
    .side_drain_i(side_drain[Host]), .side_done_i(side_done[Host]), .side_cause_i(side_cause[Host]),
    .side_error_addr_i(side_error_addr[Host]), .side_event_i(side_event[Card]),
    .side_halt_event_i(side_error[Host])
  );
  assign s_axil_host_bresp = 2'b00;
  assign s_axil_host_rresp = 2'b00;

  // --- register page of the card ------------------------------------------------------------------------

  vnc_axil_regs #(.DataW(DataW), .BurstBeats(BurstBeats), .IsCard(1'b1)) i_regs_card (
    .clk_i, .rst_ni,
    .aw_valid_i(s_axil_card_awvalid), .aw_ready_o(s_axil_card_awready), .aw_addr_i(s_axil_card_awaddr),
    .w_valid_i(s_axil_card_wvalid), .w_ready_o(s_axil_card_wready), .w_data_i(s_axil_card_wdata),
    .w_strb_i(s_axil_card_wstrb), .b_valid_o(s_axil_card_bvalid), .b_ready_i(s_axil_card_bready),
    .ar_valid_i(s_axil_card_arvalid), .ar_ready_o(s_axil_card_arready), .ar_addr_i(s_axil_card_araddr),
    .r_valid_o(s_axil_card_rvalid), .r_ready_i(s_axil_card_rready), .r_data_o(s_axil_card_rdata),
    .irq_o(irq_card_o),
    .enable_o(enable[Card]), .window_base_o(base[Card]), .window_log2_o(window_log2[Card]),
    .h2c_ring_o(h2c_ring[Card]), .h2c_log2_o(h2c_log2[Card]),
    .c2h_ring_o(c2h_ring[Card]), .c2h_log2_o(c2h_log2[Card]),
    .prod_valid_o(prod_bell_valid[Card]), .prod_o(prod_bell[Card]),
    .cons_valid_o(cons_bell_valid[Card]), .cons_o(cons_bell[Card]),
    .tx_start_o(tx_start[Card]), .reset_o(side_reset[Card]),
    .side_valid_o(side_bell_valid[Card]), .side_bell_o(side_bell[Card]),
    // {rx, tx}: a side's tx is the direction of its own number.
    .off_i({off[0], off[1]}),
    .run_i({run[0], run[1]}),
    .halt_i({halt[0], halt[1]}),
    .drain_i({drain[0], drain[1]}),
    .cause_i({cause[0], cause[1]}),
    .error_addr_i({error_addr[0], error_addr[1]}),
    .published_i({published[0], published[1]}),
    .returned_i({returned[0], returned[1]}),
    .bytes_i({bytes[0], bytes[1]}),
    .bursts_i({bursts[0], bursts[1]}),
    .publications_i({publications[0], publications[1]}),
    .errors_i({errors[0], errors[1]}),
    .halt_event_i({error_event[0], error_event[1]}),
    .rx_prod_event_i(publish_event[0]), .tx_cons_event_i(cons_event[1]),
    .cycles_i(cycles_q),
    .side_off_i(side_off == 2'b11), .side_run_i(side_run[Card]), .side_halt_i(side_halt[Card]),
    .side_drain_i(side_drain[Card]), .side_done_i(side_done[Card]), .side_cause_i(side_cause[Card]),
    .side_error_addr_i(side_error_addr[Card]), .side_event_i(side_event[Host]),
    .side_halt_event_i(side_error[Card])
  );
  assign s_axil_card_bresp = 2'b00;
  assign s_axil_card_rresp = 2'b00;

  // --- movers and ports ------------------------------------------------------------------------------------
  // Index m of these wires is the master of side m.  Read requests: 0 the mover that starts here, 1 this side's
  // block.  Write requests: 0 the bursts of the mover that ends here, 1 its prod, 2 the cons of the one that
  // starts here, 3 the peer's side block.

  logic [1:0][1:0]         ar_valid, ar_ready, r_valid;
  logic [1:0][1:0][29:0]   ar_offset;
  logic [1:0][1:0][7:0]    ar_len;
  logic [1:0][DataW-1:0]   r_data;
  logic [1:0]              r_error, r_last;
  logic [1:0][3:0]         aw_valid, aw_ready, b_valid;
  logic [1:0][3:0][29:0]   aw_offset;
  logic [1:0][3:0][7:0]    aw_len;
  logic [1:0][1:0][31:0]   word;
  logic [1:0]              b_error, w_valid, w_ready, w_last, side_w_ready, side_w_last;
  logic [1:0][DataW-1:0]   w_data, side_w_data;
  logic [1:0][DataW/8-1:0] side_w_strb;

  vnc_mover #(
    .DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax), .ProdLine(H2cProd), .ConsLine(H2cCons)
  ) i_mover_h2c (
    .clk_i, .rst_ni,
    .enable_i(enable == 2'b11), .reset_i(reset_direction[0]), .config_ok_i(config_ok[0]),
    .side_up_i(side_up == 2'b11), .start_i(tx_start[Host]), .ring_mask_i(ring_mask[0]),
    .src_base_i(base[Host]), .src_window_mask_i(window_mask[Host]), .src_ring_i(h2c_ring[Host]),
    .dst_base_i(base[Card]), .dst_window_mask_i(window_mask[Card]), .dst_ring_i(h2c_ring[Card]),
    .prod_valid_i(prod_bell_valid[Host]), .prod_i(prod_bell[Host]),
    .cons_valid_i(cons_bell_valid[Card]), .cons_i(cons_bell[Card]),
    .off_o(off[0]), .run_o(run[0]), .halt_o(halt[0]), .drain_o(drain[0]),
    .cause_o(cause[0]), .error_addr_o(error_addr[0]), .published_o(published[0]), .returned_o(returned[0]),
    .publish_event_o(publish_event[0]), .publish_bytes_o(publish_bytes[0]), .cons_event_o(cons_event[0]),
    .burst_event_o(burst_event[0]), .error_event_o(error_event[0]),
    .ar_valid_o(ar_valid[Host][0]), .ar_ready_i(ar_ready[Host][0]),
    .ar_offset_o(ar_offset[Host][0]), .ar_len_o(ar_len[Host][0]),
    .r_valid_i(r_valid[Host][0]), .r_data_i(r_data[Host]), .r_error_i(r_error[Host]), .r_last_i(r_last[Host]),
    .aw_valid_o(aw_valid[Card][0]), .aw_ready_i(aw_ready[Card][0]),
    .aw_offset_o(aw_offset[Card][0]), .aw_len_o(aw_len[Card][0]),
    .w_valid_o(w_valid[Card]), .w_ready_i(w_ready[Card]), .w_data_o(w_data[Card]), .w_last_o(w_last[Card]),
    .b_valid_i(b_valid[Card][0]), .b_error_i(b_error[Card]),
    .prod_word_valid_o(aw_valid[Card][1]), .prod_word_ready_i(aw_ready[Card][1]),
    .prod_word_offset_o(aw_offset[Card][1]), .prod_word_o(word[Card][0]),
    .prod_word_done_i(b_valid[Card][1]), .prod_word_error_i(b_error[Card]),
    .cons_word_valid_o(aw_valid[Host][2]), .cons_word_ready_i(aw_ready[Host][2]),
    .cons_word_offset_o(aw_offset[Host][2]), .cons_word_o(word[Host][1]),
    .cons_word_done_i(b_valid[Host][2]), .cons_word_error_i(b_error[Host])
  );

  vnc_stats i_stats_h2c (
    .clk_i, .rst_ni,
    .publish_i(publish_event[0]), .publish_bytes_i(publish_bytes[0]),
    .burst_i(burst_event[0]), .error_i(error_event[0]),
    .bytes_o(bytes[0]), .publications_o(publications[0]), .bursts_o(bursts[0]), .errors_o(errors[0])
  );

  vnc_mover #(
    .DataW(DataW), .BurstBeats(BurstBeats), .ReadsMax(ReadsMax), .ProdLine(C2hProd), .ConsLine(C2hCons)
  ) i_mover_c2h (
    .clk_i, .rst_ni,
    .enable_i(enable == 2'b11), .reset_i(reset_direction[1]), .config_ok_i(config_ok[1]),
    .side_up_i(side_up == 2'b11), .start_i(tx_start[Card]), .ring_mask_i(ring_mask[1]),
    .src_base_i(base[Card]), .src_window_mask_i(window_mask[Card]), .src_ring_i(c2h_ring[Card]),
    .dst_base_i(base[Host]), .dst_window_mask_i(window_mask[Host]), .dst_ring_i(c2h_ring[Host]),
    .prod_valid_i(prod_bell_valid[Card]), .prod_i(prod_bell[Card]),
    .cons_valid_i(cons_bell_valid[Host]), .cons_i(cons_bell[Host]),
    .off_o(off[1]), .run_o(run[1]), .halt_o(halt[1]), .drain_o(drain[1]),
    .cause_o(cause[1]), .error_addr_o(error_addr[1]), .published_o(published[1]), .returned_o(returned[1]),
    .publish_event_o(publish_event[1]), .publish_bytes_o(publish_bytes[1]), .cons_event_o(cons_event[1]),
    .burst_event_o(burst_event[1]), .error_event_o(error_event[1]),
    .ar_valid_o(ar_valid[Card][0]), .ar_ready_i(ar_ready[Card][0]),
    .ar_offset_o(ar_offset[Card][0]), .ar_len_o(ar_len[Card][0]),
    .r_valid_i(r_valid[Card][0]), .r_data_i(r_data[Card]), .r_error_i(r_error[Card]), .r_last_i(r_last[Card]),
    .aw_valid_o(aw_valid[Host][0]), .aw_ready_i(aw_ready[Host][0]),
    .aw_offset_o(aw_offset[Host][0]), .aw_len_o(aw_len[Host][0]),
    .w_valid_o(w_valid[Host]), .w_ready_i(w_ready[Host]), .w_data_o(w_data[Host]), .w_last_o(w_last[Host]),
    .b_valid_i(b_valid[Host][0]), .b_error_i(b_error[Host]),
    .prod_word_valid_o(aw_valid[Host][1]), .prod_word_ready_i(aw_ready[Host][1]),
    .prod_word_offset_o(aw_offset[Host][1]), .prod_word_o(word[Host][0]),
    .prod_word_done_i(b_valid[Host][1]), .prod_word_error_i(b_error[Host]),
    .cons_word_valid_o(aw_valid[Card][2]), .cons_word_ready_i(aw_ready[Card][2]),
    .cons_word_offset_o(aw_offset[Card][2]), .cons_word_o(word[Card][1]),
    .cons_word_done_i(b_valid[Card][2]), .cons_word_error_i(b_error[Card])
  );

  vnc_stats i_stats_c2h (
    .clk_i, .rst_ni,
    .publish_i(publish_event[1]), .publish_bytes_i(publish_bytes[1]),
    .burst_i(burst_event[1]), .error_i(error_event[1]),
    .bytes_o(bytes[1]), .publications_o(publications[1]), .bursts_o(bursts[1]), .errors_o(errors[1])
  );

  for (genvar n = 0; n < 2; n++) begin : g_side
    localparam int unsigned Peer = 1 - n;

    // Index words are one beat.
    assign aw_len[n][1] = '0;
    assign aw_len[n][2] = '0;

    vnc_side_mover #(.DataW(DataW), .Offset(vnc_pkg::SideOffset + n * vnc_pkg::SideBytes)) i_side (
      .clk_i, .rst_ni,
      .enable_i(enable == 2'b11), .reset_i(side_reset[n][2]), .config_ok_i(windows_ok_q),
      .bell_valid_i(side_bell_valid[n]), .bell_i(side_bell[n]),
      .off_o(side_off[n]), .run_o(side_run[n]), .halt_o(side_halt[n]), .drain_o(side_drain[n]),
      .up_o(side_up[n]), .done_o(side_done[n]), .cause_o(side_cause[n]),
      .error_at_dst_o(side_at_dst[n]), .error_offset_o(side_error_offset[n]),
      .done_event_o(side_event[n]), .error_event_o(side_error[n]),
      .ar_valid_o(ar_valid[n][1]), .ar_ready_i(ar_ready[n][1]),
      .ar_offset_o(ar_offset[n][1]), .ar_len_o(ar_len[n][1]),
      .r_valid_i(r_valid[n][1]), .r_data_i(r_data[n]), .r_error_i(r_error[n]), .r_last_i(r_last[n]),
      .aw_valid_o(aw_valid[Peer][3]), .aw_ready_i(aw_ready[Peer][3]),
      .aw_offset_o(aw_offset[Peer][3]), .aw_len_o(aw_len[Peer][3]),
      .w_ready_i(side_w_ready[Peer]), .w_data_o(side_w_data[Peer]),
      .w_strb_o(side_w_strb[Peer]), .w_last_o(side_w_last[Peer]),
      .b_valid_i(b_valid[Peer][3]), .b_error_i(b_error[Peer])
    );

    logic [63:0] error_address;

    vnc_address i_error_address (
      .base_i(side_at_dst[n] ? base[Peer] : base[n]),
      .window_mask_i(side_at_dst[n] ? window_mask[Peer] : window_mask[n]),
      .offset_i(side_error_offset[n]),
      .address_o(error_address)
    );

    always_ff @(posedge clk_i) begin
      side_error_addr[n] <= side_cause[n] == 4'(vnc_pkg::CauseNone) ? '0 : error_address;
    end
  end

  vnc_read_port #(.DataW(DataW), .Requesters(2)) i_read_port_host (
    .clk_i, .rst_ni, .base_i(base[Host]), .window_mask_i(window_mask[Host]),
    .req_valid_i(ar_valid[Host]), .req_ready_o(ar_ready[Host]),
    .req_offset_i(ar_offset[Host]), .req_len_i(ar_len[Host]),
    .r_valid_o(r_valid[Host]), .r_data_o(r_data[Host]), .r_error_o(r_error[Host]), .r_last_o(r_last[Host]),
    .m_ar_valid_o(m_axi_host_arvalid), .m_ar_ready_i(m_axi_host_arready), .m_ar_id_o(m_axi_host_arid),
    .m_ar_addr_o(m_axi_host_araddr), .m_ar_len_o(m_axi_host_arlen),
    .m_r_valid_i(m_axi_host_rvalid), .m_r_ready_o(m_axi_host_rready), .m_r_id_i(m_axi_host_rid),
    .m_r_data_i(m_axi_host_rdata), .m_r_resp_i(m_axi_host_rresp), .m_r_last_i(m_axi_host_rlast)
  );

  vnc_write_port #(.DataW(DataW)) i_write_port_host (
    .clk_i, .rst_ni, .base_i(base[Host]), .window_mask_i(window_mask[Host]),
    .req_valid_i(aw_valid[Host]), .req_ready_o(aw_ready[Host]),
    .req_offset_i(aw_offset[Host]), .req_len_i(aw_len[Host]),
    .done_o(b_valid[Host]), .error_o(b_error[Host]),
    .burst_valid_i(w_valid[Host]), .burst_ready_o(w_ready[Host]), .burst_data_i(w_data[Host]),
    .burst_last_i(w_last[Host]), .word_i(word[Host]),
    .side_ready_o(side_w_ready[Host]), .side_data_i(side_w_data[Host]), .side_strb_i(side_w_strb[Host]),
    .side_last_i(side_w_last[Host]),
    .m_aw_valid_o(m_axi_host_awvalid), .m_aw_ready_i(m_axi_host_awready), .m_aw_id_o(m_axi_host_awid),
    .m_aw_addr_o(m_axi_host_awaddr), .m_aw_len_o(m_axi_host_awlen),
    .m_w_valid_o(m_axi_host_wvalid), .m_w_ready_i(m_axi_host_wready), .m_w_data_o(m_axi_host_wdata),
    .m_w_strb_o(m_axi_host_wstrb), .m_w_last_o(m_axi_host_wlast),
    .m_b_valid_i(m_axi_host_bvalid), .m_b_ready_o(m_axi_host_bready), .m_b_id_i(m_axi_host_bid),
    .m_b_resp_i(m_axi_host_bresp)
  );

  vnc_read_port #(.DataW(DataW), .Requesters(2)) i_read_port_card (
    .clk_i, .rst_ni, .base_i(base[Card]), .window_mask_i(window_mask[Card]),
    .req_valid_i(ar_valid[Card]), .req_ready_o(ar_ready[Card]),
    .req_offset_i(ar_offset[Card]), .req_len_i(ar_len[Card]),
    .r_valid_o(r_valid[Card]), .r_data_o(r_data[Card]), .r_error_o(r_error[Card]), .r_last_o(r_last[Card]),
    .m_ar_valid_o(m_axi_card_arvalid), .m_ar_ready_i(m_axi_card_arready), .m_ar_id_o(m_axi_card_arid),
    .m_ar_addr_o(m_axi_card_araddr), .m_ar_len_o(m_axi_card_arlen),
    .m_r_valid_i(m_axi_card_rvalid), .m_r_ready_o(m_axi_card_rready), .m_r_id_i(m_axi_card_rid),
    .m_r_data_i(m_axi_card_rdata), .m_r_resp_i(m_axi_card_rresp), .m_r_last_i(m_axi_card_rlast)
  );

  vnc_write_port #(.DataW(DataW)) i_write_port_card (
    .clk_i, .rst_ni, .base_i(base[Card]), .window_mask_i(window_mask[Card]),
    .req_valid_i(aw_valid[Card]), .req_ready_o(aw_ready[Card]),
    .req_offset_i(aw_offset[Card]), .req_len_i(aw_len[Card]),
    .done_o(b_valid[Card]), .error_o(b_error[Card]),
    .burst_valid_i(w_valid[Card]), .burst_ready_o(w_ready[Card]), .burst_data_i(w_data[Card]),
    .burst_last_i(w_last[Card]), .word_i(word[Card]),
    .side_ready_o(side_w_ready[Card]), .side_data_i(side_w_data[Card]), .side_strb_i(side_w_strb[Card]),
    .side_last_i(side_w_last[Card]),
    .m_aw_valid_o(m_axi_card_awvalid), .m_aw_ready_i(m_axi_card_awready), .m_aw_id_o(m_axi_card_awid),
    .m_aw_addr_o(m_axi_card_awaddr), .m_aw_len_o(m_axi_card_awlen),
    .m_w_valid_o(m_axi_card_wvalid), .m_w_ready_i(m_axi_card_wready), .m_w_data_o(m_axi_card_wdata),
    .m_w_strb_o(m_axi_card_wstrb), .m_w_last_o(m_axi_card_wlast),
    .m_b_valid_i(m_axi_card_bvalid), .m_b_ready_o(m_axi_card_bready), .m_b_id_i(m_axi_card_bid),
    .m_b_resp_i(m_axi_card_bresp)
  );

  // --- what never changes -----------------------------------------------------------------------------------

  assign m_axi_host_awsize  = 3'($clog2(DataW / 8));
  assign m_axi_host_awburst = 2'b01;
  assign m_axi_host_awcache = 4'b0010;
  assign m_axi_host_awprot  = 3'b010;
  assign m_axi_host_arsize  = 3'($clog2(DataW / 8));
  assign m_axi_host_arburst = 2'b01;
  assign m_axi_host_arcache = 4'b0010;
  assign m_axi_host_arprot  = 3'b010;

  assign m_axi_card_awsize  = 3'($clog2(DataW / 8));
  assign m_axi_card_awburst = 2'b01;
  assign m_axi_card_awcache = 4'b0010;
  assign m_axi_card_awprot  = 3'b010;
  assign m_axi_card_arsize  = 3'($clog2(DataW / 8));
  assign m_axi_card_arburst = 2'b01;
  assign m_axi_card_arcache = 4'b0010;
  assign m_axi_card_arprot  = 3'b010;

  // Protection is not looked at.
  logic unused;
  assign unused = ^{s_axil_host_awprot, s_axil_host_arprot, s_axil_card_awprot, s_axil_card_arprot};
endmodule
