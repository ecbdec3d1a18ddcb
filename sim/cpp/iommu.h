/* SPDX-License-Identifier: MIT */
/**
 * DOC: the memory of a virtual machine as the engine reaches it: bus addresses to the client's memory, by page.
 *
 * A vfio-user server maps and unmaps (sim/vfio_user); the simulator's thread looks up and, between two cycles, applies
 * what was requested.  A burst lies within one page, and every beat looks its page up: after an unmap was applied no
 * beat of any burst reaches the memory that it took back.
 */
#pragma once
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vector>

namespace vnc {

class Iommu {
      public:
	enum Flags : uint32_t { READ = 1, WRITE = 2 };

	~Iommu()
	{
		unmap(0, ~uint64_t(0));
		apply();
	}

	/* --- for the simulator's thread ------------------------------------------------------------------ */

	/** apply() - take the requested changes over. */
	void apply()
	{
		if (!pending_.load(std::memory_order_acquire))
			return;
		std::lock_guard<std::mutex> guard(lock_);
		for (const Change &change : changes_) {
			if (change.add) {
				maps_[change.address] = change.map;
				continue;
			}
			maps_.erase(change.address);
			if (change.map.bytes)
				munmap(change.map.bytes, change.map.size);
		}
		changes_.clear();
		last_ = nullptr;
		pending_.store(false, std::memory_order_release);
	}

	/** pending() - Return: true until the simulator has taken every change over. */
	bool pending() const { return pending_.load(std::memory_order_acquire); }

	/** find() - Return: the memory at bus address @address, or nullptr where the engine may not @access it. */
	uint8_t *find(uint64_t address, uint32_t access)
	{
		if (!enabled_.load(std::memory_order_acquire))
			return nullptr;
		if (!last_ || address - last_base_ >= last_->size) {
			auto after = maps_.upper_bound(address);

			if (after == maps_.begin())
				return nullptr;
			--after;
			if (address - after->first >= after->second.size)
				return nullptr;
			last_ = &after->second;
			last_base_ = after->first;
		}
		return last_->flags & access ? last_->bytes + (address - last_base_) : nullptr;
	}

	/* --- for any other thread ------------------------------------------------------------------------ */

	/** enable() - let the engine use the maps, or refuse every access. */
	void enable(bool on) { enabled_.store(on, std::memory_order_release); }

	/**
	 * map() - show @size bytes from @offset of @fd at @address; @fd < 0: memory that cannot be mapped.
	 *
	 * Return: 0 or an errno, EEXIST where it would overlap another map.
	 */
	int map(uint64_t address, uint64_t size, int fd, uint64_t offset, uint32_t flags)
	{
		uint8_t *bytes = nullptr;

		if (fd >= 0) {
			int protection = (flags & READ ? PROT_READ : 0) | (flags & WRITE ? PROT_WRITE : 0);
			struct stat info;

			if (fstat(fd, &info))
				return errno;
			if (uint64_t(info.st_size) < offset || uint64_t(info.st_size) - offset < size)
				return EINVAL;
			void *found = mmap(nullptr, size, protection, MAP_SHARED, fd, off_t(offset));
			if (found == MAP_FAILED)
				return errno;
			bytes = static_cast<uint8_t *>(found);
		}

		std::lock_guard<std::mutex> guard(lock_);
		auto after = wanted_.lower_bound(address);
		bool over = after != wanted_.end() && after->first - address < size;

		if (after != wanted_.begin()) {
			auto before = std::prev(after);
			over |= address - before->first < before->second.size;
		}
		if (over) {
			if (bytes)
				munmap(bytes, size);
			return EEXIST;
		}
		request(true, address, {bytes, size, bytes ? flags : 0});
		return 0;
	}

	/** unmap() - take the maps within @size bytes from @address back.  Return: 0, or EINVAL where one is cut. */
	int unmap(uint64_t address, uint64_t size)
	{
		std::lock_guard<std::mutex> guard(lock_);
		uint64_t last = address + (size - 1);
		auto first = wanted_.lower_bound(address), end = wanted_.upper_bound(last);

		if (first != wanted_.begin()) {
			auto before = std::prev(first);
			if (address - before->first < before->second.size)
				return EINVAL;
		}
		if (end != first && std::prev(end)->first + (std::prev(end)->second.size - 1) > last)
			return EINVAL;
		while (first != end) {
			auto gone = *first++;
			request(false, gone.first, gone.second);
		}
		return 0;
	}

	uint64_t count()
	{
		std::lock_guard<std::mutex> guard(lock_);

		return wanted_.size();
	}

      private:
	struct Map {
		uint8_t *bytes;
		uint64_t size;
		uint32_t flags;
	};
	struct Change {
		bool add;
		uint64_t address;
		Map map;
	};

	/* With lock_ held. */
	void request(bool add, uint64_t address, Map map)
	{
		if (add)
			wanted_[address] = map;
		else
			wanted_.erase(address);
		changes_.push_back({add, address, map});
		pending_.store(true, std::memory_order_release);
	}

	std::mutex lock_;
	std::map<uint64_t, Map> wanted_, maps_; /* what was requested, what the engine sees */
	std::vector<Change> changes_;
	std::atomic<bool> pending_{false}, enabled_{false};
	const Map *last_ = nullptr;
	uint64_t last_base_ = 0;
};

} // namespace vnc
