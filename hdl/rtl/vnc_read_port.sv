// SPDX-License-Identifier: MIT
//
// vnc_read_port: shares the read channels of one AXI master between several requesters, identified by ARID.
//
//   request 0 (offset, len) --+                +-----------------+
//   request 1               --+-- round robin ->| & mask, + base |--> AR   (id: the requester's number)
//   ...                     --+                +-----------------+
//   beats 0, 1, ... <----------- by id --------------------------------- R
//
// Every requester must accept its beats as they arrive: RREADY is always 1.
//
// Timing: two cycles from a request to AR; one request every two cycles, so that no path runs from ARREADY to a
// requester.

module vnc_read_port #(
  parameter int unsigned DataW      = 64,
  parameter int unsigned Requesters = 2   // 2 to 4
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic [63:0]                 base_i,
  input  logic [29:0]                 window_mask_i,
  input  logic [31:0]                 timeout_i,

  input  logic [Requesters-1:0]       req_valid_i,
  output logic [Requesters-1:0]       req_ready_o,
  input  logic [Requesters-1:0][29:0] req_offset_i,
  input  logic [Requesters-1:0][7:0]  req_len_i,
  output logic [Requesters-1:0]       r_valid_o,
  output logic [DataW-1:0]            r_data_o,
  output logic                        r_error_o,
  output logic                        r_last_o,
  input  logic [Requesters-1:0]       busy_i,       // it has a request, or one without all of its beats
  output logic [Requesters-1:0]       stuck_o,      // time-out: no progress of this one for timeout_i cycles

  // The master.
  output logic                        m_ar_valid_o,
  input  logic                        m_ar_ready_i,
  output logic [1:0]                  m_ar_id_o,
  output logic [63:0]                 m_ar_addr_o,
  output logic [7:0]                  m_ar_len_o,
  input  logic                        m_r_valid_i,
  output logic                        m_r_ready_o,
  input  logic [1:0]                  m_r_id_i,
  input  logic [DataW-1:0]            m_r_data_i,
  input  logic [1:0]                  m_r_resp_i,
  input  logic                        m_r_last_i
);
  if (Requesters < 2 || Requesters > 4) begin : g_bad_requesters
    $fatal(1, "vnc_read_port: Requesters must be 2 to 4");
  end

  // --- pick one ----------------------------------------------------------------------------------------

  logic [1:0]  pick, last_served_q;  // requester numbers
  logic        picked_q, take, move;
  logic [1:0]  id_q;
  logic [29:0] offset_q;
  logic [7:0]  len_q;

  // The next requester after the last served one that has a request.
  always_comb begin
    pick = last_served_q;
    for (int unsigned n = Requesters; n > 0; n--) begin
      if (req_valid_i[(32'(last_served_q) + n) % Requesters]) pick = 2'((32'(last_served_q) + n) % Requesters);
    end
  end

  assign move = picked_q && (!m_ar_valid_o || m_ar_ready_i);
  assign take = req_valid_i != '0 && !picked_q;

  always_comb begin
    for (int unsigned n = 0; n < Requesters; n++) req_ready_o[n] = take && pick == 2'(n);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      picked_q      <= 1'b0;
      last_served_q <= '0;
    end else begin
      picked_q <= take || (picked_q && !move);
      if (take) last_served_q <= pick;
    end
    if (take) begin
      id_q     <= pick;
      offset_q <= req_offset_i[pick];
      len_q    <= req_len_i[pick];
    end
  end

  // --- AR ----------------------------------------------------------------------------------------------

  logic [63:0] address;

  vnc_address i_address (.base_i, .window_mask_i, .offset_i(offset_q), .address_o(address));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) m_ar_valid_o <= 1'b0;
    else if (move) m_ar_valid_o <= 1'b1;
    else if (m_ar_ready_i) m_ar_valid_o <= 1'b0;
    if (move) begin
      m_ar_id_o   <= id_q;
      m_ar_addr_o <= address;
      m_ar_len_o  <= len_q;
    end
  end

  // --- R -----------------------------------------------------------------------------------------------

  assign m_r_ready_o = 1'b1;
  assign r_data_o    = m_r_data_i;
  assign r_error_o   = m_r_resp_i[1];  // SLVERR or DECERR
  assign r_last_o    = m_r_last_i;

  always_comb begin
    for (int unsigned n = 0; n < Requesters; n++) r_valid_o[n] = m_r_valid_i && m_r_id_i == 2'(n);
  end

  // --- time-out -------------------------------------------------------------------------------------------

  logic [Requesters-1:0] progress;

  always_comb begin
    progress = req_ready_o | r_valid_o;
    for (int unsigned n = 0; n < Requesters; n++) begin
      if (m_ar_valid_o && m_ar_ready_i && m_ar_id_o == 2'(n)) progress[n] = 1'b1;
    end
  end

  vnc_watchdog #(.Clients(Requesters)) i_watchdog (
    .clk_i, .rst_ni, .limit_i(timeout_i), .busy_i, .progress_i(progress), .stuck_o
  );

  // Bit 0 distinguishes EXOKAY from OKAY and DECERR from SLVERR, which does not matter here.
  logic unused;
  assign unused = m_r_resp_i[0];
endmodule
