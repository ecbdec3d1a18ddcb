// SPDX-License-Identifier: MIT
//
// vnc_write_port: shares the write channels of one AXI master between the bursts of a mover, the index words of
// both directions (the prod of the one that ends here, the cons of the one that starts here), and the peer's
// side block.
//
//   id 0  bursts  --+                 +----------------+
//   id 1  prod    --+-- round robin -->| & mask, + base |--> AW
//   id 2  cons    --+        |        +----------------+
//   id 3  side    --+        +--> order of the bursts, two deep --> choice of the beats --> W
//   done by id <------------------------------------------------------------------------ B
//
// An index word is one beat with four strobes on the first word of a line.  The ids differ, so this module does not
// order an index behind a burst: the mover does, by waiting for B.
//
// W follows the order of AW.  The address of one burst is sent while the beats of the previous one are on W, so there
// is no idle cycle between them; only one is sent ahead, so that an index word does not wait behind several bursts.
// W begins no earlier than its AW is valid.
//
// Timing: two cycles from a request to AW and to the first beat; one request every two cycles, so that no path runs
// from AWREADY to a requester.

module vnc_write_port #(
  parameter int unsigned DataW = 64
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [63:0]        base_i,
  input  logic [29:0]        window_mask_i,
  input  logic [31:0]        timeout_i,

  // Requests, by id.  A request is held until it is taken; done is set with its write response.
  input  logic [3:0]         req_valid_i,
  output logic [3:0]         req_ready_o,
  input  logic [3:0][29:0]   req_offset_i,
  input  logic [3:0][7:0]    req_len_i,
  output logic [3:0]         done_o,
  output logic               error_o,
  input  logic [3:0]         busy_i,        // it has a request, or one without its response
  output logic [3:0]         stuck_o,       // time-out: no progress of this one for timeout_i cycles

  // Beats: those of the bursts in order, the index words with their request, those of the side block.
  input  logic               burst_valid_i,
  output logic               burst_ready_o,
  input  logic [DataW-1:0]   burst_data_i,
  input  logic               burst_last_i,
  input  logic [1:0][31:0]   word_i,
  output logic               side_ready_o,
  input  logic [DataW-1:0]   side_data_i,
  input  logic [DataW/8-1:0] side_strb_i,
  input  logic               side_last_i,

  // The master.
  output logic               m_aw_valid_o,
  input  logic               m_aw_ready_i,
  output logic [1:0]         m_aw_id_o,
  output logic [63:0]        m_aw_addr_o,
  output logic [7:0]         m_aw_len_o,
  output logic               m_w_valid_o,
  input  logic               m_w_ready_i,
  output logic [DataW-1:0]   m_w_data_o,
  output logic [DataW/8-1:0] m_w_strb_o,
  output logic               m_w_last_o,
  input  logic               m_b_valid_i,
  output logic               m_b_ready_o,
  input  logic [1:0]         m_b_id_i,
  input  logic [1:0]         m_b_resp_i
);
  typedef enum logic [1:0] {Burst, Prod, Cons, Side} id_e;

  typedef struct packed {
    id_e         id;
    logic [31:0] word;
  } beats_t;  // the requester of the beats, and the value of an index word

  // --- pick one ----------------------------------------------------------------------------------------

  logic [1:0]  pick, last_served_q;  // requester numbers
  logic        picked_q, take, move;
  beats_t      beats_q;
  logic [29:0] offset_q;
  logic [7:0]  len_q;
  logic        first_valid_q, second_valid_q;

  // The next requester after the last served one that has a request.
  always_comb begin
    pick = last_served_q;
    for (logic [2:0] n = 3'd4; n > 0; n--) begin
      if (req_valid_i[last_served_q + n[1:0]]) pick = last_served_q + n[1:0];
    end
  end

  assign move = picked_q && !second_valid_q && (!m_aw_valid_o || m_aw_ready_i);
  assign take = req_valid_i != '0 && !second_valid_q && !picked_q;

  always_comb begin
    req_ready_o = '0;
    req_ready_o[pick] = take;
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
      beats_q  <= '{id: id_e'(pick), word: word_i[pick == Cons]};
      offset_q <= req_offset_i[pick];
      len_q    <= req_len_i[pick];
    end
  end

  // --- AW ----------------------------------------------------------------------------------------------

  logic [63:0] address;

  vnc_address i_address (.base_i, .window_mask_i, .offset_i(offset_q), .address_o(address));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) m_aw_valid_o <= 1'b0;
    else if (move) m_aw_valid_o <= 1'b1;
    else if (m_aw_ready_i) m_aw_valid_o <= 1'b0;
    if (move) begin
      m_aw_id_o   <= beats_q.id;
      m_aw_addr_o <= address;
      m_aw_len_o  <= len_q;
    end
  end

  // --- W: the beats of `first`; of a second burst only the address was sent, and `beats_q` holds its requester -----

  beats_t first_q;
  logic   first_burst_q;  // first_q.id is Burst
  logic   pop;

  assign pop = m_w_valid_o && m_w_ready_i && m_w_last_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      first_valid_q  <= 1'b0;
      second_valid_q <= 1'b0;
    end else if (pop || !first_valid_q) begin
      first_valid_q  <= second_valid_q || move;
      second_valid_q <= 1'b0;
    end else if (move) begin
      second_valid_q <= 1'b1;
    end
    if (pop || !first_valid_q) begin
      first_q       <= beats_q;
      first_burst_q <= beats_q.id == Burst;
    end
  end

  always_comb begin
    m_w_valid_o = first_valid_q;
    m_w_last_o  = 1'b1;
    m_w_data_o  = DataW'(first_q.word);
    m_w_strb_o  = (DataW / 8)'(4'hf);
    if (first_burst_q) begin
      m_w_valid_o = first_valid_q && burst_valid_i;
      m_w_data_o  = burst_data_i;
      m_w_strb_o  = '1;
      m_w_last_o  = burst_last_i;
    end else if (first_q.id == Side) begin
      m_w_data_o  = side_data_i;
      m_w_strb_o  = side_strb_i;
      m_w_last_o  = side_last_i;
    end
  end

  assign burst_ready_o = first_valid_q && first_burst_q && m_w_ready_i;
  assign side_ready_o  = first_valid_q && first_q.id == Side && m_w_ready_i;

  // --- B -----------------------------------------------------------------------------------------------

  assign m_b_ready_o = 1'b1;
  assign error_o     = m_b_resp_i[1];  // SLVERR or DECERR

  always_comb begin
    done_o = '0;
    done_o[m_b_id_i] = m_b_valid_i;
  end

  // --- time-out -------------------------------------------------------------------------------------------

  logic [3:0] progress;

  always_comb begin
    progress = req_ready_o | done_o;
    if (m_aw_valid_o && m_aw_ready_i) progress[m_aw_id_o] = 1'b1;
    if (m_w_valid_o && m_w_ready_i) progress[first_q.id] = 1'b1;
  end

  vnc_watchdog i_watchdog (
    .clk_i, .rst_ni, .limit_i(timeout_i), .busy_i, .progress_i(progress), .stuck_o
  );

  // Bit 0 distinguishes EXOKAY from OKAY and DECERR from SLVERR, which does not matter here.
  logic unused;
  assign unused = m_b_resp_i[0];
endmodule
