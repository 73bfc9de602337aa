// The part of Store that is the journal: groups are written to files, read once at a start, and
// dropped; and those that an earlier version has put into the database are read and dropped too.
#include <rocksdb/convenience.h>

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "storage/checkpoint/big_endian.h"
#include "storage/persist/journal_files.h"
#include "storage/persist/store_database.h"

namespace tidegate {
namespace {

constexpr size_t kKeyBytes = 8;

std::string KeyOf(uint64_t sequence) {
  std::string key;
  AppendBigEndian(key, sequence, kKeyBytes);
  return key;
}

// 0, which no record has: it is no key of ours.
uint64_t SequenceOf(const rocksdb::Slice& key) {
  return key.size() < kKeyBytes ? 0 : ReadBigEndian(ViewOf(key).substr(0, kKeyBytes), kKeyBytes);
}

// Back to the first value of the group.
void SkipPartsBackwards(rocksdb::Iterator& it) {
  while (it.Valid() && it.key().size() > kKeyBytes) it.Prev();
}

// A group as it lies in the store: one value, or several if the first one is as long as may be.
struct StoredGroup {
  uint64_t sequence = 0;   // of its key
  bool has_begin = false;  // it begins with the first value of a group
  std::string_view bytes;
};

// The group that begins at the iterator, which is left at its last value. The bytes are in the
// iterator's value or, when there are several, in `joined`.
StoredGroup GroupOf(rocksdb::Iterator& it, size_t value_bytes_max, std::string& joined) {
  StoredGroup group{SequenceOf(it.key()), it.key().size() == kKeyBytes, ViewOf(it.value())};
  if (group.bytes.size() < value_bytes_max) return group;
  joined = group.bytes;
  const std::string prefix = KeyOf(group.sequence);
  for (it.Next(); it.Valid() && it.key().size() > kKeyBytes && it.key().starts_with(prefix);
       it.Next()) {
    joined.append(it.value().data(), it.value().size());
  }
  if (it.Valid()) {
    it.Prev();
  } else {
    it.SeekToLast();
  }
  group.bytes = joined;
  return group;
}

// What is stored, checked.
Result<JournalGroupView> CheckGroup(const StoredGroup& stored) {
  Result<JournalGroupView> group = JournalGroupView::Parse(stored.bytes);
  if (!group.ok()) return group;
  if (!stored.has_begin || stored.sequence != group->first())
    return Error{"it says that it begins with record " + std::to_string(group->first())};
  return group;
}

// Where reading begins: at the group that holds the record after that one, or would.
void SeekBehind(rocksdb::Iterator& it, uint64_t sequence) {
  it.SeekForPrev(KeyOf(sequence + 1));
  SkipPartsBackwards(it);
  if (!it.Valid() && it.status().ok()) it.SeekToFirst();
}

// The records that come after done.last.
Status ApplyGroup(JournalGroupView group, const Store::ApplyFn& apply, ReplayProgress& done) {
  if (group.last() <= done.last) return {};  // the checkpoint has it
  if (group.first() > done.last + 1) {
    return Error{"the journal's group at record " + std::to_string(group.first()) +
                 " comes after record " + std::to_string(done.last) + ": some are missing"};
  }
  std::string_view record;
  for (uint64_t number = group.first(); group.Next(&record); ++number) {
    if (number <= done.last) continue;
    const Status applied = apply(record);
    if (!applied.ok())
      return Error{"record " + std::to_string(number) + ": " + applied.error().message};
    ++done.records;
    done.last = number;
  }
  return {};
}

}  // namespace

// --- the files ---

Status Store::Write(const JournalGroup& group, bool sync) { return journal_->Write(group, sync); }

Status Store::Sync() { return journal_->Sync(); }

Result<uint64_t> Store::Recover() {
  TG_RETURN_IF_ERROR(ReopenDatabase());
  const Result<uint64_t> kept = journal_->Recover();
  if (!kept.ok()) return kept.error();
  return LastRecord();
}

uint64_t Store::LastRecord() const {
  return std::max(
      {journal_->last(), stored_last_.load(std::memory_order_relaxed), checkpoint_sequence()});
}

Result<ReplayProgress> Store::Replay(const ApplyFn& apply, const ProgressFn& progress) {
  ReplayProgress done;
  done.last = checkpoint_sequence();
  if (stored_last_.load(std::memory_order_relaxed) != 0)
    TG_RETURN_IF_ERROR(ReplayStored(apply, progress, done));
  TG_RETURN_IF_ERROR(
      journal_->ForEach([&](const JournalGroupView& group, uint64_t bytes) -> Status {
        const uint64_t before = done.records;
        TG_RETURN_IF_ERROR(ApplyGroup(group, apply, done));
        if (done.records == before) return {};
        done.bytes += bytes;
        if (progress) progress(done);
        return {};
      }));
  return done;
}

// --- in the database, of an earlier version ---

Status Store::ReadStoredLast() {
  const std::shared_ptr<Database> at = database();
  const std::unique_ptr<rocksdb::Iterator> it(
      at->db->NewIterator(rocksdb::ReadOptions(), at->journal));
  it->SeekToLast();
  SkipPartsBackwards(*it);
  if (!it->status().ok()) return StoreError(it->status(), "read");
  if (!it->Valid()) return {};
  std::string joined;
  const StoredGroup stored = GroupOf(*it, options_.value_bytes_max.count, joined);
  Result<JournalGroupView> group = CheckGroup(stored);
  // A damaged one is seen, and dealt with, when it is replayed.
  stored_last_.store(group.ok() ? group->last() : std::max<uint64_t>(stored.sequence, 1));
  return {};
}

Status Store::DropDamaged(uint64_t sequence, const std::string& what) {
  log::Warning("Store: " + what + ": it is the last one, and is dropped");
  const std::shared_ptr<Database> at = database();
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const rocksdb::Status removed =
      at->db->DeleteRange(synced, at->journal, KeyOf(sequence), KeyOf(sequence + 1));
  return removed.ok() ? Status() : Status(StoreError(removed, "remove a damaged group"));
}

Status Store::ReplayStored(const ApplyFn& apply, const ProgressFn& progress, ReplayProgress& done) {
  const std::shared_ptr<Database> at = database();
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 2 << 20;
  const std::unique_ptr<rocksdb::Iterator> it(at->db->NewIterator(options, at->journal));
  std::string joined;
  for (SeekBehind(*it, done.last); it->Valid(); it->Next()) {
    const StoredGroup stored = GroupOf(*it, options_.value_bytes_max.count, joined);
    Result<JournalGroupView> group = CheckGroup(stored);
    if (!group.ok()) {
      const std::string what = "the journal's group at record " + std::to_string(stored.sequence) +
                               " (" + std::to_string(stored.bytes.size()) + " bytes, after " +
                               std::to_string(done.bytes) +
                               ") is damaged: " + group.error().message;
      it->Next();
      if (it->Valid() || journal_->last() != 0 || !drops_damage()) return Error{what};
      TG_RETURN_IF_ERROR(DropDamaged(stored.sequence, what));
      stored_last_.store(done.last, std::memory_order_relaxed);
      break;
    }
    TG_RETURN_IF_ERROR(ApplyGroup(*group, apply, done));
    done.bytes += stored.bytes.size();
    if (progress) progress(done);
  }
  if (!it->status().ok()) {
    return Error{"read the journal after record " + std::to_string(done.last) + ": " +
                 it->status().ToString()};
  }
  return {};
}

// Nothing is added there, so the first checkpoint has all of it.
void Store::DropStoredUpTo(uint64_t sequence) {
  const uint64_t last = stored_last_.load(std::memory_order_relaxed);
  const std::shared_ptr<Database> at = database();
  if (last == 0 || sequence < last || at == nullptr) return;
  // The flush lets go of the log.
  rocksdb::Status dropped = at->db->DeleteRange(rocksdb::WriteOptions(), at->journal,
                                                rocksdb::Slice(), KeyOf(UINT64_MAX));
  if (dropped.ok()) dropped = at->db->Flush(rocksdb::FlushOptions(), at->journal);
  if (dropped.ok())
    dropped = rocksdb::DeleteFilesInRange(at->db.get(), at->journal, nullptr, nullptr);
  // What stays is passed over by a start, and tried again by the next checkpoint.
  if (!dropped.ok()) return static_cast<void>(StoreError(dropped, "drop the journal"));
  stored_last_.store(0, std::memory_order_relaxed);
}

}  // namespace tidegate
