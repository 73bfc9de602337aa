// What a worker has for its upstreams: its loop, its memory, and the one number by which sessions
// notice that requests may have to go elsewhere than before. All of it outlives them.
#pragma once

#include <cstdint>
#include <span>

#include "base/output_buffer.h"
#include "proxy/event/loop.h"

namespace tidegate {

class ScriptTexts;
class UpstreamTls;

struct UpstreamEnvironment {
  EventLoop& loop;
  OutputBlockPool& blocks;
  std::span<char> read_buffer;
  int worker_index = 0;
  // Counts changes of where requests go, in any cluster of the worker: a session that has requests
  // in flight from before such a change waits for them before it sends more.
  uint64_t& placement_epoch;
  ScriptTexts* script_texts = nullptr;  // the process's; null: none are kept
  const UpstreamTls* tls = nullptr;     // null: no cluster has any
  const bool* notes_sending = nullptr;  // whether requests note when they were sent; null: they
                                        // do not
};

}  // namespace tidegate
