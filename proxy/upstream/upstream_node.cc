#include "proxy/upstream/upstream_node.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/upstream/private_pool.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "storage/command.h"

namespace tidegate {

UpstreamNode::UpstreamNode(UpstreamCluster& cluster, topology::NodeAddress address)
    : cluster_(cluster),
      address_(std::move(address)),
      figures_(std::make_shared<NodeFigures>(address_.ToText())),
      breaker_({.failures = cluster.options().breaker_failures,
                .error_percent = cluster.options().breaker_error_percent},
               static_cast<uint32_t>(cluster.environment().worker_index + 1) * 2654435761u +
                   address_.port),
      breaker_timer_(cluster.environment().loop, [this] { OnBreakerTimer(); }),
      retry_budget_(cluster.options().retry_percent) {}

UpstreamNode::~UpstreamNode() = default;

UpstreamEnvironment& UpstreamNode::environment() const { return cluster_.environment(); }

const ClusterOptions& UpstreamNode::options() const { return cluster_.options(); }

std::string UpstreamNode::Describe(std::string_view why) const {
  return cluster_.Describe(figures_->address + ": " + std::string(why));
}

UpstreamConnection& UpstreamNode::ConnectionFor(const ConnectionKey& key) {
  if (__builtin_expect(found_ != nullptr && key == found_key_, 1)) return *found_;
  std::unique_ptr<UpstreamConnection>& place = connections_[key];
  if (place == nullptr) place = std::make_unique<UpstreamConnection>(*this, key);
  found_key_ = key;
  found_ = place.get();
  return *place;
}

void UpstreamNode::Supersede(UpstreamConnection& connection) {
  const ConnectionKey& key = connection.key();
  const auto place = connections_.find(key);
  // Who sends over a lane of its own counts on their order, whatever the replies are.
  const bool is_lane = key.large || key.lane >= static_cast<uint32_t>(options().connections);
  if (is_lane || place == connections_.end() || place->second.get() != &connection) return;
  const auto is_alike = [&key](const auto& one) { return one->key() == key; };
  const auto next = std::find_if(superseded_.begin(), superseded_.end(), [&](const auto& one) {
    return is_alike(one) && one->in_flight() == 0;
  });
  if (next != superseded_.end()) {
    place->second.swap(*next);
  } else {
    if (std::count_if(superseded_.begin(), superseded_.end(), is_alike) >=
        static_cast<ptrdiff_t>(kSupersededMax))
      return;
    superseded_.push_back(
        std::exchange(place->second, std::make_unique<UpstreamConnection>(*this, key)));
  }
  found_ = nullptr;
  counters().superseded.Add(1);
  ++environment().placement_epoch;
}

PrivatePool& UpstreamNode::private_pool() {
  if (private_pool_ == nullptr) private_pool_ = std::make_unique<PrivatePool>(*this);
  return *private_pool_;
}

void UpstreamNode::EndPrivate() {
  if (private_pool_ != nullptr) private_pool_->GiveUpAll("it is not part of the cluster any more");
}

void UpstreamNode::DismissWaiting() {
  if (private_pool_ != nullptr) private_pool_->DismissLine();
}

void UpstreamNode::EndAll(std::string_view why) {
  for (const auto& [key, connection] : connections_) {
    if (connection->in_flight() > 0) connection->GiveUp(why);
  }
  if (private_pool_ != nullptr) private_pool_->GiveUpAll(why);
}

bool UpstreamNode::busy() const {
  if (private_pool_ != nullptr && private_pool_->busy()) return true;
  return holders_ > 0 ||
         std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& entry) { return entry.second->in_flight(); }) ||
         std::any_of(superseded_.begin(), superseded_.end(),
                     [](const auto& one) { return one->in_flight(); });
}

