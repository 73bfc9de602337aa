#include "hotkey/big_key_table.h"

#include <algorithm>

namespace tidegate::hotkey {

std::string_view BigKeySourceName(BigKeySource source) {
  static constexpr std::string_view kNames[] = {"request", "reply", "engine", "probe"};
  return kNames[static_cast<size_t>(source)];
}

void BigKeyTable::SetThresholds(const BigKeyThresholds& thresholds) {
  const MutexLock lock(mutex_);
  thresholds_ = thresholds;
  by_score_.clear();
  for (auto& [id, listed] : keys_) {
    listed.score = ScoreOf(listed.key);
    by_score_.emplace(listed.score, id);
  }
}

void BigKeyTable::Note(const BigKeySighting& sighting, int64_t now_ms) {
  const MutexLock lock(mutex_);
  const auto found = keys_.find(sighting.id);
  if (found != keys_.end()) {
    Listed& listed = found->second;
    Learn(listed, sighting, now_ms);
    if (!IsListed(listed, now_ms)) return Drop(found);
    by_score_.erase({listed.score, sighting.id});
    listed.score = ScoreOf(listed.key);
    by_score_.emplace(listed.score, sighting.id);
    return;
  }
  Listed fresh;
  Learn(fresh, sighting, now_ms);
  if (!IsListed(fresh, now_ms)) return;
  fresh.score = ScoreOf(fresh.key);
  if (!MakePlace(fresh.score)) {
    ++refused_;
    return;
  }
  fresh.key.name = sighting.name.substr(0, kBigKeyNameBytesMax);
  fresh.key.cluster = sighting.cluster;
  fresh.key.database = sighting.database;
  by_score_.emplace(fresh.score, sighting.id);
  held_[sighting.id % kHeldCells].fetch_add(1, std::memory_order_relaxed);
  keys_.emplace(sighting.id, std::move(fresh));
  ++detections_;
}

void BigKeyTable::NoteMoved(KeyId id, uint64_t bytes, int64_t now_ms) {
  const MutexLock lock(mutex_);
  const auto found = keys_.find(id);
  if (found == keys_.end()) return;
  found->second.key.seen_ms = now_ms;
  Move(found->second, bytes, now_ms);
}

void BigKeyTable::Remove(KeyId id) {
  const MutexLock lock(mutex_);
  const auto found = keys_.find(id);
  if (found != keys_.end()) Drop(found);
}

void BigKeyTable::RemoveAll(std::string_view cluster, std::optional<int> database) {
  const MutexLock lock(mutex_);
  for (auto at = keys_.begin(); at != keys_.end();) {
    const auto place = at++;
    const BigKey& key = place->second.key;
    if (key.cluster == cluster && (!database || key.database == *database)) Drop(place);
  }
}

void BigKeyTable::Clear() {
  const MutexLock lock(mutex_);
  while (!keys_.empty()) Drop(keys_.begin());
}

std::vector<BigKey> BigKeyTable::List(BigKeyOrder order, size_t count, int64_t now_ms) {
  std::vector<BigKey> keys;
  {
    const MutexLock lock(mutex_);
    DropOld(now_ms);
    keys.reserve(keys_.size());
    for (const auto& [id, listed] : keys_) {
      keys.push_back(listed.key);
      keys.back().bytes_per_second = RateOf(listed, now_ms);
      keys.back().big = IsBig(listed, now_ms);
    }
  }
  const auto rank = [order](const BigKey& key) {
    if (order == BigKeyOrder::kElements) return key.elements.value_or(0);
    return order == BigKeyOrder::kRate ? key.bytes_per_second : key.bytes;
  };
  std::sort(keys.begin(), keys.end(), [&rank](const BigKey& a, const BigKey& b) {
    const auto of_a = std::pair(rank(a), a.bytes);
    const auto of_b = std::pair(rank(b), b.bytes);
    return of_a != of_b ? of_a > of_b : a.name < b.name;
  });
  if (keys.size() > count) keys.resize(count);
  return keys;
}

std::optional<BigKeySize> BigKeyTable::Find(KeyId id) {
  if (!MayHold(id)) return std::nullopt;
  const MutexLock lock(mutex_);
  const auto found = keys_.find(id);
  if (found == keys_.end()) return std::nullopt;
  const BigKey& key = found->second.key;
  const uint64_t elements = key.elements.value_or(0);
  return BigKeySize{.bytes = key.bytes,
                    .elements = elements,
                    .big = key.bytes >= thresholds_.big_bytes || elements >= thresholds_.elements};
}

BigKeyCounts BigKeyTable::Counts(int64_t now_ms) {
  const MutexLock lock(mutex_);
  DropOld(now_ms);
  BigKeyCounts counts{
      .listed = keys_.size(), .big = 0, .detections = detections_, .refused = refused_};
  for (const auto& [id, listed] : keys_) counts.big += IsBig(listed, now_ms) ? 1 : 0;
  return counts;
}

bool BigKeyTable::IsListed(const Listed& listed, int64_t now_ms) const {
  return listed.key.bytes >= thresholds_.warn_bytes || IsBig(listed, now_ms);
}

bool BigKeyTable::IsBig(const Listed& listed, int64_t now_ms) const {
  return listed.key.bytes >= thresholds_.big_bytes ||
         listed.key.elements.value_or(0) >= thresholds_.elements ||
         RateOf(listed, now_ms) >= thresholds_.bytes_per_second;
}

double BigKeyTable::ScoreOf(const BigKey& key) const {
  const auto part = [](uint64_t size, uint64_t threshold) {
    return static_cast<double>(size) / static_cast<double>(std::max<uint64_t>(threshold, 1));
  };
  return std::max(part(key.bytes, thresholds_.big_bytes),
                  part(key.elements.value_or(0), thresholds_.elements));
}

bool BigKeyTable::MakePlace(double score) {
  if (keys_.size() < kBigKeysMax) return true;
  const auto smallest = by_score_.begin();
  if (smallest->first >= score) return false;
  Drop(keys_.find(smallest->second));
  return true;
}

void BigKeyTable::Drop(Keys::iterator place) {
  by_score_.erase({place->second.score, place->first});
  held_[place->first % kHeldCells].fetch_sub(1, std::memory_order_relaxed);
  keys_.erase(place);
}

void BigKeyTable::DropOld(int64_t now_ms) {
  for (auto at = keys_.begin(); at != keys_.end();) {
    const auto place = at++;
    const bool forgotten = now_ms - place->second.key.seen_ms >= kBigKeyForgottenMs;
    if (forgotten || !IsListed(place->second, now_ms)) Drop(place);
  }
}

void BigKeyTable::Learn(Listed& listed, const BigKeySighting& sighting, int64_t now_ms) {
  BigKey& key = listed.key;
  key.seen_ms = now_ms;
  if (!sighting.type.empty()) key.type = sighting.type;
  Move(listed, sighting.moved_bytes, now_ms);
  const bool told = sighting.bytes || sighting.elements;
  const bool exact_now = sighting.exact || key.bytes < sighting.bytes.value_or(0) ||
                         key.elements.value_or(0) < sighting.elements.value_or(0);
  if (told && exact_now) key.source = sighting.source;
  if (sighting.bytes)
    key.bytes = sighting.exact ? *sighting.bytes : std::max(key.bytes, *sighting.bytes);
  if (sighting.elements) {
    key.elements = sighting.exact ? *sighting.elements
                                  : std::max(key.elements.value_or(0), *sighting.elements);
  }
}

void BigKeyTable::Move(Listed& listed, uint64_t bytes, int64_t now_ms) {
  const int64_t age_ms = now_ms - listed.window_begin_ms;
  if (age_ms >= kBigKeyWindowMs) {
    listed.last_window_bytes = age_ms < 2 * kBigKeyWindowMs ? listed.window_bytes : 0;
    listed.window_begin_ms =
        age_ms < 2 * kBigKeyWindowMs ? listed.window_begin_ms + kBigKeyWindowMs : now_ms;
    listed.window_bytes = 0;
  }
  listed.window_bytes += bytes;
}

// The last window counts as far as it reaches into the second that ends now.
uint64_t BigKeyTable::RateOf(const Listed& listed, int64_t now_ms) {
  const int64_t age_ms = now_ms - listed.window_begin_ms;
  if (age_ms >= 2 * kBigKeyWindowMs) return 0;
  const uint64_t before = age_ms < kBigKeyWindowMs ? listed.last_window_bytes : listed.window_bytes;
  const uint64_t now = age_ms < kBigKeyWindowMs ? listed.window_bytes : 0;
  const auto left = static_cast<uint64_t>(kBigKeyWindowMs - age_ms % kBigKeyWindowMs);
  return now + before * left / static_cast<uint64_t>(kBigKeyWindowMs);
}

}  // namespace tidegate::hotkey
