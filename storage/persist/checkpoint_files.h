// CheckpointFiles: the sorted files that a checkpoint is written into, before they become part of
// the store in one step (Store::Ingest).
//
// A run is a sequence of keys that ascend; it becomes a file, or several, each of at most
// kCheckpointFileBytesMax. There may be many runs at once, of any order among each other, but a key
// comes once only. Ranges that are deleted go into a file in front of all others, so that they
// delete what the store has and nothing that comes with them. Why files and not writes: they cost
// a third of what a write to a memtable does, nothing of them is written twice, and the step that
// takes them in is atomic.
// What was written and has not become part of the store is removed with the object. Owner: one
// thread, which blocks on the disk. Memory: two MiB for each run that is open.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "storage/checkpoint/data_key.h"

namespace rocksdb {
class Env;
}

namespace tidegate {

class CheckpointFiles final {
 public:
  // `next_file`: numbers of names that were never used.
  CheckpointFiles(rocksdb::Env* env, std::string directory, std::atomic<uint64_t>& next_file);
  ~CheckpointFiles();
  CheckpointFiles(const CheckpointFiles&) = delete;
  CheckpointFiles& operator=(const CheckpointFiles&) = delete;

  size_t NewRun();
  Status Put(size_t run, std::string_view key, std::string_view value);
  Status Delete(size_t run, std::string_view key);
  // The run is complete: its file is on the disk.
  Status EndRun(size_t run);

  void DeleteRange(DataRange range) { dead_.push_back(std::move(range)); }
  // The same for a range whose files may be dropped as a whole, once this is part of the store.
  void DeleteAll(DataRange range);
  // A record of the front file.
  void PutInfo(std::string_view name, std::string value);

  // All runs are complete, and the front file is written. Nothing may be added after it.
  Status Finish();

  // In the order in which they come into the store; once finished.
  const std::vector<std::string>& paths() const { return paths_; }
  const std::vector<DataRange>& dropped_ranges() const { return dropped_; }
  // The store has them: they are not removed here.
  void Ingested() { paths_.clear(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Run;
  struct Setup;
  // Of the run, with a file that has room.
  Result<Run*> RunFor(size_t run, size_t bytes);
  Status OpenFile(Run& run);

  const std::unique_ptr<Setup> setup_;
  const std::string directory_;
  std::atomic<uint64_t>& next_file_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::vector<std::string> paths_;
  std::vector<DataRange> dead_;
  std::vector<DataRange> dropped_;
  std::vector<std::pair<std::string, std::string>> infos_;
  uint64_t bytes_ = 0;
};

}  // namespace tidegate
