/* SPDX-License-Identifier: MIT */
/**
 * DOC: the memory of one side as an AXI4 slave: the shared memory object with a modelled bus in front.
 *
 *   AR --> queue --(latency, bandwidth)--> R      read from the object when the beat is answered
 *   AW --> queue
 *   W  --------------(bandwidth)---------> object, then --(latency)--> B
 *
 * Bursts are answered in order.  Other processes read the object while this writes it: 8 bytes become visible
 * together, as do the 4 bytes of an index word, and a burst becomes visible after everything that was acknowledged
 * before it (barrier S1).  The partner of S1 is the acquire of the reader: vnc_barrier.h, barriers A and B.
 *
 * With an Iommu the object is the memory of a virtual machine, which every beat looks up; what is not mapped is SLVERR.
 */
#pragma once
#include "faults.h"
#include "iommu.h"
#include "log.h"
#include "stats.h"
#include "verilated.h"
#include <algorithm>
#include <cstdint>
#include <cstring>

namespace vnc {

/* The bytes of a port: Verilator represents up to 64 bits as a number and more as an array of 32-bit words. */
inline uint8_t *raw(QData &port) { return reinterpret_cast<uint8_t *>(&port); }
template <std::size_t Words> uint8_t *raw(VlWide<Words> &port) { return reinterpret_cast<uint8_t *>(port.data()); }
inline uint8_t *raw(IData &port) { return reinterpret_cast<uint8_t *>(&port); }
inline uint8_t *raw(SData &port) { return reinterpret_cast<uint8_t *>(&port); }
inline uint8_t *raw(CData &port) { return &port; }

/** struct MasterPins - the ports of one AXI4 master of the engine. */
struct MasterPins {
	CData &awid;
	QData &awaddr;
	CData &awlen;
	CData &awvalid, &awready;
	const uint8_t *wdata, *wstrb;
	CData &wlast, &wvalid, &wready;
	CData &bid, &bresp, &bvalid, &bready;
	CData &arid;
	QData &araddr;
	CData &arlen;
	CData &arvalid, &arready;
	CData &rid;
	uint8_t *rdata;
	CData &rresp, &rlast, &rvalid, &rready;
};

/** struct Timing - timing of the modelled bus in cycles; 0: no latency, and one beat per cycle. */
struct Timing {
	uint64_t latency;
	double beat; /* cycles per beat, in each direction */
};

/** class Queue - a FIFO of at most Depth items. */
template <class Item, unsigned Depth> class Queue {
      public:
	bool empty() const { return in_ == out_; }
	bool full() const { return in_ - out_ == Depth; }
	Item &front() { return items_[out_ % Depth]; }
	void push(const Item &item) { items_[in_++ % Depth] = item; }
	void pop() { out_++; }
	void clear() { out_ = in_; }

      private:
	Item items_[Depth];
	unsigned in_ = 0, out_ = 0;
};

class AxiMemory {
      public:
	static constexpr unsigned BeatBytes = VNC_DATA_W / 8;

	AxiMemory(MasterPins pins, uint8_t *bytes, Iommu *iommu, uint64_t base, uint64_t size, Timing timing,
		  SideStats &stats, Log &log, unsigned side)
	    : pins_(pins), bytes_(bytes), iommu_(iommu), base_(base), size_(size), timing_(timing), stats_(stats),
	      log_(log), side_(side)
	{
	}

	Faults &read_faults() { return read_faults_; }
	Faults &write_faults() { return write_faults_; }

	/** drive() - set the outputs of the slave for cycle @now. */
	void drive(uint64_t now)
	{
		pins_.arready = !reads_.full();
		pins_.awready = !writes_.full();
		pins_.wready = double(now) >= write_free_;
		if (!pins_.rvalid && !reads_.empty())
			drive_read(now);
		if (!pins_.bvalid && !acks_.empty())
			drive_ack(now);
	}

