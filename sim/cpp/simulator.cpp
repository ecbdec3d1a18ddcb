/* SPDX-License-Identifier: MIT */
/**
 * DOC: the live simulator: the Verilated vnc_dma_top between two shared memory objects, as a library.
 *
 *        /NAME.host                    /NAME (bus)                    /NAME.card
 *            |                  doorbells, mailboxes                      |
 *        AxiMemory         RegisterPage          RegisterPage         AxiMemory
 *            |                   |                    |                   |
 *            +-- m_axi_host -- [ s_axil_host  Vtop  s_axil_card ] -- m_axi_card
 *
 * One thread runs everything.  It sleeps after a period without activity: it stores asleep, fences, and reads every
 * count once more (barrier S2); an agent that rings increments a count, fences, and reads asleep
 * (vnetcard/window/sim_bus.py).  At least one of the two sees the other's store.  Simulated time stops meanwhile.
 */
#include "Vtop.h"
#include "bus.h"
#include "memory.h"
#include "page.h"
#include "trace.h"
#include <atomic>
#include <ctime>
#include <memory>

using namespace vnc;

namespace {

constexpr unsigned CyclesPerPoll = 8;
constexpr uint64_t IdleCycles = 1024; /* without activity, before it sleeps */
constexpr long SleepNs = 50000000;    /* at most: bounds the delay of a lost wake-up */
constexpr unsigned ResetCycles = 8;
constexpr long PauseNs = 50000; /* polling interval of another thread that waits for this one */

uint64_t now_ns()
{
	timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

#define VNC_MASTER(top, side)                                                                                          \
	MasterPins                                                                                                     \
	{                                                                                                              \
		(top).m_axi_##side##_awid, (top).m_axi_##side##_awaddr, (top).m_axi_##side##_awlen,                    \
		    (top).m_axi_##side##_awvalid, (top).m_axi_##side##_awready, raw((top).m_axi_##side##_wdata),       \
		    raw((top).m_axi_##side##_wstrb), (top).m_axi_##side##_wlast, (top).m_axi_##side##_wvalid,          \
		    (top).m_axi_##side##_wready, (top).m_axi_##side##_bid, (top).m_axi_##side##_bresp,                 \
		    (top).m_axi_##side##_bvalid, (top).m_axi_##side##_bready, (top).m_axi_##side##_arid,               \
		    (top).m_axi_##side##_araddr, (top).m_axi_##side##_arlen, (top).m_axi_##side##_arvalid,             \
		    (top).m_axi_##side##_arready, (top).m_axi_##side##_rid, raw((top).m_axi_##side##_rdata),           \
		    (top).m_axi_##side##_rresp, (top).m_axi_##side##_rlast, (top).m_axi_##side##_rvalid,               \
		    (top).m_axi_##side##_rready                                                                        \
	}

#define VNC_PAGE(top, side)                                                                                            \
	PagePins                                                                                                       \
	{                                                                                                              \
		(top).s_axil_##side##_awaddr, (top).s_axil_##side##_awvalid, (top).s_axil_##side##_awready,            \
		    (top).s_axil_##side##_wdata, (top).s_axil_##side##_wstrb, (top).s_axil_##side##_wvalid,            \
		    (top).s_axil_##side##_wready, (top).s_axil_##side##_bvalid, (top).s_axil_##side##_bready,          \
		    (top).s_axil_##side##_araddr, (top).s_axil_##side##_arvalid, (top).s_axil_##side##_arready,        \
		    (top).s_axil_##side##_rdata, (top).s_axil_##side##_rvalid, (top).s_axil_##side##_rready,           \
		    (top).irq_##side##_o                                                                               \
	}

} // namespace

extern "C" {

/** struct vncsim_config - sim/library.py has the same structure for ctypes. */
struct vncsim_config {
	uint8_t *bus, *host, *card;
	uint64_t memory_bytes, base_host, base_card;
	uint64_t pcie_latency; /* cycles */
	double pcie_beat;      /* cycles that a beat takes on the host's side */
	double ns_per_cycle;
	uint64_t seed;
	TraceRequest trace;
	int host_eventfd; /* >= 0: the host is a PCI function's client, whose memory is an Iommu's; host is NULL */
};
}

/** class vncsim - a simulator; one thread calls vncsim_run(), any other thread the other functions. */
class vncsim {
      public:
	explicit vncsim(const vncsim_config &config)
	    : bus_{config.bus}, log_{bus_},
	      host_(VNC_MASTER(top_, host), config.host, config.host_eventfd < 0 ? nullptr : &iommu_, config.base_host,
		    config.memory_bytes, Timing{config.pcie_latency, config.pcie_beat}, stats_.side[0], log_, 0),
	      card_(VNC_MASTER(top_, card), config.card, nullptr, config.base_card, config.memory_bytes, Timing{0, 0},
		    stats_.side[1], log_, 1),
	      pages_{{VNC_PAGE(top_, host), bus_, 0, config.host, stats_.side[0]},
		     {VNC_PAGE(top_, card), bus_, 1, config.card, stats_.side[1]}}
	{
		pages_[0].to_eventfd(config.host_eventfd);
		trace_.attach(top_, config.trace, config.ns_per_cycle);
		for (unsigned side = 0; side < 2; side++) {
			faults(side, 0).seed(config.seed + 2 * side);
			faults(side, 1).seed(config.seed + 2 * side + 1);
		}
		reset();
	}

	~vncsim()
	{
		trace_.close();
		top_.final();
	}

	Faults &faults(unsigned side, bool write)
	{
		AxiMemory &memory = side ? card_ : host_;

		return write ? memory.write_faults() : memory.read_faults();
	}

	void run()
	{
		while (!stop_.load(std::memory_order_relaxed)) {
			plug();
			iommu_.apply();
			if (unplugged_) {
				for (RegisterPage &page : pages_)
					page.unplugged();
				sleep();
				continue;
			}
			for (unsigned n = 0; n < CyclesPerPoll; n++)
				cycle();
			for (RegisterPage &page : pages_)
				page.poll();
			if (moving())
				moved_ = stats_.cycles;
			else if (stats_.cycles - moved_ > idle_limit())
				sleep();
		}
	}

	void stop()
	{
		stop_ = true;
		ring();
	}

	/** remove() - remove the card (@instance 0), or insert it again as @instance; returns when it is done. */
	void remove(uint32_t instance)
	{
		timespec pause{0, PauseNs};

		wanted_instance_ = instance;
		remove_ = instance == 0;
		ring();
		while (unplugged_ != remove_ && !stop_)
			nanosleep(&pause, nullptr);
	}

	/** unmap() - take maps back; returns when no burst reaches them any more, or at once with an errno. */
	int unmap(uint64_t address, uint64_t size)
	{
		timespec pause{0, PauseNs};

		if (int error = iommu_.unmap(address, size))
			return error;
		ring();
		while (iommu_.pending() && !stop_)
			nanosleep(&pause, nullptr);
		return 0;
	}

	Iommu &iommu() { return iommu_; }
	RegisterPage &page(unsigned side) { return pages_[side]; }
	const Stats &stats() const { return stats_; }

	/** ring() - from another thread: wake the simulator as an agent does. */
	void ring()
	{
		__atomic_add_fetch(bus_.doorbell(), 1, __ATOMIC_SEQ_CST);
		futex_wake(bus_.doorbell());
	}

      private:
	void edge(uint8_t level)
	{
		top_.clk_i = level;
		top_.eval();
		trace_.edge(stats_.cycles, level);
	}

	/* The model registers each input (sim/wrapper.py): a value driven now takes effect from the edge on. */
	void cycle()
	{
		const uint64_t now = stats_.cycles;

		host_.drive(now);
		card_.drive(now);
		edge(0);
		edge(1);
		host_.sample(now);
		card_.sample(now);
		pages_[0].sample();
		pages_[1].sample();
		host_.settle();
		card_.settle();
		pages_[0].settle();
		pages_[1].settle();
		stats_.cycles++;
		if (errors_ != host_.errors() + card_.errors()) {
			errors_ = host_.errors() + card_.errors();
			trace_.error(now);
		}
	}

	/* The memories do not sample during a reset, so requests in its first cycle are discarded. */
	void reset()
	{
		host_.reset();
		card_.reset();
		for (RegisterPage &page : pages_)
			page.reset();
		top_.rst_ni = 0;
		for (unsigned n = 0; n < ResetCycles; n++) {
			edge(0);
			edge(1);
			stats_.cycles++;
		}
		top_.rst_ni = 1;
	}

	/* Remove or insert the card when remove() requested it. */
	void plug()
	{
		if (remove_.load(std::memory_order_acquire) == unplugged_)
			return;
		if (remove_) {
			store(bus_.removed(), 1);
			stats_.removals++;
			reset(); /* at once: no access reaches a memory any more */
		} else {
			store(bus_.instance(), wanted_instance_.load());
			store(bus_.removed(), 0);
		}
		unplugged_ = !unplugged_;
	}

	bool moving()
	{
		return host_.busy() || card_.busy() || pages_[0].busy() || pages_[1].busy();
	}

	/* Cycles without activity after which the engine can no longer act by itself. */
	uint64_t idle_limit()
	{
		uint64_t most = IdleCycles;

		for (const RegisterPage &page : pages_) {
			most = std::max<uint64_t>(most, page.timer());
			if (host_.hangs() || card_.hangs())
				most = std::max<uint64_t>(most, page.timeout());
		}
		return most;
	}

	void sleep()
	{
		uint32_t seen = load(bus_.doorbell());

		store(bus_.asleep(), 1);
		__atomic_thread_fence(__ATOMIC_SEQ_CST); /* barrier S2 */
		bool work = stop_ || remove_ != unplugged_ || iommu_.pending() || pages_[0].waiting() || pages_[1].waiting();

		if (!work) {
			uint64_t began = now_ns();

			stats_.woken += futex_wait(bus_.doorbell(), seen, SleepNs);
			stats_.sleeps++;
			stats_.asleep_ns += now_ns() - began;
		}
		store(bus_.asleep(), 0);
		moved_ = stats_.cycles;
	}

	Vtop top_;
	Stats stats_{};
	Bus bus_;
	Log log_;
	Iommu iommu_;
	AxiMemory host_, card_;
	RegisterPage pages_[2];
	Trace trace_;
	uint64_t moved_ = 0, errors_ = 0;
	std::atomic<bool> stop_{false}, remove_{false}, unplugged_{false};
	std::atomic<uint32_t> wanted_instance_{0};
};

#pragma GCC visibility push(default)
extern "C" {

vncsim *vncsim_new(const vncsim_config *config)
{
	Verilated::traceEverOn(config->trace.path != nullptr);
	return new vncsim(*config);
}

void vncsim_free(vncsim *sim) { delete sim; }
void vncsim_run(vncsim *sim) { sim->run(); }
void vncsim_stop(vncsim *sim) { sim->stop(); }
void vncsim_remove(vncsim *sim, uint32_t instance) { sim->remove(instance); }
const Stats *vncsim_stats(vncsim *sim) { return &sim->stats(); }

/** vncsim_fault() - burst @number (0: each with probability @share) of @side's reads or writes gets @answer. */
void vncsim_fault(vncsim *sim, unsigned side, int write, uint64_t number, double share, unsigned answer)
{
	Faults &faults = sim->faults(side, write);

	if (number)
		faults.at(number, Answer(answer));
	else
		faults.often(share, Answer(answer));
}

/** vncsim_map() - show @size bytes from @offset of @fd to the engine at @address.  Return: 0 or an errno. */
int vncsim_map(vncsim *sim, uint64_t address, uint64_t size, int fd, uint64_t offset, uint32_t flags)
{
	return sim->iommu().map(address, size, fd, offset, flags);
}

int vncsim_unmap(vncsim *sim, uint64_t address, uint64_t size) { return sim->unmap(address, size); }
void vncsim_enable_dma(vncsim *sim, int on) { sim->iommu().enable(on); }
uint64_t vncsim_maps(vncsim *sim) { return sim->iommu().count(); }

/** vncsim_read() - read register @offset of @side into @value; Return: 0 without an answer within @limit_ns. */
int vncsim_read(vncsim *sim, unsigned side, uint32_t offset, uint64_t limit_ns, uint32_t *value)
{
	RegisterPage &page = sim->page(side);
	uint64_t deadline = now_ns() + limit_ns;
	timespec pause{0, PauseNs};

	page.query(offset);
	sim->ring();
	while (!page.answered()) {
		if (now_ns() > deadline)
			return 0;
		nanosleep(&pause, nullptr);
	}
	*value = page.answer();
	return 1;
}
}
#pragma GCC visibility pop
