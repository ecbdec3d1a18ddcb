// SPDX-License-Identifier: MIT
//
// vnc_config_check: derives the address masks from both sides' configuration and checks whether it can run.
//
//   sizes as powers of two --> masks
//   windows valid? rings of one size, smaller than both windows? --> windows_ok, config_ok (per direction)
//
// Timing: two cycles.

module vnc_config_check (
  input  logic             clk_i,
  input  logic [1:0][63:0] base_i,         // per side
  input  logic [1:0][4:0]  window_log2_i,
  input  logic [1:0][4:0]  h2c_log2_i,
  input  logic [1:0][4:0]  c2h_log2_i,
  output logic [1:0][29:0] window_mask_o,  // per side
  output logic [1:0][29:0] ring_mask_o,    // per direction: h2c, c2h
  output logic             windows_ok_o,
  output logic [1:0]       config_ok_o
);
  function automatic logic [29:0] mask(logic [4:0] log2);
    return 30'((31'd1 << log2) - 31'd1);
  endfunction

  // A valid window has a supported size and does not lie in the last GiB of the address space, where base + offset
  // would wrap.
  function automatic logic window_ok(logic [63:30] at, logic [4:0] log2);
    return log2 >= 5'd14 && log2 <= 5'd30 && at != '1;
  endfunction

  function automatic logic ring_ok(logic [1:0][4:0] log2, logic [1:0][4:0] window);
    return log2[0] == log2[1] && log2[0] >= 5'd12 && log2[0] <= 5'd29 && log2[0] < window[0] && log2[0] < window[1];
  endfunction

  logic [1:0]      window_ok_q, ring_ok_q;
  logic [1:0][4:0] window_log2_q, ring_log2_q;

  always_ff @(posedge clk_i) begin
    window_log2_q <= window_log2_i;
    ring_log2_q   <= {c2h_log2_i[0], h2c_log2_i[0]};
    ring_ok_q     <= {ring_ok(c2h_log2_i, window_log2_i), ring_ok(h2c_log2_i, window_log2_i)};
    for (int unsigned n = 0; n < 2; n++) begin
      window_ok_q[n]   <= window_ok(base_i[n][63:30], window_log2_i[n]);
      window_mask_o[n] <= mask(window_log2_q[n]);
      ring_mask_o[n]   <= mask(ring_log2_q[n]);
    end
    windows_ok_o <= window_ok_q == 2'b11;
    config_ok_o  <= window_ok_q == 2'b11 ? ring_ok_q : 2'b00;
  end

  // The low bits of a base do not matter here.
  logic unused;
  assign unused = ^{base_i[0][29:0], base_i[1][29:0]};
endmodule
