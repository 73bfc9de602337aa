// KeyEvents: the keyspace notifications that commands of a test engine cause, as one line of text.
// Why not SUBSCRIBE: that is the proxy's, and a test of a command should not need it. Listens from
// its construction on; must outlive the commands. Owner: one test.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "config/notify.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"

namespace tidegate::testing {

class KeyEvents final {
 public:
  explicit KeyEvents(Engine& engine) {
    engine.settings().notify_classes = notify::kAll | notify::kKeyspace | notify::kKeyevent;
    engine.SetKeyEventSink(
        [](void* self, EngineThread&, std::span<const KeyEvent> events) {
          auto& seen = static_cast<KeyEvents*>(self)->seen_;
          for (const KeyEvent& event : events) {
            if (!seen.empty()) seen += ' ';
            seen += std::string(event.event) + ":" + event.key;
          }
        },
        this);
  }

  // "hset:h del:h": what was told since the last call.
  std::string Take() { return std::exchange(seen_, {}); }

 private:
  std::string seen_;
};

}  // namespace tidegate::testing
