// SPDX-License-Identifier: MIT
//
// vnc_fifo: a stream FIFO with a registered output, so that the memory may become block RAM.
//
//   in_* ---> mem[Depth] ---> output register ---> out_*
//
// Timing: a word is at the output two cycles after it went in; then one word a cycle.  Holds Depth words
// and one more in the output register.  `clear_i` empties it; nothing may be pushed or popped in that cycle.

module vnc_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             clear_i,

  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,

  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);
  if (Depth < 2 || (Depth & (Depth - 1)) != 0) begin : g_bad_depth
    $fatal(1, "vnc_fifo: Depth must be a power of two, 2 or more");
  end

  localparam int unsigned PtrW = $clog2(Depth);

  logic [Width-1:0] mem [Depth];
  // One bit more than an address needs: it tells full from empty.
  logic [PtrW:0] wr_q, rd_q;
  logic          out_valid_q;
  logic          push, fetch;

  assign in_ready_o  = (wr_q - rd_q) != (PtrW + 1)'(Depth);
  assign out_valid_o = out_valid_q;
  assign push        = in_valid_i && in_ready_o;
  assign fetch       = wr_q != rd_q && (!out_valid_q || out_ready_i);

  always_ff @(posedge clk_i) begin
    if (push) mem[wr_q[PtrW-1:0]] <= in_data_i;
    if (fetch) out_data_o <= mem[rd_q[PtrW-1:0]];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      wr_q        <= '0;
      rd_q        <= '0;
      out_valid_q <= 1'b0;
    end else begin
      if (push) wr_q <= wr_q + 1'b1;
      if (fetch) rd_q <= rd_q + 1'b1;
      if (fetch) out_valid_q <= 1'b1;
      else if (out_ready_i) out_valid_q <= 1'b0;
    end
  end
endmodule
