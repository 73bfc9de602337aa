// StreamGroup: a consumer group of a stream: how far it has read, its consumers, and what was
// delivered to them and not acknowledged yet.
//
//   group.pending:     ID -> consumer, when and how often delivered       all of the group
//   consumer.pending:  ID, ID …                                           those of one consumer
//
// Invariant: each ID of a consumer's set is in the group's map with this consumer, and the other
// way round; only this class changes either. Owner: the stream. Cost: O(log n) each; about 130
// bytes for a pending entry.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "storage/memory/memory_allocator.h"
#include "storage/value/stream_id.h"

namespace tidegate {

// A group that does not know how many entries it has read.
inline constexpr int64_t kEntriesReadUnknown = -1;

struct StreamConsumer {
  using Pending = std::set<StreamId, std::less<>, MemoryAllocator<StreamId>>;

  int64_t seen_ms = 0;     // when it last asked for entries
  int64_t active_ms = -1;  // when it last got some; -1: never
  Pending pending;
  std::string_view name;  // the key in StreamGroup::consumers
};

struct StreamPending {
  StreamConsumer* consumer = nullptr;
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;
};

class StreamGroup final {
 public:
  using Pending = std::map<StreamId, StreamPending, std::less<>,
                           MemoryAllocator<std::pair<const StreamId, StreamPending>>>;
  using Consumers = std::map<std::string, StreamConsumer, std::less<>,
                             MemoryAllocator<std::pair<const std::string, StreamConsumer>>>;

  StreamGroup(StreamId last_id, int64_t entries_read)
      : last_id(last_id), entries_read(entries_read) {}
  StreamGroup(const StreamGroup& other);
  StreamGroup& operator=(const StreamGroup&) = delete;

  // The last one that was delivered, and how many came up to it since the stream began.
  StreamId last_id;
  int64_t entries_read;

  const Consumers& consumers() const { return consumers_; }
  const Pending& pending() const { return pending_; }

  StreamConsumer* FindConsumer(std::string_view name);
  // Makes it; there is none yet.
  StreamConsumer& AddConsumer(std::string_view name, int64_t now_ms);
  // With all that is pending for it; how much that was.
  size_t RemoveConsumer(StreamConsumer& consumer);

  // Null: not pending. What is found may be changed, but for its consumer.
  StreamPending* FindPending(StreamId id);
  // The same for the first one that is not in front of `id`.
  Pending::iterator PendingFrom(StreamId id) { return pending_.lower_bound(id); }
  Pending::iterator PendingEnd() { return pending_.end(); }
  // Makes the entry this consumer's, whether it was pending or not.
  StreamPending& Assign(StreamId id, StreamConsumer& consumer, int64_t now_ms);
  // False: it was not pending.
  bool Acknowledge(StreamId id);
  Pending::iterator Erase(Pending::iterator at);

  // Takes out about so many pending entries; true when none is left. For freeing in pieces.
  bool DropSome(size_t n);
  size_t allocated_bytes() const;

 private:
  Consumers consumers_;
  Pending pending_;
};

}  // namespace tidegate
