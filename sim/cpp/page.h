/* SPDX-License-Identifier: MIT */
/**
 * DOC: the register page of one side: doorbells, mailbox and interrupt of the bus object as AXI4-Lite accesses.
 *
 *   doorbell counts --+
 *   mailbox ----------+--> one access at a time --> s_axil_*
 *   interrupt --------+        (read irq_status, write it back, wake the pumps)
 *   queries of the simulator --+
 *
 * An interrupt that somebody else serves (to_eventfd()) is only signalled, once per rising edge as MSI-X is.
 *
 * A pass reads the mailbox first and serves it last: a doorbell that rang before the request is forwarded before it,
 * and a continuous stream of doorbells or interrupts cannot delay other accesses indefinitely.
 */
#pragma once
#include "bus.h"
#include "stats.h"
#include "verilated.h"
#define _Static_assert static_assert /* the header is C */
#include "vnc_layout.h"
#include <atomic>
#include <sys/eventfd.h>

namespace vnc {

/** struct PagePins - the ports of one AXI4-Lite slave of the engine, and its interrupt. */
struct PagePins {
	SData &awaddr;
	CData &awvalid, &awready;
	IData &wdata;
	CData &wstrb, &wvalid, &wready;
	CData &bvalid, &bready;
	SData &araddr;
	CData &arvalid, &arready;
	IData &rdata;
	CData &rvalid, &rready;
	CData &irq;
};

class RegisterPage {
      public:
	RegisterPage(PagePins pins, Bus bus, unsigned side, uint8_t *memory, SideStats &stats)
	    : pins_(pins), bus_(bus), side_(side), memory_(memory), stats_(stats)
	{
		for (unsigned n = 0; n < Doorbells; n++)
			rung_[n] = load(rung(n));
		served_ = load(mail(VNC_SIMBUS_REQUEST)) - 1; /* a request that waits is answered with all ones */
		answer_mail(AllOnes);
		pins_.bready = pins_.rready = 1;
		pins_.wstrb = 0xf;
	}

	/** to_eventfd() - signal interrupts by @fd; the driver reads and clears irq_status by the mailbox. */
	void to_eventfd(int fd) { eventfd_ = fd; }

	/** poll() - start the next access if one is due; cheap otherwise. */
	void poll()
	{
		if (eventfd_ >= 0)
			signal();
		if (task_ != Task::None)
			return;
		if (cursor_ == 0) {
			request_ = load(mail(VNC_SIMBUS_REQUEST));
			cursor_ = 1;
			if (pins_.irq && eventfd_ < 0) {
				start_read(Task::IrqRead, VNC_REG_IRQ_STATUS);
				return;
			}
		}
		while (cursor_ <= Doorbells)
			if (rang(cursor_++ - 1))
				return;
		cursor_ = 0;
		if (request_ != served_)
			start_mail();
		else if (queries_.load(std::memory_order_acquire) != answers_.load(std::memory_order_relaxed))
			start_read(Task::Query, query_offset_);
	}

	/** waiting() - Return: true when poll() would start an access; called before sleeping, after a full fence. */
	bool waiting() const
	{
		if (task_ != Task::None || interrupting() || load(mail(VNC_SIMBUS_REQUEST)) != served_ ||
		    queries_ != answers_)
			return true;
		for (unsigned n = 0; n < Doorbells; n++)
			if (load(rung(n)) != rung_[n])
				return true;
		return false;
	}

	bool busy() const { return task_ != Task::None || interrupting(); }

	/** sample() - record the handshakes at the end of this cycle, after the ports have settled. */
	void sample()
	{
		if (task_ == Task::None)
			return;
		aw_taken_ = pins_.awvalid && pins_.awready;
		w_taken_ = pins_.wvalid && pins_.wready;
		ar_taken_ = pins_.arvalid && pins_.arready;
		done_ = pins_.bvalid || pins_.rvalid;
		value_ = pins_.rdata;
	}

	/** settle() - complete the handshakes after the clock edge. */
	void settle()
	{
		if (task_ == Task::None)
			return;
		if (aw_taken_)
			pins_.awvalid = 0;
		if (w_taken_)
			pins_.wvalid = 0;
		if (ar_taken_)
			pins_.arvalid = 0;
		if (done_)
			finish();
	}

	/** unplugged() - answer as a bus does without a card. */
	void unplugged()
	{
		for (unsigned n = 0; n < Doorbells; n++)
			rung_[n] = load(rung(n));
		request_ = load(mail(VNC_SIMBUS_REQUEST));
		if (request_ != served_)
			answer_mail(AllOnes);
		value_ = AllOnes;
		answer_query();
	}

	/** reset() - discard the access in progress; its request is answered with all ones. */
	void reset()
	{
		pins_.awvalid = pins_.wvalid = pins_.arvalid = 0;
		if (task_ == Task::Mail)
			answer_mail(AllOnes);
		task_ = Task::None;
		timer_ = timeout_ = 0;
		signalled_ = false;
	}

	/** timer() - cycles after which the engine may act by itself because of interrupt moderation. */
	uint32_t timer() const { return timer_; }
	/** timeout() - cycles after which the engine may act by itself because a memory does not answer. */
	uint32_t timeout() const { return timeout_; }

