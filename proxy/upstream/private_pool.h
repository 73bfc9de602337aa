// PrivatePool: the private connections of one worker to one node.
//
// At most `private-connections` of them. One that is given back clean is kept for the next session
// of the same database and protocol, for a minute; what is left over from another database makes
// room when the limit is reached. When all are in use, sessions wait in the order in which they
// came: at most `private-queue` of them, each for connect-timeout at most. One that becomes free is
// promised to the first in line, who comes for it at the end of the turn; nobody overtakes him.
//
//   Take -> connection            there is one
//        -> null, waits           OnPrivateTurn() follows, then Take again
//        -> null, refusal         too many wait, or it has waited for too long
//
// Connections end while their callbacks run, so what is given back broken is only put aside, and
// destroyed at the end of the turn. Owner: one worker. Cost of Take: a walk over idle connections,
// newest first, which mostly ends at the first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/upstream/private_connection.h"

namespace tidegate {

class PrivatePool;

// How long a connection that nobody uses is kept.
inline constexpr int64_t kPrivateIdleNanosMax = 60'000'000'000;

// A session in line. Leaves it (PrivatePool::Leave) before it goes.
class PrivateWaiter {
 public:
  enum class State : uint8_t { kNone, kWaiting, kPromised, kTimedOut };
  State private_wait() const { return state_; }

 protected:
  // It is its turn, or its time is up. Comes from any callback: does nothing there but note it.
  virtual void OnPrivateTurn() = 0;
  ~PrivateWaiter() = default;

 private:
  friend class PrivatePool;
  State state_ = State::kNone;
  PrivatePool* pool_ = nullptr;
  int64_t deadline_ns_ = 0;
};

class PrivatePool final {
 public:
  explicit PrivatePool(UpstreamNode& node);
  ~PrivatePool();
  PrivatePool(const PrivatePool&) = delete;
  PrivatePool& operator=(const PrivatePool&) = delete;

  // Null with an empty refusal: it waits. A connection may still have to connect: what is placed
  // meanwhile goes out when it has.
  PrivateConnection* Take(PrivateWaiter& waiter, PrivateUser& user, int database, Protocol protocol,
                          std::string& refusal);
  // The same for who cannot wait; null: none is free.
  PrivateConnection* TakeNow(PrivateUser& user, int database, Protocol protocol);
  // Gives it back. Clean: no watched keys, no subscriptions, and no reply that is still awaited but
  // by itself. From any callback.
  void Release(PrivateConnection& connection);
  // Closes it at once: its node shall know that nobody is there. Not from a connection's callback.
  void Discard(PrivateConnection& connection);
  // Waits no more; gives back what it was promised.
  static void Leave(PrivateWaiter& waiter);

  // Whoever waits in line is woken, to ask another pool.
  void DismissLine();
  // Ends all that are in use, as if they were lost. Not from a callback.
  void GiveUpAll(std::string_view why);
  // An idle one is lost: it is put aside.
  void Bury(const PrivateConnection& connection);

  // Somebody has, or waits for, a connection: the node may not go.
  bool busy() const { return !used_.empty() || !line_.empty() || promised_ > 0; }

 private:
  size_t limit() const;
  PrivateConnection* Give(PrivateUser& user, int database, Protocol protocol);
  PrivateConnection* TakeIdle(int database, Protocol protocol);
  std::string Refusal(std::string_view why);
  std::unique_ptr<PrivateConnection> Remove(std::vector<std::unique_ptr<PrivateConnection>>& from,
                                            const PrivateConnection& connection);
  void Promise();
  void OnTimer();
  void ArmTimer();
  void Publish();

  UpstreamNode& node_;
  std::vector<std::unique_ptr<PrivateConnection>> used_;
  std::vector<std::unique_ptr<PrivateConnection>> idle_;  // the longest idle first
  std::deque<PrivateWaiter*> line_;
  size_t promised_ = 0;
  Timer timer_;
};

}  // namespace tidegate
