// RecordApplier: does again what a record tells of (effect_record.h), on an engine that has the
// data from before it.
//
// Through the ordinary handlers, one command after the other: a second way to change values would
// be a second set of bugs. But on behalf of the past, so for as long as it applies its thread is
// "loading": no key and no field expires by the clock, only by the DEL and HDEL that the record of
// their expiry holds (otherwise what a later command found at that time would be gone too early);
// nothing is evicted or refused for want of memory; nothing is recorded, and nobody is notified.
// Nothing runs in turns either. For a time at which nobody else uses the engine: a record is
// applied whole, but command by command, and could be seen half done. An error is a record that is
// broken or does not fit the data, and the engine is left with what was applied. Thread: the one it
// is given. Cost: as the commands, without a client.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "base/result.h"
#include "storage/command.h"
#include "storage/engine.h"
#include "storage/journal/effect_record.h"
#include "storage/request.h"

namespace tidegate {

class RecordApplier final {
 public:
  // All three must outlive it.
  RecordApplier(Engine& engine, EngineThread& thread, const CommandTable& table)
      : engine_(engine), thread_(thread), table_(table), out_(pool_), reply_(out_) {}

  // now_ms: Unix time, of which values keep when they were last used. Outside a batch.
  Status Apply(std::string_view record, int64_t now_ms);

  // Whether a command of a record leaves nothing of what its keys held, whatever that was. Then it
  // need not be read from disk, where it is there alone.
  static bool Overwrites(const CommandSpec& spec, std::span<const std::string_view> args);

  // Records that changed the size of a database by something else than what they say.
  uint64_t miscounted() const { return miscounted_; }

 private:
  // Sizes of the databases before a record, and whether it has changed them as it says.
  void NoteSizes();
  bool SizesAgree(const std::vector<EffectCounts>& counts);
  void SetSizes(const std::vector<EffectCounts>& counts);
  bool DropsOrSwaps(std::string_view record);
  Status ApplyCommand(const EffectCommand& effect, int64_t now_ms);
  Result<const Command*> Resolve(const EffectCommand& effect) const;
  Status Execute(const Request& request, int64_t now_ms);

  Engine& engine_;
  EngineThread& thread_;
  const CommandTable& table_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  ClientState client_;
  EffectCommand effect_;
  std::vector<int> key_arguments_;
  std::vector<KeyRef> keys_;
  std::vector<std::pair<int64_t, int64_t>> sizes_;  // keys and expires, by database
  // Of the record under way: it drops or swaps databases; it has overwritten keys that nobody read.
  bool counts_are_void_ = false;
  bool was_blind_ = false;
  bool may_be_blind_ = false;
  uint64_t miscounted_ = 0;
};

}  // namespace tidegate
