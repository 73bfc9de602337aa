// The part of Store that is the data: checkpoints come in as files, and keys are read one by one.
#include <rocksdb/convenience.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.h"
#include "storage/checkpoint/table_parts.h"
#include "storage/persist/checkpoint_files.h"
#include "storage/persist/journal_files.h"
#include "storage/persist/store_database.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kReopenWait{2000};
constexpr std::chrono::milliseconds kReopenStep{1};

// One state of the database, for as long as it is there.
class Snapshot final {
 public:
  explicit Snapshot(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~Snapshot() { db_.ReleaseSnapshot(snapshot_); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* const snapshot_;
};

Error Damaged(std::string_view key, std::string_view what) {
  constexpr size_t kNameBytesShown = 64;
  std::string text = "the record of key ";
  AppendQuoted(text, key.substr(0, kNameBytesShown));
  return Error{text + " is damaged: " + std::string(what)};
}

Status ReadWhole(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* data,
                 const rocksdb::ReadOptions& options, const StoredObject& object,
                 std::string& out) {
  out.clear();
  rocksdb::PinnableSlice part;
  for (uint32_t i = 0; i < object.parts; ++i) {
    part.Reset();
    const rocksdb::Status status = db.Get(options, data, ObjectKey(object.id, i), &part);
    if (status.IsNotFound()) return Error{"part " + std::to_string(i) + " of it is missing"};
    if (!status.ok()) return StoreError(status, "read");
    out.append(part.data(), part.size());
  }
  if (out.size() != object.size || static_cast<uint8_t>(out[0]) != object.rdb_type)
    return Error{"its parts do not make it up"};
  return {};
}

Status ReadTable(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* data,
                 const rocksdb::ReadOptions& of_state, StoredObject& object, std::string& out) {
  const DataRange range = PartsOfObjects(object.id, object.id);
  const rocksdb::Slice upper(range.end);
  rocksdb::ReadOptions options;
  options.snapshot = of_state.snapshot;
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options, data));
  TablePartsReader parts(object, out);
  for (it->Seek(range.begin); it->Valid(); it->Next()) {
    ObjectKeyParts at;
    if (!ParseObjectKey(ViewOf(it->key()), at)) return Error{"a damaged key of a part of it"};
    TG_RETURN_IF_ERROR(parts.Add(at.part, at.piece, ViewOf(it->value())));
  }
  if (!it->status().ok()) return StoreError(it->status(), "read");
  object.has_pieces = parts.has_pieces();
  return parts.Finish();
}

// The value of an object, part by part.
Status ReadParts(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* data,
                 const rocksdb::ReadOptions& options, StoredObject& object, std::string& out) {
  return object.by_hash ? ReadTable(db, data, options, object, out)
                        : ReadWhole(db, data, options, object, out);
}

// No key has this.
bool IsNone(const StoredRecord& record) { return !record.object && record.value.empty(); }

StoredEntry EntryOf(const StoredRecord& record, std::string_view key, uint64_t hash,
                    const std::string& object) {
  return {.key = key,
          .hash = hash,
          .expire_at_ms = record.expire_at_ms,
          .access = record.access,
          .object = record.object,
          .value = record.object ? std::string_view(object) : record.value};
}

struct SlotPlace {
  uint32_t database;
  uint16_t slot;
  uint64_t from_hash;
};

// The records of a slot, until fn returns false.
Status WalkSlot(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* data, rocksdb::ReadOptions options,
                const SlotPlace& place,
                const std::function<bool(const EntryKeyParts&, StoredRecord&)>& fn) {
  // All of the slot: hashes with every bit set may have keys behind them.
  std::string end = EntryKey(place.database, place.slot, 0, "").substr(0, kSlotPrefixBytes);
  const uint64_t next = uint64_t{place.database} << 16 | place.slot;
  end.resize(1);
  AppendBigEndian(end, next + 1, kSlotPrefixBytes - 1);
  const rocksdb::Slice upper(end);
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options, data));
  for (it->Seek(EntryKey(place.database, place.slot, place.from_hash, "")); it->Valid();
       it->Next()) {
    EntryKeyParts parts;
    if (!ParseEntryKey(ViewOf(it->key()), parts)) return Error{"a damaged key in the data"};
    Result<StoredRecord> record = ParseStoredRecord(ViewOf(it->value()));
    if (!record.ok()) return Damaged(parts.key, record.error().message);
    if (!fn(parts, *record)) return {};
  }
  if (!it->status().ok()) return StoreError(it->status(), "read");
  return {};
}

}  // namespace

