// SPDX-License-Identifier: MIT
//
// vnc_axil_regs: one side's register page (docs/registers.md) behind AXI4-Lite.
//
//   AXI4-Lite --> write --> configuration (locked while in use), doorbells, reset pulses
//             <-- read  <-- these, and the state and statistics of both directions and of the side mover
//                           events --> vnc_irq --> irq
//
// Index 0 of a pair is tx, the direction that this side produces; 1 is rx.
//
// Only whole 32-bit writes count.  Every access is answered OKAY: behind PCIe an error answer to a stray
// access could bring the machine down.
//
// Timing: a write takes effect one cycle after both AW and W are there; a read answers two cycles after AR.

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
  output logic [31:0]       side_bell_o,

  // State and statistics, tx and rx, and of the mover of this side's block.
  input  vnc_status_pkg::direction_t  [1:0] direction_i,
  input  vnc_status_pkg::statistics_t [1:0] statistics_i,
  input  vnc_status_pkg::side_t             side_i,
  input  logic              sides_off_i,    // both side movers
  input  logic [63:0]       cycles_i,

  // Events: the bits of irq_status.
  input  logic [5:0]        events_i
);
  // --- write -------------------------------------------------------------------------------------------

  logic        take_write, write, locked;
  logic [11:0] at;
  logic [5:0]  irq_status, irq_enable_q, irq_clear;
  logic [31:0] irq_count_q, irq_time_q;

  assign take_write = aw_valid_i && w_valid_i && (!b_valid_o || b_ready_i);
  assign aw_ready_o = take_write;
  assign w_ready_o  = take_write;
  assign write      = take_write && w_strb_i == 4'hf;
  assign at         = aw_addr_i;
  assign locked     = enable_o || !direction_i[0].off || !direction_i[1].off || !sides_off_i;

  always_ff @(posedge clk_i) begin
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
    end else if (write && !locked) begin
      case (at)
        12'(vnc_pkg::RegWindowBaseLo):  window_base_o[31:0] <= {w_data_i[31:12], 12'b0};
        12'(vnc_pkg::RegWindowBaseHi):  window_base_o[63:32] <= w_data_i;
        // A size of which the register cannot hold all bits is kept as 0, which is no size.
        12'(vnc_pkg::RegWindowLog2):    window_log2_o <= w_data_i[31:5] == '0 ? w_data_i[4:0] : '0;
        12'(vnc_pkg::RegH2cRingOffset): h2c_ring_o <= {w_data_i[29:12], 12'b0};
        12'(vnc_pkg::RegH2cRingLog2):   h2c_log2_o <= w_data_i[31:5] == '0 ? w_data_i[4:0] : '0;
        12'(vnc_pkg::RegC2hRingOffset): c2h_ring_o <= {w_data_i[29:12], 12'b0};
        12'(vnc_pkg::RegC2hRingLog2):   c2h_log2_o <= w_data_i[31:5] == '0 ? w_data_i[4:0] : '0;
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
      side_bell_o  <= '0;
      side_valid_o <= 1'b0;
      reset_o      <= '0;
    end else begin
      prod_valid_o <= 1'b0;
      cons_valid_o <= 1'b0;
      side_valid_o <= 1'b0;
      reset_o      <= '0;
      if (write) begin
        case (at)
          12'(vnc_pkg::RegControl):   {need_wakeup_o, enable_o} <= w_data_i[1:0];
          12'(vnc_pkg::RegTimeout):   timeout_o <= w_data_i;
          12'(vnc_pkg::RegIrqCount):  irq_count_q <= w_data_i;
          12'(vnc_pkg::RegIrqTime):   irq_time_q <= w_data_i;
          12'(vnc_pkg::RegIrqEnable): irq_enable_q <= w_data_i[5:0];
          12'(vnc_pkg::RegTxStart):   tx_start_o <= {w_data_i[31:6], 6'b0};
          12'(vnc_pkg::RegReset):     reset_o <= w_data_i[2:0];
          12'(vnc_pkg::RegTxProd): begin
            prod_o       <= w_data_i;
            prod_valid_o <= 1'b1;
          end
          12'(vnc_pkg::RegRxCons): begin
            cons_o       <= w_data_i;
            cons_valid_o <= 1'b1;
          end
          12'(vnc_pkg::RegSideBell): begin
            side_bell_o  <= w_data_i;
            side_valid_o <= 1'b1;
          end
          default: ;
        endcase
      end
    end
  end

  // --- interrupt ---------------------------------------------------------------------------------------

  assign irq_clear = write && at == 12'(vnc_pkg::RegIrqStatus) ? w_data_i[5:0] : '0;

  vnc_irq #(.Bits(6)) i_irq (
    .clk_i, .rst_ni, .events_i, .clear_i(irq_clear), .enable_i(irq_enable_q),
    .count_i(irq_count_q), .time_i(irq_time_q), .status_o(irq_status), .irq_o
  );

  // --- read --------------------------------------------------------------------------------------------

  logic        read_q, answer;  // an address is there; its answer is given
  logic [11:0] read_at_q;
  logic [31:0] value, of_direction, held_q;
  logic        rx;

  assign ar_ready_o = !read_q && !r_valid_o;
  assign answer     = read_q && !r_valid_o;

  // The registers of tx and rx stand 0x40 apart.
  assign rx = read_at_q[6];

  always_comb begin
    case ({read_at_q[11:7], 1'b0, read_at_q[5:0]})
      12'(vnc_pkg::RegTxCause):        of_direction = {28'b0, direction_i[rx].cause};
      12'(vnc_pkg::RegTxErrorAddrLo):  of_direction = direction_i[rx].error_addr[31:0];
      12'(vnc_pkg::RegTxErrorAddrHi):  of_direction = direction_i[rx].error_addr[63:32];
      12'(vnc_pkg::RegTxPublished):    of_direction = direction_i[rx].published;
      12'(vnc_pkg::RegTxReturned):     of_direction = direction_i[rx].returned;
      12'(vnc_pkg::RegTxBytesLo):      of_direction = statistics_i[rx].bytes[31:0];
      12'(vnc_pkg::RegTxBytesHi):      of_direction = held_q;
      12'(vnc_pkg::RegTxBursts):       of_direction = statistics_i[rx].bursts;
      12'(vnc_pkg::RegTxPublications): of_direction = statistics_i[rx].publications;
      12'(vnc_pkg::RegTxErrors):       of_direction = statistics_i[rx].errors;
      12'(vnc_pkg::RegTxStallRead):    of_direction = statistics_i[rx].stall_read;
      12'(vnc_pkg::RegTxStallWrite):   of_direction = statistics_i[rx].stall_write;
      12'(vnc_pkg::RegTxStallAck):     of_direction = statistics_i[rx].stall_ack;
      12'(vnc_pkg::RegTxSuppressed):   of_direction = statistics_i[rx].suppressed;
      12'(vnc_pkg::RegTxLatency):      of_direction = statistics_i[rx].latency;
      12'(vnc_pkg::RegTxLatencyMax):   of_direction = statistics_i[rx].latency_max;
      default:                         of_direction = '0;
    endcase
  end

  always_comb begin
    case (read_at_q)
      12'(vnc_pkg::RegId):              value = vnc_pkg::EngineId;
      12'(vnc_pkg::RegVersion):         value = {16'(vnc_pkg::Version), 16'(vnc_pkg::EngineVersion)};
      12'(vnc_pkg::RegCaps):            value = {7'b0, IsCard, 8'(BurstBeats - 1), 16'(DataW)};
      12'(vnc_pkg::RegControl):         value = {30'b0, need_wakeup_o, enable_o};
      12'(vnc_pkg::RegStatus):          value = {17'b0, side_i.drain, side_i.halt, side_i.run, 3'b0, locked,
                                                 1'b0, direction_i[1].drain, direction_i[1].halt, direction_i[1].run,
                                                 1'b0, direction_i[0].drain, direction_i[0].halt, direction_i[0].run};
      12'(vnc_pkg::RegIrqStatus):       value = {26'b0, irq_status};
      12'(vnc_pkg::RegIrqEnable):       value = {26'b0, irq_enable_q};
      12'(vnc_pkg::RegWindowBaseLo):    value = window_base_o[31:0];
      12'(vnc_pkg::RegWindowBaseHi):    value = window_base_o[63:32];
      12'(vnc_pkg::RegWindowLog2):      value = {27'b0, window_log2_o};
      12'(vnc_pkg::RegH2cRingOffset):   value = {2'b0, h2c_ring_o};
      12'(vnc_pkg::RegH2cRingLog2):     value = {27'b0, h2c_log2_o};
      12'(vnc_pkg::RegC2hRingOffset):   value = {2'b0, c2h_ring_o};
      12'(vnc_pkg::RegC2hRingLog2):     value = {27'b0, c2h_log2_o};
      12'(vnc_pkg::RegTxProd):          value = prod_o;
      12'(vnc_pkg::RegRxCons):          value = cons_o;
      12'(vnc_pkg::RegTxStart):         value = tx_start_o;
      12'(vnc_pkg::RegSideBell):        value = side_bell_o;
      12'(vnc_pkg::RegSideDone):        value = side_i.done;
      12'(vnc_pkg::RegSideCause):       value = {28'b0, side_i.cause};
      12'(vnc_pkg::RegSideErrorAddrLo): value = side_i.error_addr[31:0];
      12'(vnc_pkg::RegSideErrorAddrHi): value = side_i.error_addr[63:32];
      12'(vnc_pkg::RegIrqCount):        value = irq_count_q;
      12'(vnc_pkg::RegIrqTime):         value = irq_time_q;
      12'(vnc_pkg::RegTimeout):         value = timeout_o;
      12'(vnc_pkg::RegCyclesLo):        value = cycles_i[31:0];
      12'(vnc_pkg::RegCyclesHi):        value = held_q;
      default:                          value = of_direction;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q    <= 1'b0;
      r_valid_o <= 1'b0;
      held_q    <= '0;
    end else begin
      if (ar_valid_i && ar_ready_o) read_q <= 1'b1;
      else if (answer) read_q <= 1'b0;
      if (answer) r_valid_o <= 1'b1;
      else if (r_ready_i) r_valid_o <= 1'b0;
      if (answer) begin
        case (read_at_q)
          12'(vnc_pkg::RegTxBytesLo),
          12'(vnc_pkg::RegRxBytesLo): held_q <= statistics_i[rx].bytes[63:32];
          12'(vnc_pkg::RegCyclesLo):  held_q <= cycles_i[63:32];
          default: ;
        endcase
      end
    end
    if (ar_ready_o) read_at_q <= ar_addr_i;
    if (answer) r_data_o <= value;
  end

  // Not shown: it is what LOCKED tells.
  logic unused;
  assign unused = side_i.off;
endmodule
