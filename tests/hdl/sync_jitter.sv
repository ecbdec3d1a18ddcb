// SPDX-License-Identifier: MIT
//
// vnc_sync as a circuit behaves, in place of the file of hdl/rtl: a bit that changed less than `Window` before the
// clock's edge is sampled as its old or its new value, at random.  Bits of one bus are sampled independently.

module vnc_sync #(
  parameter int unsigned Width = 1
) (
  input  logic             clk_i,
  input  logic [Width-1:0] async_i,
  output logic [Width-1:0] sync_o
);
  localparam real Window = 0.9;  // ns, the unit of time; shorter than a period of any clock of the benches

  logic [Width-1:0] now_q, before_q, first_q, second_q;
  realtime          changed_q = 0;

  always @(async_i) begin
    if (async_i != now_q) begin
      before_q  = now_q;
      now_q     = async_i;
      changed_q = $realtime;
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned n = 0; n < Width; n++) begin
      first_q[n] <= $realtime - changed_q < Window && $urandom_range(1) == 1 ? before_q[n] : async_i[n];
    end
    second_q <= first_q;
  end

  assign sync_o = second_q;
endmodule
