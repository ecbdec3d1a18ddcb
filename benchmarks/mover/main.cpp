// SPDX-License-Identifier: MIT
//
// The engine between two ideal memories with both directions busy; run by ../mover_efficiency.py.
//
//   mover RECORD BATCH BEATS READ_LATENCY WRITE_LATENCY     both directions for BEATS beats; one JSON line
//   mover latency READ_LATENCY WRITE_LATENCY                one 64-byte record at a time
//
// A producer rings its doorbell after every BATCH records, as soon as the ring has room for them; a consumer compares
// every published byte and frees it at once.  A difference ends the run without figures.

#include <algorithm>
#include <memory>
#include <string>

#include "Vvnc_dma_top.h"
#include "verilated.h"

#include "axi_lite.h"
#include "axi_memory.h"
#define _Static_assert static_assert  // vnc_layout.h is C
#include "vnc_layout.h"

namespace {

constexpr unsigned BeatBytes = VNC_BENCH_DATA_W / 8;
constexpr uint64_t Bases[2] = {0x123450000, 0x7fff00003000};
constexpr unsigned WindowLog2 = 20, RingLog2 = 18;
constexpr uint32_t Ring = 1u << RingLog2;
constexpr uint32_t RingOffset[2] = {1u << 18, 1u << 19};  // per direction, the same in both windows
constexpr uint32_t ProdLine[2] = {VNC_QUEUE_OFFSET + VNC_Q_H2C_PROD, VNC_QUEUE_OFFSET + VNC_Q_C2H_PROD};
constexpr uint32_t ConsLine[2] = {VNC_QUEUE_OFFSET + VNC_Q_H2C_CONS, VNC_QUEUE_OFFSET + VNC_Q_C2H_CONS};
constexpr uint64_t StuckEdges = 200000;

// The stream of direction `index` at byte `at`, a multiple of 8; it differs in every lap of the ring.
uint64_t pattern(unsigned index, uint64_t at) {
    uint64_t x = (at + 1) * 0x9e3779b97f4a7c15u + index;
    x ^= x >> 29;
    return x * 0xbf58476d1ce4e5b9u;
}

uint32_t load32(const AxiMemory &memory, size_t at) {
    uint32_t value;
    std::memcpy(&value, &memory.bytes[at], 4);
    return value;
}

// Producer and consumer of one direction.
struct Direction {
    unsigned index;
    AxiMemory &source, &sink;
    AxiLite &source_page, &sink_page;
    uint64_t produced = 0, published = 0, freed = 0, published_edge = 0, publications = 0;
    uint32_t largest = 0;  // most bytes published at once

    void produce(uint32_t bytes) {
        for (uint64_t at = produced; at < produced + bytes; at += 8) {
            const uint64_t word = pattern(index, at);
            std::memcpy(&source.bytes[RingOffset[index] + at % Ring], &word, 8);
        }
        produced += bytes;
        source_page.write(VNC_REG_TX_PROD, static_cast<uint32_t>(produced));
    }

    bool room(uint32_t bytes) const { return produced + bytes - freed <= Ring && source_page.idle(); }

    void on_prod(uint64_t edge) {
        const uint32_t step = load32(sink, ProdLine[index]) - static_cast<uint32_t>(published);
        if (step > produced - published) invalid("published more than was produced");
        for (uint64_t at = published; at < published + step; at += 8) {
            const uint64_t word = pattern(index, at);
            if (std::memcmp(&word, &sink.bytes[RingOffset[index] + at % Ring], 8)) invalid("bytes differ");
        }
        published += step;
        published_edge = edge;
        publications += step != 0;
        largest = std::max(largest, step);
        if (step) sink_page.write(VNC_REG_RX_CONS, static_cast<uint32_t>(published));
    }

