// SPDX-License-Identifier: MIT
//
// axi_memory.h: an ideal AXI4 memory for a Verilated master, stepped once per clock edge.
//
// Ready is always 1.  The first beat of a read is transferred at least `read_latency` edges after its AR, then one
// beat per edge, reads in the order of AR.  A write is applied and answered `write_latency` edges after its last W,
// writes in the order of AW.  The smallest latency is 1.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

// The signals of one master; wide data as bytes, least significant first, as Verilator stores it.
struct AxiPins {
    uint8_t *aw_id;
    uint64_t *aw_addr;
    uint8_t *aw_len, *aw_valid, *aw_ready;
    void *w_data;
    void *w_strb;
    uint8_t *w_last, *w_valid, *w_ready;
    uint8_t *b_id, *b_resp, *b_valid, *b_ready;
    uint8_t *ar_id;
    uint64_t *ar_addr;
    uint8_t *ar_len, *ar_valid, *ar_ready;
    uint8_t *r_id;
    void *r_data;
    uint8_t *r_resp, *r_last, *r_valid, *r_ready;
};

[[noreturn]] inline void invalid(const char *why) {
    std::fprintf(stderr, "invalid run: %s\n", why);
    std::exit(1);
}

class AxiMemory {
  public:
    // Writes from offset `data_from` on are ring data; lower offsets hold index words and side blocks.
    AxiMemory(AxiPins pins, uint64_t base, size_t size, size_t data_from, unsigned beat_bytes, unsigned read_latency,
              unsigned write_latency)
        : bytes(size), pins_(pins), base_(base), data_from_(data_from), beat_(beat_bytes), read_latency_(read_latency),
          write_latency_(write_latency) {
        *pins_.aw_ready = *pins_.w_ready = *pins_.ar_ready = 1;
        *pins_.b_resp = *pins_.r_resp = 0;
    }

    std::vector<uint8_t> bytes;
    std::function<void(size_t at, uint64_t edge)> on_word;  // called when a write of one beat is applied and answered
    uint64_t data_beats = 0;                 // W beats of data
    uint64_t first_beat = 0, last_beat = 0;  // the edges of the first and last of them

    // Call before the edge: the values that the master drives now are taken at the edge.
    void sample() {
        ar_ = *pins_.ar_valid;
        aw_ = *pins_.aw_valid;
        w_ = *pins_.w_valid;
        r_ = *pins_.r_valid && *pins_.r_ready;
        b_ = *pins_.b_valid && *pins_.b_ready;
        if (ar_) ar_in_ = {offset(*pins_.ar_addr), *pins_.ar_len + 1u, *pins_.ar_id, 0};
        if (aw_) aw_in_ = {offset(*pins_.aw_addr), *pins_.aw_len + 1u, *pins_.aw_id, 0};
        if (w_) {
            const auto *data = static_cast<const uint8_t *>(pins_.w_data);
            w_in_.assign(data, data + beat_);
            w_strb_ = 0;
            std::memcpy(&w_strb_, pins_.w_strb, beat_ / 8);
        }
    }

    // Call after edge `now`: take the sampled values and drive those for edge `now + 1`.
    void step(uint64_t now) {
        if (b_) answers_.pop_front();
        if (r_) next_beat();
        if (ar_) reads_.push_back({ar_in_.at, ar_in_.beats, ar_in_.id, now + read_latency_});
        if (aw_) writes_.push_back(aw_in_);
        if (w_) gathered_.push_back({w_in_, w_strb_, now});
        take_burst(now);
        drive_read(now + 1);
        drive_answer(now + 1);
    }

  private:
    struct Burst {
        size_t at;
        unsigned beats;
        uint8_t id;
        uint64_t due;
    };
    struct Beat {
        std::vector<uint8_t> data;
        uint64_t strobes;
        uint64_t edge;
    };
    struct Answer {
        std::deque<Beat> beats;
        size_t at;
        uint8_t id;
        uint64_t due;
        bool applied;
    };

    size_t offset(uint64_t address) const {
        if (address < base_ || address - base_ >= bytes.size()) invalid("an address outside the window");
        return address - base_;
    }

    void next_beat() {
        Burst &burst = reads_.front();
        burst.at += beat_;
        if (--burst.beats == 0) reads_.pop_front();
    }

    // At most one burst becomes complete at an edge: by its last W, or by an AW that follows it.
    void take_burst(uint64_t now) {
        if (writes_.empty() || gathered_.size() < writes_.front().beats) return;
        const Burst burst = writes_.front();
        const auto end = gathered_.begin() + burst.beats;
        if (burst.at >= data_from_) {
            if (data_beats == 0) first_beat = gathered_.front().edge;
            data_beats += burst.beats;
            last_beat = (end - 1)->edge;
        }
        answers_.push_back({{gathered_.begin(), end}, burst.at, burst.id, now + write_latency_, false});
        gathered_.erase(gathered_.begin(), end);
        writes_.pop_front();
    }

    void drive_read(uint64_t edge) {
        *pins_.r_valid = !reads_.empty() && reads_.front().due <= edge;
        if (!*pins_.r_valid) return;
        const Burst &burst = reads_.front();
        if (burst.at + beat_ > bytes.size()) invalid("a read beyond the window");
        std::memcpy(pins_.r_data, &bytes[burst.at], beat_);
        *pins_.r_last = burst.beats == 1;
        *pins_.r_id = burst.id;
    }

    void drive_answer(uint64_t edge) {
        *pins_.b_valid = !answers_.empty() && answers_.front().due <= edge;
        if (!*pins_.b_valid) return;
        Answer &answer = answers_.front();
        *pins_.b_id = answer.id;
        if (!answer.applied) apply(answer, edge);
        answer.applied = true;
    }

    void apply(const Answer &answer, uint64_t edge) {
        size_t at = answer.at - answer.at % beat_;
        for (const Beat &beat : answer.beats) {
            if (at + beat_ > bytes.size()) invalid("a write beyond the window");
            for (unsigned n = 0; n < beat_; n++)
                if (beat.strobes >> n & 1) bytes[at + n] = beat.data[n];
            at += beat_;
        }
        if (answer.beats.size() == 1 && on_word) on_word(answer.at, edge);
    }

    AxiPins pins_;
    uint64_t base_;
    size_t data_from_;
    unsigned beat_, read_latency_, write_latency_;
    bool ar_ = false, aw_ = false, w_ = false, r_ = false, b_ = false;
    Burst ar_in_{}, aw_in_{};
    std::vector<uint8_t> w_in_;
    uint64_t w_strb_ = 0;
    std::deque<Burst> reads_, writes_;
    std::deque<Beat> gathered_;
    std::deque<Answer> answers_;
};
