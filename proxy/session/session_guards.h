// SessionGuards: what the policies have made of the request that a session is at. Kept because a
// request may be looked at several times before it is through (it waits for replies of an upstream,
// for a slot, for its turn), and is asked about, counted and charged once.
// Only sessions have one that a policy was asked about. Owner: the session.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hotkey/key_id.h"
#include "policy/judge.h"
#include "proxy/session/session_flights.h"
#include "proxy/upstream/reply_hook.h"
#include "storage/request.h"

namespace tidegate {

class AbsenceHook;
class FanoutRule;
struct Route;

// The request at hand in the worker's LoadBacklog, while it is put aside.
struct PutAside {
  uint32_t command = 0;
  uint64_t worked_ticks = 0;
};

// Where the keys of a route live, for a client in that database.
hotkey::Keyspace KeyspaceOf(const Route& route, int database);

struct SessionGuards {
  enum class State : uint8_t {
    kNone,    // nobody was asked yet
    kParked,  // it may go, but not yet
    kPassed,  // it may go
    kAnswer   // it gets something else
  };
  State state = State::kNone;
  Verdict verdict = {};
  int64_t parked_until_ns = 0;  // monotonic
  uint64_t client = 0;          // hash of the address without the port; 0: not known yet
  uint64_t user = 0;

  // The request in another form: what its arguments are then.
  std::vector<std::string_view> args = {};
  std::string number_text = {};

  // It is through: nothing of it is left.
  void End();

  // What a policy does with its reply, if it goes to an upstream; null: nothing.
  std::unique_ptr<ReplyHook> hook = {};
  // One more: what is known of absent keys is asked first.
  void AddHook(std::unique_ptr<ReplyHook> added);

  // Its reads that wait for somebody else's load; null: no route of its had them.
  std::unique_ptr<SessionFlights> flights = {};

  // Of the engine: the request was suspended after a turn of so many ticks; is through after one;
  // is given up. The last two also if it never was suspended.
  std::optional<PutAside> aside = {};
  void Suspend(LoadBacklog& backlog, uint32_t command, uint64_t turn_ticks);
  void EndThrough(LoadBacklog& backlog, uint64_t turn_ticks);
  void GiveUp(LoadBacklog& backlog);

  // Whether replicas may answer it, and which; null: who has its key does.
  const FanoutRule* fanout = nullptr;

  // The hook, if it looks at replies of the engine as well. Only while the request is not placed.
  AbsenceHook* absence = nullptr;
};

}  // namespace tidegate
