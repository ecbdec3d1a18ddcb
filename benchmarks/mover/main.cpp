// SPDX-License-Identifier: MIT
//
// The engine between two ideal memories, both directions busy; see ../mover_efficiency.py, which runs it.
//
//   mover RECORD BATCH BEATS READ_LATENCY WRITE_LATENCY     both directions for BEATS beats; one JSON line
//   mover latency READ_LATENCY WRITE_LATENCY                one 64-byte record at a time
//
// A producer rings after every BATCH records, as soon as the ring has room for them; a consumer checks what was
// published, byte for byte, and frees it at once.  Any difference ends the run without figures.

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
constexpr uint32_t RingOffset[2] = {1u << 18, 1u << 19};  // by direction, the same in both windows
constexpr uint32_t ProdLine[2] = {VNC_QUEUE_OFFSET + VNC_Q_H2C_PROD, VNC_QUEUE_OFFSET + VNC_Q_C2H_PROD};
constexpr uint32_t ConsLine[2] = {VNC_QUEUE_OFFSET + VNC_Q_H2C_CONS, VNC_QUEUE_OFFSET + VNC_Q_C2H_CONS};
constexpr uint64_t StuckEdges = 200000;

// What lies at byte `at`, a multiple of 8, of direction `way`'s stream: different in every lap of the ring.
uint64_t pattern(unsigned way, uint64_t at) {
    uint64_t x = (at + 1) * 0x9e3779b97f4a7c15u + way;
    x ^= x >> 29;
    return x * 0xbf58476d1ce4e5b9u;
}

uint32_t load32(const AxiMemory &memory, size_t at) {
    uint32_t value;
    std::memcpy(&value, &memory.bytes[at], 4);
    return value;
}

// One direction's producer and consumer.
struct Direction {
    unsigned way;
    AxiMemory &source, &sink;
    AxiLite &source_page, &sink_page;
    uint64_t produced = 0, published = 0, freed = 0, published_edge = 0, publications = 0;
    uint32_t largest = 0;  // bytes published at once

    void produce(uint32_t bytes) {
        for (uint64_t at = produced; at < produced + bytes; at += 8) {
            const uint64_t word = pattern(way, at);
            std::memcpy(&source.bytes[RingOffset[way] + at % Ring], &word, 8);
        }
        produced += bytes;
        source_page.write(VNC_REG_TX_PROD, static_cast<uint32_t>(produced));
    }

    bool room(uint32_t bytes) const { return produced + bytes - freed <= Ring && source_page.idle(); }

    void on_prod(uint64_t edge) {
        const uint32_t step = load32(sink, ProdLine[way]) - static_cast<uint32_t>(published);
        if (step > produced - published) invalid("published more than was produced");
        for (uint64_t at = published; at < published + step; at += 8) {
            const uint64_t word = pattern(way, at);
            if (std::memcmp(&word, &sink.bytes[RingOffset[way] + at % Ring], 8)) invalid("bytes differ");
        }
        published += step;
        published_edge = edge;
        publications += step != 0;
        largest = std::max(largest, step);
        if (step) sink_page.write(VNC_REG_RX_CONS, static_cast<uint32_t>(published));
    }

    void on_cons() {
        const uint32_t step = load32(source, ConsLine[way]) - static_cast<uint32_t>(freed);
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
          host_page(LITE_PINS(host)), card_page(LITE_PINS(card)), ways{{0, host, card, host_page, card_page},
                                                                       {1, card, host, card_page, host_page}} {
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

    // Until nothing is under way any more.
    void settle() {
        uint64_t before = progress(), since = edge;
        while (ways[0].freed < ways[0].produced || ways[1].freed < ways[1].produced) {
            tick();
            if (progress() != before) before = progress(), since = edge;
            if (edge - since > StuckEdges) invalid("the engine makes no progress");
        }
    }

    uint64_t progress() const { return ways[0].published + ways[1].published + ways[0].freed + ways[1].freed; }

    Vvnc_dma_top &top;
    AxiMemory host, card;
    AxiLite host_page, card_page;
    Direction ways[2];
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
            if (edge > StuckEdges) invalid("the engine does not come up");
            if (host_page.idle() && card_page.idle() && host_page.read_done) host_page.read(VNC_REG_STATUS);
            tick();
        }
    }