// While the database is opened anew, after an error, reads wait for it a while.
std::shared_ptr<Store::Database> Store::AwaitDatabase() const {
  std::shared_ptr<Database> at = database();
  for (auto waited = kReopenStep; at == nullptr && waited < kReopenWait; waited += kReopenStep) {
    std::this_thread::sleep_for(kReopenStep);
    at = database();
  }
  return at;
}

std::optional<CheckpointInfo> Store::checkpoint() const {
  MutexLock lock(mutex_);
  return checkpoint_;
}

Status Store::ReadCheckpointInfo(const Database& at) {
  std::string bytes;
  const rocksdb::Status status =
      at.db->Get(rocksdb::ReadOptions(), at.data, InfoKey(kCheckpointName), &bytes);
  if (status.IsNotFound()) return {};
  if (!status.ok()) return Error{"read the checkpoint of " + path_ + ": " + status.ToString()};
  Result<CheckpointInfo> info = CheckpointInfo::Parse(bytes);
  if (!info.ok()) return std::move(info).error().WithContext(path_);
  NoteCheckpoint(*info);
  return {};
}

std::string Store::Info(std::string_view name) {
  const std::shared_ptr<Database> at = database();
  std::string bytes;
  if (at == nullptr || !at->db->Get(rocksdb::ReadOptions(), at->data, InfoKey(name), &bytes).ok())
    bytes.clear();
  return bytes;
}

void Store::NoteCheckpoint(const CheckpointInfo& info) {
  MutexLock lock(mutex_);
  checkpoint_ = info;
  checkpoint_sequence_.store(info.sequence, std::memory_order_release);
}

Status Store::SweepCheckpointFiles() {
  rocksdb::Status status = env_->CreateDirIfMissing(checkpoint_path_);
  std::vector<std::string> names;
  if (status.ok()) status = env_->GetChildren(checkpoint_path_, &names);
  for (const std::string& name : names) {
    if (status.ok() && name.ends_with(".sst"))
      status = env_->DeleteFile(checkpoint_path_ + "/" + name);
  }
  if (status.ok()) return {};
  return Error{"sweep " + checkpoint_path_ + ": " + status.ToString()};
}

std::unique_ptr<CheckpointFiles> Store::NewCheckpoint() {
  return std::make_unique<CheckpointFiles>(env_, checkpoint_path_, next_file_);
}

Status Store::Ingest(CheckpointFiles& files, const CheckpointInfo& info) {
  TG_RETURN_IF_ERROR(ReopenDatabase());
  files.PutInfo(kCheckpointName, info.Encode());
  TG_RETURN_IF_ERROR(files.Finish());
  {
    const std::shared_ptr<Database> at = database();
    if (at == nullptr) return Error{strerror(EIO)};
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.write_global_seqno = false;  // else files are written to once more
    ingesting_.store(true, std::memory_order_relaxed);
    const rocksdb::Status status = at->db->IngestExternalFile(at->data, files.paths(), options);
    ingesting_.store(false, std::memory_order_relaxed);
    if (!status.ok()) {
      broken_.store(true, std::memory_order_relaxed);
      return StoreError(status, "take in a checkpoint");
    }
    files.Ingested();
    NoteCheckpoint(info);
    DropRanges(*at, files);
  }
  DropStoredUpTo(info.sequence);
  journal_->DropUpTo(info.sequence);
  NoteStats();
  return {};
}

