/* SPDX-License-Identifier: MIT */
/**
 * DOC: the waveform file: a span of cycles, or what was before and after the first error.
 *
 * Waiting for an error, cycles go to two files in turn, each half of what is asked for; after the error they go on
 * for as many again.  So at least half of them show what led to it.  Without VM_TRACE_FST this is empty.
 */
#pragma once
#include "verilated.h"
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
	template <class Top> void attach(Top &top, const TraceWish &wish, double ns_a_cycle)
	{
		wish_ = wish;
		tick_ = uint64_t(ns_a_cycle * 1000 / 2);
		if (!wish.path)
			return;
		file_ = std::make_unique<VerilatedFstC>();
		top.trace(file_.get(), 99);
	}

	bool on() const { return open_ || (file_ && !done_); }

	/** edge() - the ports and signals as they stand in the first (0) or second (1) half of @cycle. */
	void edge(uint64_t cycle, unsigned half)
	{
		if (!file_ || done_ || cycle < wish_.from)
			return;
		if (!open_)
			open(cycle);
		if (half == 0 && turn(cycle))
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
		if (open_)
			file_->close();
		open_ = false;
		done_ = true;
	}

      private:
	void open(uint64_t cycle)
	{
		file_->open(wish_.path);
		open_ = true;
		began_ = cycle;
	}

	/* Return: true when tracing is over. */
	bool turn(uint64_t cycle)
	{
		if (cycle >= wish_.to) {
			close();
			return true;
		}
		if (wish_.around && wish_.to == UINT64_MAX && cycle - began_ >= wish_.around / 2) {
			file_->close();
			std::rename(wish_.path, wish_.path_before);
			open(cycle);
		}
		return false;
	}

	TraceWish wish_{};
	std::unique_ptr<VerilatedFstC> file_;
	uint64_t tick_ = 1, began_ = 0;
	bool open_ = false, done_ = false;
};
#else
class Trace {
      public:
	template <class Top> void attach(Top &, const TraceWish &, double) {}
	void edge(uint64_t, unsigned) {}
	void error(uint64_t) {}
	void close() {}
};
#endif

} // namespace vnc
