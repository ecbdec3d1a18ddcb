// SPDX-License-Identifier: MIT
//
// vnc_cdc_fifo: a stream FIFO between two clocks, with gray pointers.
//
//   in_* :in_clk_i  --> mem[Depth] --> out_* :out_clk_i
//                       write pointer, in gray code, synchronized -->
//                   <-- read pointer, in gray code, synchronized
//
// Each side moves its pointer only while its `up` is set, and clears it with its `clear`.  vnc_cdc_link sets these so
// that a pointer is cleared only while both sides stand still.
//
// Timing: a word is at the output three to four cycles of out_clk_i after it was pushed, from a memory read without a
// clock (LUT RAM).  One word per cycle when Depth is 8 or more and the clocks are equal.

module vnc_cdc_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 8
) (
  input  logic             in_clk_i,
  input  logic             in_up_i,
  input  logic             in_clear_i,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,

  input  logic             out_clk_i,
  input  logic             out_up_i,
  input  logic             out_clear_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);
  if (Depth < 4 || (Depth & (Depth - 1)) != 0) begin : g_bad_depth
    $fatal(1, "vnc_cdc_fifo: Depth must be a power of two, 4 or more");
  end

  localparam int unsigned PtrW = $clog2(Depth);

  logic [Width-1:0] mem [Depth];
  // One bit more than an address needs: it distinguishes full from empty.
  logic [PtrW:0]    wr_q, rd_q, wr_next, rd_next;
  logic [PtrW:0]    wr_gray_q, rd_gray_q;  // the same in gray code, for the other side
  logic [PtrW:0]    wr_seen, rd_seen;      // the other side's pointer in gray code

  function automatic logic [PtrW:0] gray(logic [PtrW:0] binary);
    return binary ^ (binary >> 1);
  endfunction

  // --- in ------------------------------------------------------------------------------------------------

  logic push;

  vnc_sync #(.Width(PtrW + 1)) i_rd_sync (.clk_i(in_clk_i), .async_i(rd_gray_q), .sync_o(rd_seen));

  // Full: the pointers differ only in the upper bit, which in gray code are the upper two.
  assign in_ready_o = in_up_i && wr_gray_q != (rd_seen ^ {2'b11, {(PtrW - 1){1'b0}}});
  assign push       = in_valid_i && in_ready_o;
  assign wr_next    = in_clear_i ? '0 : wr_q + (PtrW + 1)'(push);

  always_ff @(posedge in_clk_i) begin
    wr_q      <= wr_next;
    wr_gray_q <= gray(wr_next);
    if (push) mem[wr_q[PtrW-1:0]] <= in_data_i;
  end

  // --- out -----------------------------------------------------------------------------------------------

  logic pop;

  vnc_sync #(.Width(PtrW + 1)) i_wr_sync (.clk_i(out_clk_i), .async_i(wr_gray_q), .sync_o(wr_seen));

  assign out_valid_o = out_up_i && rd_gray_q != wr_seen;
  assign out_data_o  = mem[rd_q[PtrW-1:0]];
  assign pop         = out_valid_o && out_ready_i;
  assign rd_next     = out_clear_i ? '0 : rd_q + (PtrW + 1)'(pop);

  always_ff @(posedge out_clk_i) begin
    rd_q      <= rd_next;
    rd_gray_q <= gray(rd_next);
  end
endmodule
