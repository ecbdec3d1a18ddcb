// SPDX-License-Identifier: MIT
//
// usp_checks: what PG213 demands of a user of RQ and CC, checked in every cycle; bound to vnc_usp_bridge.

module usp_checks #(
  parameter int unsigned DataW = 256,
  parameter int unsigned UserW = 62
) (
  input logic                clk_i,
  input logic                rst_ni,
  input logic                valid_i,
  input logic                ready_i,
  input logic                last_i,
  input logic [DataW-1:0]    data_i,
  input logic [DataW/32-1:0] keep_i,
  input logic [UserW-1:0]    user_i
);
  logic                in_packet_q, stalled_q;
  logic                after_reset_q = 1'b0;  // before the first reset everything is random
  logic                last_q;
  logic [DataW-1:0]    data_q;
  logic [DataW/32-1:0] keep_q;
  logic [UserW-1:0]    user_q;

  always_ff @(posedge clk_i) begin
    after_reset_q <= rst_ni;
    stalled_q     <= rst_ni && valid_i && !ready_i;
    if (!rst_ni) in_packet_q <= 1'b0;
    else if (valid_i && ready_i) in_packet_q <= !last_i;
    {last_q, data_q, keep_q, user_q} <= {last_i, data_i, keep_i, user_i};
  end

  always_ff @(posedge clk_i) begin
    if (rst_ni && after_reset_q) begin
      assert (!in_packet_q || valid_i) else $error("TVALID was cleared within a packet");
      assert (!stalled_q || (valid_i && {last_q, data_q, keep_q, user_q} == {last_i, data_i, keep_i, user_i}))
      else $error("a stalled beat changed");
      if (valid_i) begin
        assert (keep_i[0] && ((keep_i + 1'b1) & keep_i) == '0) else $error("TKEEP has a hole");
        assert (last_i || &keep_i) else $error("TKEEP is not full before the last beat");
      end
    end
  end
endmodule

bind vnc_usp_bridge usp_checks #(.DataW(DataW), .UserW(RqW)) i_rq_checks (
  .clk_i, .rst_ni, .valid_i(s_axis_rq_tvalid), .ready_i(s_axis_rq_tready), .last_i(s_axis_rq_tlast),
  .data_i(s_axis_rq_tdata), .keep_i(s_axis_rq_tkeep), .user_i(s_axis_rq_tuser)
);
bind vnc_usp_bridge usp_checks #(.DataW(DataW), .UserW(CcW)) i_cc_checks (
  .clk_i, .rst_ni, .valid_i(s_axis_cc_tvalid), .ready_i(s_axis_cc_tready), .last_i(s_axis_cc_tlast),
  .data_i(s_axis_cc_tdata), .keep_i(s_axis_cc_tkeep), .user_i(s_axis_cc_tuser)
);
