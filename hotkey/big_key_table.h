// BigKeyTable: the keys that are big, as far as somebody has seen them: large values, collections
// of very many elements, and keys that move very many bytes a second.
//
// Why exact entries and not a sketch: what is big is rare. A value of a megabyte costs its network
// a thousand times what its place here costs, so each sighting may take a lock and a look-up; who
// sees small requests of a big key (a push to a long list) tells of it only when there is news.
//
// Two levels: from `warn_bytes` on a key is listed, from `big_bytes`, `elements` or
// `bytes_per_second` on it is big. A sighting with an exact size replaces what was known, so a key
// that has shrunk leaves; one that only says "at least" raises it. What nobody has seen for
// kBigKeyForgottenMs leaves, too. When the table is full a bigger key takes the place of the
// smallest, and smaller ones are refused and counted.
// Times are the caller's: any clock in milliseconds that does not go backwards. Thread: any, under
// one lock that is held for a look-up, or while a list is copied.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "hotkey/key_id.h"

namespace tidegate::hotkey {

// Keys that are listed at most: more than anybody reads, and half a megabyte with usual names.
inline constexpr size_t kBigKeysMax = 1024;
// Bytes of a name that are kept; of a longer one its beginning.
inline constexpr size_t kBigKeyNameBytesMax = 1024;
inline constexpr int64_t kBigKeyForgottenMs = 600'000;
// What a rate is measured over.
inline constexpr int64_t kBigKeyWindowMs = 1000;

struct BigKeyThresholds {
  uint64_t warn_bytes = 64 * 1024;
  uint64_t big_bytes = 1024 * 1024;
  uint64_t elements = 5000;
  uint64_t bytes_per_second = 10 * 1024 * 1024;

  friend bool operator==(const BigKeyThresholds&, const BigKeyThresholds&) = default;
};

// Where a size was learned from.
enum class BigKeySource : uint8_t { kRequest, kReply, kEngine, kProbe };
std::string_view BigKeySourceName(BigKeySource source);

struct BigKeySighting {
  KeyId id = 0;
  std::string_view name;
  std::string_view cluster;  // "engine", or the upstream's
  int database = 0;
  std::string_view type = "";        // as TYPE says; empty: not known
  std::optional<uint64_t> bytes;     // none: not learned
  std::optional<uint64_t> elements;  // the same
  bool exact = false;                // these are the sizes; else the least that they can be
  uint64_t moved_bytes = 0;          // over the network, by this request and its reply
  BigKeySource source = BigKeySource::kReply;
};

struct BigKey {
  std::string name;
  std::string cluster;
  int database = 0;
  std::string type;
  uint64_t bytes = 0;                // 0: not known
  std::optional<uint64_t> elements;  // none: not known
  uint64_t bytes_per_second = 0;
  BigKeySource source = BigKeySource::kReply;
  int64_t seen_ms = 0;  // on the table's clock
  bool big = false;     // false: only the level of warnings
};

enum class BigKeyOrder : uint8_t { kBytes, kElements, kRate };

// What is known of one key, for who acts on it.
struct BigKeySize {
  uint64_t bytes = 0;
  uint64_t elements = 0;  // 0: not known
  bool big = false;       // for its size; one that only moves many bytes is not
};

struct BigKeyCounts {
  uint64_t listed = 0;
  uint64_t big = 0;
  uint64_t detections = 0;  // times that a key came into the list
  uint64_t refused = 0;     // times that there was no place for one
};

class BigKeyTable final {
 public:
  // The ones in force from now on; what is listed is judged anew.
  void SetThresholds(const BigKeyThresholds& thresholds) TG_EXCLUDES(mutex_);

  void Note(const BigKeySighting& sighting, int64_t now_ms) TG_EXCLUDES(mutex_);
  // So many bytes more of a key that is listed; of another nothing happens.
  void NoteMoved(KeyId id, uint64_t bytes, int64_t now_ms) TG_EXCLUDES(mutex_);
  // It is gone.
  void Remove(KeyId id) TG_EXCLUDES(mutex_);
  // All of a cluster, or of one of its databases.
  void RemoveAll(std::string_view cluster, std::optional<int> database) TG_EXCLUDES(mutex_);
  void Clear() TG_EXCLUDES(mutex_);

  // The largest first; at most so many.
  std::vector<BigKey> List(BigKeyOrder order, size_t count, int64_t now_ms) TG_EXCLUDES(mutex_);
  BigKeyCounts Counts(int64_t now_ms) TG_EXCLUDES(mutex_);
  // None: it is not listed. Takes the lock only when MayHold().
  std::optional<BigKeySize> Find(KeyId id) TG_EXCLUDES(mutex_);
  // Whether the key may be listed, without the lock: false is certain, but for a key that somebody
  // is just noting.
  bool MayHold(KeyId id) const {
    return held_[id % kHeldCells].load(std::memory_order_relaxed) != 0;
  }

 private:
  struct Listed {
    BigKey key;
    double score = 0;  // in units of the thresholds
    // Bytes moved in the window that began then, and in the one before.
    int64_t window_begin_ms = 0;
    uint64_t window_bytes = 0;
    uint64_t last_window_bytes = 0;
  };
  using Keys = std::unordered_map<KeyId, Listed>;

  bool IsListed(const Listed& listed, int64_t now_ms) const TG_REQUIRES(mutex_);
  bool IsBig(const Listed& listed, int64_t now_ms) const TG_REQUIRES(mutex_);
  double ScoreOf(const BigKey& key) const TG_REQUIRES(mutex_);
  bool MakePlace(double score) TG_REQUIRES(mutex_);
  void Drop(Keys::iterator place) TG_REQUIRES(mutex_);
  void DropOld(int64_t now_ms) TG_REQUIRES(mutex_);
  static void Learn(Listed& listed, const BigKeySighting& sighting, int64_t now_ms);
  static void Move(Listed& listed, uint64_t bytes, int64_t now_ms);
  static uint64_t RateOf(const Listed& listed, int64_t now_ms);

  static constexpr size_t kHeldCells = 4096;
  std::array<std::atomic<uint16_t>, kHeldCells> held_{};  // how many listed keys' ids fall there
  Mutex mutex_;
  BigKeyThresholds thresholds_ TG_GUARDED_BY(mutex_);
  Keys keys_ TG_GUARDED_BY(mutex_);
  std::set<std::pair<double, KeyId>> by_score_ TG_GUARDED_BY(mutex_);
  uint64_t detections_ TG_GUARDED_BY(mutex_) = 0;
  uint64_t refused_ TG_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate::hotkey
