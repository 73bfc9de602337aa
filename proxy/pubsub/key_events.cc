#include "proxy/pubsub/key_events.h"

#include <string>

#include "config/notify.h"
#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/server.h"
#include "proxy/worker.h"
#include "storage/engine_thread.h"

namespace tidegate {

void PublishKeyEvents(Server& server, Worker& worker, std::span<const KeyEvent> events) {
  PubSubHub& hub = server.pubsub();
  if (hub.ChannelCount(SubscriptionKind::kChannel) == 0 && hub.PatternCount() == 0) return;
  const uint32_t classes = worker.engine_thread().notify_classes;
  for (const KeyEvent& event : events) {
    const std::string db = std::to_string(event.db) + "__:";
    if ((classes & notify::kKeyspace) != 0) {
      hub.Publish(worker, SubscriptionKind::kChannel, "__keyspace@" + db + event.key, event.event);
    }
    if ((classes & notify::kKeyevent) != 0) {
      hub.Publish(worker, SubscriptionKind::kChannel, "__keyevent@" + db + std::string(event.event),
                  event.key);
    }
  }
}

}  // namespace tidegate
