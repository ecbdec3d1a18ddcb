// SPDX-License-Identifier: MIT
//
// prove_engine: for all register writes in all cycles, the configuration is stable while anything uses it, is the
// one that was checked, and no address leaves a window.
//
//   any accesses --> registers --> vnc_config_check --> models of movers and side movers --> ports --> AR, AW
//
// The RTL is vnc_engine with its registers, check and ports; movers and side movers are mover_model and
// side_mover_model, which guarantee only what prove_mover and prove_side_mover prove.
//
// Assumed: a memory answers only outstanding requests, and a read of one beat in one beat.

module prove_engine (
  input logic             clk_i,
  input logic             rst_ni,
  input logic [1:0]       s_aw_valid_i,
  input logic [1:0][11:0] s_aw_addr_i,
  input logic [1:0]       s_w_valid_i,
  input logic [1:0][31:0] s_w_data_i,
  input logic [1:0][3:0]  s_w_strb_i,
  input logic [1:0]       s_b_ready_i,
  input logic [1:0]       m_aw_ready_i,
  input logic [1:0]       m_w_ready_i,
  input logic [1:0]       m_b_valid_i,
  input logic [1:0][1:0]  m_b_id_i,
  input logic [1:0]       m_ar_ready_i,
  input logic [1:0]       m_r_valid_i,
  input logic [1:0][1:0]  m_r_id_i,
  input logic [1:0]       m_r_last_i
);
  logic [1:0]       aw_valid, ar_valid;
  logic [1:0][1:0]  aw_id, ar_id;
  logic [1:0][63:0] aw_addr, ar_addr;

  vnc_engine #(.DataW(64), .BurstBeats(8), .ReadsMax(2)) dut (
    .clk_i, .rst_ni,
    .s_aw_valid_i, .s_aw_addr_i, .s_w_valid_i, .s_w_data_i, .s_w_strb_i, .s_b_ready_i,
    .m_aw_valid_o(aw_valid), .m_aw_ready_i, .m_aw_id_o(aw_id), .m_aw_addr_o(aw_addr),
    .m_w_ready_i, .m_b_valid_i, .m_b_id_i,
    .m_ar_valid_o(ar_valid), .m_ar_ready_i, .m_ar_id_o(ar_id), .m_ar_addr_o(ar_addr),
    .m_r_valid_i, .m_r_id_i, .m_r_last_i
  );

  // --- shadow: outstanding requests at the memories, by side and id ------------------------------------------------

  logic                 started_q = 1'b0;
  logic [1:0][3:0][2:0] reads_q, writes_q;
  logic [1:0]           of_peer;  // the read of a side block is that of the peer's side mover

  assign of_peer = {dut.g_side[1].i_block_reads.last_q, dut.g_side[0].i_block_reads.last_q};

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    for (int unsigned m = 0; m < 2; m++) begin
      for (int unsigned n = 0; n < 4; n++) begin
        reads_q[m][n] <= !rst_ni ? '0 : reads_q[m][n] + 3'(ar_valid[m] && m_ar_ready_i[m] && ar_id[m] == 2'(n)) -
          3'(m_r_valid_i[m] && m_r_last_i[m] && m_r_id_i[m] == 2'(n));
        writes_q[m][n] <= !rst_ni ? '0 : writes_q[m][n] + 3'(aw_valid[m] && m_aw_ready_i[m] && aw_id[m] == 2'(n)) -
          3'(m_b_valid_i[m] && m_b_id_i[m] == 2'(n));
      end
    end
  end

  // --- assumed -------------------------------------------------------------------------------------------

  always_comb begin
    if (!started_q) assume (!rst_ni);
    for (int unsigned m = 0; m < 2; m++) begin
      assume (!m_r_valid_i[m] || (reads_q[m][m_r_id_i[m]] != '0 && (!m_r_id_i[m][1] || m_r_last_i[m]) &&
        (m_r_id_i[m] != 2'd1 || !of_peer[m] || m_r_last_i[m])));
      assume (!m_b_valid_i[m] || writes_q[m][m_b_id_i[m]] != '0);
    end
  end

  // --- state of the engine -----------------------------------------------------------------------------

  // Short names for signals of the engine.
  vnc_status_pkg::direction_t [1:0] direction;
  vnc_status_pkg::side_t      [1:0] side;
  logic [1:0]       enable, config_ok, window_ok_q, ring_ok_q;
  logic [1:0][63:0] base;
  logic [1:0][4:0]  window_log2, h2c_log2, c2h_log2, window_log2_q, ring_log2_q;
  logic [1:0][29:0] h2c_ring, c2h_ring, window_mask, ring_mask;

  assign {direction, side, enable} = {dut.direction, dut.side, dut.enable};
  assign {base, window_log2, h2c_ring, h2c_log2, c2h_ring, c2h_log2} =
    {dut.base, dut.window_log2, dut.h2c_ring, dut.h2c_log2, dut.c2h_ring, dut.c2h_log2};
  assign {window_mask, ring_mask, config_ok} = {dut.window_mask_q, dut.ring_mask_q, dut.config_ok_q};
  assign {window_ok_q, ring_ok_q, window_log2_q, ring_log2_q} = {dut.i_config_check.window_ok_q,
    dut.i_config_check.ring_ok_q, dut.i_config_check.window_log2_q, dut.i_config_check.ring_log2_q};

  logic       busy;  // something is not Off, or may leave Off in this cycle
  logic [1:0] window_good, ring_good, placed;
  logic [1:0][18:0] h2c_end, c2h_end;  // per side, in pages
  logic [1:0][4:0]   ring_log2;  // by direction
  logic [1:0][138:0] config_now;

  assign busy      = dut.both_enabled_q || !direction[0].off || !direction[1].off || !side[0].off || !side[1].off;
  assign ring_log2 = {c2h_log2[0], h2c_log2[0]};

  function automatic logic in_window(logic [63:0] address, logic [63:0] base, logic [4:0] log2);
    return address >= base && address - base < 64'd1 << log2;
  endfunction

  function automatic logic [29:0] mask(logic [4:0] log2);
    return 30'((31'd1 << log2) - 31'd1);
  endfunction

  function automatic logic [18:0] pages(logic [4:0] log2);
    return 19'((31'd1 << log2) >> 12);
  endfunction

  logic [1:0][5:0][1:0] mover_outstanding;  // by kind, as in mover_model
  logic [1:0][2:0]      side_outstanding;

  for (genvar n = 0; n < 2; n++) begin : g_side
    assign config_now[n]  = {base[n], window_log2[n], h2c_ring[n], h2c_log2[n], c2h_ring[n],
                             c2h_log2[n]};
    assign ring_good[n]   = (n == 0 ? h2c_log2[0] == h2c_log2[1] : c2h_log2[0] == c2h_log2[1]) &&
                            ring_log2[n] >= 5'd12 && ring_log2[n] <= 5'd29;
    assign h2c_end[n]     = 19'(h2c_ring[n][29:12]) + pages(h2c_log2[n]);
    assign c2h_end[n]     = 19'(c2h_ring[n][29:12]) + pages(c2h_log2[n]);
    assign placed[n]      = h2c_ring[n][29:12] != '0 && c2h_ring[n][29:12] != '0 &&
                            h2c_end[n] <= pages(window_log2[n]) && c2h_end[n] <= pages(window_log2[n]) &&
                            (19'(c2h_ring[n][29:12]) >= h2c_end[n] || 19'(h2c_ring[n][29:12]) >= c2h_end[n]);
    assign window_good[n] = window_log2[n] >= 5'd14 && window_log2[n] <= 5'd30 && base[n][63:30] != '1;

    // By id, as vnc_engine assigns them: what the movers have outstanding, and what the port holds of it.
    logic [3:0][2:0] read_requests, write_requests;
    assign mover_outstanding[n] = dut.g_side[n].i_mover.outstanding_q;
    assign side_outstanding[n]  = dut.g_side[n].i_side.outstanding_q;
    assign read_requests  = {3'(mover_outstanding[n][5]), 3'(mover_outstanding[1-n][4]),
      3'(side_outstanding[n][0]) + 3'(side_outstanding[1-n][2]), 3'(mover_outstanding[n][0])};
    assign write_requests = {3'(side_outstanding[1-n][1]), 3'(mover_outstanding[n][3]),
      3'(mover_outstanding[1-n][2]), 3'(mover_outstanding[1-n][1])};

    for (genvar id = 0; id < 4; id++) begin : g_id
      always_ff @(posedge clk_i) begin
        if (started_q && rst_ni) begin
          i_reads: assert (5'(read_requests[id]) == 5'(reads_q[n][id]) + 5'(ar_valid[n] && ar_id[n] == 2'(id)) +
            5'(dut.g_side[n].i_read_port.picked_q && dut.g_side[n].i_read_port.id_q == 2'(id)));
          i_writes: assert (5'(write_requests[id]) == 5'(writes_q[n][id]) + 5'(aw_valid[n] && aw_id[n] == 2'(id)) +
            5'(dut.g_side[n].i_write_port.picked_q && dut.g_side[n].i_write_port.beats_q.id == 2'(id)));
        end
      end
    end

    always_ff @(posedge clk_i) begin
      if (started_q && rst_ni) begin
        i_outstanding: assert ((mover_outstanding[n] == '0 || (!direction[n].off && dut.g_side[n].i_mover.good_q)) &&
          (side_outstanding[n] == '0 || !side[n].off));
        i_block_reads: assert (
          side_outstanding[n][0] == (dut.g_side[n].i_block_reads.busy_q && !of_peer[n]) &&
          side_outstanding[1-n][2] == (dut.g_side[n].i_block_reads.busy_q && of_peer[n]));
        i_at_most: assert (read_requests[0] <= 3'd2 && read_requests[2] <= 3'd2 && read_requests[3] <= 3'd2 &&
          write_requests[0] <= 3'd2 && write_requests[1] <= 3'd2 && write_requests[2] <= 3'd2);
        i_begun_when_good: assert ((direction[n].off || !dut.g_side[n].i_mover.good_q || config_ok[n]) &&
          (side[n].off || dut.windows_ok_q));
        i_first_step: assert (!busy || (window_ok_q[n] == window_good[n] &&
          ring_ok_q[n] == ring_good[n] && window_log2_q[n] == window_log2[n] &&
          ring_log2_q[n] == ring_log2[n] && dut.i_config_check.window_end_q[n] == pages(window_log2[n]) &&
          dut.i_config_check.h2c_first_q[n] == h2c_ring[n][29:12] && dut.i_config_check.h2c_end_q[n] == h2c_end[n] &&
          dut.i_config_check.c2h_first_q[n] == c2h_ring[n][29:12] && dut.i_config_check.c2h_end_q[n] == c2h_end[n]));
        i_second_step: assert (!busy || (dut.windows_ok_q == (window_good == 2'b11) &&
          config_ok[n] == (window_good == 2'b11 && placed == 2'b11 && ring_good[n])));
        a_masks_are_those_of_the_configuration: assert (!busy ||
          (window_mask[n] == mask(window_log2[n]) && ring_mask[n] == mask(ring_log2[n])));
        a_accepted_windows_are_valid: assert (!busy || !dut.windows_ok_q || window_good == 2'b11);
        a_accepted_rings_are_valid: assert (!busy || !config_ok[n] ||
          (window_good == 2'b11 && placed == 2'b11 && ring_good[n]));
        a_reads_only_with_a_good_configuration: assert (!ar_valid[n] || (busy && window_good == 2'b11));
        a_writes_only_with_a_good_configuration: assert (!aw_valid[n] || (busy && window_good == 2'b11));
        a_reads_inside_the_window: assert (!ar_valid[n] || in_window(ar_addr[n], base[n], window_log2[n]));
        a_writes_inside_the_window: assert (!aw_valid[n] || in_window(aw_addr[n], base[n], window_log2[n]));
        if ($past(rst_ni)) begin
          a_configuration_is_stable_while_in_use: assert (!$past(busy) || $stable(config_now[n]));
          a_enabled_configuration_is_stable: assert (!$past(enable[n]) || $stable(config_now[n]));
        end
        c_read: cover (ar_valid[n] && window_log2[n] == 5'd14 && ar_id[n] == 2'd3);
        c_write: cover (aw_valid[n] && window_log2[n] == 5'd14 && aw_id[n] == 2'd2);
        c_copy_after_one_enabled_cycle: cover (!side[n].off && !dut.both_enabled_q && $past(dut.both_enabled_q) &&
          !$past(dut.both_enabled_q, 2));
      end
    end
  end
endmodule
