// SPDX-License-Identifier: MIT
//
// vnc_address: the one place where a bus address into a ring is formed.
//
//   index --(& ring mask)--(+ ring offset)--(& window mask)--(+ base)--> address
//
// The second mask is the promise: whatever the other inputs say, the address lies in
// [base, base + window size).  Base, ring offset and both sizes are multiples of 4 KiB (the register page
// hard-wires the low bits), so a burst that stays in a 4 KiB page of the ring stays in one on the bus.
//
// Timing: combinational; register the result.

module vnc_address (
  input  logic [63:0] base_i,
  input  logic [29:0] window_mask_i,  // window size - 1
  input  logic [29:0] ring_offset_i,
  input  logic [29:0] ring_mask_i,    // ring size - 1
  input  logic [29:0] index_i,        // free-running byte count; its upper bits never matter
  output logic [63:0] address_o
);
  logic [29:0] in_window;

  assign in_window = (ring_offset_i + (index_i & ring_mask_i)) & window_mask_i;
  assign address_o = base_i + {34'b0, in_window};
endmodule
