// KeyObserver: where a worker says which keys its clients' requests are for, and what came of them.
// One place for the engine and for all kinds of upstreams; what is found out from that (which keys
// are hot) is others' business.
//
//   engine:     Execute ------------------------------> Answered
//   upstream:   sent -> Requested ... reply comes ----> Replied
//
// Counted is what clients ask for: nothing that mirrors, moves of keys or health checks send, and
// no request a second time because it was redirected, retried or woken. What is refused before it
// is executed or sent is no access. The commands of a transaction count as they execute, each with
// its keys; a script with the keys that it was called with.
// Owner: one worker; recorder() is for the detector, too. Cost: 3 to 40 ns a key, nothing for
// requests without keys; while nothing is observed one branch a request (Worker::observer).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "hotkey/access_recorder.h"
#include "hotkey/key_id.h"
#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

class KeyCosts;

// Keys of one request that are counted: with more than that none of them is hot by this request.
inline constexpr size_t kObservedKeysMax = 1024;

// What hotkey::Keyspace calls an upstream cluster of that number; 0 is the engine. Numbers are
// never given twice, and nobody reloads 65535 clusters into one process; if so, the last ones are
// counted as one.
inline uint16_t KeyspaceNumber(size_t cluster_number) {
  constexpr size_t kMax = UINT16_MAX;
  return static_cast<uint16_t>(cluster_number < kMax ? cluster_number + 1 : kMax);
}

// Who asks, and where the keys are.
struct Asked {
  hotkey::Keyspace keyspace;
  uint64_t client = 0;  // a session's id
};

// What a request was answered with.
struct Answer {
  uint64_t bytes = 0;   // as the client gets them; of several keys each has its part of them
  bool missed = false;  // a read found nothing: none of its keys
  bool failed = false;  // an error
  int64_t nanos = 0;    // of this thread; only where KeyObserver::costs() wants it, else 0
};

class KeyObserver final {
 public:
  explicit KeyObserver(int64_t now_ns) : recorder_(now_ns) {}

  // The engine has executed it.
  void Answered(const Request& request, const Asked& asked, const Answer& answer) {
    if (__builtin_expect(request.keys.size() != 1 || !finds_hot_ || costs_ != nullptr, 0))
      return AnsweredOtherwise(request, asked, answer);
    recorder_.NoteAnswered(AccessOf(request, request.keys[0], asked), answer.bytes, answer.missed);
  }

  // It is on its way to an upstream. Its keys as the client said them, whatever a route makes of
  // them.
  void Requested(const Request& request, const Asked& asked) {
    if (__builtin_expect(costs_ != nullptr, 0)) NoteRequestCosts(request, asked);
    if (__builtin_expect(!finds_hot_, 0)) return;
    for (const KeyRef& key : request.keys.first(CountedKeys(request)))
      recorder_.Note(AccessOf(request, key, asked));
  }
  // The reply has come, for keys that Requested was told of. `name`: of a single key, where it is
  // still known.
  void Replied(const Command& command, std::span<const hotkey::KeyId> keys, std::string_view name,
               const Asked& asked, const Answer& answer);

  // --- what it does with that ---
  // Notes accesses for the detector of hot keys.
  bool finds_hot() const { return finds_hot_; }
  void set_finds_hot(bool on) { finds_hot_ = on; }
  // Adds up what keys cost, for HOTKEYS START. Null: it does not.
  KeyCosts* costs() const { return costs_.get(); }
  void set_costs(std::shared_ptr<KeyCosts> costs) { costs_ = std::move(costs); }
  // Whether it is to be told of anything; see Worker::FollowObserving.
  bool wanted() const { return finds_hot_ || costs_ != nullptr; }

  static size_t CountedKeys(const Request& request) {
    return request.keys.size() < kObservedKeysMax ? request.keys.size() : kObservedKeysMax;
  }
  static bool IsWrite(const Command& command) { return command.spec->access == Access::kWrite; }
  // What only looks at keys that it names (WATCH) is no access.
  static bool Counts(const Command& command) { return command.spec->access != Access::kNone; }

  hotkey::AccessRecorder& recorder() { return recorder_; }

 private:
  static hotkey::Access AccessOf(const Request& request, const KeyRef& key, const Asked& asked) {
    return {.id = hotkey::IdOf(key.hash, asked.keyspace),
            .keyspace = asked.keyspace,
            .name = key.name,
            .is_write = IsWrite(*request.command),
            .client = asked.client};
  }
  void AnsweredOtherwise(const Request& request, const Asked& asked, const Answer& answer);
  void NoteRequestCosts(const Request& request, const Asked& asked);

  hotkey::AccessRecorder recorder_;
  bool finds_hot_ = false;
  std::shared_ptr<KeyCosts> costs_;
};

// Whether an upstream's reply to a read says that there is nothing: a null, or nulls alone. An
// empty list is none, for it may be a part of a key that is there.
bool SaysNothingIsThere(std::string_view reply);

}  // namespace tidegate