    void on_cons() {
        const uint32_t step = load32(source, ConsLine[index]) - static_cast<uint32_t>(freed);
        if (step > published - freed) invalid("freed more than was consumed");
        freed += step;
    }
};

#define AXI_PINS(side)                                                                                        \
    AxiPins {                                                                                                 \
        &top.m_axi_##side##_awid, &top.m_axi_##side##_awaddr, &top.m_axi_##side##_awlen,                      \
            &top.m_axi_##side##_awvalid, &top.m_axi_##side##_awready, &top.m_axi_##side##_wdata,              \
            &top.m_axi_##side##_wstrb, &top.m_axi_##side##_wlast, &top.m_axi_##side##_wvalid,                 \
            &top.m_axi_##side##_wready, &top.m_axi_##side##_bid, &top.m_axi_##side##_bresp,                   \
            &top.m_axi_##side##_bvalid, &top.m_axi_##side##_bready, &top.m_axi_##side##_arid,                 \
            &top.m_axi_##side##_araddr, &top.m_axi_##side##_arlen, &top.m_axi_##side##_arvalid,               \
            &top.m_axi_##side##_arready, &top.m_axi_##side##_rid, &top.m_axi_##side##_rdata,                  \
            &top.m_axi_##side##_rresp, &top.m_axi_##side##_rlast, &top.m_axi_##side##_rvalid,                 \
            &top.m_axi_##side##_rready                                                                        \
    }
#define LITE_PINS(side)                                                                                       \
    AxiLitePins {                                                                                             \
        &top.s_axil_##side##_awaddr, &top.s_axil_##side##_awvalid, &top.s_axil_##side##_awready,              \
            &top.s_axil_##side##_wdata, &top.s_axil_##side##_wstrb, &top.s_axil_##side##_wvalid,              \
            &top.s_axil_##side##_wready, &top.s_axil_##side##_bvalid, &top.s_axil_##side##_bready,            \
            &top.s_axil_##side##_araddr, &top.s_axil_##side##_arvalid, &top.s_axil_##side##_arready,          \
            &top.s_axil_##side##_rdata, &top.s_axil_##side##_rvalid, &top.s_axil_##side##_rready              \
    }

class Bench {
  public:
    Bench(Vvnc_dma_top &top_, unsigned read_latency, unsigned write_latency)
        : top(top_),
          host(AXI_PINS(host), Bases[0], 1u << WindowLog2, RingOffset[0], BeatBytes, read_latency, write_latency),
          card(AXI_PINS(card), Bases[1], 1u << WindowLog2, RingOffset[0], BeatBytes, read_latency, write_latency),
          host_page(LITE_PINS(host)), card_page(LITE_PINS(card)), 
          directions{{0, host, card, host_page, card_page}, {1, card, host, card_page, host_page}} {
        host.on_word = [this](size_t at, uint64_t edge) { word(0, at, edge); };
        card.on_word = [this](size_t at, uint64_t edge) { word(1, at, edge); };
        start();
    }

    void tick() {
        top.clk_i = 0;
        top.eval();
        host.sample(), card.sample(), host_page.sample(), card_page.sample();
        top.clk_i = 1;
        top.eval();
        host.step(edge), card.step(edge), host_page.step(edge), card_page.step(edge);
        edge++;
    }

    // Run until nothing is outstanding.
    void settle() {
        uint64_t before = progress(), since = edge;
        while (directions[0].freed < directions[0].produced || directions[1].freed < directions[1].produced) {
            tick();
            if (progress() != before) before = progress(), since = edge;
            if (edge - since > StuckEdges) invalid("the engine makes no progress");
        }
    }

    uint64_t progress() const {
        return directions[0].published + directions[1].published + directions[0].freed + directions[1].freed;
    }

    Vvnc_dma_top &top;
    AxiMemory host, card;
    AxiLite host_page, card_page;
    Direction directions[2];
    uint64_t edge = 0;

  private:
    void start() {
        top.rst_ni = 0;
        for (int n = 0; n < 8; n++) tick();
        top.rst_ni = 1;
        for (unsigned side = 0; side < 2; side++) {
            AxiLite &page = side ? card_page : host_page;
            page.write(VNC_REG_WINDOW_BASE_LO, static_cast<uint32_t>(Bases[side]));
            page.write(VNC_REG_WINDOW_BASE_HI, static_cast<uint32_t>(Bases[side] >> 32));
            page.write(VNC_REG_WINDOW_LOG2, WindowLog2);
            page.write(VNC_REG_H2C_RING_OFFSET, RingOffset[0]);
            page.write(VNC_REG_H2C_RING_LOG2, RingLog2);
            page.write(VNC_REG_C2H_RING_OFFSET, RingOffset[1]);
            page.write(VNC_REG_C2H_RING_LOG2, RingLog2);
            page.write(VNC_REG_TX_START, 0);
            page.write(VNC_REG_CONTROL, VNC_CONTROL_ENABLE);
        }
        const uint32_t both = VNC_STATUS_TX_RUN | VNC_STATUS_RX_RUN;
        while ((host_page.value & both) != both) {
            if (edge > StuckEdges) invalid("the engine does not start");
            if (host_page.idle() && card_page.idle() && host_page.read_done) host_page.read(VNC_REG_STATUS);
            tick();
        }
    }

