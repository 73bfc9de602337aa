// SessionSubscriptions: what one session subscribes to, kept in step with its worker's registry and
// with the hub. Exists only while there is something: most sessions never subscribe. Only on the
// session's worker.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "proxy/pubsub/subscription.h"

namespace tidegate {

class Session;

class SessionSubscriptions final {
 public:
  using Names = std::set<std::string, std::less<>>;

  explicit SessionSubscriptions(Session& session) : session_(session) {}
  ~SessionSubscriptions() { Clear(); }
  SessionSubscriptions(const SessionSubscriptions&) = delete;
  SessionSubscriptions& operator=(const SessionSubscriptions&) = delete;

  // False: it was, or was not, subscribed before.
  bool Add(SubscriptionKind kind, std::string_view name);
  bool Remove(SubscriptionKind kind, std::string_view name);
  void Clear();

  const Names& names(SubscriptionKind kind) const { return names_[kind]; }
  bool empty() const;
  // As replies count them: channels and patterns together, shard channels apart.
  size_t CountWith(SubscriptionKind kind) const;

 private:
  Session& session_;
  ByKind<Names> names_;
};

}  // namespace tidegate