bool UpstreamNode::MayConnect(int64_t now_ns, bool is_private) {
  if (!breaker_.MayConnect(now_ns)) return false;
  if (is_private) return true;
  const double gained = static_cast<double>(now_ns - refilled_ns_) / 1e9 * kConnectsPerSecond;
  tokens_ = std::min(kConnectsAtOnce, tokens_ + gained);
  refilled_ns_ = now_ns;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

// A script that runs for too long must be possible to kill, and nobody else but its clients can.
// (That goes over a connection of its own, which may have to be made: a node that answers lets it.)
bool UpstreamNode::Admits(const Command* command) {
  if (breaker_.opened_by_replies() && command != nullptr &&
      (command->spec->flags & kAllowBusy) != 0)
    return true;
  return breaker_.Admit(MonotonicNanos());
}

bool UpstreamNode::WouldAdmit() const { return breaker_.WouldAdmit(MonotonicNanos()); }

void UpstreamNode::Failed(CircuitBreaker::Failure failure, uint64_t requests,
                          std::string_view why) {
  last_failure_ = why;
  if (breaker_.Failed(failure, requests, MonotonicNanos())) BreakerChanged();
}

void UpstreamNode::Connected() {
  connected_ns_ = MonotonicNanos();
  if (breaker_.Connected()) BreakerChanged();
}

bool UpstreamNode::MayRetry() {
  return retry_budget_.Take(breaker_.recent().total(), MonotonicNanos());
}

void UpstreamNode::SetHealth(bool answers, std::string_view why_not) {
  if (answers == is_healthy_) return;
  is_healthy_ = answers;
  if (!answers) {
    if (!breaker_.closed()) return (void)breaker_.HealthFailed(MonotonicNanos());
    last_failure_ = "its health checks fail: " + std::string(why_not);
    return OnBreakerTimer();
  }
  breaker_.HealthRecovered(MonotonicNanos());
  if (breaker_.state() == CircuitBreaker::State::kOpen) breaker_timer_.StartOnce(0);
}

// Open, and closed: said once each. That it is asked meanwhile is not news.
void UpstreamNode::BreakerChanged() {
  const bool was_open = counters().breakers_open.Get() != 0;
  const bool is_open = !breaker_.closed();
  counters().breakers_open.Set(is_open ? 1 : 0);
  if (is_open) {
    if (!was_open) counters().breaker_opens.Add(1);
    const int64_t wait_ns = std::max<int64_t>(breaker_.open_until_ns() - MonotonicNanos(), 0);
    breaker_timer_.StartOnce(static_cast<uint64_t>(wait_ns / 1'000'000) + 1);
  } else {
    breaker_timer_.Stop();
  }
  if (is_open && !was_open) log::Warning(Describe("the circuit breaker is open: " + last_failure_));
  if (!is_open) log::Notice(Describe("the circuit breaker is closed: it answers"));
  cluster_.BreakerChanged(*this);
}

// The time for which it was open is over; or that in which somebody may come after it was asked; or
// its health checks fail, and what contradicts them may be over.
void UpstreamNode::OnBreakerTimer() {
  environment().loop.TurnBegins();
  if (breaker_.closed()) {
    if (is_healthy_) return;
    if (breaker_.HealthFailed(MonotonicNanos())) return BreakerChanged();
    breaker_timer_.StartOnce(kBreakerOpenNanosMin / 1'000'000);
  } else if (breaker_.state() == CircuitBreaker::State::kOpen) {
    breaker_.BeginAsking();
    Ask();
    // Again, should nobody come when it has answered.
    if (breaker_.state() == CircuitBreaker::State::kHalfOpen)
      breaker_timer_.StartOnce(kBreakerOpenNanosMin / 1'000'000);
  } else if (breaker_.NobodyCame()) {
    BreakerChanged();
  } else {
    breaker_timer_.StartOnce(kBreakerOpenNanosMin / 1'000'000);
  }
}

void UpstreamNode::Ask() {
  UpstreamConnection& connection = found_ != nullptr ? *found_ : ConnectionFor({});
  if (!connection.PlacePing()) Failed(CircuitBreaker::Failure::kNotServing, 0, last_failure_);
}

}  // namespace tidegate
