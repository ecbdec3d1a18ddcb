// SPDX-License-Identifier: MIT
//
// vnc_stream_doorbell: writes the doorbells of a stream port into the engine's register page, between the accesses of
// the control plane.
//
//   tx, rx doorbell --> pending --+
//                                 +--> one write at a time --> m_axil (AW, W, B)
//   s_axil (AW, W, B) ------------+
//   s_axil (AR, R) ----------------------------------------> m_axil, directly
//
// Of several values of one doorbell the last one is written.  A doorbell goes before a write of the control plane.
// `busy_o`: a doorbell is pending, or its write is not answered.
//
// Timing: three cycles from a doorbell to its write.

module vnc_stream_doorbell (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic        tx_doorbell_i,
  input  logic [31:0] tx_index_i,
  input  logic        rx_doorbell_i,
  input  logic [31:0] rx_index_i,
  output logic        busy_o,

  input  logic [11:0] s_axil_awaddr,
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,

  output logic [11:0] m_axil_awaddr,
  output logic        m_axil_awvalid,
  input  logic        m_axil_awready,
  output logic [31:0] m_axil_wdata,
  output logic [3:0]  m_axil_wstrb,
  output logic        m_axil_wvalid,
  input  logic        m_axil_wready,
  input  logic        m_axil_bvalid,
  output logic        m_axil_bready
);
  typedef enum logic [1:0] {Idle, Send, Answer} state_e;
  state_e      state_q;
  logic        aw_q, w_q;    // not yet taken
  logic        own_q;        // a doorbell
  logic        tx_due_q, rx_due_q;
  logic [31:0] tx_q, rx_q;

  assign s_axil_awready = state_q == Idle && !tx_due_q && !rx_due_q && s_axil_wvalid;
  assign s_axil_wready  = state_q == Idle && !tx_due_q && !rx_due_q && s_axil_awvalid;
  assign m_axil_awvalid = state_q == Send && aw_q;
  assign m_axil_wvalid  = state_q == Send && w_q;
  assign m_axil_bready  = state_q == Answer && (own_q || s_axil_bready);
  assign s_axil_bvalid  = state_q == Answer && !own_q && m_axil_bvalid;
  assign busy_o         = tx_due_q || rx_due_q || tx_doorbell_i || rx_doorbell_i || (state_q != Idle && own_q);

  always_ff @(posedge clk_i) begin
    if (tx_doorbell_i) tx_q <= tx_index_i;
    if (rx_doorbell_i) rx_q <= rx_index_i;
    if (state_q == Idle) begin
      aw_q          <= 1'b1;
      w_q           <= 1'b1;
      own_q         <= tx_due_q || rx_due_q;
      m_axil_awaddr <= tx_due_q ? 12'(vnc_pkg::RegTxProd) : rx_due_q ? 12'(vnc_pkg::RegRxCons) : s_axil_awaddr;
      m_axil_wdata  <= tx_due_q ? tx_q : rx_due_q ? rx_q : s_axil_wdata;
      m_axil_wstrb  <= tx_due_q || rx_due_q ? '1 : s_axil_wstrb;
    end else begin
      if (m_axil_awready) aw_q <= 1'b0;
      if (m_axil_wready) w_q <= 1'b0;
    end
    if (!rst_ni) begin
      state_q  <= Idle;
      tx_due_q <= 1'b0;
      rx_due_q <= 1'b0;
    end else begin
      if (tx_doorbell_i) tx_due_q <= 1'b1;
      else if (state_q == Idle) tx_due_q <= 1'b0;
      if (rx_doorbell_i) rx_due_q <= 1'b1;
      else if (state_q == Idle && !tx_due_q) rx_due_q <= 1'b0;
      unique case (state_q)
        Idle:    if (tx_due_q || rx_due_q || (s_axil_awvalid && s_axil_wvalid)) state_q <= Send;
        Send:    if ((!aw_q || m_axil_awready) && (!w_q || m_axil_wready)) state_q <= Answer;
        default: if (m_axil_bvalid && m_axil_bready) state_q <= Idle;
      endcase
    end
  end
endmodule
