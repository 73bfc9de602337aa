#include "proxy/pubsub/session_subscriptions.h"

#include <algorithm>

#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/worker.h"

namespace tidegate {

bool SessionSubscriptions::Add(SubscriptionKind kind, std::string_view name) {
  if (!names_[kind].emplace(name).second) return false;
  Worker& worker = session_.worker();
  // The worker first: once the hub knows, a message may come in any moment.
  worker.subscribers().Add(kind, name, session_);
  worker.server().pubsub().Add(kind, name, worker.index());
  return true;
}

bool SessionSubscriptions::Remove(SubscriptionKind kind, std::string_view name) {
  const auto found = names_[kind].find(name);
  if (found == names_[kind].end()) return false;
  Worker& worker = session_.worker();
  worker.server().pubsub().Remove(kind, name, worker.index());
  worker.subscribers().Remove(kind, name, session_);
  names_[kind].erase(found);
  return true;
}

void SessionSubscriptions::Clear() {
  for (const SubscriptionKind kind :
       {SubscriptionKind::kChannel, SubscriptionKind::kPattern, SubscriptionKind::kShardChannel}) {
    while (!names_[kind].empty()) Remove(kind, std::string(*names_[kind].begin()));
  }
}

bool SessionSubscriptions::empty() const {
  return std::all_of(names_.begin(), names_.end(),
                     [](const Names& names) { return names.empty(); });
}

size_t SessionSubscriptions::CountWith(SubscriptionKind kind) const {
  if (kind == SubscriptionKind::kShardChannel) return names_[kind].size();
  return names_[SubscriptionKind::kChannel].size() + names_[SubscriptionKind::kPattern].size();
}

}  // namespace tidegate
