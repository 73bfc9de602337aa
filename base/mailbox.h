// Mailbox: many threads post, one thread takes. A vector under a mutex that is held for one
// push_back or one swap, because a lock-free list costs an allocation per post and is no faster at
// the rates that cross threads here. Bounded in bytes of payload, not in count: a full mailbox
// refuses a post that carries payload (a MONITOR line) and always takes those that carry none
// (wake-ups, sockets, tasks: their number is bounded by sessions and requests in flight), so that
// producers never wait and never fail to wake. Messages carry ids and owned values, never pointers
// to what another thread owns.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/thread_annotations.h"

namespace tidegate {

template <typename Message>
class Mailbox final {
 public:
  explicit Mailbox(Bytes payload_max) : payload_max_(payload_max.count) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  enum class Posted : uint8_t {
    kFirst,   // the owner must be woken
    kBehind,  // the owner has been woken already
    kFull,    // refused
  };

  // Any thread.
  Posted Post(Message message, size_t payload_bytes = 0) TG_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (payload_bytes > 0 && payload_bytes_ + payload_bytes > payload_max_) return Posted::kFull;
    payload_bytes_ += payload_bytes;
    const bool first = messages_.empty();
    messages_.push_back(std::move(message));
    return first ? Posted::kFirst : Posted::kBehind;
  }

  // Any thread: how many wait.
  size_t size() const TG_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return messages_.size();
  }

  // Owner: swaps all waiting messages into `out`, which must be empty.
  void Take(std::vector<Message>& out) TG_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    out.swap(messages_);
    payload_bytes_ = 0;
  }

 private:
  const size_t payload_max_;
  mutable Mutex mutex_;
  std::vector<Message> messages_ TG_GUARDED_BY(mutex_);
  size_t payload_bytes_ TG_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
