// SPDX-License-Identifier: MIT
//
// vnc_usp_responses: answers write bursts with B once the integrated block has sent their TLPs.
//
//   a TLP starts --> its number (0 to 31) --> RQ ... pcie_rq_seq_num: "no completion and no MSI passes it any more"
//   a burst ends --> FIFO of {id, failed, TLPs} --> B, when as many TLPs more were sent
//
// PG213 reports a number when its TLP has reached the point of the transmit pipeline where nothing that the card sends
// later can pass it.  B means that, so that the three things that may follow B cannot pass the bytes of the burst: a
// read of the engine, the interrupt that it raises, and the completion of a read of its registers.
//
// A number stands for all TLPs before it.  While bus mastering is off, the block drops what RQ still holds, and may
// report nothing; after `GraceCycles` such cycles the outstanding TLPs count as failed.

module vnc_usp_responses #(
  parameter int unsigned GraceCycles = 1024
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       master_i,

  output logic       number_valid_o,
  output logic [4:0] number_o,
  input  logic       sent_i,           // a TLP starts with this number
  input  logic       done_i,           // the burst ends, with the TLP of this cycle if there is one
  input  logic       failed_i,
  input  logic [1:0] id_i,

  // pcie_rq_seq_num0 and 1.
  input  logic [1:0]      seq_valid_i,
  input  logic [1:0][5:0] seq_i,

  output logic       b_valid_o,
  input  logic       b_ready_i,
  output logic [1:0] b_id_o,
  output logic [1:0] b_resp_o
);
  localparam int unsigned CountW = 8;                // TLPs of a burst of 4 KiB, each of 128 bytes or one beat
  localparam int unsigned WaitW  = $clog2(GraceCycles + 1);

  // --- numbers ---------------------------------------------------------------------------------------------

  logic [4:0]       next_q, sent_q, sent;  // the next TLP, and the oldest one that is not sent
  logic [4:0]       pending;
  logic [WaitW-1:0] wait_q;
  logic             give_up, gave_up_q, full;
  logic             ready, burst_valid;    // of the FIFO below

  assign pending        = next_q - sent_q;
  assign number_o       = next_q;
  assign full           = pending >= 5'd30;
  assign number_valid_o = !full && ready;
  assign give_up        = 32'(wait_q) == GraceCycles;

  // Numbers of reads (bit 5) and numbers that are not outstanding are ignored.
  always_comb begin
    sent = sent_q;
    for (int unsigned n = 0; n < 2; n++) begin
      if (seq_valid_i[n] && !seq_i[n][5] && 5'(seq_i[n][4:0] - sent) < 5'(next_q - sent)) sent = seq_i[n][4:0] + 5'd1;
    end
    if (give_up) sent = next_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      next_q    <= '0;
      sent_q    <= '0;
      wait_q    <= '0;
      gave_up_q <= 1'b0;
    end else begin
      if (sent_i) next_q <= next_q + 5'd1;
      sent_q <= sent;
      if (master_i || pending == '0 || give_up) wait_q <= '0;
      else wait_q <= wait_q + 1'b1;
      if (give_up) gave_up_q <= 1'b1;
      else if (master_i && !burst_valid) gave_up_q <= 1'b0;
    end
  end

  // --- bursts ----------------------------------------------------------------------------------------------

  logic [CountW-1:0] count_q, count;     // TLPs of the burst that is being sent
  logic              burst_ready, failed;
  logic [1:0]        id;
  logic [CountW-1:0] tlps;
  logic [12:0]       unclaimed_q;        // TLPs that were sent and belong to no burst that was answered

  assign count = count_q + CountW'(sent_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else count_q <= done_i ? '0 : count;
  end

  vnc_fifo #(.Width(3 + CountW), .Depth(32)) i_bursts (
    .clk_i, .rst_ni, .clear_i(1'b0),
    .in_valid_i(done_i), .in_ready_o(ready), .in_data_i({id_i, failed_i, count}),
    .out_valid_o(burst_valid), .out_ready_i(burst_ready), .out_data_o({id, failed, tlps})
  );

  assign burst_ready = (!b_valid_o || b_ready_i) && unclaimed_q >= 13'(tlps);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      unclaimed_q <= '0;
      b_valid_o   <= 1'b0;
    end else begin
      unclaimed_q <= unclaimed_q + 13'(5'(sent - sent_q)) - (burst_valid && burst_ready ? 13'(tlps) : '0);
      if (burst_valid && burst_ready) b_valid_o <= 1'b1;
      else if (b_ready_i) b_valid_o <= 1'b0;
    end
    if (burst_valid && burst_ready) begin
      b_id_o   <= id;
      b_resp_o <= failed || gave_up_q ? vnc_usp_pkg::SlvErr : vnc_usp_pkg::Okay;
    end
  end
endmodule
