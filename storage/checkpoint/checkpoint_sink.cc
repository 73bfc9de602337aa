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
      encoder_(batch_, serials_,
               [this] {
                 if (batch_.size() >= kBatchBytesMax.count) WriteBatch(false);
               }),
      walked_(kSlotCount),
      replaced_(setup_.dead_objects) {}

void CheckpointSink::Replaced(uint64_t object) {
  if (object == 0) return;
  MutexLock lock(mutex_);
  replaced_.push_back(object);
}

std::vector<uint64_t> CheckpointSink::TakeReplacedObjects() {
  MutexLock lock(mutex_);
  return std::exchange(replaced_, {});
}

uint64_t CheckpointSink::Encode(int db, const Entry& entry, uint64_t old_object, std::string& out) {
  Replaced(old_object);
  entries_.fetch_add(1, std::memory_order_relaxed);
  return EntryEncoder(out, serials_).Encode(IdOf(db), entry);
}

uint64_t CheckpointSink::OnEntry(int db, const Entry& entry, uint64_t old_object) {
  Replaced(old_object);
  entries_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t object = encoder_.Encode(IdOf(db), entry);
  if (batch_.size() >= kBatchBytesMax.count) WriteBatch(false);
  return object;
}

void CheckpointSink::OnEncoded(int /*db*/, std::string_view items) {
  side_.append(items);
  if (side_.size() >= kSideBytesMax.count) WriteSide();
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

void CheckpointSink::WriteBatch(bool in_order) {
  std::vector<CheckpointItem> records;
  for (std::string_view left = batch_; !left.empty();) {
    const char* begin = left.data();
    const CheckpointItem item = TakeItem(left);
    if (item.key[0] == kObjectSpace) {
      Write(RunOf(object_runs_, DatabaseOf(item)), item);
    } else if (in_order) {
      records.push_back(item);
    } else {
      side_.append(begin, static_cast<size_t>(left.data() - begin));
    }
  }
  WriteSorted(records, &entry_runs_);
  batch_.clear();
  if (side_.size() >= kSideBytesMax.count) WriteSide();
}

void CheckpointSink::WriteSide() {
  std::vector<CheckpointItem> items;
  for (std::string_view left = side_; !left.empty();) items.push_back(TakeItem(left));
  WriteSorted(items, nullptr);
  side_.clear();
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
  status_ = item.kind == ItemKind::kPut ? files_.Put(run, item.key, item.value)
                                        : files_.Delete(run, item.key);
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
  {
    MutexLock lock(mutex_);
    objects.insert(objects.end(), replaced_.begin(), replaced_.end());
  }
  ForEachStretch(std::move(objects), [this](uint64_t first, uint64_t last) {
    files_.DeleteRange(PartsOfObjects(first, last));
  });
}

Result<CheckpointInfo> CheckpointSink::Finish() {
  WriteBatch(false);
  WriteSide();
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
