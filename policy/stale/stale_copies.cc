#include "policy/stale/stale_copies.h"

#include <chrono>

#include "base/shown_text.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

void Count(std::atomic<uint64_t>& figure, uint64_t n = 1) {
  figure.fetch_add(n, std::memory_order_relaxed);
}

}  // namespace

StaleCopies::StaleCopies(const StaleOptions& options, std::shared_ptr<PolicyCounters> counters)
    : options_(options),
      keep_ns_(std::chrono::nanoseconds(options.keep).count()),
      keys_(ParsedPatterns(options.keys)),
      counters_(std::move(counters)) {
  for (size_t i = 0; i < kStaleShards; ++i)
    shards_.push_back(std::make_unique<Shard>(stripes_, options_.bytes_max.count / kStaleShards));
}

CachedRead StaleCopies::ReadOf(const CopiedKey& key, const ReadWords& words) {
  return {.cluster = key.keyspace.cluster,
          .database = key.keyspace.database,
          .key = key.name,
          .hash = key.hash,
          .command = 0,
          .args = words};
}

// The epoch first: what may write any key raises it before it begins.
StaleCopies::Ask StaleCopies::Begin(const CopiedKey& key, int64_t now_ns) const {
  const size_t cluster = key.keyspace.cluster;
  Ask ask{.stamp = {}, .epoch = epoch(), .at_ns = now_ns};
  ask.stamp.key = stripes_.Read(WriteStripes::OfKey(key.hash, cluster));
  ask.stamp.cluster = stripes_.Read(WriteStripes::OfCluster(cluster));
  return ask;
}

bool StaleCopies::IsWanted(const CopiedKey& key, const Ask& ask) {
  const ReadWords words = {"GET", key.name};
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  const CachedReply* const kept =
      shard.store.FindDespiteWrites(ReadOf(key, words), epoch(), ask.at_ns);
  return kept == nullptr || ask.at_ns - SeenNanos(*kept) >= keep_ns_ / kStaleRenewPart;
}

void StaleCopies::Found(const CopiedKey& key, const Ask& ask, std::string_view reply) {
  if (ask.at_ns < keeps_from_ns_.load(std::memory_order_relaxed)) return;
  if (reply.size() > options_.entry_bytes_max.count) return FoundLarge(key);
  const ReadWords words = {"GET", key.name};
  const CachedRead read = ReadOf(key, words);
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  const CachedReply* const kept = shard.store.FindDespiteWrites(read, epoch(), ask.at_ns);
  if (kept != nullptr) {
    const int64_t younger_ns = ask.at_ns - SeenNanos(*kept);
    const bool is_same = kept->resp3 == reply;
    // One that was asked for later is there already.
    if (younger_ns < (is_same ? keep_ns_ / kStaleRenewPart : 0)) return;
  }
  const bool is_kept = shard.store.Keep(read, {.resp3 = std::string(reply),
                                               .resp2 = {},
                                               .stamp = ask.stamp,
                                               .source = ask.epoch,
                                               .expires_ns = ask.at_ns + keep_ns_});
  // What is there is known to be old.
  if (!is_kept && kept != nullptr) shard.store.DropKey(read.cluster, read.key);
}

void StaleCopies::FoundLarge(const CopiedKey& key) {
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  shard.store.DropKey(key.keyspace.cluster, key.name);
}

std::optional<StaleCopies::Copy> StaleCopies::Find(const CopiedKey& key, int64_t now_ns) {
  const ReadWords words = {"GET", key.name};
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  const CachedReply* const kept =
      shard.store.FindDespiteWrites(ReadOf(key, words), epoch(), now_ns);
  if (kept == nullptr) return std::nullopt;
  return Copy{.reply = kept->resp3, .age_ns = now_ns - SeenNanos(*kept)};
}

void StaleCopies::CountMissing() { Count(counters_->stale.missing); }

bool StaleCopies::MayGive(const Copy& copy, std::atomic<uint64_t> StaleFigures::*why) {
  if (mode() != PolicyMode::kEnforce) {
    counters_->Count(PolicyKind::kStale, PolicyAct::kRewritten, PolicyMode::kObserve);
    return false;
  }
  StaleFigures& figures = counters_->stale;
  Count(figures.*why);
  Count(figures.age_ms, static_cast<uint64_t>(copy.age_ns > 0 ? copy.age_ns / 1'000'000 : 0));
  return true;
}

std::optional<StaleCopies::Copy> StaleCopies::Give(const CopiedKey& key,
                                                   std::atomic<uint64_t> StaleFigures::*why,
                                                   int64_t now_ns) {
  std::optional<Copy> copy = Find(key, now_ns);
  if (!copy) {
    CountMissing();
    return std::nullopt;
  }
  if (!MayGive(*copy, why)) return std::nullopt;
  return copy;
}

StaleCopies::Write StaleCopies::BeginWrite(const CopiedKey& key, bool deletes) {
  Write write(stripes_, WriteStripes::OfKey(key.hash, key.keyspace.cluster));
  if (deletes && options_.after_delete) return write;
  Shard& shard = ShardOf(key);
  const MutexLock lock(shard.mutex);
  const size_t before = shard.store.keys();
  shard.store.DropKey(key.keyspace.cluster, key.name);
  if (shard.store.keys() < before) Count(counters_->stale.dropped);
  return write;
}

StaleCopies::Write StaleCopies::BeginWriteOfAny(uint16_t cluster) {
  Write write(stripes_, WriteStripes::OfCluster(cluster));
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  return write;
}

void StaleCopies::Restart(int64_t now_ns) {
  keeps_from_ns_.store(now_ns + kStaleSettleNanos, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_seq_cst);
}

size_t StaleCopies::keys() const {
  size_t keys = 0;
  for (const auto& shard : shards_) {
    const MutexLock lock(shard->mutex);
    keys += shard->store.keys();
  }
  return keys;
}

size_t StaleCopies::bytes() const {
  size_t bytes = 0;
  for (const auto& shard : shards_) {
    const MutexLock lock(shard->mutex);
    bytes += shard->store.bytes();
  }
  return bytes;
}

std::string StaleCopies::Describe() const {
  std::string line =
      "stale " + std::string(kPolicyModeNames[static_cast<size_t>(options_.mode)]) + ": keys";
  for (const KeyPattern& pattern : keys_) line += " " + Shown(pattern.text());
  line += " when " + std::string(kStaleWhenNames[static_cast<size_t>(options_.when)]);
  line += " keep " + PrintDuration(options_.keep);
  if (options_.after_delete) line += " after-delete";
  return line + " bytes-max " + std::to_string(options_.bytes_max.count);
}

std::string StaleCopies::DescribeCopy(const CopiedKey& key, int64_t now_ns) {
  if (!Names(key.name)) return "";
  const std::optional<Copy> copy = Find(key, now_ns);
  if (!copy) return "stale: no copy of this key";
  return "stale: a copy of this key, last seen " + std::to_string(copy->age_ns / 1'000'000) +
         " ms ago";
}

}  // namespace tidegate
