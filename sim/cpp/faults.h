/* SPDX-License-Identifier: MIT */
/** DOC: injected bus errors: which accesses of one kind fail, and how. */
#pragma once
#include <cstdint>
#include <random>
#include <vector>

namespace vnc {

/** enum Answer - the response to a burst: AXI's OKAY, SLVERR and DECERR; HANG: none; LATE: a delayed OKAY. */
enum Answer : uint8_t { OKAY = 0, SLVERR = 2, DECERR = 3, HANG = 4, LATE = 5 };

/** class Faults - the rules for the reads or the writes of one side. */
class Faults {
      public:
	void seed(uint64_t value) { chance_.seed(value); }

	/** at() - burst @number, counted from 1, gets @answer. */
	void at(uint64_t number, Answer answer) { rules_.push_back({number, 0.0, answer}); }

	/** often() - each burst gets @answer with probability @share. */
	void often(double share, Answer answer) { rules_.push_back({0, share, answer}); }

	/** next() - Return: the answer for the next burst. */
	Answer next()
	{
		if (rules_.empty())
			return OKAY;
		count_++;
		for (const Rule &rule : rules_)
			if (rule.number == count_ || (rule.share > 0 && draw_(chance_) < rule.share))
				return rule.answer;
		return OKAY;
	}

      private:
	struct Rule {
		uint64_t number;
		double share;
		Answer answer;
	};
	std::vector<Rule> rules_;
	std::mt19937_64 chance_;
	std::uniform_real_distribution<double> draw_{0.0, 1.0};
	uint64_t count_ = 0;
};

} // namespace vnc
