// SPDX-License-Identifier: MIT
//
// vnc_cdc_link: one side of a clock crossing's agreement on whether it is up.  Either side may be reset, or lose its
// clock, in any cycle: then both stop, both clear their pointers while both stand still, and both start again.
//
//          one side (Leads)                                        the other side
//   up_o, clear_o <-- phase_o ------------------------ sync --> peer phase --> up_o, clear_o
//                     peer phase <-- sync -------------------- phase_o
//                     broken, ping, echo  ---- sync ---------> and the same back
//
// The phases are a four-phase handshake, which no reset interrupts: 1 of the leading side, 1 of the following side
// (up), 0 of the leading side, 0 of the following side (both clear).  So a side clears only when the other has
// confirmed that it stands still.  A reset sets broken_q, from which both sides know that the present phase must end.
//
// The other side is also broken when its reset is active, which is sensed without its clock, or when it does not
// answer a ping within StallCycles cycles: its clock has stopped.  0 disables the ping.
//
// Timing: up_o falls in the cycle in which this side learns of a failure.  The first reset must last at least four
// cycles of the slower clock, since the synchronizers have none.

module vnc_cdc_link #(
  parameter bit          Leads       = 1'b1,
  parameter int unsigned StallCycles = 4096  // at least 8 periods of the other clock
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       peer_rst_ni,  // of the other clock
  input  logic [3:0] peer_i,       // link_o of the other side
  output logic [3:0] link_o,       // phase, broken, ping, echo
  output logic       up_o,         // words may be pushed and popped
  output logic       clear_o       // the other side stands still: clear the pointers
);
  logic       phase_q, broken_q, ping_q, echo_q;
  logic       peer_phase, peer_broken, peer_ping, peer_echo, peer_awake;
  logic       late, lost, closed;

  vnc_sync #(.Width(5)) i_sync (
    .clk_i, .async_i({peer_rst_ni, peer_i}), .sync_o({peer_awake, peer_phase, peer_broken, peer_ping, peer_echo})
  );

  assign link_o  = {phase_q, broken_q, ping_q, echo_q};
  assign lost    = !rst_ni || !peer_awake || late;
  assign closed  = !phase_q && !peer_phase;
  assign clear_o = closed;
  assign up_o    = phase_q && peer_phase && !broken_q && !peer_broken && !lost;

  // --- phases --------------------------------------------------------------------------------------------

  // cleared_q: the pointers were cleared a cycle before the phase rises, so that the other side sees them first.
  if (Leads) begin : g_leads
    logic cleared_q, start;

    assign start = closed && cleared_q && !lost && !peer_broken;

    always_ff @(posedge clk_i) begin
      cleared_q <= closed;
      if (closed) phase_q <= start;
      else if (peer_phase && broken_q) phase_q <= 1'b0;
      if (start) broken_q <= 1'b0;
      else if (lost || (phase_q && peer_phase && !up_o)) broken_q <= 1'b1;
    end
  end else begin : g_follows
    always_ff @(posedge clk_i) begin
      phase_q <= peer_phase;
      if (lost) broken_q <= 1'b1;
      else if (closed) broken_q <= 1'b0;
    end
  end

  // --- is the other clock running? -----------------------------------------------------------------------

  always_ff @(posedge clk_i) echo_q <= peer_ping;

  if (StallCycles != 0) begin : g_ping
    localparam int unsigned CountW = $clog2(StallCycles + 1);
    logic [CountW-1:0] wait_q;  // cycles since the ping

    assign late = wait_q == CountW'(StallCycles);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        ping_q <= peer_echo;
        wait_q <= '0;
      end else if (ping_q == peer_echo) begin
        ping_q <= !ping_q;
        wait_q <= '0;
      end else if (!late) begin
        wait_q <= wait_q + 1'b1;
      end
    end
  end else begin : g_no_ping
    logic unused;
    assign late   = 1'b0;
    assign ping_q = 1'b0;
    assign unused = peer_echo;
  end
endmodule
