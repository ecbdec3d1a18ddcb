// SPDX-License-Identifier: MIT
//
// vnc_address: the one place where a bus address is formed, for reads and writes, data and words alike.
//
//   offset in the window --(& window mask)--(+ base)--> address
//
// The mask is the promise: whatever the offset says, the address lies in [base, base + window size).  Base and
// size are multiples of 4 KiB (the register page hard-wires the low bits), so a burst that stays in a 4 KiB page
// of the window stays in one on the bus.
//
// Timing: combinational; register the result.

module vnc_address (
  input  logic [63:0] base_i,
  input  logic [29:0] window_mask_i,  // window size - 1
  input  logic [29:0] offset_i,
  output logic [63:0] address_o
);
  assign address_o = base_i + {34'b0, offset_i & window_mask_i};
endmodule
