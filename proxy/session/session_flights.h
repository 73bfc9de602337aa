// SessionFlights: what single_flight, early_refresh and stale do with the requests of one client
// (policy/single_flight, policy/early_refresh, policy/stale).
//
//   GET of such a key --> Begin --> forwarded, with a hook: its nil may be held
//                               --> executed here: its nil may be taken back, the session stops
//                     or its nil, or an error, is a copy instead (stale), or its value is a nil
//                     (early_refresh): session_copies.cc
//   a write           --> Begin --> noted when it has been executed: a hook, or End
//
// A client whose read waits must be able to say what others wait for. Behind an upstream what it
// sends meanwhile is forwarded, and only replies wait; what it writes itself it need not wait for
// (Begin). A client that many seem to share, that has sent more than was answered, that has to
// stop, or that is loading another key, waits for kShortWaitNanos at most. Owner: the session, of
// clients that had such a request; it goes when the client has gone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/flights.h"
#include "proxy/session/worker_flights.h"
#include "proxy/upstream/reply_hook.h"

namespace tidegate {

struct KeyRef;
struct Route;
class RoutePolicies;
class Session;
struct Request;

// Leases that one client is known to have; one that has more is not known to have the oldest.
inline constexpr size_t kLeasesOfClientMax = 64;

// A read that may have to wait, or whose reply may be another than its node's.
struct FlightRead {
  std::shared_ptr<RoutePolicies> policies;
  ParkedKey key;
  uint64_t hash = 0;   // of its name
  uint16_t place = 0;  // in LoadTimes
  uint32_t generation = 0;
  bool flies = false;      // single_flight looks at it
  bool refreshes = false;  // early_refresh does
  bool copies = false;     // stale does
  StaleCopies::Ask ask = {};
  bool is_resp3 = false;  // what its client speaks

  CopiedKey copied() const { return {.name = key.name, .hash = hash, .keyspace = key.keyspace}; }
};

// Nothing, as its client reads it.
inline std::string_view NilOf(const FlightRead& read) {
  return read.is_resp3 ? "_\r\n" : "$-1\r\n";
}

class SessionFlights final {
 public:
  explicit SessionFlights(Session& session) : session_(session) {}
  ~SessionFlights();
  SessionFlights(const SessionFlights&) = delete;
  SessionFlights& operator=(const SessionFlights&) = delete;

  // The session's next request, which policies let pass. Makes its part of the session when there
  // is none. A transaction is begun as what is queued.
  static void BeginFor(Session& session, const Request& request);
  // It is executed here, now.
  void BeforeExecution();
  // What it wrote behind the mark is taken back, and it waits; false: it does not.
  bool KeepsMiss(const Request& request, size_t mark);
  // It is through, or on its way.
  void End() {
    here_.reset();
    at_hand_ = nullptr;
  }
  // A reply of an upstream to a read. True: it is held; else it may be a view into `instead` now.
  bool TakeReply(const FlightRead& read, uint32_t sequence, std::string_view& reply,
                 std::string& instead);
  // The beginning of one that the client gets piece by piece.
  void TakeLargeReply(const FlightRead& read, std::string_view begin);
  // The read at hand would be answered with a kept reply (local_cache). True: it gets nil instead,
  // and its client is expected to load the key.
  bool MissesEarlyAtHand() { return at_hand_ != nullptr && MissesEarly(*at_hand_); }
  // See ReadParkingHost.
  void EndRead(const ParkedRead& read, ParkEnd end, const ParkedKey& key, std::string_view reply);
  // None of its reads waits for long from now on.
  void Hasten();
  bool waits() const { return !parked_.empty(); }

 private:
  // Of the engine: the read at hand.
  struct Here {
    FlightRead read;
    uint64_t number = 0;      // that it waits under; 0: it does not
    int64_t deadline_ns = 0;  // 0: it has not waited
    std::optional<ParkEnd> end = {};
  };
  struct Parked {
    uint64_t number = 0;
    uint32_t sequence = 0;
    hotkey::KeyId id = 0;
    bool is_resp3 = false;
  };

  void Begin(const Request& request);
  void BeginRead(const Request& request);
  std::optional<FlightRead> ReadOf(const Request& request) const;
  void BeginWrite(const Request& request);
  void BeginWriteOfKey(const Request& request, const KeyRef& key);
  void HookWrites();
  bool MayWait() const;
  // What is waited at most, by a request that others are behind, or not.
  int64_t DeadlineFor(const FlightRead& read, bool is_behind, int64_t now_ns);
  bool LeadsAnother(hotkey::KeyId id, int64_t now_ns);
  void Lead(hotkey::KeyId id);
  void AnswerOwn(hotkey::KeyId id);
  void NoteFound(const FlightRead& read);
  void EndHere(ParkEnd end);
  bool TakeMissHere(int64_t now_ns, bool is_last, std::string& copy);
  // `copy`: what the read gets instead of having to wait; empty: nothing.
  ReadParking::Parked Miss(const FlightRead& read, ParkedRead parked, int64_t now_ns,
                           std::string& copy);

  // session_copies.cc
  bool MayCopy(const Route& route, std::string_view key) const;
  void BeginWriteOfAny(const Request& request);
  // A value was found. True: the client gets nil instead.
  bool MissesEarly(const FlightRead& read);
  bool LeadsEarly(const FlightRead& read, int64_t now_ns);
  // The same of the engine: its reply is behind the mark.
  void FoundHere(size_t mark);
  // A write, with the time to live that it gives the key.
  void BeginExpiry(const Request& request, const KeyRef& key, FlightWrite& write) const;
  // An error in place of a value; it may become a copy.
  void TakeError(const FlightRead& read, std::string_view& reply, std::string& instead);

  Session& session_;
  std::optional<Here> here_;
  const FlightRead* at_hand_ = nullptr;  // of an upstream; null: it is no read, or is on its way
  std::vector<Parked> parked_;
  std::vector<hotkey::KeyId> leads_;
  std::vector<FlightWrite> writes_;
};

}  // namespace tidegate
