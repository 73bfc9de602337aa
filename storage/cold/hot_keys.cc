#include "storage/cold/hot_keys.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/keyspace.h"

namespace tidegate {
namespace {

constexpr char kVersion = 1;
constexpr std::chrono::milliseconds kClosedGatePause{1};
constexpr int kClosedGateTriesMax = 100;

// A longer key is not kept: the list stays below 17 MB.
constexpr size_t kHotKeyBytesMax = 1024;

bool CountsUses(EvictionPolicy policy) {
  return policy == EvictionPolicy::kAllKeysLfu || policy == EvictionPolicy::kVolatileLfu;
}

void PutFixed32(uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

bool TakeFixed32(std::string_view& bytes, uint32_t& value) {
  if (bytes.size() < 4) return false;
  value = 0;
  for (size_t i = 0; i < 4; ++i)
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  bytes.remove_prefix(4);
  return true;
}

}  // namespace

struct HotKeySampler::Candidate {
  int64_t heat;
  HotKey key;
  // Of a heap whose front is the coldest.
  friend bool operator<(const Candidate& a, const Candidate& b) { return a.heat > b.heat; }
};

HotKeySampler::HotKeySampler(Engine& engine)
    : engine_(engine), thread_(engine.AddThread(nullptr, nullptr)) {}

std::vector<HotKey> HotKeySampler::Sample(int64_t now_ms) {
  Heap heap;
  for (uint32_t slot = 0; slot < kSlotCount && Enter(); ++slot) {
    SampleSlot(static_cast<uint16_t>(slot), now_ms, heap);
    engine_.gate_->LeaveShared(thread_);
  }
  std::sort(heap.begin(), heap.end());
  std::vector<HotKey> keys;
  keys.reserve(heap.size());
  for (Candidate& candidate : heap) keys.push_back(std::move(candidate.key));
  return keys;
}

bool HotKeySampler::Enter() {
  for (int tries = 0; tries < kClosedGateTriesMax; ++tries) {
    if (engine_.Enter(thread_)) return true;
    std::this_thread::sleep_for(kClosedGatePause);
  }
  return false;
}

void HotKeySampler::SampleSlot(uint16_t slot, int64_t now_ms, Heap& heap) {
  if (!engine_.TryLock(slot)) return;
  Keyspace& keyspace = engine_.keyspace();
  const EngineSettings& settings = engine_.settings();
  const bool lfu = CountsUses(settings.maxmemory_policy.load(std::memory_order_relaxed));
  const int decay = settings.lfu_decay_minutes.load(std::memory_order_relaxed);
  for (int db = 0; db < keyspace.databases(); ++db) {
    const Table* table = keyspace.FindTable(slot, db);
    if (table == nullptr) break;  // nor are there any of the other databases
    const uint32_t from = table->count() <= kHotSamplesPerSlot ? 0 : thread_.Random();
    table->Visit(from, kHotSamplesPerSlot, [&](Entry& entry) {
      const int64_t heat = lfu ? access::LfuCounter(entry.access(), now_ms, decay)
                               : -int64_t{access::LruIdleSeconds(entry.access(), now_ms)};
      Offer(keyspace.database_map().IdOf(db), heat, entry.key(), heap);
    });
  }
  engine_.Unlock(slot);
}

void HotKeySampler::Offer(uint32_t database, int64_t heat, std::string_view key, Heap& heap) const {
  if (key.size() > kHotKeyBytesMax) return;
  if (heap.size() >= kHotKeysMax) {
    if (heat <= heap.front().heat) return;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
  }
  heap.push_back({heat, {database, std::string(key)}});
  std::push_heap(heap.begin(), heap.end());
}

std::string EncodeHotKeys(const std::vector<HotKey>& keys) {
  std::string bytes(1, kVersion);
  for (const HotKey& key : keys) {
    PutFixed32(key.database, bytes);
    PutFixed32(static_cast<uint32_t>(key.key.size()), bytes);
    bytes += key.key;
  }
  return bytes;
}

Result<std::vector<HotKey>> ParseHotKeys(std::string_view bytes) {
  if (bytes.empty() || bytes.front() != kVersion) return Error{"a list of hot keys of no version"};
  bytes.remove_prefix(1);
  std::vector<HotKey> keys;
  while (!bytes.empty()) {
    HotKey key;
    uint32_t size = 0;
    if (!TakeFixed32(bytes, key.database) || !TakeFixed32(bytes, size) || size > bytes.size())
      return Error{"a list of hot keys that breaks off"};
    key.key = bytes.substr(0, size);
    bytes.remove_prefix(size);
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace tidegate
