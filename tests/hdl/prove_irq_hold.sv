// What vnc_irq_hold promises, as assertions; its inputs are free (test_irq_hold.py).
module prove_irq_hold (
  input logic aclk,
  input logic aresetn,
  input logic irq,
  input logic ack
);
  logic req;
  vnc_irq_hold i_hold (.aclk, .aresetn, .irq, .ack, .req);

  // What happened since req rose, and what was one cycle before.
  logic acked_q, low_q, req_q, irq_q, up_q;
  always_ff @(posedge aclk) begin
    acked_q <= aresetn && req && (acked_q || ack);
    low_q   <= aresetn && req && (low_q || !irq);
    req_q   <= req;
    irq_q   <= irq;
    up_q    <= aresetn;
  end

  always_comb
    if (!up_q) begin
      a_reset: assert (!req);
    end else begin
      a_rises_with_irq: assert (req_q || req == irq_q);
      a_stays_until_acked_and_low: assert (!(req_q && !req) || (acked_q && low_q));
      a_falls: assert (!(req_q && acked_q && low_q) || !req);
    end
endmodule