	/** sample() - record the handshakes at the end of cycle @now, after the ports have settled. */
	void sample(uint64_t now)
	{
		r_taken_ = pins_.rvalid && pins_.rready;
		b_taken_ = pins_.bvalid && pins_.bready;
		if (pins_.arvalid && pins_.arready)
			take_read(now);
		if (pins_.awvalid && pins_.awready)
			take_write();
		if (pins_.wvalid && pins_.wready)
			take_beat(now);
	}

	/** settle() - complete the handshakes after the clock edge. */
	void settle()
	{
		if (r_taken_) {
			pins_.rvalid = 0;
			if (pins_.rlast)
				reads_.pop();
		}
		if (b_taken_) {
			pins_.bvalid = 0;
			acks_.pop();
		}
	}

	/** busy() - Return: true while a transfer is in progress or will continue by itself; a HANG does not. */
	bool busy()
	{
		return pins_.arvalid || pins_.awvalid || pins_.wvalid || pins_.rvalid || pins_.bvalid ||
		       (!reads_.empty() && reads_.front().answer != HANG) ||
		       (!acks_.empty() && acks_.front().answer != HANG);
	}

	/** hangs() - Return: true while a burst has the answer HANG. */
	bool hangs()
	{
		return (!reads_.empty() && reads_.front().answer == HANG) ||
		       (!acks_.empty() && acks_.front().answer == HANG);
	}

	/** reset() - discard every burst. */
	void reset()
	{
		reads_.clear();
		writes_.clear();
		acks_.clear();
		pins_.rvalid = pins_.bvalid = 0;
		pins_.arready = pins_.awready = pins_.wready = 0;
		read_free_ = write_free_ = 0;
	}

	uint64_t errors() const { return stats_.errors; }

      private:
	struct Burst {
		uint64_t address, ready;
		unsigned beats;
		uint8_t id;
		Answer answer;
		uint32_t done = 0; /* bytes */
	};

	/* More than the engine can have outstanding, so that a full queue never stalls it. */
	static constexpr unsigned Depth = 64;

	/* 0.1 s of simulated time: more than the time-out that the agents set. */
	static constexpr uint64_t LateCycles = 25000000;

	Answer judge(uint64_t address, unsigned beats, Faults &faults)
	{
		Answer answer = faults.next();

		if (!iommu_ && (address < base_ || address - base_ > size_ - beats * BeatBytes)) {
			stats_.outside++;
			answer = DECERR;
		}
		if (answer != OKAY && answer != LATE)
			stats_.errors++;
		return answer;
	}

	/* Return the memory of a beat; nullptr, and SLVERR for @burst, where the IOMMU refuses the @access. */
	uint8_t *reach(Burst &burst, uint32_t access)
	{
		if (!iommu_)
			return bytes_ + (burst.address - base_);

		uint8_t *found = iommu_->find(burst.address, access);

		if (!found) {
			burst.answer = SLVERR;
			stats_.outside++;
			stats_.errors++;
		}
		return found;
	}

	/* Return the delay of @answer in cycles; a LATE answer becomes OKAY. */
	static uint64_t late(Answer &answer)
	{
		if (answer != LATE)
			return 0;
		answer = OKAY;
		return LateCycles;
	}

	void take_read(uint64_t now)
	{
		unsigned beats = pins_.arlen + 1u;
		uint64_t address = pins_.araddr & -uint64_t(BeatBytes);

		Answer answer = judge(address, beats, read_faults_);
		uint64_t delay = late(answer);

		stats_.read_bursts++;
		reads_.push({address, now + 1 + timing_.latency + delay, beats, pins_.arid, answer});
	}

	void drive_read(uint64_t now)
	{
		Burst &burst = reads_.front();

		if (now < burst.ready || burst.answer == HANG || double(now) < read_free_)
			return;
		const uint8_t *from = burst.answer == OKAY ? reach(burst, Iommu::READ) : nullptr;

		if (from) {
			copy_out(from);
			stats_.read_bytes += BeatBytes;
		} else {
			memset(pins_.rdata, 0xff, BeatBytes);
		}
		burst.address += BeatBytes;
		burst.done += BeatBytes;
		pins_.rid = burst.id;
		pins_.rresp = burst.answer;
		pins_.rlast = --burst.beats == 0;
		if (pins_.rlast && burst.answer == OKAY)
			log_.put(now, side_, VNC_SIMBUS_LOG_READ, burst.address - burst.done - base_, burst.done);
		pins_.rvalid = 1;
		read_free_ = std::max(read_free_, double(now)) + timing_.beat;
	}

