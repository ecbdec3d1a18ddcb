// SPDX-License-Identifier: MIT
//
// vnc_address: forms every bus address of the engine, for reads and writes, ring data and index words.
//
//   offset in the window --(& window mask)--(+ base)--> address
//
// The mask guarantees that the address lies in [base, base + window size) for every offset.  Base and size are
// multiples of 4 KiB (the register page hard-wires the low bits), so a burst that stays within a 4 KiB page of the
// window stays within one on the bus.
//
// Timing: combinational; the user registers the result.

module vnc_address (
  input  logic [63:0] base_i,
  input  logic [29:0] window_mask_i,  // window size - 1
  input  logic [29:0] offset_i,
  output logic [63:0] address_o
);
  assign address_o = base_i + {34'b0, offset_i & window_mask_i};
endmodule
