/* SPDX-License-Identifier: MIT */
/**
 * DOC: the waveform file: a span of cycles, or the cycles around the first error.
 *
 * Until an error, cycles are written to two files in turn, each for half of the requested number; after the error
 * the same number follows.  So at least half of the cycles precede the error.  Without VM_TRACE_FST this is empty.
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

/** struct TraceRequest - trace cycles [from, to), or, if @around is not 0, @around cycles around the first error. */
struct TraceRequest {
	const char *path;
	const char *path_before; /* the cycles before those in @path, for a trace around an error */
	uint64_t from, to, around;
};

#if VM_TRACE_FST
class Trace {
      public:
	void attach(Vtop &top, const TraceRequest &request, double ns_per_cycle)
	{
		top_ = &top;
		request_ = request;
		tick_ = uint64_t(ns_per_cycle * 1000 / 2);
		done_ = !request.path;
	}

	/** edge() - dump the signals in the first (0) or second (1) half of @cycle. */
	void edge(uint64_t cycle, unsigned half)
	{
		if (done_ || cycle < request_.from)
			return;
		if (!file_)
			open(cycle);
		if (half == 0)
			rotate(cycle);
		if (done_)
			return;
		file_->dump((2 * cycle + half) * tick_);
	}

	/** error() - record that a burst failed in @cycle. */
	void error(uint64_t cycle)
	{
		if (request_.around && request_.to == UINT64_MAX)
			request_.to = cycle + request_.around / 2;
	}

	void close()
	{
		if (file_)
			file_->close();
		file_.reset();
		done_ = true;
	}

      private:
	/* A new object each time: Verilator cannot reopen one for a design with enums. */
	void open(uint64_t cycle)
	{
		file_ = std::make_unique<VerilatedFstC>();
		top_->trace(file_.get(), Levels);
		file_->open(request_.path);
		began_ = cycle;
	}

	void rotate(uint64_t cycle)
	{
		if (cycle >= request_.to) {
			close();
		} else if (request_.around && request_.to == UINT64_MAX && cycle - began_ >= request_.around / 2) {
			file_->close();
			std::rename(request_.path, request_.path_before);
			open(cycle);
		}
	}

	static constexpr int Levels = 99; /* of hierarchy: all */

	Vtop *top_ = nullptr;
	TraceRequest request_{};
	std::unique_ptr<VerilatedFstC> file_;
	uint64_t tick_ = 1, began_ = 0;
	bool done_ = true;
};
#else
class Trace {
      public:
	void attach(Vtop &, const TraceRequest &, double) {}
	void edge(uint64_t, unsigned) {}
	void error(uint64_t) {}
	void close() {}
};
#endif

} // namespace vnc
