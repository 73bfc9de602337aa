#include "policy/negative_cache/negative_cache.h"

#include <algorithm>

namespace tidegate {

NegativeCache::NegativeCache(size_t keys, std::chrono::nanoseconds ttl)
    : sets_(std::max<size_t>((keys + kSetKeys - 1) / kSetKeys, 1)),
      ttl_ns_(ttl.count()),
      table_(std::make_unique<Set[]>(sets_)) {}

bool NegativeCache::IsLive(const Key& key, int64_t now_ns) const {
  if (key.misses == 0 || key.all != all_.load(std::memory_order_acquire)) return false;
  return key.absent ? now_ns < key.time_ns : now_ns - key.time_ns < kNegativeWindowNanos;
}

bool NegativeCache::IsAbsent(const KeyRef& key, hotkey::Keyspace keyspace, int64_t now_ns,
                             Version& version) {
  version.all = all_.load(std::memory_order_acquire);
  Set& set = SetOf(key.hash);
  const MutexLock lock(set.mutex);
  version.set = set.version;
  return std::any_of(set.keys.begin(), set.keys.end(), [&](const Key& known) {
    return known.hash == key.hash && known.absent && known.keyspace == keyspace &&
           IsLive(known, now_ns) && known.name == key.name;
  });
}

void NegativeCache::Missed(std::string_view name, uint64_t hash, hotkey::Keyspace keyspace,
                           const Version& version, int64_t now_ns) {
  if (name.size() > kNegativeKeyBytesMax) return;
  Set& set = SetOf(hash);
  const MutexLock lock(set.mutex);
  if (set.version != version.set || set.writes > 0) return;
  // A write of any key that begins from here on makes what is noted void by its number.
  if (all_.load(std::memory_order_acquire) != version.all ||
      writes_of_any_.load(std::memory_order_acquire) > 0)
    return;
  const auto known = std::find_if(set.keys.begin(), set.keys.end(), [&](const Key& one) {
    return one.hash == hash && one.keyspace == keyspace && IsLive(one, now_ns) && one.name == name;
  });
  if (known == set.keys.end()) {
    PlaceIn(set.keys, now_ns) = {.hash = hash,
                                 .keyspace = keyspace,
                                 .misses = 1,
                                 .time_ns = now_ns,
                                 .all = version.all,
                                 .name = std::string(name)};
  } else if (!known->absent && ++known->misses >= kNegativeMisses) {
    known->absent = true;
    known->time_ns = now_ns + TtlOf(hash, now_ns);
  }
}

// What says nothing any more, else what is being counted, the oldest; else what is known, the one
// that would go first.
NegativeCache::Key& NegativeCache::PlaceIn(std::vector<Key>& keys, int64_t now_ns) const {
  const auto dead =
      std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return !IsLive(key, now_ns); });
  if (dead != keys.end()) return *dead;
  if (keys.size() < kSetKeys) return keys.emplace_back();
  return *std::min_element(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return a.absent != b.absent ? b.absent : a.time_ns < b.time_ns;
  });
}

int64_t NegativeCache::TtlOf(uint64_t hash, int64_t now_ns) const {
  const uint64_t mixed = (hash ^ static_cast<uint64_t>(now_ns)) * 0x9e3779b97f4a7c15ull;
  const auto chance = static_cast<int64_t>(mixed >> 54);  // 0 .. 1023
  const int64_t percent = chance * (2 * kNegativeSpreadPercent + 1) / 1024 - kNegativeSpreadPercent;
  return ttl_ns_ / 100 * (100 + percent);
}

void NegativeCache::BeginWrite(uint64_t hash) {
  Set& set = SetOf(hash);
  const MutexLock lock(set.mutex);
  ++set.version;
  ++set.writes;
  for (Key& key : set.keys) {
    if (key.hash == hash) key.misses = 0;
  }
}

// Nothing was noted in the set since its beginning.
void NegativeCache::EndWrite(uint64_t hash) {
  Set& set = SetOf(hash);
  const MutexLock lock(set.mutex);
  ++set.version;
  --set.writes;
}

void NegativeCache::BeginWriteOfAny() {
  writes_of_any_.fetch_add(1, std::memory_order_acq_rel);
  all_.fetch_add(1, std::memory_order_acq_rel);
}

void NegativeCache::EndWriteOfAny() {
  all_.fetch_add(1, std::memory_order_acq_rel);
  writes_of_any_.fetch_sub(1, std::memory_order_acq_rel);
}

size_t NegativeCache::CountAbsent(int64_t now_ns) {
  size_t absent = 0;
  for (size_t i = 0; i < sets_; ++i) {
    Set& set = table_[i];
    const MutexLock lock(set.mutex);
    absent +=
        static_cast<size_t>(std::count_if(set.keys.begin(), set.keys.end(), [&](const Key& key) {
          return key.absent && IsLive(key, now_ns);
        }));
  }
  return absent;
}

}  // namespace tidegate
