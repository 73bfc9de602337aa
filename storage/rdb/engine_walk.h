// All keys of an engine, one after the other, for a thread that has it to itself; and what such a
// thread wants to be while it loads.
#pragma once

#include <utility>

#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/entry_sink.h"

namespace tidegate::rdb {

// Gives every key of every database to the sink, in the order of slots, also those whose time has
// passed; until it fails. Keys that are not
// in memory are read, and not kept: an error says that they cannot be. Cost: one pass over the
// tables; nothing is copied.
Status WalkEngine(Engine& engine, EntrySink& sink);

// Whether there is a hash in memory with a field that expires. Cost: a look at each table, and a
// pass over those that had such a hash since they were last swept.
bool AnyFieldExpires(Engine& engine);

// Whether there may be one: true for a while after the last one is gone. Only the look at each
// table.
bool FieldsMayExpire(Engine& engine);

// As long as it is there, the thread is loading: nobody hears of what it does to the data, nothing
// is recorded or refused, and its time stands in front of all times at which anything expires.
class LoadSection final {
 public:
  LoadSection(Engine& engine, EngineThread& thread)
      : engine_(engine),
        thread_(thread),
        notify_classes_(std::exchange(thread.notify_classes, 0)),
        now_ms_(std::exchange(thread.now_ms, kLoadingNowMs)) {
    engine.SetLoading(thread, true);
  }
  ~LoadSection() {
    engine_.SetLoading(thread_, false);
    thread_.notify_classes = notify_classes_;
    thread_.now_ms = now_ms_;
  }
  LoadSection(const LoadSection&) = delete;
  LoadSection& operator=(const LoadSection&) = delete;

 private:
  Engine& engine_;
  EngineThread& thread_;
  const uint32_t notify_classes_;
  const int64_t now_ms_;
};

}  // namespace tidegate::rdb
