// CacheClasses: which kinds of keys are used as a cache's, by what clients of a route do with them.
//
//   GET, nil ... SET with a time to live, within kFillNanosMax    a load
//
// A kind (KindOfKey: "item:" of "item:17") is a cache's once half of at least kNilsMin nils were
// followed by a load. It is forgotten when fewer are, and not looked at again for
// kPrimaryNanos after a command that means something by a key's absence, or that makes it without
// loading it: SET NX, SETNX, INCR and its kind, WATCH, a script.
// Both tables are of a fixed size: kinds that come when there is no place are none, a nil that
// another key's takes the place of is one without a load.
// Threads: any; one lock. Cost: a search for each nil and each such write, of routes that learn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "hotkey/key_id.h"

namespace tidegate {

inline constexpr uint32_t kNilsMin = 20;
// Then both counts are halved, so that the last few hundred decide.
inline constexpr uint32_t kNilsHalvedAt = 256;
inline constexpr int64_t kFillNanosMax = 10'000'000'000;
inline constexpr int64_t kPrimaryNanos = 600'000'000'000;
inline constexpr size_t kCacheClassesMax = 512;
// Longer beginnings are no kind.
inline constexpr size_t kCacheClassBytesMax = 128;
inline constexpr size_t kPendingNils = 4096;

class CacheClasses final {
 public:
  // Whether keys like this are a cache's.
  bool Has(std::string_view key, int64_t now_ns) const TG_EXCLUDES(mutex_);
  void NoteNil(std::string_view key, hotkey::KeyId id, int64_t now_ns) TG_EXCLUDES(mutex_);
  // It was written with a time to live.
  void NoteFill(std::string_view key, hotkey::KeyId id, int64_t now_ns) TG_EXCLUDES(mutex_);
  // Something that a cache is not used for.
  void NotePrimary(std::string_view key, int64_t now_ns) TG_EXCLUDES(mutex_);

  // Those that are a cache's now, sorted.
  std::vector<std::string> Names(int64_t now_ns) const TG_EXCLUDES(mutex_);

 private:
  struct Kind {
    uint32_t nils = 0;
    uint32_t fills = 0;
    int64_t primary_until_ns = 0;
    int64_t seen_ns = 0;

    bool IsCache(int64_t now_ns) const {
      return primary_until_ns <= now_ns && nils >= kNilsMin && fills * 2 >= nils;
    }
  };
  struct Nil {
    hotkey::KeyId id = 0;
    int64_t at_ns = 0;
  };

  Kind* KindFor(std::string_view key, int64_t now_ns) TG_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Kind, std::less<>> kinds_ TG_GUARDED_BY(mutex_);
  std::array<Nil, kPendingNils> nils_ TG_GUARDED_BY(mutex_){};
};

}  // namespace tidegate
