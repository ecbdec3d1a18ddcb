// SPDX-License-Identifier: MIT
//
// vnc_irq_hold: makes requests for a bridge that sends one MSI per rising edge of `req`, from the engine's level `irq`.
//
// `req` stays high until the bridge has acknowledged it and `irq` was low since it rose.  An `irq` that falls and rises
// again before the acknowledgement therefore gets a request, and an MSI, of its own.
//
// Timing: req is a register; it follows irq by one cycle, and is low for at least one cycle between two requests.

module vnc_irq_hold (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aclk, ASSOCIATED_RESET aresetn" *)
  input  wire aclk,
  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aresetn, POLARITY ACTIVE_LOW" *)
  input  wire aresetn,
  input  wire irq,
  input  wire ack,
  output reg  req
);
  reg acked;
  reg fell;

  always @(posedge aclk) begin
    if (!aresetn || !req) begin
      req   <= aresetn && irq;
      acked <= 1'b0;
      fell  <= 1'b0;
    end else begin
      req   <= !((acked || ack) && (fell || !irq));
      acked <= acked || ack;
      fell  <= fell || !irq;
    end
  end
endmodule
