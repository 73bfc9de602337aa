#include "proxy/observe/key_costs.h"

#include <algorithm>
#include <utility>

namespace tidegate {
namespace {

uint64_t Digits(uint64_t number) {
  uint64_t digits = 1;
  for (; number >= 10; number /= 10) ++digits;
  return digits;
}

}  // namespace

void KeyCosts::Add(const Request& request, size_t counted, hotkey::Keyspace keyspace,
                   const KeyCost& cost) {
  if (counted == 0) return;
  const size_t keys = request.keys.size();
  const KeyCost part{.nanos = cost.nanos / keys, .bytes = cost.bytes / keys};
  const MutexLock lock(mutex_);
  all_ += cost;
  for (const KeyRef& key : request.keys.first(counted)) {
    if (!IsSelected(key.slot)) continue;
    selected_ += part;
    const hotkey::KeyId id = hotkey::IdOf(key.hash, keyspace);
    if (!IsSampled(id)) continue;
    sampled_ += part;
    Entry& entry = entries_[id];
    if (entry.name.empty()) entry.name = key.name.substr(0, kCostedNameBytesMax);
    entry.cost += part;
  }
  if (entries_.size() > kCostedKeysMax) DropCheap();
}

void KeyCosts::AddReply(hotkey::KeyId id, const KeyCost& cost) {
  const MutexLock lock(mutex_);
  all_ += cost;
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;  // neither selected nor sampled, or dropped
  selected_ += cost;
  sampled_ += cost;
  found->second.cost += cost;
}

void KeyCosts::DropCheap() {
  std::vector<uint64_t> nanos;
  std::vector<uint64_t> bytes;
  for (const auto& [id, entry] : entries_) {
    nanos.push_back(entry.cost.nanos);
    bytes.push_back(entry.cost.bytes);
  }
  const auto middle = static_cast<std::ptrdiff_t>(entries_.size() / 2);
  std::nth_element(nanos.begin(), nanos.begin() + middle, nanos.end());
  std::nth_element(bytes.begin(), bytes.begin() + middle, bytes.end());
  const KeyCost least{.nanos = nanos[static_cast<size_t>(middle)],
                      .bytes = bytes[static_cast<size_t>(middle)]};
  std::erase_if(entries_, [&least](const auto& one) {
    return one.second.cost.nanos <= least.nanos && one.second.cost.bytes <= least.bytes;
  });
  // Those that are dear in one way and cheap in the other may be all there are.
  if (entries_.size() > kCostedKeysMax / 2) {
    std::erase_if(entries_,
                  [&least](const auto& one) { return one.second.cost.bytes <= least.bytes; });
  }
}

KeyCosts::Sums KeyCosts::Take() const {
  Sums sums;
  const MutexLock lock(mutex_);
  for (const auto& [id, entry] : entries_) sums.keys.push_back(entry);
  sums.all = all_;
  sums.selected = selected_;
  sums.sampled = sampled_;
  return sums;
}

uint64_t EncodedBytes(const Request& request) {
  constexpr uint64_t kLineBytes = 3;  // the type and the line's end
  uint64_t bytes = kLineBytes + Digits(request.args.size());
  for (const std::string_view arg : request.args)
    bytes += kLineBytes + Digits(arg.size()) + arg.size() + 2;
  return bytes;
}

}  // namespace tidegate
