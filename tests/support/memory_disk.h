// MemoryDisk: a disk that holds checkpoints, in memory. For tests of what happens between the two:
// keys that are not in memory yet, changes that are not on disk yet, and restarts at any point.
//
// Reads take their time, and fail, as they are told. A checkpoint replaces records all at once, as
// an ingest does. Thread-safe; Checkpoint and Restart by one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "storage/cold/cold_source.h"
#include "storage/cold/cold_start.h"
#include "storage/cut_walker.h"
#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate::testing {

class MemoryDisk final : public ColdSource {
 public:
  struct Record {
    int64_t expire_at_ms = kNoExpire;
    uint32_t access = 0;
    StoredObject object;
    std::string value;
  };
  using SlotKey = std::pair<uint32_t, uint16_t>;       // id of the database, slot
  using RecordKey = std::pair<uint64_t, std::string>;  // hash, key
  using Slots = std::map<SlotKey, std::map<RecordKey, Record>>;

  Result<bool> Read(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key,
                    const std::function<void(const StoredEntry&)>& fn) override {
    if (Fails()) return Error{"no such luck"};
    while (hold_keys_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::optional<Record> found;
    {
      const std::lock_guard lock(mutex_);
      const auto records = slots_.find({database, slot});
      if (records != slots_.end()) {
        const auto record = records->second.find({hash, std::string(key)});
        if (record != records->second.end()) found = record->second;
      }
    }
    TakeTime();
    if (found) fn(Stored({hash, std::string(key)}, *found));
    return found.has_value();
  }

  Status ReadSlot(uint32_t database, uint16_t slot, uint64_t from_hash,
                  const std::function<bool(const StoredEntry&)>& fn) override {
    if (Fails()) return Error{"no such luck"};
    std::map<RecordKey, Record> records;
    {
      const std::lock_guard lock(mutex_);
      const auto found = slots_.find({database, slot});
      if (found != slots_.end()) records = found->second;
    }
    if (!records.empty()) TakeTime();
    if (!records.empty()) WaitWhileHeld();
    for (auto at = records.lower_bound({from_hash, ""}); at != records.end(); ++at) {
      if (!fn(Stored(at->first, at->second))) break;
    }
    return {};
  }

  Status ReadExpiries(uint32_t database, uint16_t slot, uint64_t from_hash,
                      const std::function<bool(const StoredExpiry&)>& fn) override {
    return ReadSlot(database, slot, from_hash, [&fn](const StoredEntry& entry) {
      return fn({entry.key, entry.hash, entry.expire_at_ms});
    });
  }

  bool IsAbsent(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key) override {
    if (!has_filters_) return false;
    const std::lock_guard lock(mutex_);
    const auto records = slots_.find({database, slot});
    return records == slots_.end() || !records->second.contains({hash, std::string(key)});
  }

  // Whether it says of absent keys that they are, when asked without a read.
  void HaveFilters(bool have) { has_filters_ = have; }
  // Of reads: one in so many fails (0: none), and they take up to so long.
  void FailEvery(uint32_t n) { fail_every_ = n; }
  void TakeUpTo(std::chrono::microseconds time) { time_us_ = time.count(); }
  uint64_t reads() const { return reads_; }
  // Keys are not read while this holds.
  void HoldKeys(bool hold) { hold_keys_ = hold; }
  // Slots that have keys are read, and not given on while this holds.
  void HoldSlots(bool hold) { hold_slots_ = hold; }
  int slots_held() const { return slots_held_; }

  // Writes what is dirty; false: it failed, as `fails` wanted it, and nothing is on disk.
  bool Checkpoint(Engine& engine, CutWalker& walker, int64_t (*now_ms)(), bool fails);

  // The next engine begins with what the last checkpoint has. `options`: all but source and
  // databases.
  void Restart(Engine& engine, ColdStart options, bool tiered = false) {
    engine.SetTracksChanges();
    if (tiered) engine.MakeTiered();
    options.source = this;
    if (!moment_ && tiered) engine.BeginCold(options);
    if (!moment_) return;
    engine.keyspace().database_map().Restore(moment_->ids);
    for (size_t db = 0; db < moment_->dbs.size(); ++db) {
      const DbStats& stats = moment_->dbs[db];
      if (stats.keys > 0) {
        options.databases.push_back(
            {static_cast<int>(db), stats.keys, stats.expires, stats.mean_expire_at_s});
      }
    }
    engine.BeginCold(options);
  }
  // Of the last checkpoint.
  uint64_t sequence() const { return moment_ ? moment_->sequence : 0; }
  const std::optional<CutMoment>& moment() const { return moment_; }

 private:
  class Sink;
  struct Change {
    SlotKey slot;
    RecordKey key;
    std::optional<Record> record;  // none: it is gone
  };

  static StoredEntry Stored(const RecordKey& key, const Record& record) {
    return {.key = key.second,
            .hash = key.first,
            .expire_at_ms = record.expire_at_ms,
            .access = record.access,
            .object = record.object,
            .value = record.value};
  }
  bool Fails() {
    const uint64_t n = ++reads_;
    const uint32_t every = fail_every_;
    return every != 0 && (n * 0x9e3779b97f4a7c15u >> 40) % every == 0;
  }
  void WaitWhileHeld() {
    ++slots_held_;
    while (hold_slots_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --slots_held_;
  }
  void TakeTime() const {
    const int64_t most = time_us_;
    if (most > 0) std::this_thread::sleep_for(std::chrono::microseconds(reads_ * 7919 % most));
  }

  std::mutex mutex_;
  Slots slots_;
  std::optional<CutMoment> moment_;
  std::atomic<uint64_t> reads_{0};
  std::atomic<uint32_t> fail_every_{0};
  std::atomic<int64_t> time_us_{0};
  std::atomic<bool> hold_keys_{false};
  std::atomic<bool> hold_slots_{false};
  std::atomic<bool> has_filters_{false};
  std::atomic<int> slots_held_{0};
  std::atomic<uint64_t> next_object_{1};
};

// Takes a checkpoint's cut, and changes nothing until it is whole.
class MemoryDisk::Sink final : public CutSink {
 public:
  Sink(MemoryDisk& disk, bool fails) : disk_(disk), fails_(fails) {}

  void OnMoment(const CutMoment& moment) override { moment_ = moment; }
  bool only_dirty() const override { return true; }
  StoredObject Encode(int db, const Entry& entry, const StoredObject& /*old*/,
                      std::string& out) override {
    const StoredObject object = ObjectFor(entry);
    const std::lock_guard lock(mutex_);
    out += static_cast<char>('0' + encoded_.size() % 10);  // there are bytes for each
    encoded_.push_back(ChangeOf(db, entry, object));
    return object;
  }
  StoredObject OnEntry(int db, const Entry& entry, const StoredObject& /*old*/) override {
    const StoredObject object = ObjectFor(entry);
    changes_.push_back(ChangeOf(db, entry, object));
    return object;
  }
  void OnEncoded(int /*db*/, std::string_view entries) override { collected_ += entries.size(); }
  void OnDead(const DeadRecords& dead) override { dead_ = dead; }
  void OnUnreadable(Error /*error*/) override { TG_CHECK(false); }
  bool failed() const override { return false; }

  bool Finish(Engine& engine) {
    TG_CHECK(collected_ == encoded_.size());
    // The engine hears of it later, as of an ingest: another cut may be under way meanwhile.
    if (!fails_) Ingest();
    engine.CheckpointEnded(!fails_);
    return !fails_;
  }

 private:
  void Ingest() {
    const std::lock_guard lock(disk_.mutex_);
    for (auto* changes : {&changes_, &encoded_}) {
      for (Change& change : *changes) Apply(change);
    }
    for (const uint32_t id : dead_.databases) {
      std::erase_if(disk_.slots_, [id](const auto& slot) { return slot.first.first == id; });
    }
    disk_.moment_ = moment_;
  }
  StoredObject ObjectFor(const Entry& entry) {
    StoredObject object;
    if (!entry.removed() && !entry.embedded()) object.id = disk_.next_object_++;
    return object;
  }
  Change ChangeOf(int db, const Entry& entry, const StoredObject& object) const {
    const std::string key(entry.key());
    Change change{{moment_.ids.id_of[static_cast<size_t>(db)], KeySlot(key)},
                  {KeyHash(key), key},
                  std::nullopt};
    if (entry.removed()) return change;
    change.record = Record{entry.expire_at_ms(), entry.access(), object, {}};
    rdb::RdbWriter writer(change.record->value);
    rdb::WriteValue(entry, {.now_ms = 0}, writer);
    return change;
  }
  void Apply(Change& change) {
    auto& records = disk_.slots_[change.slot];
    if (change.record) {
      records[change.key] = std::move(*change.record);
    } else {
      records.erase(change.key);
    }
  }

  MemoryDisk& disk_;
  const bool fails_;
  CutMoment moment_;
  DeadRecords dead_;
  std::mutex mutex_;
  std::vector<Change> changes_;
  std::vector<Change> encoded_;
  size_t collected_ = 0;
};

inline bool MemoryDisk::Checkpoint(Engine& engine, CutWalker& walker, int64_t (*now_ms)(),
                                   bool fails) {
  Sink sink(*this, fails);
  walker.Write(sink, now_ms);
  return sink.Finish(engine);
}

}  // namespace tidegate::testing
