// PrivateConnection: a connection to a node that one session has for itself for a while, because
// what it does there must not touch others: WATCH marks the connection, a blocking command stops
// it, SUBSCRIBE changes what comes over it.
//
//   PrivatePool --Take--> in use by a session --Release--> idle in the pool --Take--> …
//                                └─ Discard, lost, spoiled ──> closed
//
// It is an UpstreamConnection, with the same handshake, deadlines and errors, and an owner: frames
// that answer no request go to its user, who is also told when the socket ends. What the pool says
// itself over it (UNWATCH, PING) is answered here and stays here; an error to it means that nobody
// knows the connection's state, so it is spoiled and not used again. Owner: one worker.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "proxy/upstream/upstream_connection.h"

namespace tidegate {

class PrivateConnection;
class PrivatePool;

// The session that has it.
class PrivateUser {
 public:
  // Valid for the call, in which nobody may discard a connection. False: nothing was expected.
  virtual bool OnPrivateFrame(std::string_view frame) = 0;
  // It is lost; `error` is how waiting requests were answered, encoded. Still to be given back.
  virtual void OnPrivateLost(PrivateConnection& connection, std::string_view error) = 0;

 protected:
  ~PrivateUser() = default;
};

class PrivateConnection final : private UpstreamConnectionOwner, private UpstreamClient {
 public:
  PrivateConnection(PrivatePool& pool, UpstreamNode& node, int database, Protocol protocol);
  ~PrivateConnection();
  PrivateConnection(const PrivateConnection&) = delete;
  PrivateConnection& operator=(const PrivateConnection&) = delete;

  UpstreamConnection& connection() { return connection_; }
  PrivatePool& pool() { return pool_; }
  UpstreamNode& node() { return connection_.node(); }
  const UpstreamCluster& cluster() const { return connection_.node().cluster(); }
  int database() const { return connection_.key().database; }  // as clients call it
  Protocol protocol() const { return connection_.key().protocol; }

  PrivateUser* user() const { return user_; }
  void set_user(PrivateUser* user) { user_ = user; }

  // Says something whose reply is nobody's business.
  void Say(std::initializer_list<std::string_view> words);

  // Whether the next session may have it: it is connected and nothing is known against it.
  bool reusable() const { return connection_.ready() && !spoiled_; }
  void Spoil() { spoiled_ = true; }

  int64_t idle_since_ns() const { return idle_since_ns_; }
  void set_idle_since(int64_t now_ns) { idle_since_ns_ = now_ns; }

 private:
  bool OnFrame(std::string_view frame) override;
  void OnLost(std::string_view error) override;
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;

  PrivatePool& pool_;
  PrivateUser* user_ = nullptr;
  UpstreamLink* link_;  // of what it says itself
  bool spoiled_ = false;
  int64_t idle_since_ns_ = 0;
  UpstreamConnection connection_;
};

}  // namespace tidegate
