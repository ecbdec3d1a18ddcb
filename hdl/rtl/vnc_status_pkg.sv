// SPDX-License-Identifier: MIT
//
// vnc_status_pkg: the types of a direction's and a side mover's state on the register pages, and of a burst.
package vnc_status_pkg;

  typedef struct packed {
    logic        off;
    logic        run;
    logic        halt;
    logic        drain;
    logic [3:0]  cause;
    logic [63:0] error_addr;
    logic [31:0] published;
    logic [31:0] returned;
  } direction_t;

  typedef struct packed {
    logic [63:0] bytes;
    logic [31:0] bursts;
    logic [31:0] publications;
    logic [31:0] errors;
    logic [31:0] stall_read;
    logic [31:0] stall_write;
    logic [31:0] stall_ack;
    logic [31:0] suppressed;
    logic [31:0] latency;
    logic [31:0] latency_max;
  } statistics_t;

  // Pulses of a mover for its statistics.
  typedef struct packed {
    logic        doorbell;       // doorbell_value is valid
    logic [31:0] doorbell_value;
    logic        published;      // acknowledged: the new prod, and how many bytes it covers
    logic [31:0] published_value;
    logic [31:0] published_bytes;
    logic        burst;
    logic        error;
    logic        suppressed;
    logic        stall_read;
    logic        stall_write;
    logic        stall_ack;
  } events_t;

  typedef struct packed {
    logic        off;
    logic        run;
    logic        halt;
    logic        drain;
    logic [31:0] done;
    logic [3:0]  cause;
    logic [63:0] error_addr;
  } side_t;

  typedef struct packed {
    logic [29:0] index;  // of its first byte, modulo 2 ** 30
    logic [6:0]  lines;  // 1 to 64
  } burst_t;

endpackage
