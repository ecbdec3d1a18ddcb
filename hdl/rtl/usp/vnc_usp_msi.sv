// SPDX-License-Identifier: MIT
//
// vnc_usp_msi: turns the rising edge of an interrupt line into an MSI.
//
//   irq --> edge --> owed --> cfg_interrupt_msi_int, one cycle --> cfg_interrupt_msi_sent, or _fail: again
//
// An interrupt is owed from the edge, or from the moment at which MSI is enabled while the line is high; a line that
// falls before the MSI was requested owes none.  One at a time is requested.  The integrated block may send an MSI
// before what RQ still holds (PG213): the line must not rise before the writes that it reports were answered by
// vnc_usp_responses.
//
// Timing: two cycles from the edge to the request.

module vnc_usp_msi (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic enable_i,    // MSI is enabled, and bus mastering is on
  input  logic irq_i,
  output logic request_o,
  input  logic sent_i,
  input  logic fail_i
);
  logic level_q, owed_q, busy_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      level_q   <= 1'b0;
      owed_q    <= 1'b0;
      busy_q    <= 1'b0;
      request_o <= 1'b0;
    end else begin
      level_q   <= irq_i && enable_i;
      request_o <= owed_q && level_q && !busy_q;
      if (owed_q && level_q && !busy_q) busy_q <= 1'b1;
      else if (sent_i || fail_i || !enable_i) busy_q <= 1'b0;
      if (irq_i && enable_i && !level_q) owed_q <= 1'b1;
      else if (fail_i && busy_q) owed_q <= level_q;
      else if (!busy_q) owed_q <= 1'b0;
    end
  end
endmodule
