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

std::string KeyOf(uint64_t sequence) {
  std::string key;
  AppendBigEndian(key, sequence, kKeyBytes);
  return key;
}

// 0, which no record has: it is no key of ours.
uint64_t SequenceOf(const rocksdb::Slice& key) {
  return key.size() == kKeyBytes ? ReadBigEndian(ViewOf(key), kKeyBytes) : 0;
}

// The group at the iterator, checked.
Result<JournalGroupView> GroupAt(const rocksdb::Iterator& it) {
  Result<JournalGroupView> group = JournalGroupView::Parse(ViewOf(it.value()));
  if (!group.ok()) return group;
  if (SequenceOf(it.key()) != group->first())
    return Error{"it says that it begins with record " + std::to_string(group->first())};
  return group;
}

// Where reading begins: at the group that holds the record after that one, or would.
void SeekBehind(rocksdb::Iterator& it, uint64_t sequence) {
  it.SeekForPrev(KeyOf(sequence + 1));
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

Status Store::Write(const JournalGroup& group, bool sync) {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return Error{strerror(EIO)};
  at->batch.Clear();
  rocksdb::Status status =
      at->batch.Put(at->journal, KeyOf(group.first()),
                    rocksdb::Slice(group.bytes().data(), group.bytes().size()));
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (status.ok()) status = at->db->Write(options, &at->batch);
  if (status.ok()) return {};
  Break();
  return StoreError(status, "write");
}

Result<uint64_t> Store::LastRecord() const {
  const std::shared_ptr<Database> at = database();
  const std::unique_ptr<rocksdb::Iterator> it(
      at->db->NewIterator(rocksdb::ReadOptions(), at->journal));
  it->SeekToLast();
  if (!it->status().ok()) return StoreError(it->status(), "read");
  if (!it->Valid()) return checkpoint_sequence();
  Result<JournalGroupView> group = JournalGroupView::Parse(ViewOf(it->value()));
  if (!group.ok()) return std::move(group).error();
  return std::max(group->last(), checkpoint_sequence());
}

Status Store::DropDamaged(const std::string& key, const std::string& what) {
  log::Warning("Store: " + what + ": it is the last one, and is dropped");
  const std::shared_ptr<Database> at = database();
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const rocksdb::Status removed = at->db->Delete(synced, at->journal, key);
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
  for (SeekBehind(*it, done.last); it->Valid(); it->Next()) {
    Result<JournalGroupView> group = GroupAt(*it);
    if (!group.ok()) {
      const std::string key = it->key().ToString();
      const std::string what =
          "the journal's group at record " + std::to_string(SequenceOf(it->key())) + " (" +
          std::to_string(it->value().size()) + " bytes, after " + std::to_string(done.bytes) +
          ") is damaged: " + group.error().message;
      it->Next();
      if (it->Valid() || !drops_damage()) return Error{what};
      TG_RETURN_IF_ERROR(DropDamaged(key, what));
      break;
    }
    if (group->last() <= done.last) continue;  // the checkpoint has it
    if (group->first() > done.last + 1) {
      return Error{"the journal's group at record " + std::to_string(group->first()) +
                   " comes after record " + std::to_string(done.last) + ": some are missing"};
    }
    TG_RETURN_IF_ERROR(ApplyGroup(*group, apply, done));
    done.bytes += it->value().size();
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
