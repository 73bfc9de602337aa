#include "proxy/upstream/private_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "proxy/upstream/upstream_cluster.h"

namespace tidegate {

PrivatePool::PrivatePool(UpstreamNode& node)
    : node_(node), timer_(node.environment().loop, [this] { OnTimer(); }) {}

PrivatePool::~PrivatePool() = default;

size_t PrivatePool::limit() const {
  return static_cast<size_t>(node_.options().private_connections);
}

PrivateConnection* PrivatePool::Take(PrivateWaiter& waiter, PrivateUser& user, int database,
                                     Protocol protocol, std::string& refusal) {
  using State = PrivateWaiter::State;
  if (waiter.pool_ != nullptr && waiter.pool_ != this) Leave(waiter);  // the topology has changed
  if (waiter.state_ == State::kWaiting) return nullptr;
  if (std::exchange(waiter.state_, State::kNone) == State::kPromised) {
    --promised_;
  } else if (waiter.deadline_ns_ != 0) {
    waiter.deadline_ns_ = 0;
    refusal = Refusal("all its private connections are in use");
    return nullptr;
  } else if (!line_.empty() || used_.size() + promised_ >= limit()) {
    if (line_.size() >= static_cast<size_t>(node_.options().private_queue)) {
      refusal = Refusal("too many wait for a private connection");
      return nullptr;
    }
    node_.counters().private_waits.Add(1);
    waiter.state_ = State::kWaiting;
    waiter.pool_ = this;
    waiter.deadline_ns_ = MonotonicNanos() + node_.options().connect_timeout.count() * 1'000'000;
    line_.push_back(&waiter);
    ArmTimer();
    Publish();
    return nullptr;
  }
  waiter.deadline_ns_ = 0;
  return Give(user, database, protocol);
}

PrivateConnection* PrivatePool::TakeNow(PrivateUser& user, int database, Protocol protocol) {
  if (!line_.empty() || used_.size() + promised_ >= limit()) return nullptr;
  return Give(user, database, protocol);
}

PrivateConnection* PrivatePool::Give(PrivateUser& user, int database, Protocol protocol) {
  PrivateConnection* connection = TakeIdle(database, protocol);
  if (connection == nullptr) {
    if (used_.size() + promised_ + idle_.size() >= limit() && !idle_.empty())
      idle_.erase(idle_.begin());
    used_.push_back(std::make_unique<PrivateConnection>(*this, node_, database, protocol));
    connection = used_.back().get();
  }
  connection->set_user(&user);
  Publish();
  return connection;
}

PrivateConnection* PrivatePool::TakeIdle(int database, Protocol protocol) {
  for (size_t i = idle_.size(); i-- > 0;) {
    PrivateConnection& candidate = *idle_[i];
    if (candidate.database() != database || candidate.protocol() != protocol ||
        !candidate.reusable())
      continue;
    used_.push_back(std::move(idle_[i]));
    idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(i));
    return used_.back().get();
  }
  return nullptr;
}

std::string PrivatePool::Refusal(std::string_view why) {
  node_.counters().private_exhausted.Add(1);
  return "ERR " + node_.Describe(why);
}

std::unique_ptr<PrivateConnection> PrivatePool::Remove(
    std::vector<std::unique_ptr<PrivateConnection>>& from, const PrivateConnection& connection) {
  const auto found = std::find_if(from.begin(), from.end(),
                                  [&](const auto& one) { return one.get() == &connection; });
  TG_CHECK(found != from.end());
  std::unique_ptr<PrivateConnection> taken = std::move(*found);
  *found = std::move(from.back());
  from.pop_back();
  return taken;
}

void PrivatePool::Release(PrivateConnection& connection) {
  std::unique_ptr<PrivateConnection> taken = Remove(used_, connection);
  taken->set_user(nullptr);
  if (taken->reusable()) {
    taken->set_idle_since(MonotonicNanos());
    idle_.push_back(std::move(taken));
  } else {
    node_.cluster().Bury(std::move(taken));
  }
  Promise();
  ArmTimer();
  Publish();
}

void PrivatePool::Discard(PrivateConnection& connection) {
  (void)Remove(used_, connection);
  Promise();
  Publish();
}

void PrivatePool::Bury(const PrivateConnection& connection) {
  const auto found = std::find_if(idle_.begin(), idle_.end(),
                                  [&](const auto& one) { return one.get() == &connection; });
  if (found == idle_.end()) return;
  node_.cluster().Bury(std::move(*found));
  idle_.erase(found);
  Publish();
}

void PrivatePool::GiveUpAll(std::string_view why) {
  // Whoever is told gives his back, or keeps it to connect again.
  std::vector<PrivateConnection*> all;
  for (const auto& connection : used_) {
    if (!connection->connection().idle()) all.push_back(connection.get());
  }
  for (PrivateConnection* connection : all) connection->connection().GiveUp(why);
}

void PrivatePool::DismissLine() {
  const std::deque<PrivateWaiter*> line = std::exchange(line_, {});
  Publish();
  for (PrivateWaiter* waiter : line) {
    waiter->state_ = PrivateWaiter::State::kNone;
    waiter->pool_ = nullptr;
    waiter->deadline_ns_ = 0;
    waiter->OnPrivateTurn();
  }
}

void PrivatePool::Promise() {
  while (!line_.empty() && used_.size() + promised_ < limit()) {
    PrivateWaiter& first = *line_.front();
    line_.pop_front();
    first.state_ = PrivateWaiter::State::kPromised;
    ++promised_;
    first.OnPrivateTurn();
  }
}

void PrivatePool::Leave(PrivateWaiter& waiter) {
  const PrivateWaiter::State state = std::exchange(waiter.state_, PrivateWaiter::State::kNone);
  waiter.deadline_ns_ = 0;
  PrivatePool* const pool = std::exchange(waiter.pool_, nullptr);
  if (pool == nullptr) return;
  if (state == PrivateWaiter::State::kWaiting) std::erase(pool->line_, &waiter);
  if (state == PrivateWaiter::State::kPromised) {
    --pool->promised_;
    pool->Promise();
  }
  pool->Publish();
}

// Whose time is up is the first in line, or the one that has been idle for longest.
void PrivatePool::OnTimer() {
  const int64_t now_ns = MonotonicNanos();
  while (!line_.empty() && line_.front()->deadline_ns_ <= now_ns) {
    PrivateWaiter& first = *line_.front();
    line_.pop_front();
    first.state_ = PrivateWaiter::State::kTimedOut;
    first.OnPrivateTurn();
  }
  std::erase_if(idle_, [now_ns](const auto& connection) {
    return now_ns - connection->idle_since_ns() >= kPrivateIdleNanosMax;
  });
  ArmTimer();
  Publish();
}

void PrivatePool::ArmTimer() {
  int64_t next_ns = 0;
  if (!idle_.empty()) next_ns = idle_.front()->idle_since_ns() + kPrivateIdleNanosMax;
  if (!line_.empty() && (next_ns == 0 || line_.front()->deadline_ns_ < next_ns))
    next_ns = line_.front()->deadline_ns_;
  if (next_ns == 0) return;
  const int64_t wait_ns = std::max<int64_t>(next_ns - MonotonicNanos(), 0);
  timer_.StartOnce(static_cast<uint64_t>(wait_ns) / 1'000'000 + 1);
}

void PrivatePool::Publish() {
  node_.counters().private_in_use.Set(used_.size());
  node_.counters().private_idle.Set(idle_.size());
  node_.counters().private_waiting.Set(line_.size());
}

}  // namespace tidegate
