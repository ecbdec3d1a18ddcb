// SPDX-License-Identifier: MIT
//
// vnc_engine: the contents of vnc_dma_top, instantiated once per side or direction.
//
//        side 0, the host                                                side 1, the card
//        vnc_axil_regs  --- configuration, doorbells, state, events ---  vnc_axil_regs
//
//   AR,R   vnc_read_port  ---> vnc_mover h2c  ---- bursts, prod --->  vnc_write_port   AW,W,B
//                         ---> vnc_side_mover ---- its block ------>
//                                                                     (cons of h2c goes to the host's write port)
//   AW,W,B vnc_write_port <--- bursts, prod ----   vnc_mover c2h <---  vnc_read_port   AR,R
//                         <--- the card's block -- vnc_side_mover <--
//
// Index n of an array is side n, or the direction that side n produces; index m of a port is the master of side m.
//
// Queues: the index words are those of queue pair 0.  With more, movers and their requests multiply, with
// ProdLine and ConsLine at QueueOffset + q * QueueBytes.

module vnc_engine #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned ReadsMax   = 8,
  parameter int unsigned Queues     = 1
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  output logic [1:0]              irq_o,

  // Register pages.
  input  logic [1:0]              s_aw_valid_i,
  output logic [1:0]              s_aw_ready_o,
  input  logic [1:0][11:0]        s_aw_addr_i,
  input  logic [1:0]              s_w_valid_i,
  output logic [1:0]              s_w_ready_o,
  input  logic [1:0][31:0]        s_w_data_i,
  input  logic [1:0][3:0]         s_w_strb_i,
  output logic [1:0]              s_b_valid_o,
  input  logic [1:0]              s_b_ready_i,
  input  logic [1:0]              s_ar_valid_i,
  output logic [1:0]              s_ar_ready_o,
  input  logic [1:0][11:0]        s_ar_addr_i,
  output logic [1:0]              s_r_valid_o,
  input  logic [1:0]              s_r_ready_i,
  output logic [1:0][31:0]        s_r_data_o,

  // Masters.
  output logic [1:0]              m_aw_valid_o,
  input  logic [1:0]              m_aw_ready_i,
  output logic [1:0][1:0]         m_aw_id_o,
  output logic [1:0][63:0]        m_aw_addr_o,
  output logic [1:0][7:0]         m_aw_len_o,
  output logic [1:0]              m_w_valid_o,
  input  logic [1:0]              m_w_ready_i,
  output logic [1:0][DataW-1:0]   m_w_data_o,
  output logic [1:0][DataW/8-1:0] m_w_strb_o,
  output logic [1:0]              m_w_last_o,
  input  logic [1:0]              m_b_valid_i,
  output logic [1:0]              m_b_ready_o,
  input  logic [1:0][1:0]         m_b_id_i,
  input  logic [1:0][1:0]         m_b_resp_i,
  output logic [1:0]              m_ar_valid_o,
  input  logic [1:0]              m_ar_ready_i,
  output logic [1:0][1:0]         m_ar_id_o,
  output logic [1:0][63:0]        m_ar_addr_o,
  output logic [1:0][7:0]         m_ar_len_o,
  input  logic [1:0]              m_r_valid_i,
  output logic [1:0]              m_r_ready_o,
  input  logic [1:0][1:0]         m_r_id_i,
  input  logic [1:0][DataW-1:0]   m_r_data_i,
  input  logic [1:0][1:0]         m_r_resp_i,
  input  logic [1:0]              m_r_last_i
);
  if (Queues != 1) begin : g_bad_queues
    $fatal(1, "vnc_dma_top: Queues must be 1, there is one queue pair");
  end

  if (BurstBeats > 256) begin : g_bad_burst
    $fatal(1, "vnc_dma_top: BurstBeats must be at most 256");
  end

  localparam int unsigned Host = 0, Card = 1;

  // Bursts do not cross 4 KiB, so at 512 bit none is longer than 64 beats.
  localparam int unsigned PageBeats = 4096 / (DataW / 8);
  localparam int unsigned Burst     = BurstBeats < PageBeats ? BurstBeats : PageBeats;

  // --- configuration and state ---------------------------------------------------------------------------

  logic [1:0][1:0]  interrupts;  // enabled for prod, cons
  logic [1:0]       enable, need_wakeup, prod_doorbell_valid, cons_doorbell_valid, side_doorbell_valid;
  logic [1:0][63:0] base;
  logic [1:0][4:0]  window_log2, h2c_log2, c2h_log2;
  logic [1:0][29:0] h2c_ring, c2h_ring;
  logic [1:0][31:0] prod_doorbell, cons_doorbell, side_doorbell, tx_start, timeout;
  logic [1:0][2:0]  reset;  // tx, rx, side block
  logic [63:0]      cycles_q;
  logic             both_enabled_q;  // ENABLE of both sides, one cycle later

  vnc_status_pkg::direction_t  [1:0] direction;
  vnc_status_pkg::statistics_t [1:0] statistics;
  vnc_status_pkg::events_t     [1:0] events;
  vnc_status_pkg::side_t       [1:0] side;
  logic [1:0] prod_wake, cons_wake, side_up, side_event, side_halt_event;
  logic [1:0] prod_overtaken, cons_overtaken, side_overtaken, overtaken_q;
  logic       sides_off;

  always_ff @(posedge clk_i) both_enabled_q <= rst_ni && enable == 2'b11;

  // While `both_enabled_q` is set a side mover may leave Off, so the configuration is locked then as well.
  assign sides_off = side[0].off && side[1].off && !both_enabled_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cycles_q <= '0;
    else cycles_q <= cycles_q + 64'd1;
  end

  // Configuration is written before ENABLE: the outputs of the check are valid when `both_enabled_q` can first be set.
  logic [1:0][29:0] window_mask_q, ring_mask_q;
  logic [1:0]       config_ok_q;
  logic             windows_ok_q;

  vnc_config_check i_config_check (
    .clk_i, .base_i(base), .window_log2_i(window_log2), .h2c_ring_i(h2c_ring), .c2h_ring_i(c2h_ring),
    .h2c_log2_i(h2c_log2), .c2h_log2_i(c2h_log2),
    .window_mask_o(window_mask_q), .ring_mask_o(ring_mask_q), .windows_ok_o(windows_ok_q), .config_ok_o(config_ok_q)
  );

  // --- requests to the ports --------------------------------------------------------------------------------
  // Reads: 0 the mover that starts here, 1 the block of this side and the head of the peer's, 2 and 3 the reads after
  // a prod and a cons word here.
  // Writes: 0 the bursts of the mover that ends here, 1 its prod, 2 the cons of the one that starts here, 3 the
  // peer's side block.

  logic [1:0][3:0]         ar_valid, ar_ready, r_valid, aw_valid, aw_ready, b_valid;
  logic [1:0][3:0][29:0]   ar_offset, aw_offset;
  logic [1:0][3:0][7:0]    ar_len, aw_len;
  logic [1:0][DataW-1:0]   r_data, w_data, side_w_data;
  logic [1:0][DataW/8-1:0] side_w_strb;
  logic [1:0][1:0][31:0]   word;
  logic [1:0]              r_error, r_last, b_error, w_valid, w_ready, w_last, side_w_ready, side_w_last;
  logic [1:0][3:0]         read_busy, read_stuck, write_busy, write_stuck;
  logic [1:0][5:0]         mover_busy;
  logic [1:0][2:0]         side_busy;
  // The two reads of side blocks in one memory: 0 of its own side's block, 1 of the head of the peer's.
  logic [1:0][1:0]         block_ar_valid, block_ar_ready, block_r_valid;
  logic [1:0][1:0][29:0]   block_ar_offset;
  logic [1:0][1:0][7:0]    block_ar_len;

  for (genvar n = 0; n < 2; n++) begin : g_side
    localparam int unsigned Peer = 1 - n;

    // --- this side's registers ------------------------------------------------------------------------------

    vnc_axil_regs #(.DataW(DataW), .BurstBeats(Burst), .IsCard(n == Card)) i_regs (
      .clk_i, .rst_ni,
      .aw_valid_i(s_aw_valid_i[n]), .aw_ready_o(s_aw_ready_o[n]), .aw_addr_i(s_aw_addr_i[n]),
      .w_valid_i(s_w_valid_i[n]), .w_ready_o(s_w_ready_o[n]), .w_data_i(s_w_data_i[n]), .w_strb_i(s_w_strb_i[n]),
      .b_valid_o(s_b_valid_o[n]), .b_ready_i(s_b_ready_i[n]),
      .ar_valid_i(s_ar_valid_i[n]), .ar_ready_o(s_ar_ready_o[n]), .ar_addr_i(s_ar_addr_i[n]),
      .r_valid_o(s_r_valid_o[n]), .r_ready_i(s_r_ready_i[n]), .r_data_o(s_r_data_o[n]),
      .irq_o(irq_o[n]),
      .enable_o(enable[n]), .need_wakeup_o(need_wakeup[n]), .interrupts_o(interrupts[n]),
      .timeout_o(timeout[n]),
      .window_base_o(base[n]), .window_log2_o(window_log2[n]),
      .h2c_ring_o(h2c_ring[n]), .h2c_log2_o(h2c_log2[n]), .c2h_ring_o(c2h_ring[n]), .c2h_log2_o(c2h_log2[n]),
      .prod_valid_o(prod_doorbell_valid[n]), .prod_o(prod_doorbell[n]),
      .cons_valid_o(cons_doorbell_valid[n]), .cons_o(cons_doorbell[n]),
      .tx_start_o(tx_start[n]), .reset_o(reset[n]),
      .side_valid_o(side_doorbell_valid[n]), .side_doorbell_o(side_doorbell[n]),
      .direction_i({direction[Peer], direction[n]}), .statistics_i({statistics[Peer], statistics[n]}),
      .side_i(side[n]), .sides_off_i(sides_off), .overtaken_i(overtaken_q[n]), .cycles_i(cycles_q),
      .events_i({side_halt_event[n], side_event[Peer], events[Peer].error, events[n].error,
                 cons_wake[n], prod_wake[Peer]})
    );

    // --- the direction that it produces -----------------------------------------------------------------------

    localparam int unsigned Prod = vnc_pkg::QueueOffset + (n == Host ? vnc_pkg::QH2cProd : vnc_pkg::QC2hProd);
    localparam int unsigned Cons = vnc_pkg::QueueOffset + (n == Host ? vnc_pkg::QH2cCons : vnc_pkg::QC2hCons);

    vnc_mover #(
      .DataW(DataW), .BurstBeats(Burst), .ReadsMax(ReadsMax), .ProdLine(Prod), .ConsLine(Cons)
    ) i_mover (
      .clk_i, .rst_ni,
      .enable_i(both_enabled_q), .reset_i(reset[n][0] || reset[Peer][1]), .config_ok_i(config_ok_q[n]),
      .side_up_i(side_up == 2'b11), .start_i(tx_start[n]), .ring_mask_i(ring_mask_q[n]),
      .src_base_i(base[n]), .src_window_mask_i(window_mask_q[n]),
      .src_ring_i(n == Host ? h2c_ring[n] : c2h_ring[n]), .src_need_wakeup_i(need_wakeup[n]),
      .src_interrupts_i(interrupts[n][1]),
      .dst_base_i(base[Peer]), .dst_window_mask_i(window_mask_q[Peer]),
      .dst_ring_i(n == Host ? h2c_ring[Peer] : c2h_ring[Peer]), .dst_need_wakeup_i(need_wakeup[Peer]),
      .dst_interrupts_i(interrupts[Peer][0]),
      .prod_valid_i(prod_doorbell_valid[n]), .prod_i(prod_doorbell[n]),
      .cons_valid_i(cons_doorbell_valid[Peer]), .cons_i(cons_doorbell[Peer]),
      .direction_o(direction[n]), .events_o(events[n]), .prod_wake_o(prod_wake[n]), .cons_wake_o(cons_wake[n]),
      .src_overtaken_o(cons_overtaken[n]), .dst_overtaken_o(prod_overtaken[Peer]), .busy_o(mover_busy[n]),
      .stuck_i({read_stuck[n][3], read_stuck[Peer][2], write_stuck[n][2], write_stuck[Peer][1], write_stuck[Peer][0],
                read_stuck[n][0]}),
      .ar_valid_o(ar_valid[n][0]), .ar_ready_i(ar_ready[n][0]), .ar_offset_o(ar_offset[n][0]), .ar_len_o(ar_len[n][0]),
      .r_valid_i(r_valid[n][0]), .r_data_i(r_data[n]), .r_error_i(r_error[n]), .r_last_i(r_last[n]),
      .aw_valid_o(aw_valid[Peer][0]), .aw_ready_i(aw_ready[Peer][0]),
      .aw_offset_o(aw_offset[Peer][0]), .aw_len_o(aw_len[Peer][0]),
      .w_valid_o(w_valid[Peer]), .w_ready_i(w_ready[Peer]), .w_data_o(w_data[Peer]), .w_last_o(w_last[Peer]),
      .b_valid_i(b_valid[Peer][0]), .b_error_i(b_error[Peer]),
      .prod_word_valid_o(aw_valid[Peer][1]), .prod_word_ready_i(aw_ready[Peer][1]),
      .prod_word_offset_o(aw_offset[Peer][1]), .prod_word_o(word[Peer][0]),
      .prod_word_done_i(b_valid[Peer][1]), .prod_word_error_i(b_error[Peer]),
      .cons_word_valid_o(aw_valid[n][2]), .cons_word_ready_i(aw_ready[n][2]),
      .cons_word_offset_o(aw_offset[n][2]), .cons_word_o(word[n][1]),
      .cons_word_done_i(b_valid[n][2]), .cons_word_error_i(b_error[n]),
      .prod_check_valid_o(ar_valid[Peer][2]), .prod_check_ready_i(ar_ready[Peer][2]),
      .prod_check_offset_o(ar_offset[Peer][2]), .prod_check_done_i(r_valid[Peer][2]),
      .prod_check_error_i(r_error[Peer]),
      .prod_check_index_i(r_data[Peer][31:0]), .prod_check_word_i(r_data[Peer][63:32]),
      .cons_check_valid_o(ar_valid[n][3]), .cons_check_ready_i(ar_ready[n][3]),
      .cons_check_offset_o(ar_offset[n][3]), .cons_check_done_i(r_valid[n][3]),
      .cons_check_error_i(r_error[n]),
      .cons_check_index_i(r_data[n][31:0]), .cons_check_word_i(r_data[n][63:32])
    );

    // Index words and the reads after them are one beat.
    assign aw_len[n][1] = '0;
    assign aw_len[n][2] = '0;
    assign ar_len[n][2] = '0;
    assign ar_len[n][3] = '0;

    vnc_stats i_stats (
      .clk_i, .rst_ni, .off_i(direction[n].off), .events_i(events[n]), .statistics_o(statistics[n])
    );

    // --- its side block ----------------------------------------------------------------------------------------------

    vnc_side_mover #(.DataW(DataW), .Offset(vnc_pkg::SideOffset + n * vnc_pkg::SideBytes)) i_side (
      .clk_i, .rst_ni,
      .enable_i(both_enabled_q), .reset_i(reset[n][2]), .config_ok_i(windows_ok_q),
      .src_base_i(base[n]), .src_window_mask_i(window_mask_q[n]),
      .dst_base_i(base[Peer]), .dst_window_mask_i(window_mask_q[Peer]),
      .doorbell_valid_i(side_doorbell_valid[n]), .doorbell_i(side_doorbell[n]),
      .side_o(side[n]), .up_o(side_up[n]), .done_event_o(side_event[n]), .error_event_o(side_halt_event[n]),
      .overtaken_event_o(side_overtaken[Peer]), .busy_o(side_busy[n]),
      .stuck_i({read_stuck[Peer][1], write_stuck[Peer][3], read_stuck[n][1]}),
      .ar_valid_o(block_ar_valid[n][0]), .ar_ready_i(block_ar_ready[n][0]),
      .ar_offset_o(block_ar_offset[n][0]), .ar_len_o(block_ar_len[n][0]),
      .r_valid_i(block_r_valid[n][0]), .r_data_i(r_data[n]), .r_error_i(r_error[n]), .r_last_i(r_last[n]),
      .aw_valid_o(aw_valid[Peer][3]), .aw_ready_i(aw_ready[Peer][3]),
      .aw_offset_o(aw_offset[Peer][3]), .aw_len_o(aw_len[Peer][3]),
      .w_ready_i(side_w_ready[Peer]), .w_data_o(side_w_data[Peer]),
      .w_strb_o(side_w_strb[Peer]), .w_last_o(side_w_last[Peer]),
      .b_valid_i(b_valid[Peer][3]), .b_error_i(b_error[Peer]),
      .check_valid_o(block_ar_valid[Peer][1]), .check_ready_i(block_ar_ready[Peer][1]),
      .check_offset_o(block_ar_offset[Peer][1]), .check_done_i(block_r_valid[Peer][1]),
      .check_error_i(r_error[Peer]), .check_head_i(r_data[Peer][63:0])
    );

    assign block_ar_len[n][1] = '0;

    vnc_read_share i_block_reads (
      .clk_i, .rst_ni,
      .req_valid_i(block_ar_valid[n]), .req_ready_o(block_ar_ready[n]),
      .req_offset_i(block_ar_offset[n]), .req_len_i(block_ar_len[n]), .r_valid_o(block_r_valid[n]),
      .port_valid_o(ar_valid[n][1]), .port_ready_i(ar_ready[n][1]),
      .port_offset_o(ar_offset[n][1]), .port_len_o(ar_len[n][1]),
      .port_r_valid_i(r_valid[n][1]), .port_r_last_i(r_last[n])
    );

    // Until everything is off, so that software sees it at any time after the start.
    always_ff @(posedge clk_i) begin
      if (!rst_ni || sides_off) overtaken_q[n] <= 1'b0;
      else if (prod_overtaken[n] || cons_overtaken[n] || side_overtaken[n]) overtaken_q[n] <= 1'b1;
    end

    // --- its master -----------------------------------------------------------------------------------------------

    assign read_busy[n]  = {mover_busy[n][5], mover_busy[Peer][4], side_busy[n][0] || side_busy[Peer][2],
                            mover_busy[n][0]};
    assign write_busy[n] = {side_busy[Peer][1], mover_busy[n][3], mover_busy[Peer][2], mover_busy[Peer][1]};

    vnc_read_port #(.DataW(DataW), .Requesters(4)) i_read_port (
      .clk_i, .rst_ni, .base_i(base[n]), .window_mask_i(window_mask_q[n]), .timeout_i(timeout[n]),
      .req_valid_i(ar_valid[n]), .req_ready_o(ar_ready[n]), .req_offset_i(ar_offset[n]), .req_len_i(ar_len[n]),
      .r_valid_o(r_valid[n]), .r_data_o(r_data[n]), .r_error_o(r_error[n]), .r_last_o(r_last[n]),
      .busy_i(read_busy[n]), .stuck_o(read_stuck[n]),
      .m_ar_valid_o(m_ar_valid_o[n]), .m_ar_ready_i(m_ar_ready_i[n]), .m_ar_id_o(m_ar_id_o[n]),
      .m_ar_addr_o(m_ar_addr_o[n]), .m_ar_len_o(m_ar_len_o[n]),
      .m_r_valid_i(m_r_valid_i[n]), .m_r_ready_o(m_r_ready_o[n]), .m_r_id_i(m_r_id_i[n]),
      .m_r_data_i(m_r_data_i[n]), .m_r_resp_i(m_r_resp_i[n]), .m_r_last_i(m_r_last_i[n])
    );

    vnc_write_port #(.DataW(DataW)) i_write_port (
      .clk_i, .rst_ni, .base_i(base[n]), .window_mask_i(window_mask_q[n]), .timeout_i(timeout[n]),
      .req_valid_i(aw_valid[n]), .req_ready_o(aw_ready[n]), .req_offset_i(aw_offset[n]), .req_len_i(aw_len[n]),
      .done_o(b_valid[n]), .error_o(b_error[n]), .busy_i(write_busy[n]), .stuck_o(write_stuck[n]),
      .burst_valid_i(w_valid[n]), .burst_ready_o(w_ready[n]), .burst_data_i(w_data[n]), .burst_last_i(w_last[n]),
      .word_i(word[n]), .side_ready_o(side_w_ready[n]), .side_data_i(side_w_data[n]),
      .side_strb_i(side_w_strb[n]), .side_last_i(side_w_last[n]),
      .m_aw_valid_o(m_aw_valid_o[n]), .m_aw_ready_i(m_aw_ready_i[n]), .m_aw_id_o(m_aw_id_o[n]),
      .m_aw_addr_o(m_aw_addr_o[n]), .m_aw_len_o(m_aw_len_o[n]),
      .m_w_valid_o(m_w_valid_o[n]), .m_w_ready_i(m_w_ready_i[n]), .m_w_data_o(m_w_data_o[n]),
      .m_w_strb_o(m_w_strb_o[n]), .m_w_last_o(m_w_last_o[n]),
      .m_b_valid_i(m_b_valid_i[n]), .m_b_ready_o(m_b_ready_o[n]), .m_b_id_i(m_b_id_i[n]), .m_b_resp_i(m_b_resp_i[n])
    );
  end
endmodule
