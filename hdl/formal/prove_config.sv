// SPDX-License-Identifier: MIT
//
// prove_config: with a configuration that vnc_config_check accepts no address leaves its window.
//
//   any registers --> vnc_config_check --> checks against the registers two cycles earlier
//
// Assumed: offsets of rings are whole pages, as the registers have no lower bits.

module prove_config (
  input logic             clk_i,
  input logic [1:0][63:0] base_i,
  input logic [1:0][4:0]  window_log2_i,
  input logic [1:0][29:0] h2c_ring_i,
  input logic [1:0][29:0] c2h_ring_i,
  input logic [1:0][4:0]  h2c_log2_i,
  input logic [1:0][4:0]  c2h_log2_i,
  input logic [29:0]      byte_i  // any byte of a window
);
  logic [1:0][29:0] window_mask, ring_mask;
  logic             windows_ok;
  logic [1:0]       config_ok;
  logic             begun_q = 1'b0, started_q = 1'b0;

  vnc_config_check dut (
    .clk_i, .base_i, .window_log2_i, .h2c_ring_i, .c2h_ring_i, .h2c_log2_i, .c2h_log2_i,
    .window_mask_o(window_mask), .ring_mask_o(ring_mask), .windows_ok_o(windows_ok), .config_ok_o(config_ok)
  );

  // The registers have no lower bits.
  always_ff @(posedge clk_i) begin
    e_whole_pages: assume ((h2c_ring_i[0][11:0] | h2c_ring_i[1][11:0]) == '0 &&
                           (c2h_ring_i[0][11:0] | c2h_ring_i[1][11:0]) == '0);
  end

  function automatic logic is_mask(logic [29:0] mask);
    return (mask & (mask + 30'd1)) == '0;
  endfunction

  always_ff @(posedge clk_i) begin
    begun_q   <= 1'b1;
    started_q <= begun_q;
  end

  for (genvar n = 0; n < 2; n++) begin : g_each
    always_ff @(posedge clk_i) begin
      if (started_q) begin
        a_window_mask_is_a_size: assert (!windows_ok || (is_mask(window_mask[n]) && window_mask[n][13:0] == '1));
        a_window_mask_of_its_side: assert (!windows_ok ||
          32'(window_mask[n]) + 32'd1 == 32'd1 << $past(window_log2_i[n], 2));
        a_window_not_at_the_end: assert (!windows_ok || $past(base_i[n][63:30], 2) != '1);
        a_ring_only_in_good_windows: assert (!config_ok[n] || windows_ok);
        a_ring_mask_is_a_size: assert (!config_ok[n] || (is_mask(ring_mask[n]) && ring_mask[n][11:0] == '1));
        a_ring_smaller_than_both_windows: assert (!config_ok[n] ||
          (ring_mask[n] < window_mask[0] && ring_mask[n] < window_mask[1]));
        a_ring_at_most_half_a_gib: assert (!config_ok[n] || !ring_mask[n][29]);
        a_ring_of_one_size_on_both_sides: assert (!config_ok[n] || (n == 0 ? $past(h2c_log2_i[0] == h2c_log2_i[1], 2)
                                                                           : $past(c2h_log2_i[0] == c2h_log2_i[1], 2)));
      end
    end
  end

  // Any byte is in one ring at most, and in a ring only behind the index lines and inside the window.
  for (genvar n = 0; n < 2; n++) begin : g_byte
    logic [29:0] h2c_at_q, h2c_ring_q, c2h_at_q, c2h_ring_q;  // one and two cycles earlier
    logic        in_h2c, in_c2h;
    assign in_h2c = 32'(byte_i) - 32'(h2c_ring_q) <= 32'(ring_mask[0]);
    assign in_c2h = 32'(byte_i) - 32'(c2h_ring_q) <= 32'(ring_mask[1]);
    always_ff @(posedge clk_i) begin
      h2c_at_q   <= h2c_ring_i[n];
      h2c_ring_q <= h2c_at_q;
      c2h_at_q   <= c2h_ring_i[n];
      c2h_ring_q <= c2h_at_q;
      if (started_q && config_ok == 2'b11) begin
        a_rings_are_apart: assert (!(in_h2c && in_c2h));
        a_rings_are_behind_the_index_lines: assert (!(in_h2c || in_c2h) || byte_i >= 30'd4096);
        a_rings_end_in_the_window: assert (32'(h2c_ring_q) + 32'(ring_mask[0]) <= 32'(window_mask[n]) &&
                                           32'(c2h_ring_q) + 32'(ring_mask[1]) <= 32'(window_mask[n]));
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (started_q) begin
      c_smallest: cover (config_ok == 2'b11 && window_mask[0] == 30'h3fff && ring_mask[1] == 30'hfff);
      c_largest: cover (config_ok == 2'b11 && window_mask[1] == '1 && ring_mask[0] == 30'h1fffffff);
      c_one_ring_bad: cover (windows_ok && config_ok == 2'b01);
    end
  end
endmodule