    void word(unsigned side, size_t at, uint64_t when) {
        if (at == ProdLine[1 - side]) directions[1 - side].on_prod(when);
        if (at == ConsLine[side]) directions[side].on_cons();
    }
};

uint32_t padded(uint32_t record) { return (record + 63) / 64 * 64; }

void efficiency(Bench &bench, uint32_t record, uint32_t batch, uint64_t beats) {
    const uint32_t doorbell_bytes = padded(record) * batch;
    if (doorbell_bytes > Ring) invalid("a batch does not fit the ring");
    const uint64_t bytes = (beats * BeatBytes + doorbell_bytes - 1) / doorbell_bytes * doorbell_bytes;
    uint64_t before = 0, since = bench.edge;
    while (bench.directions[0].produced < bytes || bench.directions[1].produced < bytes) {
        for (Direction &direction : bench.directions)
            if (direction.produced < bytes && direction.room(doorbell_bytes)) direction.produce(doorbell_bytes);
        bench.tick();
        if (bench.progress() != before) before = bench.progress(), since = bench.edge;
        if (bench.edge - since > StuckEdges) invalid("the engine makes no progress");
    }
    bench.settle();
    const AxiMemory *sinks[2] = {&bench.card, &bench.host};
    for (const AxiMemory *sink : sinks)
        if (sink->data_beats != bytes / BeatBytes) invalid("the number of data beats differs from the data");
    std::printf("{");
    for (unsigned index = 0; index < 2; index++) {
        const AxiMemory &sink = *sinks[index];
        std::printf("%s\"%s\": {\"beats\": %lu, \"cycles\": %lu, \"publications\": %lu, \"largest\": %u}",
                    index ? ", " : "", index ? "c2h" : "h2c", sink.data_beats, sink.last_beat - sink.first_beat + 1,
                    bench.directions[index].publications, bench.directions[index].largest);
    }
    std::printf("}\n");
}

void latency(Bench &bench) {
    uint64_t least = ~uint64_t{0}, most = 0;
    for (int n = 0; n < 64; n++) {
        Direction &direction = bench.directions[n & 1];
        // Latency counts from the edge at which the doorbell is accepted.
        direction.produce(64);
        while (!direction.source_page.idle()) bench.tick();
        const uint64_t rung = direction.source_page.taken;
        bench.settle();
        least = std::min(least, direction.published_edge - rung);
        most = std::max(most, direction.published_edge - rung);
        for (int pause = 0; pause < 50 + n; pause++) bench.tick();
    }
    std::printf("{\"doorbell\": {\"least\": %lu, \"most\": %lu}}\n", least, most);
}

unsigned argument(const char *text) {
    char *end;
    const unsigned long value = std::strtoul(text, &end, 10);
    if (*end || end == text || value < 1 || value > 100'000'000) {
        std::fprintf(stderr, "mover: %s is out of range (1 to 100000000)\n", text);
        std::exit(2);
    }
    return static_cast<unsigned>(value);
}

}  // namespace

int main(int argc, char **argv) {
    const bool one = argc == 4 && std::string(argv[1]) == "latency";
    if (!one && argc != 6) {
        std::fputs("usage: mover RECORD BATCH BEATS READ_LATENCY WRITE_LATENCY\n"
                   "       mover latency READ_LATENCY WRITE_LATENCY\n",
                   stderr);
        return 2;
    }
    VerilatedContext context;
    Vvnc_dma_top top{&context};
    Bench bench{top, argument(argv[argc - 2]), argument(argv[argc - 1])};
    if (one)
        latency(bench);
    else
        efficiency(bench, argument(argv[1]), argument(argv[2]), argument(argv[3]));
    top.final();
    return 0;
}
