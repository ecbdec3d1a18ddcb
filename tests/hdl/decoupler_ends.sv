// SPDX-License-Identifier: MIT
//
// decoupler_master, decoupler_slave: random AXI4 traffic, and the checks of it, in plain registers and queues.
//
//   master   B and R are stable while stalled and belong to an outstanding transaction; RLAST on the last beat; OKAY
//            only for what the slave did whole, with its data; all ones with SLVERR
//   slave    AW, W, AR are stable while stalled; WLAST on the last beat; each beat is that of its address, or has no
//            strobes; no W without an AW
//
// A reset empties an end.  The address holds the number of the transaction, from which each beat's data follows.

package decoupler_board;
  bit received [1 << 16];  // writes that the slave has received whole, by number

  function automatic logic [31:0] beat_data(logic [31:0] address, logic [7:0] beat);
    return (address ^ {24'h5a17c3, beat}) * 32'h9e3779b1;
  endfunction

  // True for `percent` of the calls.
  function automatic bit chance(logic [6:0] percent);
    return $urandom_range(99) < 32'(percent);
  endfunction
endpackage

module decoupler_master (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        traffic_i,
  input  logic [6:0]  busy_i,
  output logic        idle_o,
  output logic [31:0] good_o,
  output logic [31:0] failed_o,
  output logic        awvalid,
  input  logic        awready,
  output logic [1:0]  awid,
  output logic [31:0] awaddr,
  output logic [7:0]  awlen,
  output logic        wvalid,
  input  logic        wready,
  output logic [31:0] wdata,
  output logic [3:0]  wstrb,
  output logic        wlast,
  input  logic        bvalid,
  output logic        bready,
  input  logic [1:0]  bid,
  input  logic [1:0]  bresp,
  output logic        arvalid,
  input  logic        arready,
  output logic [1:0]  arid,
  output logic [31:0] araddr,
  output logic [7:0]  arlen,
  input  logic        rvalid,
  output logic        rready,
  input  logic [1:0]  rid,
  input  logic [31:0] rdata,
  input  logic [1:0]  rresp,
  input  logic        rlast
);
  import decoupler_board::*;

  typedef struct packed {
    logic [1:0]  id;
    logic [31:0] address;
    logic [7:0]  len;
  } burst_t;

  // Bursts whose beats are missing, in order; of each id, addresses of writes with all beats, and reads.
  burst_t      beats [$];
  logic [31:0] answers [4][$];
  burst_t      reads [4][$];
  burst_t      begun;
  bit          live = 1'b0;  // was reset
  logic [7:0]  w_beat, r_beat [4];
  logic [15:0] serial = '0;
  logic        b_held, r_held;
  logic [3:0]  b_before;
  logic [36:0] r_before;
  int          writing, reading;  // outstanding

  function automatic burst_t fresh();
    serial = serial + 16'd1;
    received[serial] = 1'b0;
    return '{id: 2'($urandom), address: {4'd0, serial, 12'd0}, len: 8'($urandom_range(7) == 0 ? $urandom_range(40) :
             $urandom_range(3))};
  endfunction

  assign idle_o = writing == 0 && reading == 0 && !awvalid && !arvalid;
  assign wstrb  = '1;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      live = 1'b1;
      beats.delete();
      for (int n = 0; n < 4; n++) begin
        answers[n].delete();
        reads[n].delete();
        r_beat[n] = '0;
      end
      awvalid  <= 1'b0;
      wvalid   <= 1'b0;
      arvalid  <= 1'b0;
      bready   <= 1'b0;
      rready   <= 1'b0;
      w_beat   = '0;
      b_held   = 1'b0;
      r_held   = 1'b0;
      writing  = 0;
      reading  = 0;
      good_o   <= '0;
      failed_o <= '0;
    end else if (live) begin
      // B
      if (b_held && !(bvalid && {bid, bresp} == b_before)) $fatal(1, "B changed while stalled");
      b_held   = bvalid && !bready;
      b_before = {bid, bresp};
      if (bvalid && answers[bid].size() == 0) $fatal(1, "B of id %0d without a whole write", bid);
      if (bvalid && bready) begin
        logic [31:0] address;
        address = answers[bid].pop_front();
        writing--;
        if (bresp == 2'b00 && !received[address[27:12]]) $fatal(1, "OKAY for write %h, which did not arrive", address);
        if (!(bresp inside {2'b00, 2'b10})) $fatal(1, "response %b", bresp);
        good_o   <= good_o + 32'(bresp == 2'b00);
        failed_o <= failed_o + 32'(bresp != 2'b00);
      end

      // R
      if (r_held && !(rvalid && {rid, rresp, rlast, rdata} == r_before)) $fatal(1, "R changed while stalled");
      r_held   = rvalid && !rready;
      r_before = {rid, rresp, rlast, rdata};
      if (rvalid && reads[rid].size() == 0) $fatal(1, "R of id %0d without a read", rid);
      if (rvalid && rready) begin
        burst_t read;
        read = reads[rid][0];
        if (rlast != (r_beat[rid] == read.len)) $fatal(1, "RLAST is wrong at beat %0d", r_beat[rid]);
        if (rresp == 2'b00 && rdata != beat_data(read.address, r_beat[rid])) $fatal(1, "data of read %h", read.address);
        if (rresp != 2'b00 && !(rresp == 2'b10 && rdata == '1)) $fatal(1, "response %b, data %h", rresp, rdata);
        r_beat[rid] = r_beat[rid] + 8'd1;
        if (rlast) begin
          void'(reads[rid].pop_front());
          r_beat[rid] = '0;
          reading--;
          good_o   <= good_o + 32'(rresp == 2'b00);
          failed_o <= failed_o + 32'(rresp != 2'b00);
        end
      end

      // W, which may precede the acceptance of its AW but not its AWVALID
      if (wvalid && wready) begin
        wvalid <= 1'b0;
        if (wlast) begin
          answers[beats[0].id].push_back(beats[0].address);
          void'(beats.pop_front());
          w_beat = '0;
        end else begin
          w_beat = w_beat + 8'd1;
        end
      end
      if ((!wvalid || wready) && beats.size() != 0 && chance(busy_i)) begin
        wvalid <= 1'b1;
        wdata  <= beat_data(beats[0].address, w_beat);
        wlast  <= w_beat == beats[0].len;
      end

      // AW, AR
      if (!awvalid || awready) begin
        awvalid <= 1'b0;
        if (traffic_i && writing < 6 && chance(busy_i)) begin
          begun   = fresh();
          awvalid <= 1'b1;
          {awid, awaddr, awlen} <= begun;
          beats.push_back(begun);
          writing++;
        end
      end
      if (!arvalid || arready) begin
        arvalid <= 1'b0;
        if (traffic_i && reading < 6 && chance(busy_i)) begin
          begun   = fresh();
          arvalid <= 1'b1;
          {arid, araddr, arlen} <= begun;
          reads[begun.id].push_back(begun);
          reading++;
        end
      end
      bready <= chance(busy_i);
      rready <= chance(busy_i);
    end
  end
