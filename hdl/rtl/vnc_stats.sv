// SPDX-License-Identifier: MIT
//
// vnc_stats: what one direction has done since the reset of the whole engine.  Counters wrap.
//
//   events of a mover --> counters --> both register pages
//
// Timing: a counter shows an event one cycle later.

module vnc_stats (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        publish_i,
  input  logic [31:0] publish_bytes_i,
  input  logic        burst_i,
  input  logic        error_i,
  output logic [63:0] bytes_o,
  output logic [31:0] publications_o,
  output logic [31:0] bursts_o,
  output logic [31:0] errors_o
);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      bytes_o        <= '0;
      publications_o <= '0;
      bursts_o       <= '0;
      errors_o       <= '0;
    end else begin
      if (publish_i) bytes_o <= bytes_o + 64'(publish_bytes_i);
      if (publish_i) publications_o <= publications_o + 32'd1;
      if (burst_i) bursts_o <= bursts_o + 32'd1;
      if (error_i) errors_o <= errors_o + 32'd1;
    end
  end
endmodule
