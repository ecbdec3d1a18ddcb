// SPDX-License-Identifier: MIT
//
// axi_lite.h: an AXI4-Lite master for one register page of a Verilated engine; writes are queued, one at a time.

#pragma once

#include <cstdint>
#include <deque>

struct AxiLitePins {
    uint16_t *aw_addr;
    uint8_t *aw_valid, *aw_ready;
    uint32_t *w_data;
    uint8_t *w_strb, *w_valid, *w_ready;
    uint8_t *b_valid, *b_ready;
    uint16_t *ar_addr;
    uint8_t *ar_valid, *ar_ready;
    uint32_t *r_data;
    uint8_t *r_valid, *r_ready;
};

class AxiLite {
  public:
    explicit AxiLite(AxiLitePins pins) : pins_(pins) {
        *pins_.aw_valid = *pins_.w_valid = *pins_.ar_valid = 0;
        *pins_.w_strb = 0xf;
        *pins_.b_ready = *pins_.r_ready = 1;
    }

    void write(uint16_t at, uint32_t value) { writes_.push_back({at, value}); }

    // Start a read; `read_done` is set when `value` holds the result.
    void read(uint16_t at) {
        *pins_.ar_addr = at;
        *pins_.ar_valid = 1;
        read_done = false;
    }

    bool idle() const { return writes_.empty() && !*pins_.aw_valid && !*pins_.w_valid; }

    bool read_done = true;
    uint32_t value = 0;
    uint64_t taken = 0;  // the edge at which the last write was accepted: the later of AW and W

    // Call before the edge.
    void sample() {
        aw_ = *pins_.aw_valid && *pins_.aw_ready;
        w_ = *pins_.w_valid && *pins_.w_ready;
        ar_ = *pins_.ar_valid && *pins_.ar_ready;
        r_ = *pins_.r_valid;
        if (r_) value = *pins_.r_data;
    }

    // Call after edge `now`.
    void step(uint64_t now) {
        if (aw_) *pins_.aw_valid = 0;
        if (w_) *pins_.w_valid = 0;
        if (aw_ || w_) taken = now;
        if (ar_) *pins_.ar_valid = 0;
        if (r_) read_done = true;
        if (idle() || *pins_.aw_valid || *pins_.w_valid) return;
        *pins_.aw_addr = writes_.front().at;
        *pins_.w_data = writes_.front().value;
        *pins_.aw_valid = *pins_.w_valid = 1;
        writes_.pop_front();
    }

  private:
    struct Write {
        uint16_t at;
        uint32_t value;
    };
    AxiLitePins pins_;
    std::deque<Write> writes_;
    bool aw_ = false, w_ = false, ar_ = false, r_ = false;
};
