// SPDX-License-Identifier: MIT
//
// prove_axil_regs: a register page keeps the rules of AXI4-Lite, its lock, its doorbells and its interrupt bits.
//
//   any accesses, states and events --> vnc_axil_regs --> checks against a shadow of the registers
//
// Inputs of the page that are not connected here are free in every cycle.
//
// Assumed: a waiting address or data is stable, as AXI4-Lite requires of a master.

module prove_axil_regs (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        aw_valid_i,
  input logic [11:0] aw_addr_i,
  input logic        w_valid_i,
  input logic [31:0] w_data_i,
  input logic [3:0]  w_strb_i,
  input logic        b_ready_i,
  input logic        ar_valid_i,
  input logic [11:0] ar_addr_i,
  input logic        r_ready_i,
  input logic [1:0]  off_i,
  input logic        sides_off_i,
  input logic [5:0]  events_i
);
  logic        aw_ready, w_ready, b_valid, ar_ready, r_valid, irq, enable, prod_valid, cons_valid;
  logic [31:0] r_data, prod, cons, start;
  logic [63:0] base;
  logic [29:0] h2c_ring, c2h_ring;
  logic [4:0]  window_log2, h2c_log2, c2h_log2;
  logic [2:0]  reset;
  logic        side_valid;
  logic [31:0] side_doorbell;
  vnc_status_pkg::direction_t [1:0] direction;

  // `off` is an input; all other state of a direction is free.
  wire [1:0][$bits(vnc_status_pkg::direction_t)-2:0] rest;
  assign direction = {off_i[1], rest[1], off_i[0], rest[0]};

  vnc_axil_regs dut (
    .clk_i, .rst_ni,
    .aw_valid_i, .aw_ready_o(aw_ready), .aw_addr_i,
    .w_valid_i, .w_ready_o(w_ready), .w_data_i, .w_strb_i,
    .b_valid_o(b_valid), .b_ready_i,
    .ar_valid_i, .ar_ready_o(ar_ready), .ar_addr_i,
    .r_valid_o(r_valid), .r_ready_i, .r_data_o(r_data),
    .irq_o(irq), .enable_o(enable), .window_base_o(base), .window_log2_o(window_log2),
    .h2c_ring_o(h2c_ring), .h2c_log2_o(h2c_log2), .c2h_ring_o(c2h_ring), .c2h_log2_o(c2h_log2),
    .prod_valid_o(prod_valid), .prod_o(prod), .cons_valid_o(cons_valid), .cons_o(cons),
    .tx_start_o(start), .reset_o(reset),
    .side_valid_o(side_valid), .side_doorbell_o(side_doorbell),
    .direction_i(direction), .sides_off_i(sides_off_i), .events_i
  );

  // --- shadow ------------------------------------------------------------------------------------------

  logic        started_q = 1'b0;
  logic        write, aw_taken, w_taken, ar_taken;
  logic [11:0] at;    // the write that takes effect in this cycle
  logic [31:0] data;
  logic [5:0]  clear;
  logic [3:0]  answers_q;               // writes taken and not answered
  logic [3:0]  reads_q;
  logic [1:0]  waits_q;                 // cycles that a read has waited for its answer
  logic        status_read_q;           // the last read is of irq_status
  logic [5:0]  status, shown_or_held;   // interrupt bits; with those that moderation holds back
  logic        locked;
  logic [145:0] config_now;

  assign aw_taken = aw_valid_i && aw_ready;
  assign w_taken  = w_valid_i && w_ready;
  assign ar_taken = ar_valid_i && ar_ready;
  assign status   = dut.irq_status;
  assign shown_or_held = status | dut.i_irq.events_q | {4'b0, dut.i_irq.held_q};
  assign locked   = enable || off_i != 2'b11 || !sides_off_i;
  assign clear    = write && at == 12'(vnc_pkg::RegIrqStatus) ? data[5:0] : '0;
  assign config_now = 146'({base, window_log2, h2c_ring, h2c_log2, c2h_ring, c2h_log2});

  // A write when it takes effect, one cycle after it was taken.
  always_ff @(posedge clk_i) begin
    write <= rst_ni && aw_taken && w_taken && w_strb_i == 4'hf;
    at    <= aw_addr_i;
    data  <= w_data_i;
  end

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni) begin
      answers_q     <= '0;
      reads_q       <= '0;
      waits_q       <= '0;
      status_read_q <= 1'b0;
    end else begin
      answers_q <= answers_q + 4'(aw_taken) - 4'(b_valid && b_ready_i);
      reads_q   <= reads_q + 4'(ar_taken) - 4'(r_valid && r_ready_i);
      waits_q   <= reads_q == '0 || r_valid ? '0 : waits_q + 2'd1;
      if (ar_taken) status_read_q <= ar_addr_i == 12'(vnc_pkg::RegIrqStatus);
    end
  end

  always_comb if (!started_q) assume (!rst_ni);

  always_ff @(posedge clk_i) begin
    if (started_q && $past(rst_ni)) begin
      assume (!$past(aw_valid_i && !aw_ready) || (aw_valid_i && $stable(aw_addr_i)));
      assume (!$past(w_valid_i && !w_ready) || (w_valid_i && $stable(w_data_i) && $stable(w_strb_i)));
      assume (!$past(ar_valid_i && !ar_ready) || (ar_valid_i && $stable(ar_addr_i)));
    end
  end

  // --- proved --------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    if (started_q && rst_ni) begin
      a_address_and_data_taken_together: assert (aw_taken == w_taken);
      a_one_answer_per_write: assert (answers_q == 4'(b_valid));
      a_one_answer_per_read: assert (reads_q <= 4'd1 && (!r_valid || reads_q == 4'd1));
      a_every_read_is_answered: assert (waits_q <= 2'd2);
      i_write: assert (dut.write_q == write && dut.at_q == at && dut.data_q == data);
      i_waits: assert (!dut.read_q || waits_q == 2'(dut.found_q) + 2'd0 || r_valid);
      i_read: assert (reads_q == 4'(r_valid) + 4'(dut.read_q) && (!dut.found_q || dut.read_q) &&
        (!dut.read_q || status_read_q == (dut.read_at_q == 12'(vnc_pkg::RegIrqStatus))));
      a_base_on_a_page: assert (base[11:0] == '0 && h2c_ring[11:0] == '0 && c2h_ring[11:0] == '0);
      a_start_on_a_line: assert (start[5:0] == '0);
      if ($past(rst_ni)) begin
        a_b_is_stable: assert (!$past(b_valid && !b_ready_i) || b_valid);
        a_r_is_stable: assert (!$past(r_valid && !r_ready_i) || (r_valid && $stable(r_data)));
        a_locked_configuration_is_stable: assert (!$past(locked) || $stable(config_now));
        a_configuration_changes_only_by_a_write: assert ($past(write) || $stable(config_now));
        a_prod_doorbell_once_per_write: assert (prod_valid == $past(write && at == 12'(vnc_pkg::RegTxProd)));
        a_prod_is_what_was_written: assert (!prod_valid || prod == $past(data));
        a_cons_doorbell_once_per_write: assert (cons_valid == $past(write && at == 12'(vnc_pkg::RegRxCons)));
        a_cons_is_what_was_written: assert (!cons_valid || cons == $past(data));
        a_side_doorbell_once_per_write: assert (side_valid ==
          $past(write && at == 12'(vnc_pkg::RegSideDoorbell)));
        a_side_doorbell_value_is_stable: assert (side_valid ? side_doorbell == $past(data) : $stable(side_doorbell));
        a_reset_once_per_write: assert (reset ==
          ($past(write && at == 12'(vnc_pkg::RegReset)) ? $past(data[2:0]) : 3'b000));
        a_irq_status_reads_the_bits: assert (!(r_valid && !$past(r_valid) && status_read_q) ||
          r_data[5:0] == $past(status, 2));
        a_event_is_registered: assert (($past(events_i) & ~shown_or_held) == '0);
        a_event_is_never_lost: assert (($past((status & ~clear) | dut.i_irq.events_q | {4'b0, dut.i_irq.held_q}) &
          ~shown_or_held) == '0);
        a_halts_are_not_moderated: assert (($past(dut.i_irq.events_q[5:2]) & ~status[5:2]) == '0);
        a_bits_are_cleared_only_by_a_write: assert (($past(status & ~clear) & ~status) == '0);
        a_no_bit_without_an_event: assert ((shown_or_held & ~$past(shown_or_held | events_i)) == '0);
        a_no_interrupt_without_a_bit: assert (irq == $past((status & dut.irq_enable_q) != '0));
        c_event_while_cleared: cover ($past(clear[3] && events_i[3] && status[3]));
        c_locked_write_ignored: cover ($past(write && locked && at == 12'(vnc_pkg::RegWindowLog2)));
        c_read_held: cover ($past(r_valid && !r_ready_i) && r_valid && r_ready_i && status_read_q &&
          r_data[5:0] == 6'h3f);
        c_two_events_make_one_interrupt: cover (irq && dut.irq_count_q == 32'd2 && $past(status[0]) &&
          !$past(status[0], 2));
        c_partial_write: cover ($past(aw_taken && w_strb_i == 4'h3 && aw_addr_i == 12'(vnc_pkg::RegTxProd)));
        c_reset_all: cover (reset == 3'b111);
      end
      c_configured: cover (locked && window_log2 == 5'd20 && h2c_log2 == 5'd16 && base == 64'h12345000);
      c_doorbells_back_to_back: cover (prod_valid && $past(cons_valid));
      c_interrupt: cover (irq);
    end
  end
endmodule
