// SPDX-License-Identifier: MIT
//
// vnc_read_share: lets two requesters with at most one outstanding read each use one requester of a read port.
//
//   request 0 --+--> one at a time, in turn --> request of the read port
//   request 1 --+
//   beats 0, 1 <------- to the one that asked -------- beats
//
// A request is held until it is taken.  While a read is outstanding no other is passed on.
//
// Timing: combinational in both directions.

module vnc_read_share (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic [1:0]       req_valid_i,
  output logic [1:0]       req_ready_o,
  input  logic [1:0][29:0] req_offset_i,
  input  logic [1:0][7:0]  req_len_i,
  output logic [1:0]       r_valid_o,

  output logic             port_valid_o,
  input  logic             port_ready_i,
  output logic [29:0]      port_offset_o,
  output logic [7:0]       port_len_o,
  input  logic             port_r_valid_i,
  input  logic             port_r_last_i
);
  logic pick, last_q, busy_q;

  assign pick          = req_valid_i[!last_q] ? !last_q : last_q;
  assign port_valid_o  = req_valid_i != '0 && !busy_q;
  assign port_offset_o = req_offset_i[pick];
  assign port_len_o    = req_len_i[pick];

  always_comb begin
    req_ready_o = '0;
    req_ready_o[pick] = port_valid_o && port_ready_i;
    r_valid_o = '0;
    r_valid_o[last_q] = port_r_valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      last_q <= 1'b0;
      busy_q <= 1'b0;
    end else if (port_valid_o && port_ready_i) begin
      last_q <= pick;
      busy_q <= 1'b1;
    end else if (port_r_valid_i && port_r_last_i) begin
      busy_q <= 1'b0;
    end
  end
endmodule
