// SPDX-License-Identifier: MIT
//
// vnc_axil_regs: the register page of one side (docs/registers.md) behind AXI4-Lite.
//
//   AXI4-Lite --> write --> configuration (locked while in use), doorbells, reset pulses
//             <-- read  <-- the same, and state and statistics of both directions and of the side mover
//                           events --> vnc_irq --> irq
//
// Index 0 of a pair is tx, the direction that this side produces; index 1 is rx.
//
// Only full 32-bit writes take effect.  Every access is answered OKAY: behind PCIe an error response to a stray
// access can bring the host down.
//
// Timing: a write takes effect two cycles after both AW and W are valid; a read is answered three cycles after AR.

module vnc_axil_regs #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned BurstBeats = 64,
  parameter bit          IsCard     = 1'b0
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  input  logic              aw_valid_i,
  output logic              aw_ready_o,
  input  logic [11:0]       aw_addr_i,
  input  logic              w_valid_i,
  output logic              w_ready_o,
  input  logic [31:0]       w_data_i,
  input  logic [3:0]        w_strb_i,
  output logic              b_valid_o,
  input  logic              b_ready_i,
  input  logic              ar_valid_i,
  output logic              ar_ready_o,
  input  logic [11:0]       ar_addr_i,
  output logic              r_valid_o,
  input  logic              r_ready_i,
  output logic [31:0]       r_data_o,

  output logic              irq_o,

  // Configuration and commands.
  output logic              enable_o,
  output logic              need_wakeup_o,
  output logic [1:0]        interrupts_o,   // enabled: RX_PROD, TX_CONS
  output logic [31:0]       timeout_o,
  output logic [63:0]       window_base_o,
  output logic [4:0]        window_log2_o,
  output logic [29:0]       h2c_ring_o,
  output logic [4:0]        h2c_log2_o,
  output logic [29:0]       c2h_ring_o,
  output logic [4:0]        c2h_log2_o,
  output logic              prod_valid_o,
  output logic [31:0]       prod_o,
  output logic              cons_valid_o,
  output logic [31:0]       cons_o,
  output logic [31:0]       tx_start_o,
  output logic [2:0]        reset_o,        // tx, rx, side
  output logic              side_valid_o,
  output logic [31:0]       side_doorbell_o,

  // State and statistics, tx and rx, and of the mover of this side's block.
  input  vnc_status_pkg::direction_t  [1:0] direction_i,
  input  vnc_status_pkg::statistics_t [1:0] statistics_i,
  input  vnc_status_pkg::side_t             side_i,
  input  logic              sides_off_i,    // both side movers are off and stay off
  input  logic              overtaken_i,    // a read of this side's memory overtook an earlier write
  input  logic [63:0]       cycles_i,

  // Events: the bits of irq_status.
  input  logic [5:0]        events_i
);
  localparam int unsigned DirectionBytes = vnc_pkg::RegRxCause - vnc_pkg::RegTxCause;

  // --- write -------------------------------------------------------------------------------------------

  logic        take_write, write_q, locked;
  logic [11:0] at_q;
  logic [31:0] data_q;
  logic        large_q;  // the written log2 does not fit five bits
  logic [4:0]  size;     // stored as 0, an invalid size, when it does not fit
  logic [5:0]  irq_status, irq_enable_q, irq_clear;
  logic [31:0] irq_count_q, irq_time_q;

  assign take_write = aw_valid_i && w_valid_i && (!b_valid_o || b_ready_i);
  assign aw_ready_o = take_write;
  assign w_ready_o  = take_write;
  assign size       = large_q ? '0 : data_q[4:0];
  assign locked     = enable_o || !direction_i[0].off || !direction_i[1].off || !sides_off_i;

  always_ff @(posedge clk_i) begin
    write_q <= rst_ni && take_write && w_strb_i == 4'hf;
    at_q    <= aw_addr_i;
    data_q  <= w_data_i;
    large_q <= w_data_i[31:5] != '0;
    if (!rst_ni) b_valid_o <= 1'b0;
    else if (take_write) b_valid_o <= 1'b1;
    else if (b_ready_i) b_valid_o <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      window_base_o <= '0;
      window_log2_o <= '0;
      h2c_ring_o    <= '0;
      h2c_log2_o    <= '0;
      c2h_ring_o    <= '0;
      c2h_log2_o    <= '0;
    end else if (write_q && !locked) begin
      case (at_q)
        12'(vnc_pkg::RegWindowBaseLo):  window_base_o[31:0] <= {data_q[31:12], 12'b0};
        12'(vnc_pkg::RegWindowBaseHi):  window_base_o[63:32] <= data_q;
        12'(vnc_pkg::RegWindowLog2):    window_log2_o <= size;
        12'(vnc_pkg::RegH2cRingOffset): h2c_ring_o <= {data_q[29:12], 12'b0};
        12'(vnc_pkg::RegH2cRingLog2):   h2c_log2_o <= size;
        12'(vnc_pkg::RegC2hRingOffset): c2h_ring_o <= {data_q[29:12], 12'b0};
        12'(vnc_pkg::RegC2hRingLog2):   c2h_log2_o <= size;
        default: ;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      enable_o      <= 1'b0;
      need_wakeup_o <= 1'b0;
      timeout_o     <= '0;
      irq_enable_q  <= '0;
      irq_count_q   <= '0;
      irq_time_q    <= '0;
      tx_start_o   <= '0;
      prod_o       <= '0;
      cons_o       <= '0;
      prod_valid_o <= 1'b0;
      cons_valid_o <= 1'b0;
      side_doorbell_o  <= '0;
      side_valid_o <= 1'b0;
      reset_o      <= '0;
    end else begin
      prod_valid_o <= 1'b0;
      cons_valid_o <= 1'b0;
      side_valid_o <= 1'b0;
      reset_o      <= '0;
      if (write_q) begin
        case (at_q)
          12'(vnc_pkg::RegControl):   {need_wakeup_o, enable_o} <= data_q[1:0];
          12'(vnc_pkg::RegTimeout):   timeout_o <= data_q;
          12'(vnc_pkg::RegIrqCount):  irq_count_q <= data_q;
          12'(vnc_pkg::RegIrqTime):   irq_time_q <= data_q;
          12'(vnc_pkg::RegIrqEnable): irq_enable_q <= data_q[5:0];
          12'(vnc_pkg::RegTxStart):   tx_start_o <= {data_q[31:6], 6'b0};
          12'(vnc_pkg::RegReset):     reset_o <= data_q[2:0];
          12'(vnc_pkg::RegTxProd): begin
            prod_o       <= data_q;
            prod_valid_o <= 1'b1;
          end
          12'(vnc_pkg::RegRxCons): begin
            cons_o       <= data_q;
            cons_valid_o <= 1'b1;
          end
          12'(vnc_pkg::RegSideDoorbell): begin
            side_doorbell_o  <= data_q;
            side_valid_o <= 1'b1;
          end
          default: ;
        endcase
      end
    end
  end

  // --- interrupt ---------------------------------------------------------------------------------------

  assign interrupts_o = irq_enable_q[1:0];

  assign irq_clear = write_q && at_q == 12'(vnc_pkg::RegIrqStatus) ? data_q[5:0] : '0;

  vnc_irq #(.Bits(6)) i_irq (
    .clk_i, .rst_ni, .events_i, .clear_i(irq_clear), .enable_i(irq_enable_q),
    .count_i(irq_count_q), .time_i(irq_time_q), .status_o(irq_status), .irq_o
  );

  // --- read --------------------------------------------------------------------------------------------
  // The page is a table of words, read in two steps: one word of each 8-word row by the lower address bits, then
  // one of the rows.

  localparam int unsigned Rows = 9;

  logic [Rows*8-1:0][31:0] page;
  logic [Rows-1:0][31:0]    row_q;
  logic [11:0]              read_at_q;
  logic                     read_q, found_q, exists_q;  // AR was taken; row_q is valid
  logic                     lower_q;            // the word is the lower half of a pair; `upper_q` is the upper half
  logic [31:0]              upper_q, held_q;

  function automatic logic [11:2] word(int unsigned register);
    return 10'(register >> 2);
  endfunction

  always_comb begin
    page = '0;
    page[word(vnc_pkg::RegId)]              = vnc_pkg::EngineId;
    page[word(vnc_pkg::RegVersion)]         = {16'(vnc_pkg::Version), 16'(vnc_pkg::EngineVersion)};
    page[word(vnc_pkg::RegCaps)]            = {7'b0, IsCard, 8'(BurstBeats - 1), 16'(DataW)};
    page[word(vnc_pkg::RegControl)]         = {30'b0, need_wakeup_o, enable_o};
    page[word(vnc_pkg::RegStatus)]          = {17'b0, side_i.drain, side_i.halt, side_i.run, 2'b0, overtaken_i, locked,
                                               1'b0, direction_i[1].drain, direction_i[1].halt, direction_i[1].run,
                                               1'b0, direction_i[0].drain, direction_i[0].halt, direction_i[0].run};
    page[word(vnc_pkg::RegIrqStatus)]       = {26'b0, irq_status};
    page[word(vnc_pkg::RegIrqEnable)]       = {26'b0, irq_enable_q};
    page[word(vnc_pkg::RegWindowBaseLo)]    = window_base_o[31:0];
    page[word(vnc_pkg::RegWindowBaseHi)]    = window_base_o[63:32];
    page[word(vnc_pkg::RegWindowLog2)]      = {27'b0, window_log2_o};
    page[word(vnc_pkg::RegH2cRingOffset)]   = {2'b0, h2c_ring_o};
    page[word(vnc_pkg::RegH2cRingLog2)]     = {27'b0, h2c_log2_o};
    page[word(vnc_pkg::RegC2hRingOffset)]   = {2'b0, c2h_ring_o};
    page[word(vnc_pkg::RegC2hRingLog2)]     = {27'b0, c2h_log2_o};
    page[word(vnc_pkg::RegTxProd)]          = prod_o;
    page[word(vnc_pkg::RegRxCons)]          = cons_o;
    page[word(vnc_pkg::RegTxStart)]         = tx_start_o;
    page[word(vnc_pkg::RegSideDoorbell)]        = side_doorbell_o;
    page[word(vnc_pkg::RegSideDone)]        = side_i.done;
    page[word(vnc_pkg::RegSideCause)]       = {28'b0, side_i.cause};
    page[word(vnc_pkg::RegSideErrorAddrLo)] = side_i.error_addr[31:0];
    page[word(vnc_pkg::RegSideErrorAddrHi)] = side_i.error_addr[63:32];
    page[word(vnc_pkg::RegIrqCount)]        = irq_count_q;
    page[word(vnc_pkg::RegIrqTime)]         = irq_time_q;
    page[word(vnc_pkg::RegTimeout)]         = timeout_o;
    page[word(vnc_pkg::RegCyclesLo)]        = cycles_i[31:0];
    page[word(vnc_pkg::RegCyclesHi)]        = held_q;
    for (int unsigned n = 0; n < 2; n++) begin
      page[word(vnc_pkg::RegTxCause + n * DirectionBytes)]        = {28'b0, direction_i[n].cause};
      page[word(vnc_pkg::RegTxErrorAddrLo + n * DirectionBytes)]  = direction_i[n].error_addr[31:0];
      page[word(vnc_pkg::RegTxErrorAddrHi + n * DirectionBytes)]  = direction_i[n].error_addr[63:32];
      page[word(vnc_pkg::RegTxPublished + n * DirectionBytes)]    = direction_i[n].published;
      page[word(vnc_pkg::RegTxReturned + n * DirectionBytes)]     = direction_i[n].returned;
      page[word(vnc_pkg::RegTxBytesLo + n * DirectionBytes)]      = statistics_i[n].bytes[31:0];
      page[word(vnc_pkg::RegTxBytesHi + n * DirectionBytes)]      = held_q;
      page[word(vnc_pkg::RegTxBursts + n * DirectionBytes)]       = statistics_i[n].bursts;
      page[word(vnc_pkg::RegTxPublications + n * DirectionBytes)] = statistics_i[n].publications;
      page[word(vnc_pkg::RegTxErrors + n * DirectionBytes)]       = statistics_i[n].errors;
      page[word(vnc_pkg::RegTxStallRead + n * DirectionBytes)]    = statistics_i[n].stall_read;
      page[word(vnc_pkg::RegTxStallWrite + n * DirectionBytes)]   = statistics_i[n].stall_write;
      page[word(vnc_pkg::RegTxStallAck + n * DirectionBytes)]     = statistics_i[n].stall_ack;
      page[word(vnc_pkg::RegTxSuppressed + n * DirectionBytes)]   = statistics_i[n].suppressed;
      page[word(vnc_pkg::RegTxLatency + n * DirectionBytes)]      = statistics_i[n].latency;
      page[word(vnc_pkg::RegTxLatencyMax + n * DirectionBytes)]   = statistics_i[n].latency_max;
    end
  end

  assign ar_ready_o = !read_q && !r_valid_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q    <= 1'b0;
      found_q   <= 1'b0;
      r_valid_o <= 1'b0;
      held_q    <= '0;
    end else begin
      if (ar_valid_i && ar_ready_o) read_q <= 1'b1;
      else if (found_q) read_q <= 1'b0;
      found_q <= read_q && !found_q;
      if (found_q) r_valid_o <= 1'b1;
      else if (r_ready_i) r_valid_o <= 1'b0;
      if (found_q && lower_q) held_q <= upper_q;
    end
    if (ar_ready_o) read_at_q <= ar_addr_i;
    for (int unsigned n = 0; n < Rows; n++) row_q[n] <= page[8 * n + 32'(read_at_q[4:2])];
    lower_q  <= read_at_q == 12'(vnc_pkg::RegTxBytesLo) || read_at_q == 12'(vnc_pkg::RegRxBytesLo) ||
                read_at_q == 12'(vnc_pkg::RegCyclesLo);
    upper_q  <= read_at_q[8] ? cycles_i[63:32] : statistics_i[read_at_q[6]].bytes[63:32];
    exists_q <= read_at_q[11:5] < 7'(Rows) && read_at_q[1:0] == '0;
    if (found_q) r_data_o <= exists_q ? row_q[read_at_q[8:5]] : '0;
  end

  // Not on the page: LOCKED includes it.
  logic unused;
  assign unused = side_i.off;
endmodule
