// The part of Store that is the journal: groups are written, read once at a start, and dropped.
#include <rocksdb/convenience.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/log.h"
#include "storage/checkpoint/big_endian.h"
#include "storage/persist/store_database.h"

namespace tidegate {
namespace {

constexpr size_t kKeyBytes = 8;
constexpr size_t kPartBytes = 4;  // a part's number, behind the key

// Memory of a batch that is kept for the next one.
constexpr Bytes kStoreBatchKeptBytes = 4_MiB;

std::string KeyOf(uint64_t sequence) {
  std::string key;
  AppendBigEndian(key, sequence, kKeyBytes);
  return key;
}

// Of the second value of a group, and the next ones: they follow the first.
std::string PartKeyOf(uint64_t sequence, uint32_t part) {
  std::string key = KeyOf(sequence);
  AppendBigEndian(key, part, kPartBytes);
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

// As one value, or as several when it is longer than RocksDB's values can be: all in one batch.
rocksdb::Status Store::PutGroup(Database& at, const JournalGroup& group) const {
  std::string key = KeyOf(group.first());
  std::string_view rest = group.bytes();
  at.batch.Clear();
  // Once, and not twice as much in the end.
  if (rest.size() > kStoreBatchKeptBytes.count)
    at.batch = rocksdb::WriteBatch(rest.size() + rest.size() / 16);
  rocksdb::Status status;
  for (uint32_t part = 0; status.ok() && (part == 0 || !rest.empty()); ++part) {
    if (part > 0) key = PartKeyOf(group.first(), part);
    const std::string_view value = rest.substr(0, options_.value_bytes_max.count);
    rest.remove_prefix(value.size());
    status = at.batch.Put(at.journal, key, SliceOf(value));
  }
  return status;
}

Status Store::Write(const JournalGroup& group, bool sync) {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return Error{strerror(EIO)};
  rocksdb::Status status = PutGroup(*at, group);
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (status.ok()) status = at->db->Write(options, &at->batch);
  // What was large is rare, and its room would be kept for ever.
  if (at->batch.GetDataSize() > kStoreBatchKeptBytes.count) at->batch = rocksdb::WriteBatch();
  if (status.ok()) return {};
  Break();
  return at->FirstOf(StoreError(status, "write"));
}

Result<uint64_t> Store::LastRecord() const {
  const std::shared_ptr<Database> at = database();
  const std::unique_ptr<rocksdb::Iterator> it(
      at->db->NewIterator(rocksdb::ReadOptions(), at->journal));
  it->SeekToLast();
  SkipPartsBackwards(*it);
  if (!it->status().ok()) return StoreError(it->status(), "read");
  if (!it->Valid()) return checkpoint_sequence();
  std::string joined;
  const StoredGroup stored = GroupOf(*it, options_.value_bytes_max.count, joined);
  Result<JournalGroupView> group = JournalGroupView::Parse(stored.bytes);
  if (!group.ok()) return std::move(group).error();
  return std::max(group->last(), checkpoint_sequence());
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

Result<ReplayProgress> Store::Replay(const ApplyFn& apply, const ProgressFn& progress) {
  const std::shared_ptr<Database> at = database();
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 2 << 20;
  const std::unique_ptr<rocksdb::Iterator> it(at->db->NewIterator(options, at->journal));
  ReplayProgress done;
  done.last = checkpoint_sequence();
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
      if (it->Valid() || !drops_damage()) return Error{what};
      TG_RETURN_IF_ERROR(DropDamaged(stored.sequence, what));
      break;
    }
    if (group->last() <= done.last) continue;  // the checkpoint has it
    if (group->first() > done.last + 1) {
      return Error{"the journal's group at record " + std::to_string(group->first()) +
                   " comes after record " + std::to_string(done.last) + ": some are missing"};
    }
    TG_RETURN_IF_ERROR(ApplyGroup(*group, apply, done));
    done.bytes += stored.bytes.size();
    if (progress) progress(done);
  }
  if (!it->status().ok()) {
    return Error{"read the journal after record " + std::to_string(done.last) + ": " +
                 it->status().ToString()};
  }
  return done;
}

void Store::DropJournalUpTo(uint64_t sequence) {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return;
  // All files that end before the group with the next record, or with the newest one.
  const std::unique_ptr<rocksdb::Iterator> it(
      at->db->NewIterator(rocksdb::ReadOptions(), at->journal));
  SeekBehind(*it, sequence);
  if (!it->Valid()) return;
  const rocksdb::Slice end = it->key();
  const rocksdb::RangePtr range(nullptr, &end);
  const rocksdb::Status dropped =
      rocksdb::DeleteFilesInRanges(at->db.get(), at->journal, &range, 1, /*include_end=*/false);
  // What stays is skipped by a start, and tried again by the next checkpoint.
  if (!dropped.ok()) static_cast<void>(StoreError(dropped, "drop files of the journal"));
}

}  // namespace tidegate
