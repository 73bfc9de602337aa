// WorkerSubscribers: the sessions of one worker that subscribe, by channel, pattern and shard
// channel. The last step of a message: it is encoded once per protocol and copied to each session.
// Only on its worker's thread. Borrows sessions, which leave before they are gone.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/pubsub/subscription.h"

namespace tidegate {

class Session;

class WorkerSubscribers final {
 public:
  void Add(SubscriptionKind kind, std::string_view name, Session& session);
  void Remove(SubscriptionKind kind, std::string_view name, Session& session);
  void Deliver(const PubSubMessage& message);

 private:
  using Sessions = std::vector<Session*>;
  const Sessions* Find(SubscriptionKind kind, std::string_view name) const;

  ByKind<std::unordered_map<std::string, Sessions, NameHash, std::equal_to<>>> names_;
};

}  // namespace tidegate