// They are deleted already; this gives their room back at once.
void Store::DropRanges(const Database& at, const CheckpointFiles& files) {
  std::vector<rocksdb::Slice> ends;
  ends.reserve(2 * files.dropped_ranges().size());
  std::vector<rocksdb::RangePtr> ranges;
  for (const DataRange& range : files.dropped_ranges()) {
    ends.emplace_back(range.begin);
    ends.emplace_back(range.end);
    ranges.emplace_back(&ends[ends.size() - 2], &ends[ends.size() - 1]);
  }
  if (ranges.empty()) return;
  const rocksdb::Status dropped = rocksdb::DeleteFilesInRanges(
      at.db.get(), at.data, ranges.data(), ranges.size(), /*include_end=*/false);
  if (!dropped.ok()) static_cast<void>(StoreError(dropped, "drop files of a flushed database"));
}

Status Store::VerifyFiles() {
  const rocksdb::Status status = database()->db->VerifyChecksum();
  if (status.ok()) return {};
  return Error{"store " + path_ + ": " + status.ToString()};
}

Result<bool> Store::Read(uint32_t database_id, uint16_t slot, uint64_t hash, std::string_view key,
                         const std::function<void(const StoredEntry&)>& fn) {
  const std::shared_ptr<Database> at = AwaitDatabase();
  if (at == nullptr) return Error{strerror(EIO)};
  const std::string at_key = EntryKey(database_id, slot, hash, key);
  rocksdb::ReadOptions options;
  rocksdb::PinnableSlice bytes;
  const auto read = [&]() -> Result<StoredRecord> {
    bytes.Reset();
    const rocksdb::Status status = at->db->Get(options, at->data, at_key, &bytes);
    if (status.IsNotFound()) return StoredRecord{};
    if (!status.ok()) return StoreError(status, "read");
    Result<StoredRecord> record = ParseStoredRecord(ViewOf(bytes));
    if (!record.ok()) return Damaged(key, record.error().message);
    return record;
  };
  Result<StoredRecord> record = read();
  if (!record.ok()) return std::move(record).error();
  if (IsNone(*record)) return false;
  std::string object;
  if (record->object) {
    // The record and its parts of one state.
    const Snapshot snapshot(*at->db);
    options.snapshot = snapshot.get();
    record = read();
    if (!record.ok()) return std::move(record).error();
    if (IsNone(*record)) return false;
    if (record->object) {
      const Status parts = ReadParts(*at->db, at->data, options, record->object, object);
      if (!parts.ok()) return Damaged(key, parts.error().message);
    }
  }
  fn(EntryOf(*record, key, hash, object));
  return true;
}

// What filters and blocks say that are in the cache.
bool Store::IsAbsent(uint32_t database_id, uint16_t slot, uint64_t hash, std::string_view key) {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return false;
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::PinnableSlice bytes;
  return at->db->Get(options, at->data, EntryKey(database_id, slot, hash, key), &bytes)
      .IsNotFound();
}

Status Store::ReadSlot(uint32_t database_id, uint16_t slot, uint64_t from_hash,
                       const std::function<bool(const StoredEntry&)>& fn) {
  const std::shared_ptr<Database> at = AwaitDatabase();
  if (at == nullptr) return Error{strerror(EIO)};
  const Snapshot snapshot(*at->db);
  rocksdb::ReadOptions options;
  options.snapshot = snapshot.get();
  std::string object;
  Status failed;
  const Status walked =
      WalkSlot(*at->db, at->data, options, {database_id, slot, from_hash},
               [&](const EntryKeyParts& parts, StoredRecord& record) {
                 if (record.object) {
                   const Status read = ReadParts(*at->db, at->data, options, record.object, object);
                   if (!read.ok()) failed = Damaged(parts.key, read.error().message);
                 }
                 return failed.ok() && fn(EntryOf(record, parts.key, parts.hash, object));
               });
  return failed.ok() ? walked : failed;
}

Status Store::ReadExpiries(uint32_t database_id, uint16_t slot, uint64_t from_hash,
                           const std::function<bool(const StoredExpiry&)>& fn) {
  const std::shared_ptr<Database> at = AwaitDatabase();
  if (at == nullptr) return Error{strerror(EIO)};
  return WalkSlot(*at->db, at->data, {}, {database_id, slot, from_hash},
                  [&fn](const EntryKeyParts& parts, const StoredRecord& record) {
                    return fn({parts.key, parts.hash, record.expire_at_ms});
                  });
}

}  // namespace tidegate