	/** query() - request a read of register @offset from another thread; answered() is true when answer() is
	 * valid. */
	void query(uint32_t offset)
	{
		query_offset_ = offset;
		queries_.fetch_add(1, std::memory_order_seq_cst);
	}
	bool answered() const
	{
		return answers_.load(std::memory_order_acquire) == queries_.load(std::memory_order_relaxed);
	}
	uint32_t answer() const { return answer_; }

      private:
	enum class Task { None, Doorbell, Mail, IrqRead, IrqClear, Query };

	static constexpr unsigned Doorbells = 3;
	static constexpr unsigned DoorbellAt[Doorbells] = {VNC_REG_TX_PROD, VNC_REG_RX_CONS, VNC_REG_SIDE_DOORBELL};

	/* Return: true while the interrupt needs something from this page. */
	bool interrupting() const { return pins_.irq && (eventfd_ < 0 || !signalled_); }

	/* A driver clears the causes and reads them again until there is none, by accesses that poll() starts: a low
	 * level that is so short that no poll() sees it is one that the driver does not rely on either. */
	void signal()
	{
		if (pins_.irq && !signalled_) {
			eventfd_write(eventfd_, 1);
			stats_.interrupts++;
		}
		signalled_ = pins_.irq;
	}

	uint32_t *rung(unsigned n) const { return bus_.side(side_, VNC_SIMBUS_RUNG + DoorbellAt[n]); }
	uint32_t *mail(unsigned offset) const { return bus_.side(side_, offset); }

	bool rang(unsigned n)
	{
		uint32_t count = load(rung(n));

		if (count == rung_[n])
			return false;
		rung_[n] = count;
		stats_.doorbells++;
		start_write(Task::Doorbell, DoorbellAt[n], load(bus_.side(side_, VNC_SIMBUS_REGS + DoorbellAt[n])));
		return true;
	}

	void start_mail()
	{
		uint32_t offset = load(mail(VNC_SIMBUS_OFFSET)) & 0xffc, value = load(mail(VNC_SIMBUS_VALUE));

		stats_.mailbox++;
		if (load(mail(VNC_SIMBUS_OP)) == VNC_SIMBUS_OP_WRITE) {
			if (offset == VNC_REG_IRQ_TIME)
				timer_ = value;
			if (offset == VNC_REG_TIMEOUT)
				timeout_ = value;
			start_write(Task::Mail, offset, value);
		} else {
			start_read(Task::Mail, offset);
		}
	}

	void start_write(Task task, uint32_t offset, uint32_t value)
	{
		task_ = task;
		pins_.awaddr = SData(offset);
		pins_.wdata = value;
		pins_.awvalid = pins_.wvalid = 1;
	}

	void start_read(Task task, uint32_t offset)
	{
		task_ = task;
		pins_.araddr = SData(offset);
		pins_.arvalid = 1;
	}

	void finish()
	{
		Task task = task_;

		task_ = Task::None;
		switch (task) {
		case Task::Mail:
			answer_mail(value_);
			break;
		case Task::Query:
			answer_query();
			break;
		case Task::IrqRead:
			irq_ = value_;
			start_write(Task::IrqClear, VNC_REG_IRQ_STATUS, irq_);
			break;
		case Task::IrqClear:
			stats_.interrupts++;
			wake_pumps();
			break;
		default:
			break;
		}
	}

	void answer_mail(uint32_t result)
	{
		store(mail(VNC_SIMBUS_RESULT), result);
		served_++;
		store(mail(VNC_SIMBUS_REPLY), served_);
		futex_wake(mail(VNC_SIMBUS_REPLY));
	}

	void answer_query()
	{
		answer_ = value_;
		answers_.store(queries_.load(std::memory_order_acquire), std::memory_order_release);
	}

	/* Wake the pumps of this side, which sleep on index words; other bits than these two concern both. */
	void wake_pumps() const
	{
		bool other = irq_ & ~(VNC_IRQ_RX_PROD | VNC_IRQ_TX_CONS);

		if (other || irq_ & VNC_IRQ_RX_PROD)
			futex_wake(line(side_ ? VNC_Q_H2C_PROD : VNC_Q_C2H_PROD));
		if (other || irq_ & VNC_IRQ_TX_CONS)
			futex_wake(line(side_ ? VNC_Q_C2H_CONS : VNC_Q_H2C_CONS));
	}

	uint32_t *line(unsigned offset) const
	{
		return reinterpret_cast<uint32_t *>(memory_ + VNC_QUEUE_OFFSET + offset);
	}

	PagePins pins_;
	Bus bus_;
	unsigned side_;
	uint8_t *memory_;
	SideStats &stats_;
	Task task_ = Task::None;
	uint32_t rung_[Doorbells];
	uint32_t request_ = 0, served_ = 0;
	uint32_t irq_ = 0, value_ = 0;
	uint32_t timer_ = 0, timeout_ = 0;
	unsigned cursor_ = 0;
	int eventfd_ = -1;
	bool signalled_ = false;
	bool aw_taken_ = false, w_taken_ = false, ar_taken_ = false, done_ = false;
	std::atomic<uint32_t> queries_{0}, answers_{0};
	uint32_t query_offset_ = 0, answer_ = 0;
};

} // namespace vnc
