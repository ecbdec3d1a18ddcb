// SPDX-License-Identifier: MIT
//
// vnc_usp_requests: sends memory write and memory read TLPs on RQ, one after the other.
//
//   write TLPs --+-- by turns --> descriptor --+
//   read TLPs  --+                             +--> RQ
//   beats ------> rotate, join with the one before --+
//
// RQ is dword-aligned: the data follow the four dwords of the descriptor.  So each beat of data is rotated such that
// the first dword of the TLP comes to lane 4, and a beat on RQ joins lanes of two beats of data.
//
//      data, W lanes:   . . 0 1 2 3 4 5 | 6 7 8 9 ...        first dword in lane 2, W = 8
//      RQ:              d d d d 0 1 2 3 | 4 5 6 7 8 9 ...    rotated by two lanes to the left
//
// Where the first dword is above lane 4, one more beat of data is fetched before the first beat on RQ.
//
// While bus mastering is off, write TLPs are dropped and marked so; reads are refused before they come here.
//
// Timing: a beat on RQ per cycle, also from one TLP to the next; all beats of a TLP are in their FIFO before it starts,
// so that TVALID stays set within it, as PG213 demands.

module vnc_usp_requests #(
  parameter int unsigned DataW = 256
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                master_i,        // bus mastering is on

  input  logic                write_valid_i,
  output logic                write_ready_o,
  input  vnc_usp_pkg::write_t write_i,
  input  logic                beat_valid_i,
  output logic                beat_ready_o,
  input  logic [DataW-1:0]    beat_i,
  input  logic                read_valid_i,
  output logic                read_ready_o,
  input  vnc_usp_pkg::read_t  read_i,

  // The numbering of the writes (vnc_usp_responses).
  input  logic                number_valid_i,  // there is a number for one more TLP
  input  logic [4:0]          number_i,
  output logic                write_sent_o,    // a write TLP starts, with this number
  output logic                write_done_o,    // the last TLP of a burst starts, is empty, or was dropped
  output logic                write_failed_o,  // with done: some TLP of the burst was dropped, or its strobes were bad
  output logic [1:0]          write_id_o,

  output logic                rq_valid_o,
  input  logic                rq_ready_i,
  output logic [DataW-1:0]    rq_data_o,
  output logic [DataW/32-1:0] rq_keep_o,
  output logic                rq_last_o,
  output logic                rq_first_o,
  output logic [3:0]          rq_first_be_o,
  output logic [3:0]          rq_last_be_o,
  output logic [5:0]          rq_number_o      // 63 for reads
);
  localparam int unsigned W     = DataW / 32;   // dwords in a beat
  localparam int unsigned LaneW = $clog2(W);

  // --- which one -------------------------------------------------------------------------------------------

  logic             busy_q, drop_q, fetched_q, write_turn_q, dropped_q;
  logic             room, writes, reads, above, fetch, start_write, start_read, start_drop, finish;
  logic [LaneW-1:0] lane, lane_q;       // of the first dword
  logic [8:0]       left_q, first_left; // dwords that the beats to come must carry
  logic [5:0]       beats_q;            // beats of data not fetched
  logic [31:0]      total;              // dwords of the first beats, with the descriptor

  assign room        = !rq_valid_o || rq_ready_i;
  assign lane        = write_i.address[LaneW-1:0];
  assign above       = 32'(lane) > 32'd4;
  assign writes      = write_valid_i && !busy_q && !drop_q && number_valid_i;
  assign reads       = read_valid_i && !busy_q && !drop_q;
  assign fetch       = writes && above && !fetched_q && master_i && !write_i.empty && beat_valid_i;
  assign start_write = writes && !write_i.empty && (fetched_q || (master_i && !above && beat_valid_i)) && room &&
                       (write_turn_q || fetched_q || !reads);
  assign start_drop  = writes && !fetched_q && (write_i.empty || !master_i);
  assign start_read  = reads && !fetched_q && room && !start_write;
  assign total       = 32'(write_i.dwords) + 32'd4;
  assign first_left  = total > W ? 9'(total - W) : '0;
  assign finish      = busy_q && room && 32'(left_q) <= W;

  assign write_ready_o  = start_write || start_drop;
  assign read_ready_o   = start_read;
  assign write_sent_o   = start_write;
  assign write_done_o   = (start_write || start_drop) && write_i.last;
  assign write_failed_o = write_i.bad || dropped_q || (start_drop && !write_i.empty);
  assign write_id_o     = write_i.id;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q       <= 1'b0;
      drop_q       <= 1'b0;
      fetched_q    <= 1'b0;
      write_turn_q <= 1'b0;
      dropped_q    <= 1'b0;
    end else begin
      if (start_write) busy_q <= total > W;
      else if (finish) busy_q <= 1'b0;
      if (start_drop) drop_q <= !write_i.empty;
      else if (drop_q && beat_valid_i && beats_q == 6'd1) drop_q <= 1'b0;
      if (fetch) fetched_q <= 1'b1;
      else if (start_write) fetched_q <= 1'b0;
      if (start_write || start_read) write_turn_q <= start_read;
      if (write_done_o) dropped_q <= 1'b0;
      else if (start_drop && !write_i.empty) dropped_q <= 1'b1;
    end
  end

  // --- beats -----------------------------------------------------------------------------------------------

  logic [LaneW-1:0]   turn;          // the lane of the data that becomes lane 0
  logic [LaneW:0]     cut;           // lanes below come from the beat before
  logic [W-1:0][31:0] now, before_q, out, data;
  logic               take, first_take;

  assign data = beat_i;
  assign turn = (busy_q ? lane_q : lane) - LaneW'(4);
  assign cut  = {1'b0, LaneW'(0) - turn};

  always_comb begin
    for (int unsigned n = 0; n < W; n++) now[n] = data[LaneW'(n) + turn];
    for (int unsigned n = 0; n < W; n++) out[n] = 32'(n) < 32'(cut) ? before_q[n] : now[n];
  end

  assign first_take   = start_write && (!fetched_q || write_i.beats > 6'd1);
  assign take         = fetch || first_take || (busy_q && room && beats_q != '0);
  assign beat_ready_o = take || drop_q;

  always_ff @(posedge clk_i) begin
    if (take) before_q <= now;
    if (start_write || start_drop) beats_q <= write_i.beats - 6'(first_take) - 6'(fetched_q);
    else if (drop_q ? beat_valid_i : busy_q && take) beats_q <= beats_q - 6'd1;
    if (start_write) begin
      lane_q <= lane;
      left_q <= first_left;
    end else if (busy_q && room) begin
      left_q <= left_q - 9'(W);
    end
  end

  // --- RQ --------------------------------------------------------------------------------------------------

  logic [3:0][31:0] descriptor;
  logic [W-1:0]     keep;            // of a beat that carries left_q dwords

  always_comb begin
    descriptor = '0;
    if (start_write) begin
      descriptor[1:0] = {write_i.address, 2'b00};
      descriptor[2]   = {17'b0, vnc_usp_pkg::MemWrite, 2'b00, write_i.dwords};
    end else begin
      descriptor[1:0] = {read_i.address, 2'b00};
      descriptor[2]   = {17'b0, vnc_usp_pkg::MemRead, read_i.dwords};
      descriptor[3]   = {24'b0, read_i.tag};
    end
  end

  always_comb begin
    for (int unsigned n = 0; n < W; n++) begin
      if (busy_q) keep[n] = n < 32'(left_q);
      else keep[n] = n < (start_write ? total : 32'd4);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) rq_valid_o <= 1'b0;
    else if (room) rq_valid_o <= start_write || start_read || busy_q;
    if (room) begin
      rq_data_o     <= busy_q ? out : {out[W-1:4], descriptor};
      rq_keep_o     <= keep;
      rq_last_o     <= busy_q ? finish : !start_write || total <= W;
      rq_first_o    <= !busy_q;
      rq_first_be_o <= start_write ? write_i.first_be : 4'hf;
      rq_last_be_o  <= start_write ? write_i.last_be : 4'hf;
      rq_number_o   <= start_write ? {1'b0, number_i} : '1;
    end
  end
endmodule
