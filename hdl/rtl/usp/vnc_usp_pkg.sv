// SPDX-License-Identifier: MIT
//
// vnc_usp_pkg: what the parts of vnc_usp_bridge hand to each other, and the fields of the descriptors of AMD's
// UltraScale+ integrated block for PCI Express (PG213).

package vnc_usp_pkg;
  // Request types in the descriptors of RQ and CQ.
  localparam logic [3:0] MemRead       = 4'b0000;
  localparam logic [3:0] MemWrite      = 4'b0001;
  localparam logic [3:0] MemReadLocked = 4'b0111;
  localparam logic [3:0] FirstMessage  = 4'b1100;  // this one and all above are messages, which are posted

  // Completion status.
  localparam logic [2:0] Success     = 3'b000;
  localparam logic [2:0] Unsupported = 3'b001;
  localparam logic [2:0] Abort       = 3'b100;

  // Error codes in the descriptor of RC.
  localparam logic [3:0] NoError    = 4'b0000;
  localparam logic [3:0] BadStatus  = 4'b0010;
  localparam logic [3:0] BadLength  = 4'b0011;
  localparam logic [3:0] InvalidTag = 4'b0110;
  localparam logic [3:0] FlrEnded   = 4'b1000;
  localparam logic [3:0] TimedOut   = 4'b1001;

  localparam logic [1:0] Okay   = 2'b00;
  localparam logic [1:0] SlvErr = 2'b10;

  // One memory write TLP; its data follows from the first beat that contains one of its bytes.
  typedef struct packed {
    logic        last;     // the last one of its burst: B follows it
    logic        bad;      // with last: a beat of the burst had strobes that are not one run
    logic        empty;    // there is no TLP: the burst ends without one
    logic [1:0]  id;
    logic [61:0] address;  // of the first dword
    logic [8:0]  dwords;   // 1 to 256
    logic [5:0]  beats;    // of data, 1 to 32
    logic [3:0]  first_be;
    logic [3:0]  last_be;
  } write_t;

  // One memory read TLP: whole beats.
  typedef struct packed {
    logic [61:0] address;
    logic [10:0] dwords;   // 1 to 1024
    logic [7:0]  tag;
  } read_t;
endpackage
