#include "storage/cold/warm_up.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidegate {

WarmUp::WarmUp(std::vector<uint32_t> databases, const std::vector<HotKey>& hot)
    : databases_(std::move(databases)),
      done_(databases_.size() * kSlotCount),
      skipped_(done_.size()),
      left_(done_.size()),
      in_round_(done_.size()) {
  for (const HotKey& key : hot) {
    if (std::find(databases_.begin(), databases_.end(), key.database) != databases_.end())
      hot_.push_back(ColdTarget::Key(key.database, KeyRef::Of(key.key)));
  }
}

std::optional<ColdTarget> WarmUp::NextKey() {
  if (next_hot_ < hot_.size()) return std::move(hot_[next_hot_++]);
  hot_ = {};
  next_hot_ = 0;
  return std::nullopt;
}

// Slot by slot, and in each all databases, since a walk over one of them is as likely as over
// another.
std::optional<ColdTarget> WarmUp::NextSlot() {
  if (in_round_ == 0) return std::nullopt;
  const int32_t wanted = wanted_slot_.exchange(-1, std::memory_order_relaxed);
  if (wanted >= 0) {
    at_ = static_cast<size_t>(wanted) * databases_.size();
    holds_ = false;
  }
  while (!holds_) {
    holds_ = !done_[at_] && !skipped_[at_];
    if (!holds_) at_ = (at_ + 1) % done_.size();
  }
  return ColdTarget::Slot(databases_[at_ % databases_.size()],
                          static_cast<uint16_t>(at_ / databases_.size()));
}

void WarmUp::Done() { Leave(true); }
void WarmUp::Failed() { Leave(false); }

void WarmUp::Leave(bool done) {
  TG_CHECK(holds_);
  (done ? done_ : skipped_)[at_] = true;
  if (done) --left_;
  --in_round_;
  holds_ = false;
}

bool WarmUp::BeginRound() {
  if (left_ == 0) return false;
  std::fill(skipped_.begin(), skipped_.end(), false);
  in_round_ = left_;
  return true;
}

}  // namespace tidegate
