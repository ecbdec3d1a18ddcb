// SPDX-License-Identifier: MIT
//
// vnc_stream_pkg: what the two ends of a stream port share: the causes of a halt, sizes of records, valid rings.

package vnc_stream_pkg;
  // Why an end stopped.  PeerRestarted is no violation: the peer published another epoch.
  typedef enum logic [2:0] {None, Config, BadIndex, BadLen, BadHeader, BadSeq, PeerRestarted} cause_e;

  // Bytes of a ring that a record with `len` bytes of payload occupies.
  function automatic logic [31:0] record_bytes(logic [16:0] len);
    return (32'(len) + vnc_pkg::RecordHeader + vnc_pkg::Line - 1) & ~(vnc_pkg::Line - 32'd1);
  endfunction

  // Whether a ring is behind the index lines and inside a window of 2^window_log2 bytes.
  function automatic logic ring_fits(logic [29:0] ring, logic [4:0] log2, int unsigned window_log2);
    return log2 >= 5'd12 && 32'(log2) < window_log2 && ring[11:0] == '0 && ring[29:12] != '0 &&
      {2'b0, ring} + (32'd1 << log2) <= (32'd1 << window_log2);
  endfunction
endpackage
