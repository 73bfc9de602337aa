#include "proxy/pubsub/pubsub_hub.h"

#include <bit>
#include <mutex>
#include <utility>

#include "base/text.h"
#include "proxy/server.h"
#include "proxy/worker.h"

namespace tidegate {

void PubSubHub::Add(SubscriptionKind kind, std::string_view name, int worker) {
  if (kind == SubscriptionKind::kPattern) {
    const std::unique_lock lock(patterns_mutex_);
    patterns_.Add(name, worker);
    pattern_count_.store(patterns_.size(), std::memory_order_relaxed);
    return;
  }
  Shard& shard = ShardOf(kind, name);
  MutexLock lock(shard.mutex);
  auto found = shard.channels.find(name);
  if (found == shard.channels.end()) {
    found = shard.channels.emplace(std::string(name), Audience{}).first;
    channel_counts_[kind].fetch_add(1, std::memory_order_relaxed);
  }
  found->second.Add(worker);
}

void PubSubHub::Remove(SubscriptionKind kind, std::string_view name, int worker) {
  if (kind == SubscriptionKind::kPattern) {
    const std::unique_lock lock(patterns_mutex_);
    patterns_.Remove(name, worker);
    pattern_count_.store(patterns_.size(), std::memory_order_relaxed);
    return;
  }
  Shard& shard = ShardOf(kind, name);
  MutexLock lock(shard.mutex);
  const auto found = shard.channels.find(name);
  if (found == shard.channels.end()) return;
  found->second.Remove(worker);
  if (!found->second.empty()) return;
  shard.channels.erase(found);
  channel_counts_[kind].fetch_sub(1, std::memory_order_relaxed);
}

PubSubHub::Reach PubSubHub::Find(SubscriptionKind kind, std::string_view channel) {
  Reach reach;
  if (channel_counts_[kind].load(std::memory_order_relaxed) != 0) {
    Shard& shard = ShardOf(kind, channel);
    MutexLock lock(shard.mutex);
    const auto found = shard.channels.find(channel);
    if (found != shard.channels.end()) {
      reach.subscribers = found->second.total();
      reach.workers = found->second.workers();
    }
  }
  if (kind == SubscriptionKind::kChannel && PatternCount() != 0) {
    const std::shared_lock lock(patterns_mutex_);
    patterns_.Match(channel, [&reach](const SubscribedPattern& pattern) {
      reach.subscribers += pattern.audience.total();
      reach.workers |= pattern.audience.workers();
      reach.patterns.push_back(pattern.text);
    });
  }
  return reach;
}

uint64_t PubSubHub::Publish(Worker& from, SubscriptionKind kind, std::string_view channel,
                            std::string_view payload) {
  Reach reach = Find(kind, channel);
  if (reach.subscribers == 0) return 0;
  auto message = std::make_shared<PubSubMessage>();
  message->kind = kind;
  message->channel = channel;
  message->payload = payload;
  message->patterns = std::move(reach.patterns);
  const auto workers = from.server().workers();
  for (WorkerSet left = reach.workers; left != 0; left &= left - 1) {
    Worker& to = *workers[static_cast<size_t>(std::countr_zero(left))];
    if (&to == &from) {
      to.subscribers().Deliver(*message);
    } else {
      to.PostPublished(message);
    }
  }
  return reach.subscribers;
}

bool PubSubHub::HasRoom(Worker& from, SubscriptionKind kind, std::string_view channel) {
  if (ChannelCount(kind) == 0 && PatternCount() == 0) return true;
  const Reach reach = Find(kind, channel);
  const auto workers = from.server().workers();
  for (WorkerSet left = reach.workers; left != 0; left &= left - 1) {
    const Worker& to = *workers[static_cast<size_t>(std::countr_zero(left))];
    if (&to != &from && !to.KeepsUp()) return false;
  }
  return true;
}

std::vector<std::string> PubSubHub::Channels(SubscriptionKind kind, std::string_view pattern) {
  std::vector<std::string> names;
  for (Shard& shard : shards_[kind]) {
    MutexLock lock(shard.mutex);
    for (const auto& [name, audience] : shard.channels) {
      if (GlobMatch(pattern, name, /*ignore_case=*/false)) names.push_back(name);
    }
  }
  return names;
}

uint64_t PubSubHub::Subscribers(SubscriptionKind kind, std::string_view name) {
  Shard& shard = ShardOf(kind, name);
  MutexLock lock(shard.mutex);
  const auto found = shard.channels.find(name);
  return found == shard.channels.end() ? 0 : found->second.total();
}

}  // namespace tidegate
