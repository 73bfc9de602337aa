// StaleCopies: the last values of keys of one route, to be given in place of an error or of a wait:
// while somebody else loads the key, while its node does not answer, while a rate is used up.
//
//   read, found --> Ask ... its reply --> Found: kept, as of when it was asked for
//   write       --> BeginWrite: the copy goes ... its reply --> the end: what was read until then
//                                                               is not kept
//   miss, error --> Find: the copy, if the value was seen within `keep`
//
// A copy is a value that its owner had at the moment of its age, `keep` ago at most; so none is
// older than its own end plus `keep`, without anybody knowing that end. A value that was written or
// deleted through this process is never given afterwards (but with after-delete, where deleting
// keeps it): the copy goes before the write is sent, and WriteStripes tells of replies that are
// older than it. What may write any key makes all that was kept before it invalid, as does a
// reload.
//
// One for a route, which all workers share: a client may write over one and read over another. The
// copies are in LocalCacheStore, which makes room by S3-FIFO, in kStaleShards parts with a lock
// each. Threads: any. Cost: for a read of such a key the lock and a comparison with the copy, for a
// write the lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/key_pattern.h"
#include "base/thread_annotations.h"
#include "config/policy_options.h"
#include "hotkey/key_id.h"
#include "policy/local_cache_store.h"
#include "policy/policy_counters.h"
#include "policy/write_stripes.h"

namespace tidegate {

inline constexpr size_t kStaleShards = 16;
// Copies of a part are so many at most as if each took that: keys that were pushed out are
// remembered, too.
inline constexpr size_t kStaleKeyBytesMin = 1024;
// A copy of the same value is made younger when it has reached this part of `keep`.
inline constexpr int64_t kStaleRenewPart = 16;
// After a reload nothing is kept for as long: of writes that were on their way the new policy was
// not told.
inline constexpr int64_t kStaleSettleNanos = 1'000'000'000;

// A key, and where it lives. The name is a view.
struct CopiedKey {
  std::string_view name;
  uint64_t hash = 0;  // KeyHash of it
  hotkey::Keyspace keyspace = {};
};

class StaleCopies final {
 public:
  StaleCopies(const StaleOptions& options, std::shared_ptr<PolicyCounters> counters);
  StaleCopies(const StaleCopies&) = delete;
  StaleCopies& operator=(const StaleCopies&) = delete;

  PolicyMode mode() const { return options_.mode; }
  bool while_loading() const { return options_.when != StaleWhen::kDown; }
  bool while_down() const { return options_.when != StaleWhen::kLoading; }
  bool scripts_name_keys() const { return options_.scripts_name_keys; }
  bool Names(std::string_view key) const { return MatchesAny(keys_, key); }

  // What was true before a key was asked for.
  struct Ask {
    WriteStamp stamp;
    uint64_t epoch = 0;
    int64_t at_ns = 0;
  };
  Ask Begin(const CopiedKey& key, int64_t now_ns) const;
  // Its value came, as a whole reply; `begin` of one that is too large to be looked at as a whole.
  void Found(const CopiedKey& key, const Ask& ask, std::string_view reply);
  void FoundLarge(const CopiedKey& key);
  // Whether Found has something to do, where every change of the value is a write that is told of.
  bool IsWanted(const CopiedKey& key, const Ask& ask);

  struct Copy {
    std::string reply;  // encoded; the same in both protocols
    int64_t age_ns = 0;
  };
  std::optional<Copy> Find(const CopiedKey& key, int64_t now_ns);
  // What is to be given now, and is counted as that; nothing in mode observe, where it is counted.
  std::optional<Copy> Give(const CopiedKey& key, std::atomic<uint64_t> StaleFigures::*why,
                           int64_t now_ns);
  void CountMissing();
  // The same as Give, of a copy that was found.
  bool MayGive(const Copy& copy, std::atomic<uint64_t> StaleFigures::*why);

  // A write, from before it is sent until its reply has come, or nothing will.
  class Write final {
   public:
    Write() = default;
    Write(WriteStripes& stripes, StripeIndex stripe) : stripes_(&stripes), stripe_(stripe) {
      stripes_->Begin(stripe_);
    }
    Write(Write&& other) noexcept
        : stripes_(std::exchange(other.stripes_, nullptr)), stripe_(other.stripe_) {}
    Write& operator=(Write&& other) noexcept {
      std::swap(stripes_, other.stripes_);
      std::swap(stripe_, other.stripe_);
      return *this;
    }
    ~Write() {
      if (stripes_ != nullptr) stripes_->End(stripe_);
    }

   private:
    WriteStripes* stripes_ = nullptr;  // null: of nothing
    StripeIndex stripe_ = kNoStripe;
  };
  // The object has to live as long as the write. `deletes`: and does nothing else.
  Write BeginWrite(const CopiedKey& key, bool deletes);
  Write BeginWriteOfAny(uint16_t cluster);
  // The routes have changed: what is kept goes, and nothing is for a moment.
  void Restart(int64_t now_ns);

  size_t keys() const;
  size_t bytes() const;
  // Lines for TIDEGATE EXPLAIN: what is done, and what is kept of a key.
  std::string Describe() const;
  std::string DescribeCopy(const CopiedKey& key, int64_t now_ns);

 private:
  struct Shard {
    Shard(const WriteStripes& stripes, size_t bytes_max) : store(stripes) {
      store.SetLimits(bytes_max, bytes_max / kStaleKeyBytesMin);
    }
    Mutex mutex;
    LocalCacheStore store TG_GUARDED_BY(mutex);
  };
  // CachedRead is views into this.
  using ReadWords = std::array<std::string_view, 2>;

  Shard& ShardOf(const CopiedKey& key) const { return *shards_[key.hash % kStaleShards]; }
  static CachedRead ReadOf(const CopiedKey& key, const ReadWords& words);
  int64_t SeenNanos(const CachedReply& kept) const { return kept.expires_ns - keep_ns_; }
  uint64_t epoch() const { return epoch_.load(std::memory_order_seq_cst); }

  const StaleOptions options_;
  const int64_t keep_ns_;
  const std::vector<KeyPattern> keys_;
  const std::shared_ptr<PolicyCounters> counters_;
  WriteStripes stripes_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<uint64_t> epoch_{1};
  std::atomic<int64_t> keeps_from_ns_{INT64_MIN};
};

}  // namespace tidegate