	void copy_out(const uint8_t *bytes)
	{
		const uint64_t *from = reinterpret_cast<const uint64_t *>(bytes);

		/* The doorbell that caused this read was loaded with acquire: the bytes it covers are visible. */
		for (unsigned n = 0; n < BeatBytes / 8; n++) {
			uint64_t value = __atomic_load_n(from + n, __ATOMIC_RELAXED);

			memcpy(pins_.rdata + 8 * n, &value, 8);
		}
	}

	void take_write()
	{
		unsigned beats = pins_.awlen + 1u;
		uint64_t address = pins_.awaddr & -uint64_t(BeatBytes);

		Answer answer = judge(address, beats, write_faults_);
		uint64_t delay = late(answer);

		stats_.write_bursts++;
		writes_.push({address, delay, beats, pins_.awid, answer});
		__atomic_thread_fence(__ATOMIC_RELEASE); /* barrier S1 */
	}

	void take_beat(uint64_t now)
	{
		if (writes_.empty())
			vl_fatal(__FILE__, __LINE__, "", "vnetcard-sim: the engine sent a beat before its address");

		Burst &burst = writes_.front();

		uint8_t *to = burst.answer == OKAY ? reach(burst, Iommu::WRITE) : nullptr;

		if (to)
			copy_in(to, burst.address - base_, now);
		burst.address += BeatBytes;
		burst.done += BeatBytes;
		write_free_ = std::max(write_free_, double(now)) + timing_.beat;
		burst.beats--;
		if (pins_.wlast != (burst.beats == 0))
			vl_fatal(__FILE__, __LINE__, "", "vnetcard-sim: WLAST is not on the last beat");
		if (pins_.wlast) {
			burst.ready += now + 1 + timing_.latency;
			if (burst.answer == OKAY)
				log_.put(now, side_, VNC_SIMBUS_LOG_WRITE, burst.address - burst.done - base_,
					 burst.done);
			acks_.push(burst);
			writes_.pop();
		}
	}

	void copy_in(uint8_t *to, uint64_t offset, uint64_t now)
	{
		for (unsigned n = 0; n < BeatBytes / 8; n++, to += 8, offset += 8) {
			uint64_t value;

			memcpy(&value, pins_.wdata + 8 * n, 8);
			switch (pins_.wstrb[n]) {
			case 0:
				break;
			case 0xff:
				__atomic_store_n(reinterpret_cast<uint64_t *>(to), value, __ATOMIC_RELAXED);
				stats_.write_bytes += 8;
				break;
			case 0x0f:
				/* Logged first: a consumer that has seen the index has a later time than the log. */
				log_.put(now, side_, VNC_SIMBUS_LOG_INDEX, offset, uint32_t(value));
				__atomic_store_n(reinterpret_cast<uint32_t *>(to), uint32_t(value), __ATOMIC_RELAXED);
				stats_.index_words++;
				break;
			default:
				for (unsigned byte = 0; byte < 8; byte++)
					if (pins_.wstrb[n] >> byte & 1)
						to[byte] = uint8_t(value >> 8 * byte);
			}
		}
	}

	void drive_ack(uint64_t now)
	{
		const Burst &burst = acks_.front();

		if (now < burst.ready || burst.answer == HANG)
			return;
		pins_.bid = burst.id;
		pins_.bresp = burst.answer;
		pins_.bvalid = 1;
	}

	MasterPins pins_;
	uint8_t *bytes_;
	Iommu *iommu_;
	uint64_t base_, size_;
	Timing timing_;
	SideStats &stats_;
	Log &log_;
	unsigned side_;
	Faults read_faults_, write_faults_;
	Queue<Burst, Depth> reads_, writes_, acks_;
	double read_free_ = 0, write_free_ = 0;
	bool r_taken_ = false, b_taken_ = false;
};

} // namespace vnc
