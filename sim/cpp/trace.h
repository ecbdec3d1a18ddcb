/* SPDX-License-Identifier: MIT */
/**
 * DOC: the waveform file: a span of cycles, or what was before and after the first error.
 *
 * Waiting for an error, cycles go to two files in turn, each half of what is asked for; after the error they go on
 * for as many again.  So at least half of them show what led to it.  Without VM_TRACE_FST this is empty.
 */
#pragma once
#include "Vtop.h"
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif

namespace vnc {

/** struct TraceWish - what to trace: cycles [from, to), or @around cycles about the first error when not 0. */
struct TraceWish {
	const char *path;
	const char *path_before; /* for the cycles before those in @path, of a trace around an error */
	uint64_t from, to, around;
};

#if VM_TRACE_FST
class Trace {
      public:
	void attach(Vtop &top, const TraceWish &wish, double ns_a_cycle)
	{
		top_ = &top;
		wish_ = wish;
		tick_ = uint64_t(ns_a_cycle * 1000 / 2);
		done_ = !wish.path;
	}

	/** edge() - the ports and signals as they stand in the first (0) or second (1) half of @cycle. */
	void edge(uint64_t cycle, unsigned half)
	{
		if (done_ || cycle < wish_.from)
			return;
		if (!file_)
			open(cycle);
		if (half == 0)
			turn(cycle);
		if (done_)
			return;
		file_->dump((2 * cycle + half) * tick_);
	}

	/** error() - a burst failed in @cycle. */
	void error(uint64_t cycle)
	{
		if (wish_.around && wish_.to == UINT64_MAX)
			wish_.to = cycle + wish_.around / 2;
	}

	void close()
	{
		if (file_)
			file_->close();
		file_.reset();
		done_ = true;
	}

      private:
	/* A new one each time: Verilator cannot open one twice when there are enums in the design. */
	void open(uint64_t cycle)
	{
		file_ = std::make_unique<VerilatedFstC>();
		top_->trace(file_.get(), Levels);
		file_->open(wish_.path);
		began_ = cycle;
	}

	void turn(uint64_t cycle)
	{
		if (cycle >= wish_.to) {
			close();
		} else if (wish_.around && wish_.to == UINT64_MAX && cycle - began_ >= wish_.around / 2) {
			file_->close();
			std::rename(wish_.path, wish_.path_before);
			open(cycle);
		}
	}

	static constexpr int Levels = 99; /* of hierarchy: all */

	Vtop *top_ = nullptr;
	TraceWish wish_{};
	std::unique_ptr<VerilatedFstC> file_;
	uint64_t tick_ = 1, began_ = 0;
	bool done_ = true;
};
#else
class Trace {
      public:
	void attach(Vtop &, const TraceWish &, double) {}
	void edge(uint64_t, unsigned) {}
	void error(uint64_t) {}
	void close() {}
};
#endif

} // namespace vnc