    void word(unsigned side, size_t at, uint64_t when) {
        if (at == ProdLine[1 - side]) ways[1 - side].on_prod(when);
        if (at == ConsLine[side]) ways[side].on_cons();
    }
};

uint32_t padded(uint32_t record) { return (record + 63) / 64 * 64; }

void efficiency(Bench &bench, uint32_t record, uint32_t batch, uint64_t beats) {
    const uint32_t bell = padded(record) * batch;
    if (bell > Ring) invalid("a batch does not fit the ring");
    const uint64_t bytes = (beats * BeatBytes + bell - 1) / bell * bell;
    uint64_t before = 0, since = bench.edge;
    while (bench.ways[0].produced < bytes || bench.ways[1].produced < bytes) {
        for (Direction &way : bench.ways)
            if (way.produced < bytes && way.room(bell)) way.produce(bell);
        bench.tick();
        if (bench.progress() != before) before = bench.progress(), since = bench.edge;
        if (bench.edge - since > StuckEdges) invalid("the engine makes no progress");
    }
    bench.settle();
    const AxiMemory *sinks[2] = {&bench.card, &bench.host};
    for (const AxiMemory *sink : sinks)
        if (sink->data_beats != bytes / BeatBytes) invalid("more or fewer data beats than data");
    std::printf("{");
    for (unsigned way = 0; way < 2; way++) {
        const AxiMemory &sink = *sinks[way];
        std::printf("%s\"%s\": {\"beats\": %lu, \"cycles\": %lu, \"publications\": %lu, \"largest\": %u}", way ? ", " : "",
                    way ? "c2h" : "h2c", sink.data_beats, sink.last_beat - sink.first_beat + 1,
                    bench.ways[way].publications, bench.ways[way].largest);
    }
    std::printf("}\n");
}

void latency(Bench &bench) {
    uint64_t least = ~uint64_t{0}, most = 0;
    for (int n = 0; n < 64; n++) {
        Direction &way = bench.ways[n & 1];
        // Edge 0 is the one at which the doorbell is accepted.
        way.produce(64);
        while (!way.source_page.idle()) bench.tick();
        const uint64_t rung = way.source_page.taken;
        bench.settle();
        least = std::min(least, way.published_edge - rung);
        most = std::max(most, way.published_edge - rung);
        for (int pause = 0; pause < 50 + n; pause++) bench.tick();
    }
    std::printf("{\"doorbell\": {\"least\": %lu, \"most\": %lu}}\n", least, most);
}

unsigned number(const char *text) {
    char *end;
    const unsigned long value = std::strtoul(text, &end, 10);
    if (*end || end == text || value < 1 || value > 100'000'000) {
        std::fprintf(stderr, "mover: %s is no number of 1 or more\n", text);
        std::exit(2);
    }
    return static_cast<unsigned>(value);
}

}  // namespace

int main(int argc, char **argv) {
    const bool one = argc == 4 && std::string(argv[1]) == "latency";
    if (!one && argc != 6) {
        std::fputs("usage: mover RECORD BATCH BEATS READ_LATENCY WRITE_LATENCY | latency READ_LATENCY WRITE_LATENCY\n", stderr);
        return 2;
    }
    VerilatedContext context;
    Vvnc_dma_top top{&context};
    Bench bench{top, number(argv[argc - 2]), number(argv[argc - 1])};
    if (one)
        latency(bench);
    else
        efficiency(bench, number(argv[1]), number(argv[2]), number(argv[3]));
    top.final();
    return 0;
}
