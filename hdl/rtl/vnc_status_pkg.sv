// SPDX-License-Identifier: MIT
//
// vnc_status_pkg: what a direction and a side mover show on the register pages, and how a burst is told.
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

  // Pulses of a mover, for its statistics.
  typedef struct packed {
    logic        doorbell;       // with its value
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
