#include "hotkey/access_recorder.h"

#include <algorithm>
#include <string>

#include "base/check.h"

namespace tidegate::hotkey {

AccessRecorder::AccessRecorder(int64_t now_ns)
    : epoch_(std::make_unique<AccessEpoch>()), spare_(new AccessEpoch()) {
  epoch_->begin_ns = now_ns;
}

AccessRecorder::~AccessRecorder() {
  delete finished_.load();
  delete spare_.load();
}

bool AccessRecorder::EndEpoch(int64_t now_ns) {
  AccessEpoch* const next = spare_.exchange(nullptr);
  if (next == nullptr) return false;
  epoch_->end_ns = now_ns;
  const auto span_ns = static_cast<uint64_t>(std::max<int64_t>(now_ns - epoch_->begin_ns, 1));
  const uint64_t accesses = epoch_->total.reads + epoch_->total.writes;
  const bool busy = accesses * 1'000'000'000 / span_ns > kUnsampledPerSecond;
  next->begin_ns = now_ns;
  next->sampled = busy ? kSampled : 1;
  // There is room: whoever gave the spare one back had taken the finished one before.
  AccessEpoch* const before = finished_.exchange(epoch_.release());
  TG_CHECK(before == nullptr);
  epoch_.reset(next);
  return true;
}

void AccessRecorder::GiveBack(std::unique_ptr<AccessEpoch> epoch,
                              std::shared_ptr<const WatchList> list) {
  epoch->Begin(std::move(list));
  AccessEpoch* const before = spare_.exchange(epoch.release());
  TG_CHECK(before == nullptr);
}

void AccessRecorder::LearnName(size_t index, const Access& access) {
  if (access.name.empty()) return;
  auto& names = epoch_->names;
  const bool known = std::any_of(names.begin(), names.end(),
                                 [index](const auto& learned) { return learned.first == index; });
  if (!known) names.emplace_back(index, access.name.substr(0, kNameBytesMax));
}

void AccessRecorder::NoteLargeReply(const Access& access, uint64_t reply_bytes) {
  constexpr uint64_t kUnitsMax = 1 << 20;  // a GiB at once: the counts of an epoch stay in 32 bits
  const auto units = static_cast<uint32_t>(std::min(reply_bytes / kEgressUnitBytes, kUnitsMax));
  epoch_->egress.Add(access.id, access.keyspace, access.name, units);
}

}  // namespace tidegate::hotkey
