// SPDX-License-Identifier: MIT
//
// vnc_fifo: a stream FIFO with a registered output, so that synthesis can map its memory to block RAM.
//
//   in_* ---> mem[Depth] ---> output register ---> (one more register) ---> out_*
//
// The memory's output register becomes part of a block RAM and is slow there; `Registered` adds one behind it.
//
// Timing: a word is at the output two cycles after it was pushed (Registered: three); then one word per cycle.  Holds
// Depth words and one more in each output register.  `clear_i` empties it, including a word pushed in that cycle.

module vnc_fifo #(
  parameter int unsigned Width      = 8,
  parameter int unsigned Depth      = 16,
  parameter bit          Registered = 1'b0
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
  // One bit more than an address needs: it distinguishes full from empty.
  logic [PtrW:0]    wr_q, rd_q, wr_next, rd_next;
  logic             full_q, some_q;            // derived from the pointers, in registers because long paths start here
  logic             read_valid_q, read_ready;  // the memory's output register
  logic [Width-1:0] read_q;
  logic             push, fetch;

  assign in_ready_o = !full_q;
  assign push       = in_valid_i && in_ready_o;
  assign fetch      = some_q && (!read_valid_q || read_ready);
  assign wr_next    = wr_q + 1'b1;
  assign rd_next    = rd_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (push) mem[wr_q[PtrW-1:0]] <= in_data_i;
    if (fetch) read_q <= mem[rd_q[PtrW-1:0]];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      wr_q         <= '0;
      rd_q         <= '0;
      full_q       <= 1'b0;
      some_q       <= 1'b0;
      read_valid_q <= 1'b0;
    end else begin
      if (push) wr_q <= wr_next;
      if (fetch) rd_q <= rd_next;
      // Full: the pointers differ only in the upper bit.  A fetch counts one cycle later, since it ends a long path.
      full_q <= ((push ? wr_next : wr_q) ^ rd_q) == (PtrW + 1)'(Depth);
      some_q <= push || (fetch ? wr_q != rd_next : wr_q != rd_q);
      if (fetch) read_valid_q <= 1'b1;
      else if (read_ready) read_valid_q <= 1'b0;
    end
  end

  if (Registered) begin : g_registered
    assign read_ready = !out_valid_o || out_ready_i;

    always_ff @(posedge clk_i) begin
      if (!rst_ni || clear_i) out_valid_o <= 1'b0;
      else if (read_ready) out_valid_o <= read_valid_q;
      if (read_ready) out_data_o <= read_q;
    end
  end else begin : g_plain
    assign read_ready  = out_ready_i;
    assign out_valid_o = read_valid_q;
    assign out_data_o  = read_q;
  end
endmodule
