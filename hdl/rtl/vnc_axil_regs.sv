// SPDX-License-Identifier: MIT
//
// vnc_axil_regs: one side's register page (docs/registers.md) behind AXI4-Lite.
//
//   AXI4-Lite --> write --> configuration (locked while in use), doorbells, reset pulses, interrupt bits
//             <-- read  <-- these, and the state and statistics of both directions
//
// Index 0 of a pair is tx, the direction that this side produces; 1 is rx.
//
// Only whole 32-bit writes count.  Every access is answered OKAY: behind PCIe an error answer to a stray
// access could bring the machine down.
//
// Timing: a write takes effect one cycle after both AW and W are there; a read answers in the cycle after AR.

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

  // State, events and statistics.
  input  logic [1:0]        off_i,
  input  logic [1:0]        run_i,
  input  logic [1:0]        halt_i,
  input  logic [1:0]        drain_i,
  input  logic [1:0][3:0]   cause_i,
  input  logic [1:0][63:0]  error_addr_i,
  input  logic [1:0][31:0]  published_i,
  input  logic [1:0][31:0]  returned_i,
  input  logic [1:0][63:0]  bytes_i,
  input  logic [1:0][31:0]  bursts_i,
  input  logic [1:0][31:0]  publications_i,
  input  logic [1:0][31:0]  errors_i,
  input  logic              rx_prod_event_i,
  input  logic              tx_cons_event_i,
  input  logic [1:0]        halt_event_i,
  input  logic [63:0]       cycles_i,

  // The mover of this side's block; side_event: the peer's block arrived.
  input  logic              side_off_i,
  input  logic              side_run_i,
  input  logic              side_halt_i,
  input  logic              side_drain_i,
  input  logic [31:0]       side_done_i,
  input  logic [3:0]        side_cause_i,
  input  logic [63:0]       side_error_addr_i,
  input  logic              side_event_i,
  input  logic              side_halt_event_i
);
  // --- write -------------------------------------------------------------------------------------------

  logic        take_write, write, locked;
  logic [11:0] at;
  logic [5:0]  irq_status_q, irq_enable_q, irq_clear, irq_events;

  assign take_write = aw_valid_i && w_valid_i && (!b_valid_o || b_ready_i);
  assign aw_ready_o = take_write;
  assign w_ready_o  = take_write;
  assign write      = take_write && w_strb_i == 4'hf;
  assign at         = aw_addr_i;
  assign locked     = enable_o || off_i != 2'b11 || !side_off_i;

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
      enable_o     <= 1'b0;
      irq_enable_q <= '0;
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
          12'(vnc_pkg::RegControl):   enable_o <= w_data_i[0];
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

  // --- interrupt: an event in the cycle of its clearing stays ---------------------------------------------

  assign irq_events = {side_halt_event_i, side_event_i, halt_event_i[1], halt_event_i[0], tx_cons_event_i, rx_prod_event_i};
  assign irq_clear  = write && at == 12'(vnc_pkg::RegIrqStatus) ? w_data_i[5:0] : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      irq_status_q <= '0;
      irq_o        <= 1'b0;
    end else begin
      irq_status_q <= (irq_status_q & ~irq_clear) | irq_events;
      irq_o        <= (irq_status_q & irq_enable_q) != '0;
    end
  end

  // --- read --------------------------------------------------------------------------------------------

  logic        take_read;
  logic [31:0] value, held_q;

  assign take_read  = ar_valid_i && (!r_valid_o || r_ready_i);
  assign ar_ready_o = take_read;

  always_comb begin
    case (ar_addr_i)
      12'(vnc_pkg::RegId):             value = vnc_pkg::EngineId;
      12'(vnc_pkg::RegVersion):        value = {16'(vnc_pkg::Version), 16'(vnc_pkg::EngineVersion)};
      12'(vnc_pkg::RegCaps):           value = {7'b0, IsCard, 8'(BurstBeats - 1), 16'(DataW)};
      12'(vnc_pkg::RegControl):        value = {31'b0, enable_o};
      12'(vnc_pkg::RegStatus):         value = {17'b0, side_drain_i, side_halt_i, side_run_i, 3'b0, locked,
                                                1'b0, drain_i[1], halt_i[1], run_i[1],
                                                1'b0, drain_i[0], halt_i[0], run_i[0]};
      12'(vnc_pkg::RegIrqStatus):      value = {26'b0, irq_status_q};
      12'(vnc_pkg::RegIrqEnable):      value = {26'b0, irq_enable_q};
      12'(vnc_pkg::RegWindowBaseLo):   value = window_base_o[31:0];
      12'(vnc_pkg::RegWindowBaseHi):   value = window_base_o[63:32];
      12'(vnc_pkg::RegWindowLog2):     value = {27'b0, window_log2_o};
      12'(vnc_pkg::RegH2cRingOffset):  value = {2'b0, h2c_ring_o};
      12'(vnc_pkg::RegH2cRingLog2):    value = {27'b0, h2c_log2_o};
      12'(vnc_pkg::RegC2hRingOffset):  value = {2'b0, c2h_ring_o};
      12'(vnc_pkg::RegC2hRingLog2):    value = {27'b0, c2h_log2_o};
      12'(vnc_pkg::RegTxProd):         value = prod_o;
      12'(vnc_pkg::RegRxCons):         value = cons_o;
      12'(vnc_pkg::RegTxStart):        value = tx_start_o;
      12'(vnc_pkg::RegSideBell):       value = side_bell_o;
      12'(vnc_pkg::RegSideDone):       value = side_done_i;
      12'(vnc_pkg::RegSideCause):      value = {28'b0, side_cause_i};
      12'(vnc_pkg::RegSideErrorAddrLo): value = side_error_addr_i[31:0];
      12'(vnc_pkg::RegSideErrorAddrHi): value = side_error_addr_i[63:32];
      12'(vnc_pkg::RegTxCause):        value = {28'b0, cause_i[0]};
      12'(vnc_pkg::RegTxErrorAddrLo):  value = error_addr_i[0][31:0];
      12'(vnc_pkg::RegTxErrorAddrHi):  value = error_addr_i[0][63:32];
      12'(vnc_pkg::RegTxPublished):    value = published_i[0];
      12'(vnc_pkg::RegTxReturned):     value = returned_i[0];
      12'(vnc_pkg::RegTxBytesLo):      value = bytes_i[0][31:0];
      12'(vnc_pkg::RegTxBursts):       value = bursts_i[0];
      12'(vnc_pkg::RegTxPublications): value = publications_i[0];
      12'(vnc_pkg::RegTxErrors):       value = errors_i[0];
      12'(vnc_pkg::RegRxCause):        value = {28'b0, cause_i[1]};
      12'(vnc_pkg::RegRxErrorAddrLo):  value = error_addr_i[1][31:0];
      12'(vnc_pkg::RegRxErrorAddrHi):  value = error_addr_i[1][63:32];
      12'(vnc_pkg::RegRxPublished):    value = published_i[1];
      12'(vnc_pkg::RegRxReturned):     value = returned_i[1];
      12'(vnc_pkg::RegRxBytesLo):      value = bytes_i[1][31:0];
      12'(vnc_pkg::RegRxBursts):       value = bursts_i[1];
      12'(vnc_pkg::RegRxPublications): value = publications_i[1];
      12'(vnc_pkg::RegRxErrors):       value = errors_i[1];
      12'(vnc_pkg::RegCyclesLo):       value = cycles_i[31:0];
      12'(vnc_pkg::RegTxBytesHi),
      12'(vnc_pkg::RegRxBytesHi),
      12'(vnc_pkg::RegCyclesHi):       value = held_q;
      default:                         value = '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      r_valid_o <= 1'b0;
      held_q    <= '0;
    end else begin
      if (take_read) r_valid_o <= 1'b1;
      else if (r_ready_i) r_valid_o <= 1'b0;
      if (take_read) begin
        case (ar_addr_i)
          12'(vnc_pkg::RegTxBytesLo): held_q <= bytes_i[0][63:32];
          12'(vnc_pkg::RegRxBytesLo): held_q <= bytes_i[1][63:32];
          12'(vnc_pkg::RegCyclesLo):  held_q <= cycles_i[63:32];
          default: ;
        endcase
      end
    end
    if (take_read) r_data_o <= value;
  end
endmodule