endmodule

module decoupler_slave (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic [6:0]  busy_i,
  output logic        idle_o,
  input  logic        awvalid,
  output logic        awready,
  input  logic [1:0]  awid,
  input  logic [31:0] awaddr,
  input  logic [7:0]  awlen,
  input  logic        wvalid,
  output logic        wready,
  input  logic [31:0] wdata,
  input  logic [3:0]  wstrb,
  input  logic        wlast,
  output logic        bvalid,
  input  logic        bready,
  output logic [1:0]  bid,
  output logic [1:0]  bresp,
  input  logic        arvalid,
  output logic        arready,
  input  logic [1:0]  arid,
  input  logic [31:0] araddr,
  input  logic [7:0]  arlen,
  output logic        rvalid,
  input  logic        rready,
  output logic [1:0]  rid,
  output logic [31:0] rdata,
  output logic [1:0]  rresp
);
  import decoupler_board::*;

  typedef struct packed {
    logic [1:0]  id;
    logic [31:0] address;
    logic [7:0]  len;
  } burst_t;

  burst_t      beats [$];      // writes with missing beats; counted from AWVALID
  bit          live = 1'b0;    // was reset
  int          taken;          // writes whose AW was accepted
  burst_t      whole [$];      // writes with all beats, not answered
  burst_t      reads [4][$];
  logic [7:0]  w_beat, r_beat [4];
  bit          complete;       // no beat of the present burst was without strobes
  logic        aw_held, w_held, ar_held;
  logic [41:0] aw_before, ar_before;
  logic [36:0] w_before;
  int          reading;

  assign idle_o = beats.size() == 0 && whole.size() == 0 && reading == 0 && !bvalid && !rvalid;
  assign bresp  = 2'b00;
  assign rresp  = 2'b00;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      live = 1'b1;
      beats.delete();
      whole.delete();
      for (int n = 0; n < 4; n++) begin
        reads[n].delete();
        r_beat[n] = '0;
      end
      taken    = 0;
      w_beat   = '0;
      complete = 1'b1;
      aw_held  = 1'b0;
      w_held   = 1'b0;
      ar_held  = 1'b0;
      reading  = 0;
      awready <= 1'b0;
      wready  <= 1'b0;
      arready <= 1'b0;
      bvalid  <= 1'b0;
      rvalid  <= 1'b0;
    end else if (live) begin
      // AW
      if (aw_held && !(awvalid && {awid, awaddr, awlen} == aw_before)) $fatal(1, "AW changed while stalled");
      if (awvalid && !aw_held) beats.push_back({awid, awaddr, awlen});
      aw_held   = awvalid && !awready;
      aw_before = {awid, awaddr, awlen};
      if (awvalid && awready) taken++;

      // W
      if (w_held && !(wvalid && {wdata, wstrb, wlast} == w_before)) $fatal(1, "W changed while stalled");
      w_held   = wvalid && !wready;
      w_before = {wdata, wstrb, wlast};
      if (wvalid && beats.size() == 0) $fatal(1, "write data without an address");
      if (wvalid && wready) begin
        if (wlast != (w_beat == beats[0].len)) $fatal(1, "WLAST is wrong at beat %0d", w_beat);
        if (wstrb == '0) complete = 1'b0;
        else if (!(wstrb == '1 && wdata == beat_data(beats[0].address, w_beat))) $fatal(1, "data of write %h",
          beats[0].address);
        w_beat = w_beat + 8'd1;
        if (wlast) begin
          received[beats[0].address[27:12]] = complete;
          whole.push_back(beats.pop_front());
          w_beat   = '0;
          complete = 1'b1;
        end
      end

      // B, of any write that has its AW
      if (!bvalid || bready) begin
        bvalid <= 1'b0;
        if (whole.size() != 0 && taken > 0 && chance(busy_i)) begin
          int first;
          first = $urandom_range(whole.size() < taken ? whole.size() - 1 : taken - 1);
          for (int n = 0; n < first; n++) if (whole[n].id == whole[first].id) first = n;
          bid    <= whole[first].id;
          bvalid <= 1'b1;
          whole.delete(first);
          taken--;
        end
      end

      // AR
      if (ar_held && !(arvalid && {arid, araddr, arlen} == ar_before)) $fatal(1, "AR changed while stalled");
      ar_held   = arvalid && !arready;
      ar_before = {arid, araddr, arlen};
      if (arvalid && arready) begin
        reads[arid].push_back({arid, araddr, arlen});
        reading++;
      end

      // R, beats of any id
      if (!rvalid || rready) begin
        logic [1:0] id;
        id = 2'($urandom);
        rvalid <= 1'b0;
        if (reads[id].size() != 0 && chance(busy_i)) begin
          rvalid <= 1'b1;
          rid    <= id;
          rdata  <= beat_data(reads[id][0].address, r_beat[id]);
          r_beat[id] = r_beat[id] + 8'd1;
          if (r_beat[id] == reads[id][0].len + 8'd1) begin
            void'(reads[id].pop_front());
            r_beat[id] = '0;
            reading--;
          end
        end
      end
      awready <= chance(busy_i);
      wready  <= chance(busy_i);
      arready <= chance(busy_i);
    end
  end
endmodule
