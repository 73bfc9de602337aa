#include "storage/checkpoint/checkpoint_sink.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "storage/checkpoint/data_key.h"
#include "storage/persist/checkpoint_files.h"

namespace tidegate {
namespace {

uint32_t DatabaseOf(const CheckpointItem& item) {
  const std::string_view id = item.key.substr(1);
  return item.key[0] == kObjectSpace ? DatabaseOfObject(ReadBigEndian(id, 8))
                                     : static_cast<uint32_t>(ReadBigEndian(id, 4));
}

// Calls fn with the first and the last of each stretch of ids that follow each other.
template <typename Id, typename Fn>
void ForEachStretch(std::vector<Id> ids, Fn&& fn) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (size_t i = 0; i < ids.size();) {
    size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] == ids[last] + 1) ++last;
    fn(ids[i], ids[last]);
    i = last + 1;
  }
}

}  // namespace

CheckpointSink::CheckpointSink(CheckpointFiles& files, Setup setup)
    : files_(files),
      setup_(std::move(setup)),
      serials_(setup_.next_object_serial),
      encoder_(batch_, serials_, setup_.attempt,
               [this] {
                 if (batch_.size() >= kBatchBytesMax.count) WriteBatch(false);
               }),
      walked_(kSlotCount),
      replaced_(setup_.dead_objects) {}

void CheckpointSink::NoteObject(const StoredObject& old, const StoredObject& now) {
  if (!old) return;
  MutexLock lock(mutex_);
  (old.id == now.id ? kept_ : replaced_).push_back(old.id);
}

std::vector<uint64_t> CheckpointSink::TakeReplacedObjects() {
  MutexLock lock(mutex_);
  return std::exchange(replaced_, {});
}

StoredObject CheckpointSink::Encode(int db, const Entry& entry, const StoredObject& old,
                                    std::string& out) {
  entries_.fetch_add(1, std::memory_order_relaxed);
  const StoredObject object =
      EntryEncoder(out, serials_, setup_.attempt).Encode(IdOf(db), entry, old);
  NoteObject(old, object);
  return object;
}

StoredObject CheckpointSink::OnEntry(int db, const Entry& entry, const StoredObject& old) {
  entries_.fetch_add(1, std::memory_order_relaxed);
  const StoredObject object = encoder_.Encode(IdOf(db), entry, old);
  NoteObject(old, object);
  if (batch_.size() >= kBatchBytesMax.count) WriteBatch(false);
  return object;
}

void CheckpointSink::OnEncoded(int /*db*/, std::string_view items) {
  side_.append(items);
  if (side_.size() >= kSideBytesMax.count) WriteApart(side_);
}

void CheckpointSink::OnSlotWalked(uint16_t slot) {
  const bool in_order = slot == next_slot_;
  if (in_order) {
    do ++next_slot_;
    while (next_slot_ < kSlotCount && walked_[next_slot_]);
  } else {
    walked_[slot] = true;
  }
  if (!batch_.empty()) WriteBatch(in_order);
}

bool CheckpointSink::IsFresh(const CheckpointItem& item) const {
  return SerialOfObject(ReadBigEndian(item.key.substr(1), 8)) >= setup_.next_object_serial;
}

void CheckpointSink::WriteBatch(bool in_order) {
  std::vector<CheckpointItem> records;
  for (std::string_view left = batch_; !left.empty();) {
    const char* begin = left.data();
    const CheckpointItem item = TakeItem(left);
    const bool is_part = item.key[0] == kObjectSpace;
    if (is_part && IsFresh(item)) {
      Write(RunOf(object_runs_, DatabaseOf(item)), item);
    } else if (!is_part && in_order) {
      records.push_back(item);
    } else {
      (is_part ? parts_ : side_).append(begin, static_cast<size_t>(left.data() - begin));
    }
  }
  WriteSorted(records, &entry_runs_);
  batch_.clear();
  if (side_.size() >= kSideBytesMax.count) WriteApart(side_);
  if (parts_.size() >= kSideBytesMax.count) WriteApart(parts_);
}

void CheckpointSink::WriteApart(std::string& items) {
  std::vector<CheckpointItem> sorted;
  for (std::string_view left = items; !left.empty();) sorted.push_back(TakeItem(left));
  WriteSorted(sorted, nullptr);
  items.clear();
}

// Into the runs of their databases, or into one of its own.
void CheckpointSink::WriteSorted(std::vector<CheckpointItem>& items, Runs* runs) {
  if (items.empty() || failed()) return;
  std::sort(items.begin(), items.end(),
            [](const CheckpointItem& a, const CheckpointItem& b) { return a.key < b.key; });
  const size_t own = runs == nullptr ? files_.NewRun() : 0;
  for (const CheckpointItem& item : items)
    Write(runs == nullptr ? own : RunOf(*runs, DatabaseOf(item)), item);
  if (runs == nullptr && status_.ok()) status_ = files_.EndRun(own);
}

void CheckpointSink::Write(size_t run, const CheckpointItem& item) {
  if (failed()) return;
  switch (item.kind) {
    case ItemKind::kPut:
      status_ = files_.Put(run, item.key, item.value);
      return;
    case ItemKind::kDelete:
      status_ = files_.Delete(run, item.key);
      return;
    case ItemKind::kDeleteRest:
      return files_.DeleteRange(PiecesFrom(item.key));
  }
}

size_t CheckpointSink::RunOf(Runs& runs, uint32_t database) {
  const auto found = runs.find(database);
  return found != runs.end() ? found->second
                             : runs.emplace(database, files_.NewRun()).first->second;
}

void CheckpointSink::OnDead(const DeadRecords& dead) {
  ForEachStretch(dead.databases, [this](uint32_t first, uint32_t last) {
    files_.DeleteAll(EntriesOfDatabases(first, last));
    files_.DeleteAll(ObjectsOfDatabases(first, last));
  });
  std::vector<uint64_t> objects = dead.objects;
  std::vector<uint64_t> kept;
  {
    MutexLock lock(mutex_);
    objects.insert(objects.end(), replaced_.begin(), replaced_.end());
    kept = kept_;
  }
  // The journal tells who replays it of objects that died then (journal/effect_record.h). What of
  // them a key has all the same, after other changes than then, lives.
  std::sort(kept.begin(), kept.end());
  std::erase_if(objects, [&kept](uint64_t object) {
    return std::binary_search(kept.begin(), kept.end(), object);
  });
  ForEachStretch(std::move(objects), [this](uint64_t first, uint64_t last) {
    files_.DeleteRange(PartsOfObjects(first, last));
  });
}

Result<CheckpointInfo> CheckpointSink::Finish() {
  WriteBatch(false);
  WriteApart(side_);
  WriteApart(parts_);
  if (!status_.ok()) return status_.error();
  if (setup_.cancelled.load()) return Error{"given up"};
  CheckpointInfo info{.sequence = moment_.sequence,
                      .unix_ms = moment_.unix_ms,
                      .next_object_serial = next_object_serial(),
                      .next_database = moment_.ids.next,
                      .databases = moment_.ids.id_of,
                      .stats = moment_.dbs};
  info.stats.resize(info.databases.size());
  return info;
}

}  // namespace tidegate
