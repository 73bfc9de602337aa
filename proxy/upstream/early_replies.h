// EarlyReplies: replies of one session that came before the reply of an earlier request.
//
//   sequence  7    8    9    10        7 is the head: its reply goes straight into the output;
//            [  ] [+OK] [  ] [:3]      8 follows it out of here, 9 is awaited, 10 waits for 9
//
// A session with requests in flight at one node never needs this: replies come in order there. With
// several nodes it has a ring of as many places as it may have requests in flight, taken from a
// pool of the worker while something waits in it. A place keeps the memory of short replies, so
// that a busy session allocates nothing. Owner: one worker. Cost: a copy of an early reply.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace tidegate {

// Requests of one session that may wait for replies of upstreams; further ones wait in its input.
// Enough to keep connections busy over a network, and a bound on what one client has in flight.
inline constexpr size_t kUpstreamOutstandingMax = 256;

class EarlyReplies final {
 public:
  // `sequence` is less than kUpstreamOutstandingMax ahead of the head.
  void Keep(uint32_t sequence, std::string_view reply) {
    Place& place = places_[sequence % kUpstreamOutstandingMax];
    TG_DCHECK(!place.taken);
    place.reply.assign(reply);
    place.taken = true;
    ++count_;
    bytes_ += reply.size();
  }
  // The reply kept for the sequence; null: it has not come. Valid until Drop.
  const std::string* Find(uint32_t sequence) const {
    const Place& place = places_[sequence % kUpstreamOutstandingMax];
    return place.taken ? &place.reply : nullptr;
  }
  void Drop(uint32_t sequence) {
    Place& place = places_[sequence % kUpstreamOutstandingMax];
    --count_;
    bytes_ -= place.reply.size();
    place.taken = false;
    if (place.reply.capacity() > kKeptCapacityMax) place.reply = std::string();
  }
  void Clear() {
    for (uint32_t i = 0; i < kUpstreamOutstandingMax && count_ > 0; ++i) {
      if (places_[i].taken) Drop(i);
    }
  }

  bool empty() const { return count_ == 0; }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kKeptCapacityMax = 256;
  struct Place {
    std::string reply;
    bool taken = false;
  };
  std::array<Place, kUpstreamOutstandingMax> places_;
  size_t count_ = 0;
  size_t bytes_ = 0;
};

// Of one worker; it outlives what it gave.
class EarlyReplyPool final {
 public:
  std::unique_ptr<EarlyReplies> Take() {
    if (free_.empty()) return std::make_unique<EarlyReplies>();
    std::unique_ptr<EarlyReplies> replies = std::move(free_.back());
    free_.pop_back();
    return replies;
  }
  void Return(std::unique_ptr<EarlyReplies> replies) {
    constexpr size_t kFreeMax = 64;
    replies->Clear();
    if (free_.size() < kFreeMax) free_.push_back(std::move(replies));
  }

 private:
  std::vector<std::unique_ptr<EarlyReplies>> free_;
};

}  // namespace tidegate
