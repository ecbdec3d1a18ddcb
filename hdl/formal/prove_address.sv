// SPDX-License-Identifier: MIT
//
// prove_address: an address that vnc_address forms stays inside its window for all inputs.
//
//   any base, mask, offset --> vnc_address --> checks
//
// Nothing is assumed.  Each check has its requirements on the configuration in its condition; prove_config shows
// that a direction or a side mover leaves Off only with such a configuration.  prove_read_port and prove_write_port
// show that no address is formed elsewhere.
//
// Timing: combinational; only the tools need the clock.

module prove_address (
  input logic        clk_i,
  input logic [63:0] base_i,
  input logic [29:0] window_mask_i,
  input logic [29:0] offset_i,
  input logic [12:0] bytes_i
);
  logic [63:0] address, last, distance;

  vnc_address dut (.base_i, .window_mask_i, .offset_i, .address_o(address));

  // A burst of bytes_i that stays in its 4 KiB page of the window, as the movers cut them.
  logic burst;
  assign burst    = bytes_i != '0 && 32'(offset_i[11:0]) + 32'(bytes_i) <= 32'd4096;
  assign distance = address - base_i;
  assign last     = address + 64'(bytes_i) - 64'd1;

  logic mask_ok, aligned, no_wrap;
  assign mask_ok = (window_mask_i & (window_mask_i + 30'd1)) == '0 && window_mask_i[13:0] == '1;
  assign aligned = base_i[11:0] == '0;
  assign no_wrap = base_i[63:30] != '1;

  always_ff @(posedge clk_i) begin
    a_offset_within_the_window: assert (distance <= 64'(window_mask_i));
    a_not_below_the_base: assert (!no_wrap || address >= base_i);
    a_offset_in_the_page_kept: assert (!(mask_ok && aligned) || address[11:0] == offset_i[11:0]);
    a_offset_in_the_window_kept: assert (offset_i > window_mask_i || !mask_ok || distance == 64'(offset_i));
    if (mask_ok && aligned && burst && no_wrap) begin
      a_burst_stays_in_its_4k_page: assert (last[63:12] == address[63:12]);
      a_burst_within_the_window: assert (last >= base_i && last - base_i <= 64'(window_mask_i));
      c_last_line_of_the_window: cover (bytes_i == 13'd64 && last - base_i == 64'(window_mask_i));
      c_offset_beyond_the_window: cover (offset_i > window_mask_i);
      c_whole_page: cover (bytes_i == 13'd4096);
    end
  end
endmodule
