// PubSubHub: who subscribes to what, over all workers, and the way of a message to them.
//
//   PUBLISH on worker 1 ── hub: which workers, which patterns, how many subscribers
//        ├── worker 1: its own subscribers, at once          (WorkerSubscribers)
//        └── worker 3: one post with the message             -> its subscribers
//
// The hub knows counts per worker, not sessions: sessions belong to their workers. A subscriber is
// in the hub before SUBSCRIBE is answered, so whoever publishes after that answer reaches it.
// Order: one publisher's messages reach a subscriber in the order of publishing, because they take
// the same way; those of two publishers may come in either order, as with two servers' clients.
//
// Thread: any. Channels are spread over shards with a mutex each, patterns stand under one shared
// lock that a publisher takes for reading only when there are patterns at all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/thread_annotations.h"
#include "proxy/pubsub/audience.h"
#include "proxy/pubsub/pattern_index.h"
#include "proxy/pubsub/subscription.h"

namespace tidegate {

class Worker;

// A message on its way. kind: kChannel or kShardChannel.
struct PubSubMessage {
  SubscriptionKind kind = SubscriptionKind::kChannel;
  std::string channel;
  std::string payload;
  std::vector<std::string> patterns;  // that match the channel
};

class PubSubHub final {
 public:
  PubSubHub() = default;
  PubSubHub(const PubSubHub&) = delete;
  PubSubHub& operator=(const PubSubHub&) = delete;

  // One session more or less that subscribes, once per name and session.
  void Add(SubscriptionKind kind, std::string_view name, int worker);
  void Remove(SubscriptionKind kind, std::string_view name, int worker);

  // Sends a message to all subscribers; returns how many there are, one that subscribes twice over
  // (by channel and by pattern) counting twice. On the thread of `from`.
  uint64_t Publish(Worker& from, SubscriptionKind kind, std::string_view channel,
                   std::string_view payload);
  // Whether the workers that the message would go to keep up. False: publish it a moment later.
  bool HasRoom(Worker& from, SubscriptionKind kind, std::string_view channel);

  // Channels with subscribers, or shard channels; patterns do not count.
  std::vector<std::string> Channels(SubscriptionKind kind, std::string_view pattern);
  uint64_t Subscribers(SubscriptionKind kind, std::string_view name);
  size_t ChannelCount(SubscriptionKind kind) const {
    return channel_counts_[kind].load(std::memory_order_relaxed);
  }
  size_t PatternCount() const { return pattern_count_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 64;
  struct alignas(64) Shard {
    Mutex mutex;
    std::unordered_map<std::string, Audience, NameHash, std::equal_to<>> channels
        TG_GUARDED_BY(mutex);
  };
  // Where a message goes.
  struct Reach {
    uint64_t subscribers = 0;
    WorkerSet workers = 0;
    std::vector<std::string> patterns;
  };

  Shard& ShardOf(SubscriptionKind kind, std::string_view name) {
    return shards_[kind][KeyHash(name) % kShards];
  }
  Reach Find(SubscriptionKind kind, std::string_view channel);

  ByKind<std::array<Shard, kShards>> shards_;  // none of kPattern
  ByKind<std::atomic<size_t>> channel_counts_;
  std::shared_mutex patterns_mutex_;
  PatternIndex patterns_;  // under patterns_mutex_
  std::atomic<size_t> pattern_count_{0};
};

}  // namespace tidegate
