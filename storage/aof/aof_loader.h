// AofLoader: runs the commands of an append-only file in an engine, as Redis does when it starts.
//
// Commands are found in a table of the engine's own commands and run one after the other in an
// atomic section over the whole keyspace, so that nothing suspends. SELECT, MULTI and EXEC are
// understood here: a transaction is kept until its EXEC, and one without it is as if the file ended
// in front of its MULTI. No key expires meanwhile, whatever time it is by now: a key that had a
// past expiry when the file was written may have lost it further down, and where it did expire a
// DEL follows. What a command answers does not matter (as in Redis), but errors are counted. A
// command that nobody knows ends the loading: what it did is not known either. Functions are left
// out and counted. Owner: one thread that has the engine to itself.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "base/result.h"
#include "storage/aof/aof_reader.h"
#include "storage/command.h"
#include "storage/data_files.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate {

class AofLoader final {
 public:
  AofLoader(Engine& engine, EngineThread& thread, const LoadOptions& options, uint64_t bytes_total);

  // Runs one file, behind an RDB part if it begins with one. `may_be_cut_off`: whether the end of
  // the file may be in the middle of something; that is left out then.
  Status Run(const InputFile& file, bool may_be_cut_off);

  const LoadReport& report() const { return report_; }

 private:
  struct Queued {
    uint64_t offset;
    std::vector<std::string> args;
  };
  using Args = std::span<const std::string_view>;

  Status RunCommands(const InputFile& file, uint64_t begin, bool may_be_cut_off);
  Status CutOff(const InputFile& file, uint64_t offset, bool may_be);
  // One command of the file; an error without its place.
  Status Take(Args args, uint64_t offset);
  Status TakeExec();
  Status Select(Args args);
  Status RunOne(Args args, uint64_t offset);
  void Execute(const Request& request, uint64_t offset);
  const Command* Find(Args args) const;
  void Progress(uint64_t offset_in_file);

  Engine& engine_;
  EngineThread& thread_;
  const LoadOptions& options_;
  const uint64_t bytes_total_;
  uint64_t bytes_before_ = 0;  // of the files before this one
  const std::unique_ptr<CommandTable> table_;
  ClientState client_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  std::optional<std::vector<Queued>> transaction_;  // between MULTI and EXEC
  uint64_t transaction_offset_ = 0;
  std::vector<int> key_positions_;
  std::vector<KeyRef> keys_;
  LoadReport report_;
};

}  // namespace tidegate
