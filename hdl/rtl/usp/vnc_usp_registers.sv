// SPDX-License-Identifier: MIT
//
// vnc_usp_registers: accesses of the host to BAR0, from CQ to AXI4-Lite, and their completions to CC.
//
//   CQ --> one TLP at a time --> AXI4-Lite, one dword at a time --> CC
//
// A memory write is any number of dwords; each is one AXI4-Lite write with the byte enables as strobes.  A memory read
// is one to four dwords, and has one completion.  What else the host may send:
//
//   a longer read; a read that AXI4-Lite answers with an error        completion with CA
//   another BAR, or beyond its first 4 KiB; I/O, atomic, locked read  completion with UR; a memory write is dropped
//   messages                                                          dropped
//
// The next TLP is taken after B, or after its completion: a read sees every write before it.  A completion never waits
// for RQ, so posted requests of the host do not wait for those of the card.
//
// UR and CA are followed by five dwords of the request, from which the integrated block fills its error log (PG213).
//
// Timing: a read of one dword takes three cycles and those of AXI4-Lite, from CQ to CC.

module vnc_usp_registers #(
  parameter int unsigned DataW = 256,
  parameter int unsigned Bar   = 0
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic                cq_valid_i,
  output logic                cq_ready_o,
  input  logic [DataW-1:0]    cq_data_i,
  input  logic                cq_last_i,
  input  logic [3:0]          cq_first_be_i,
  input  logic [3:0]          cq_last_be_i,
  input  logic                cq_discontinue_i,
  output logic                cc_valid_o,
  input  logic                cc_ready_i,
  output logic [DataW-1:0]    cc_data_o,
  output logic [DataW/32-1:0] cc_keep_o,

  output logic [11:0]         aw_addr_o,
  output logic                aw_valid_o,
  input  logic                aw_ready_i,
  output logic [31:0]         w_data_o,
  output logic [3:0]          w_strb_o,
  output logic                w_valid_o,
  input  logic                w_ready_i,
  input  logic                b_valid_i,
  output logic                b_ready_o,
  output logic [11:0]         ar_addr_o,
  output logic                ar_valid_o,
  input  logic                ar_ready_i,
  input  logic [31:0]         r_data_i,
  input  logic [1:0]          r_resp_i,
  input  logic                r_valid_i,
  output logic                r_ready_o
);
  localparam int unsigned W     = DataW / 32;
  localparam int unsigned LaneW = $clog2(W);

  typedef enum logic [2:0] {Idle, Judge, Write, Answer, More, Read, Drain, Complete} state_e;

  state_e             state_q;
  logic [W-1:0][31:0] data_q;
  logic [3:0][31:0]   request_q, request;       // the descriptor
  logic [3:0]         first_be_q, last_be_q;
  logic               last_q, taken;            // of the beat
  logic [LaneW-1:0]   lane_q;
  logic [10:0]        left_q;                   // dwords
  logic               first_q;                  // the first dword
  logic [11:2]        at_q;
  logic [3:0][31:0]   read_q;
  logic [1:0]         filled_q;
  logic [2:0]         status_q;
  logic               drop_q;                   // discontinued

  assign cq_ready_o = state_q == Idle || state_q == More || state_q == Drain;
  assign taken      = cq_valid_i && cq_ready_o;

  // A request that the block itself discontinued gets no completion.
  always_ff @(posedge clk_i) begin
    if (taken) begin
      data_q <= cq_data_i;
      last_q <= cq_last_i;
      if (state_q == Idle || cq_discontinue_i) drop_q <= cq_discontinue_i;
    end
    if (taken && state_q == Idle) begin
      request_q  <= cq_data_i[127:0];
      first_be_q <= cq_first_be_i;
      last_be_q  <= cq_last_be_i;
    end
  end

  // --- what it is ------------------------------------------------------------------------------------------

  logic [3:0]  kind;
  logic [10:0] dwords;
  logic        outside, posted, short;

  assign request = request_q;
  assign kind    = request[2][14:11];
  assign dwords  = request[2][10:0];
  assign posted  = kind == vnc_usp_pkg::MemWrite || kind >= vnc_usp_pkg::FirstMessage;
  assign short   = dwords != '0 && dwords <= 11'd4;

  // The address within the BAR, whose size is 2^aperture bytes, is 4096 or more; or it is another BAR.
  always_comb begin
    outside = request[3][18:16] != 3'(Bar);
    for (int unsigned n = 12; n < 64; n++) begin
      if (n < 32'(request[3][24:19]) && (n < 32 ? request[0][n % 32] : request[1][n % 32])) outside = 1'b1;
    end
  end

  // --- one dword after the other ---------------------------------------------------------------------------

  logic [3:0] strobes;
  logic       fetched, last_dword;

  assign last_dword = left_q == 11'd1;
  assign strobes    = first_q ? first_be_q : last_dword ? last_be_q : 4'hf;
  assign fetched    = state_q == Read && r_valid_i && r_ready_o;
  assign b_ready_o  = state_q == Answer;
  assign r_ready_o  = state_q == Read && !ar_valid_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= Idle;
      aw_valid_o <= 1'b0;
      w_valid_o  <= 1'b0;
      ar_valid_o <= 1'b0;
    end else begin
      if (aw_ready_i) aw_valid_o <= 1'b0;
      if (w_ready_i) w_valid_o <= 1'b0;
      if (ar_ready_i) ar_valid_o <= 1'b0;
      case (state_q)
        Idle: if (taken) state_q <= cq_discontinue_i ? (cq_last_i ? Idle : Drain) : Judge;
        Judge: begin
          if (kind == vnc_usp_pkg::MemWrite && !outside && dwords != '0) begin
            state_q <= Write;
          end else if (kind == vnc_usp_pkg::MemRead && !outside && short) begin
            state_q    <= Read;
            ar_valid_o <= 1'b1;
          end else begin
            state_q <= !last_q ? Drain : posted ? Idle : Complete;
          end
        end
        Write: begin
          state_q    <= Answer;
          aw_valid_o <= strobes != '0;
          w_valid_o  <= strobes != '0;
        end
        // A dword without a byte enable is not written.
        Answer: if (w_strb_o == '0 || b_valid_i) begin
          if (left_q == '0) state_q <= last_q ? Idle : Drain;
          else if (lane_q != '0) state_q <= Write;
          else state_q <= last_q ? Idle : More;
        end
        More: if (taken) state_q <= cq_discontinue_i ? (cq_last_i ? Idle : Drain) : Write;
        Read: if (fetched) begin
          ar_valid_o <= !last_dword;
          if (last_dword) state_q <= Complete;
        end
        Drain: if (taken && cq_last_i) state_q <= posted || drop_q || cq_discontinue_i ? Idle : Complete;
        Complete: if (cc_valid_o && cc_ready_i) state_q <= Idle;
        default: state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    case (state_q)
      Judge: begin
        lane_q   <= LaneW'(4);
        left_q   <= dwords;
        first_q  <= 1'b1;
        at_q     <= request[0][11:2];
        filled_q <= '0;
        status_q <= kind != vnc_usp_pkg::MemRead || outside ? vnc_usp_pkg::Unsupported :
                    short ? vnc_usp_pkg::Success : vnc_usp_pkg::Abort;
      end
      Write: begin
        w_strb_o <= strobes;
        lane_q   <= lane_q + 1'b1;
        left_q   <= left_q - 11'd1;
        first_q  <= 1'b0;
        at_q     <= at_q + 1'b1;
      end
      Read: if (fetched) begin
        read_q[filled_q] <= r_data_i;
        filled_q         <= filled_q + 1'b1;
        left_q           <= left_q - 11'd1;
        at_q             <= at_q + 1'b1;
        if (r_resp_i[1]) status_q <= vnc_usp_pkg::Abort;
      end
      default: ;
    endcase
    if (state_q == Write) begin
      aw_addr_o <= {at_q, 2'b00};
      w_data_o  <= data_q[lane_q];
    end
  end

  assign ar_addr_o = {at_q, 2'b00};

  // --- the completion --------------------------------------------------------------------------------------

  logic [1:0]         head, tail;       // bytes that are not enabled before the first and after the last one
  logic [12:0]        bytes;
  logic [6:0]         lower;
  logic               is_read;
  logic [W-1:0][31:0] answer;

  always_comb begin
    head = 2'd0;
    if (!first_be_q[0]) head = first_be_q[1] ? 2'd1 : first_be_q[2] ? 2'd2 : first_be_q[3] ? 2'd3 : 2'd0;
    tail = 2'd0;
    if (dwords == 11'd1) begin
      if (first_be_q == '0) tail = 2'd3;      // a read without a byte enabled counts as one byte
      else if (!first_be_q[3]) tail = first_be_q[2] ? 2'd1 : first_be_q[1] ? 2'd2 : 2'd3;
    end else if (!last_be_q[3]) begin
      tail = last_be_q[2] ? 2'd1 : last_be_q[1] ? 2'd2 : 2'd3;
    end
  end

  assign is_read = kind == vnc_usp_pkg::MemRead || kind == vnc_usp_pkg::MemReadLocked;
  assign bytes   = is_read ? {dwords, 2'b00} - 13'(head) - 13'(tail) : 13'd4;
  assign lower   = is_read ? {request[0][6:2], head} : '0;

  always_comb begin
    answer    = '0;
    answer[0] = {2'b0, kind == vnc_usp_pkg::MemReadLocked, bytes, 6'b0, request[0][1:0], 1'b0, lower};
    answer[1] = {request[2][31:16], 2'b0, status_q, status_q == vnc_usp_pkg::Success ? dwords : 11'd0};
    answer[2] = {1'b0, request[3][30:25], 1'b0, 8'b0, request[3][15:8], request[3][7:0]};
    if (status_q == vnc_usp_pkg::Success) begin
      for (int unsigned n = 0; n < 4; n++) answer[n + 3] = read_q[n];
    end else begin
      answer[3]    = {24'b0, last_be_q, first_be_q};
      answer[7:4]  = request;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cc_valid_o <= 1'b0;
    else if (state_q == Complete) cc_valid_o <= !cc_valid_o || !cc_ready_i;
    if (state_q == Complete && !cc_valid_o) begin
      cc_data_o <= answer;
      for (int unsigned n = 0; n < W; n++) begin
        cc_keep_o[n] <= n < (status_q == vnc_usp_pkg::Success ? 32'(dwords) + 32'd3 : 32'd8);
      end
    end
  end

  // Reserved, and what distinguishes OKAY from EXOKAY.
  logic unused;
  assign unused = ^{r_resp_i[0], request[3][31], request[2][15]};
endmodule
