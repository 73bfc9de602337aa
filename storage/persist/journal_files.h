// JournalFiles: the journal on disk, as files of groups (storage/journal/journal_group.h).
//
//   DIR/journal/00000000000000000001.log   group group group …        complete, and on the disk
//   DIR/journal/00000000000000412033.log   group group …              the one that is written to
//
// A file's name is mostly the number of its first record: no record in it is less, and all in the
// files before it are. A group is one write to the file's end, and nothing else is written: what a
// record costs on its way to the disk is its part of that call. A file that is full is synced
// before the next one is begun, so there is one file only that a power loss can tear, the last one,
// and its end is looked for when the journal is opened: what is torn there is cut off; damage with
// anything whole behind it is refused. A start, and whoever goes on after an error, begins a file
// of its own. What a checkpoint holds is dropped by whole files. A failed write leaves part of a
// group at the end, which Recover() cuts off. A failed sync is worse: the kernel takes what it
// could not write for written from then on, so syncing again would succeed and mean nothing.
// Recover() therefore reads back what was not synced, which is still in memory, and writes it to
// another file. Threads: Write and Recover by one at a time; the rest by any, though Sync not
// during Recover.
#pragma once

#include <rocksdb/env.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/journal/journal_group.h"

namespace tidegate {

// A file of more is full. A start reads a file at once, and a checkpoint leaves as much as a file
// of what it holds; each new one costs a sync, of the little that is not synced yet.
inline constexpr Bytes kJournalFileBytesMax = 16_MiB;

struct JournalFilesOptions {
  rocksdb::Env* env = nullptr;
  std::string directory;  // made when it is not there
  // Whether an end that is damaged, not only torn, may be cut off.
  bool drops_damage = true;
  // Nothing is changed, a torn end is passed over, and damage is an error.
  bool read_only = false;
  Bytes file_bytes_max = kJournalFileBytesMax;  // tests choose less
};

class JournalFiles final {
 public:
  static Result<std::unique_ptr<JournalFiles>> Open(JournalFilesOptions options);
  ~JournalFiles();
  JournalFiles(const JournalFiles&) = delete;
  JournalFiles& operator=(const JournalFiles&) = delete;

  // See JournalLog. Errors are what strerror says.
  Status Write(const JournalGroup& group, bool sync);
  Status Sync();
  // The last record that was kept; 0: none.
  Result<uint64_t> Recover();

  // The last record; 0: none.
  uint64_t last() const;
  uint64_t bytes() const;
  // Calls fn with each group and its size, in order, until it returns an error. Where a file holds
  // anything else, that is one too.
  using GroupFn = std::function<Status(const JournalGroupView& group, uint64_t bytes)>;
  Status ForEach(const GroupFn& fn) const;
  // Deletes files in which no record is newer.
  void DropUpTo(uint64_t sequence);
  // What was written when it was called, or all of it that DropUpTo has left meanwhile, as a
  // directory of its own, on the disk when it returns. Complete files are linked where that works.
  Status CopyTo(const std::string& directory) const;

 private:
  // A place in a file, behind a group.
  struct Mark {
    uint64_t bytes = 0;
    uint64_t last = 0;  // the record before it, 0: none in any file
  };
  struct Complete {
    uint64_t name;
    uint64_t bytes;
  };
  // The file that is written to. Shared with who syncs it while it is replaced; its figures are
  // changed with mutex_ held.
  struct Current {
    uint64_t name = 0;
    std::unique_ptr<rocksdb::WritableFile> file;
    Mark written;
    Mark synced;
    bool sync_failed = false;
  };

  explicit JournalFiles(JournalFilesOptions options) : options_(std::move(options)) {}

  std::string PathOf(uint64_t name) const { return PathIn(options_.directory, name); }
  static std::string PathIn(const std::string& directory, uint64_t name);
  Status ListFiles();
  Status FindEnd();
  // The last record of that file, of which a bad end is cut off; 0: it is empty then, and gone.
  Result<uint64_t> MendEnd(Complete& file);
  Result<std::string> ReadFile(const std::string& path) const;
  Status BeginFile(uint64_t name);
  Status SyncFile(const std::shared_ptr<Current>& current);
  Status CutOffAt(Current& current, uint64_t bytes);
  // Notes it, and returns it.
  Status Failed(Status status);
  Status KeepUnsynced(const Current& current);
  Status WriteKept();
  Status CopyFile(const Complete& file, const std::string& directory) const;

  const JournalFilesOptions options_;
  std::string unsaved_;        // groups that a failed sync may have lost, until they are written
  uint64_t unsaved_last_ = 0;  // their last record
  mutable Mutex mutex_;
  std::deque<Complete> complete_ TG_GUARDED_BY(mutex_);
  std::shared_ptr<Current> current_ TG_GUARDED_BY(mutex_);  // null: none was begun
  // What failed: nothing more until Recover(). Empty: nothing.
  std::string failure_ TG_GUARDED_BY(mutex_);
  uint64_t last_ TG_GUARDED_BY(mutex_) = 0;  // of the complete ones
};

}  // namespace tidegate
