#include "storage/value/stream_group.h"

#include <utility>

#include "base/check.h"
#include "storage/breathe.h"

namespace tidegate {
namespace {

// Pointers and colour of a node of the standard library's trees.
constexpr size_t kNodeBytes = 32;

}  // namespace

StreamGroup::StreamGroup(const StreamGroup& other)
    : last_id(other.last_id), entries_read(other.entries_read) {
  BreathingSpaces<64> spaces;
  for (const auto& [name, consumer] : other.consumers_) {
    StreamConsumer& copy = AddConsumer(name, consumer.seen_ms);
    copy.active_ms = consumer.active_ms;
    for (const StreamId& id : consumer.pending) {
      spaces.Step();
      StreamPending& pending = Assign(id, copy, 0);
      const StreamPending& original = other.pending_.find(id)->second;
      pending.delivered_ms = original.delivered_ms;
      pending.deliveries = original.deliveries;
    }
  }
}

StreamConsumer* StreamGroup::FindConsumer(std::string_view name) {
  const auto found = consumers_.find(name);
  return found == consumers_.end() ? nullptr : &found->second;
}

StreamConsumer& StreamGroup::AddConsumer(std::string_view name, int64_t now_ms) {
  const auto [at, added] = consumers_.try_emplace(std::string(name));
  TG_DCHECK(added);
  at->second.seen_ms = now_ms;
  at->second.name = at->first;
  return at->second;
}

size_t StreamGroup::RemoveConsumer(StreamConsumer& consumer) {
  BreathingSpaces<64> spaces;
  for (const StreamId& id : consumer.pending) {
    spaces.Step();
    pending_.erase(id);
  }
  const size_t n = consumer.pending.size();
  consumers_.erase(consumers_.find(consumer.name));
  return n;
}

StreamPending* StreamGroup::FindPending(StreamId id) {
  const auto found = pending_.find(id);
  return found == pending_.end() ? nullptr : &found->second;
}

StreamPending& StreamGroup::Assign(StreamId id, StreamConsumer& consumer, int64_t now_ms) {
  const auto [at, added] = pending_.try_emplace(id);
  StreamPending& pending = at->second;
  if (added || pending.consumer != &consumer) {
    if (!added) pending.consumer->pending.erase(id);
    // Most often the newest of all.
    consumer.pending.insert(consumer.pending.end(), id);
    pending.consumer = &consumer;
  }
  pending.delivered_ms = now_ms;
  pending.deliveries = 1;
  return pending;
}

bool StreamGroup::Acknowledge(StreamId id) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return false;
  Erase(found);
  return true;
}

StreamGroup::Pending::iterator StreamGroup::Erase(Pending::iterator at) {
  at->second.consumer->pending.erase(at->first);
  return pending_.erase(at);
}

bool StreamGroup::DropSome(size_t n) {
  BreathingSpaces<64> spaces;
  for (; n > 0 && !pending_.empty(); --n) {
    spaces.Step();
    Erase(pending_.begin());
  }
  return pending_.empty();
}

size_t StreamGroup::allocated_bytes() const {
  size_t bytes = sizeof(StreamGroup);
  for (const auto& [name, consumer] : consumers_)
    bytes += kNodeBytes + sizeof(std::pair<const std::string, StreamConsumer>) + name.capacity();
  return bytes + pending_.size() * (2 * kNodeBytes + sizeof(StreamId) +
                                    sizeof(std::pair<const StreamId, StreamPending>));
}

}  // namespace tidegate
