// PrivateSubscriber: what one session subscribes to at one upstream, over a private connection.
//
// Messages are handed on raw. Confirmations are read, because they are what the node agrees to: the
// names in them are what must be subscribed again when the connection is lost. The session does not
// notice that, apart from messages that nobody heard: on a new connection, tried with growing
// pauses for as long as the session lives, all names are said again and their confirmations thrown
// away; then comes what was not confirmed yet. SUBSCRIBE and its kind may be said twice.
//
//   Send ──> pending ──confirmed, refused──> settled          one command at a time
//              ↑ lost: said again                             nothing subscribed: it ends
//
// Without a single name there is nothing to save: the loss is the answer to the command.
// Owner: the session's worker. Cost of a message: a look at its first word, one copy.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "proxy/event/loop.h"
#include "proxy/pubsub/subscription.h"
#include "proxy/upstream/private_connection.h"
#include "storage/owned_request.h"

namespace tidegate {

// [subscribe, name, 2], as a node says it.
struct SubscriptionConfirmation {
  SubscriptionKind kind = SubscriptionKind::kChannel;
  bool begins = false;                   // or ends
  std::string_view word = {};            // "psubscribe"
  std::optional<std::string_view> name;  // none: there was nothing to end
  int64_t count = 0;                     // that are left, as replies count them

  // Nothing when the frame is something else, a message above all.
  static std::optional<SubscriptionConfirmation> Parse(std::string_view frame);
};

class PrivateSubscriber final : private PrivateUser {
 public:
  // The session. Called from callbacks: it may write its output and note things.
  class Audience {
   public:
    virtual void OnMessage(std::string_view frame) = 0;
    virtual void OnConfirmed(const SubscriptionConfirmation& confirmation) = 0;
    // The command is refused; an encoded error.
    virtual void OnRefused(std::string_view error) = 0;
    // The command that was sent is through.
    virtual void OnSettled() = 0;

   protected:
    ~Audience() = default;
  };

  PrivateSubscriber(Audience& audience, UpstreamCluster& cluster);
  ~PrivateSubscriber();
  PrivateSubscriber(const PrivateSubscriber&) = delete;
  PrivateSubscriber& operator=(const PrivateSubscriber&) = delete;

  // The user that the connection is taken for.
  PrivateUser& user() { return *this; }
  bool connected() const { return connection_ != nullptr; }
  void Connect(PrivateConnection& connection) { connection_ = &connection; }
  // Once connected.
  UpstreamNode& node() { return connection_->node(); }

  // Subscribes there from now on, to the same; what is said meanwhile it misses. Not from a
  // callback. False: on a ring channels may have several nodes, and patterns have none.
  bool MoveTo(UpstreamCluster& cluster);
  bool RefersTo(const UpstreamCluster& cluster) const {
    return cluster_ == &cluster || (connected() && &connection_->cluster() == &cluster);
  }

  // One of SUBSCRIBE's kind, when settled. False: it was not taken, and refusal() says why.
  bool Send(const Request& request);
  const std::string& refusal() const { return connection_->connection().refusal(); }
  bool settled() const { return !pending_; }
  // Nothing is subscribed, and nothing under way: it may be destroyed.
  bool over() const { return settled() && empty(); }
  bool empty() const;
  size_t count(SubscriptionKind kind) const { return names_[kind].size(); }

 private:
  struct Pending {
    OwnedRequest request;
    size_t confirmed = 0;
    size_t expected = 0;
  };

  bool OnPrivateFrame(std::string_view frame) override;
  void OnPrivateLost(PrivateConnection& connection, std::string_view error) override;
  bool TakeConfirmation(const SubscriptionConfirmation& confirmation);
  bool TakeError(std::string_view frame);
  void Settle();
  void OnTimer();
  void ArmReplyTimer();
  void Reconnect();
  bool ChooseNode();
  void ReconnectLater();
  bool SayNames(SubscriptionKind kind, std::string_view word);
  bool SayPending();

  Audience& audience_;
  UpstreamCluster* cluster_;  // never null
  PrivateConnection* connection_ = nullptr;
  ByKind<std::set<std::string, std::less<>>> names_;
  std::optional<Pending> pending_;
  size_t unheard_ = 0;         // confirmations to come of names that are said again
  bool reconnecting_ = false;  // the timer is for the next try
  int failures_ = 0;
  std::minstd_rand random_;
  Timer timer_;
};

}  // namespace tidegate
