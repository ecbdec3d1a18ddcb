// SPDX-License-Identifier: MIT
//
// vnc_config_check: derives the address masks from both sides' configuration and checks whether it can run.
//
//   sizes as powers of two --> masks
//   windows valid? --> windows_ok
//   rings of one size on both sides, inside their windows, behind the index lines, and apart? --> config_ok
//
// A ring outside its window would wrap onto the first bytes of it, which are the superblock and the side blocks.  The
// rings of a side that overlap, or lie on its first page, stop both directions: each would overwrite what is not its
// own.
//
// Timing: two cycles.

module vnc_config_check (
  input  logic             clk_i,
  input  logic [1:0][63:0] base_i,         // per side
  input  logic [1:0][4:0]  window_log2_i,
  input  logic [1:0][29:0] h2c_ring_i,     // offsets: multiples of 4 KiB
  input  logic [1:0][29:0] c2h_ring_i,
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

  function automatic logic ring_ok(logic [1:0][4:0] log2);
    return log2[0] == log2[1] && log2[0] >= 5'd12 && log2[0] <= 5'd29;
  endfunction

  // The end of a ring, and the size of a window, in pages of 4 KiB.
  function automatic logic [18:0] end_of(logic [29:12] first, logic [4:0] log2);
    return 19'(first) + pages(log2);
  endfunction

  function automatic logic [18:0] pages(logic [4:0] log2);
    return 19'((31'd1 << log2) >> 12);
  endfunction

  logic [1:0]       window_ok_q, ring_ok_q, placed, apart;
  logic [1:0][4:0]  window_log2_q, ring_log2_q;
  logic [1:0][18:0] h2c_end_q, c2h_end_q, window_end_q;  // per side
  logic [1:0][17:0] h2c_first_q, c2h_first_q;

  for (genvar n = 0; n < 2; n++) begin : g_side
    assign apart[n] = 19'(c2h_first_q[n]) >= h2c_end_q[n] || 19'(h2c_first_q[n]) >= c2h_end_q[n];
    assign placed[n] = h2c_first_q[n] != '0 && h2c_end_q[n] <= window_end_q[n] &&
                       c2h_first_q[n] != '0 && c2h_end_q[n] <= window_end_q[n];
  end

  always_ff @(posedge clk_i) begin
    window_log2_q <= window_log2_i;
    ring_log2_q   <= {c2h_log2_i[0], h2c_log2_i[0]};
    ring_ok_q     <= {ring_ok(c2h_log2_i), ring_ok(h2c_log2_i)};
    for (int unsigned n = 0; n < 2; n++) begin
      window_ok_q[n]   <= window_ok(base_i[n][63:30], window_log2_i[n]);
      window_mask_o[n] <= mask(window_log2_q[n]);
      ring_mask_o[n]   <= mask(ring_log2_q[n]);
      window_end_q[n]  <= pages(window_log2_i[n]);
      h2c_first_q[n]   <= h2c_ring_i[n][29:12];
      c2h_first_q[n]   <= c2h_ring_i[n][29:12];
      h2c_end_q[n]     <= end_of(h2c_ring_i[n][29:12], h2c_log2_i[n]);
      c2h_end_q[n]     <= end_of(c2h_ring_i[n][29:12], c2h_log2_i[n]);
    end
    windows_ok_o <= window_ok_q == 2'b11;
    config_ok_o  <= window_ok_q == 2'b11 && placed == 2'b11 && apart == 2'b11 ? ring_ok_q : 2'b00;
  end

  // The low bits of a base do not matter here, and offsets are whole pages.
  logic unused;
  assign unused = ^{base_i[0][29:0], base_i[1][29:0], h2c_ring_i[0][11:0], h2c_ring_i[1][11:0],
                    c2h_ring_i[0][11:0], c2h_ring_i[1][11:0]};
endmodule
