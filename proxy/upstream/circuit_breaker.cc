#include "proxy/upstream/circuit_breaker.h"

namespace tidegate {
namespace {

// Connections that fail within it fail for one reason.
constexpr int64_t kSameFailureNanos = 20'000'000;
constexpr int kDoublingsMax = 10;

int64_t Doubled(int64_t first, int times, int64_t most) {
  return std::min(first << std::min(times, kDoublingsMax), most);
}

}  // namespace

bool CircuitBreaker::WouldAdmit(int64_t now_ns) const {
  if (state_ == State::kClosed) return MayConnect(now_ns);
  if (state_ == State::kOpen || asking_) return false;
  return trial_since_ns_ == 0 || now_ns - trial_since_ns_ >= kBreakerTrialNanosMax;
}

bool CircuitBreaker::Admit(int64_t now_ns) {
  if (state_ == State::kClosed) return true;
  if (!WouldAdmit(now_ns)) return false;
  trial_since_ns_ = now_ns;
  return true;
}

// Replies to what was sent before it opened change nothing: they say how it was.
bool CircuitBreaker::Succeeded() {
  if (state_ != State::kHalfOpen) return false;
  if (asking_) {
    asking_ = false;
    return false;
  }
  return trial_since_ns_ != 0 && Close();
}

bool CircuitBreaker::Close() {
  state_ = State::kClosed;
  failures_ = 0;
  openings_ = 0;
  trial_since_ns_ = 0;
  recent_.Forget();
  return true;
}

bool CircuitBreaker::TooManyFailed() const {
  const auto percent = static_cast<uint64_t>(limits_.error_percent);
  return percent > 0 && recent_.total() >= kBreakerRequestsMin &&
         recent_.failed() * 100 >= recent_.total() * percent;
}

bool CircuitBreaker::Failed(Failure failure, uint64_t requests, int64_t now_ns) {
  recent_.Failed(requests);
  if (recent_.all_answered() != answered_before_) failures_ = 0;
  answered_before_ = recent_.all_answered();
  const bool is_reply = failure == Failure::kNotServing;
  if (is_reply || failures_ == 0 || now_ns - failed_ns_ >= kSameFailureNanos) ++failures_;
  if (!is_reply) failed_ns_ = now_ns;
  if (failure == Failure::kSilent) {
    pause_until_ns_ =
        now_ns + Spread(Doubled(kReconnectPauseNanosMin, failures_ - 1, kReconnectPauseNanosMax));
  }
  if (state_ == State::kOpen) return false;
  const bool opens = state_ == State::kHalfOpen || is_unhealthy_ || TooManyFailed() ||
                     (limits_.failures > 0 && failures_ >= limits_.failures);
  return opens && Open(is_reply, now_ns);
}

bool CircuitBreaker::Open(bool by_replies, int64_t now_ns) {
  const int64_t open_ns =
      Doubled(kBreakerOpenNanosMin, by_replies ? 0 : openings_, kBreakerOpenNanosMax);
  open_until_ns_ = now_ns + Spread(open_ns);
  ++openings_;
  opened_by_replies_ = by_replies;
  asking_ = false;
  trial_since_ns_ = 0;
  state_ = State::kOpen;
  return true;
}

bool CircuitBreaker::HealthFailed(int64_t now_ns) {
  is_unhealthy_ = true;
  if (state_ != State::kClosed || recent_.HasAnsweredLately(now_ns)) return false;
  return Open(false, now_ns);
}

void CircuitBreaker::HealthRecovered(int64_t now_ns) {
  is_unhealthy_ = false;
  if (state_ == State::kOpen) open_until_ns_ = now_ns;
}

void CircuitBreaker::BeginAsking() {
  state_ = State::kHalfOpen;
  asking_ = true;
  pause_until_ns_ = 0;
  trial_since_ns_ = 0;
}

}  // namespace tidegate
