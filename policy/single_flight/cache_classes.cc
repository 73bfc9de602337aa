#include "policy/single_flight/cache_classes.h"

#include <algorithm>

#include "policy/single_flight/load_times.h"

namespace tidegate {

// Null: there is no place. The kind that was not seen for the longest time goes for a new one, if
// that is long.
CacheClasses::Kind* CacheClasses::KindFor(std::string_view key, int64_t now_ns) {
  const std::string_view name = KindOfKey(key);
  if (name.empty() || name.size() > kCacheClassBytesMax) return nullptr;
  auto found = kinds_.find(name);
  if (found == kinds_.end()) {
    if (kinds_.size() >= kCacheClassesMax) {
      const auto oldest = std::min_element(
          kinds_.begin(), kinds_.end(),
          [](const auto& a, const auto& b) { return a.second.seen_ns < b.second.seen_ns; });
      if (now_ns - oldest->second.seen_ns < kFillNanosMax) return nullptr;
      kinds_.erase(oldest);
    }
    found = kinds_.emplace(std::string(name), Kind{}).first;
  }
  found->second.seen_ns = now_ns;
  return &found->second;
}

bool CacheClasses::Has(std::string_view key, int64_t now_ns) const {
  const MutexLock lock(mutex_);
  const auto found = kinds_.find(KindOfKey(key));
  return found != kinds_.end() && found->second.IsCache(now_ns);
}

void CacheClasses::NoteNil(std::string_view key, hotkey::KeyId id, int64_t now_ns) {
  const MutexLock lock(mutex_);
  Kind* const kind = KindFor(key, now_ns);
  if (kind == nullptr) return;
  // Clients that miss one key together are one nil: one of them will load it.
  Nil& nil = nils_[id % kPendingNils];
  if (nil.id == id && now_ns - nil.at_ns <= kFillNanosMax) return;
  nil = {.id = id, .at_ns = now_ns};
  if (++kind->nils < kNilsHalvedAt) return;
  kind->nils /= 2;
  kind->fills /= 2;
}

void CacheClasses::NoteFill(std::string_view key, hotkey::KeyId id, int64_t now_ns) {
  const MutexLock lock(mutex_);
  Nil& nil = nils_[id % kPendingNils];
  if (nil.id != id) return;
  const bool in_time = now_ns - nil.at_ns <= kFillNanosMax;
  nil = {};
  Kind* const kind = in_time ? KindFor(key, now_ns) : nullptr;
  if (kind != nullptr) kind->fills = std::min(kind->fills + 1, kind->nils);
}

void CacheClasses::NotePrimary(std::string_view key, int64_t now_ns) {
  const MutexLock lock(mutex_);
  Kind* const kind = KindFor(key, now_ns);
  if (kind == nullptr) return;
  *kind = {.primary_until_ns = now_ns + kPrimaryNanos, .seen_ns = now_ns};
}

std::vector<std::string> CacheClasses::Names(int64_t now_ns) const {
  const MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds_) {
    if (kind.IsCache(now_ns)) names.push_back(name);
  }
  return names;
}

}  // namespace tidegate
