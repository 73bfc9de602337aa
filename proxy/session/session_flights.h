// SessionFlights: what single_flight does with the requests of one client (policy/single_flight).
//
//   GET of such a key --> Begin --> forwarded, with a hook: its nil may be held
//                               --> executed here: its nil may be taken back, the session stops
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

struct Route;
class RoutePolicies;
class Session;
struct Request;

// Leases that one client is known to have; one that has more is not known to have the oldest.
inline constexpr size_t kLeasesOfClientMax = 64;

// A read that may have to wait.
struct FlightRead {
  std::shared_ptr<RoutePolicies> policies;
  ParkedKey key;
  uint16_t place = 0;  // in LoadTimes
  uint32_t generation = 0;
};

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
  void End() { here_.reset(); }
  // A reply of an upstream to a read; of `is_large` this is the beginning. True: it is held.
  bool TakeReply(const FlightRead& read, uint32_t sequence, std::string_view reply);
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
  void BeginWrite(const Request& request);
  void HookWrites();
  bool MayWait() const;
  // What is waited at most, by a request that others are behind, or not.
  int64_t DeadlineFor(const FlightRead& read, bool is_behind, int64_t now_ns);
  bool LeadsAnother(hotkey::KeyId id, int64_t now_ns);
  void Lead(hotkey::KeyId id);
  void AnswerOwn(hotkey::KeyId id);
  void EndHere(ParkEnd end);
  bool TakeMissHere(int64_t now_ns, bool is_last);
  ReadParking::Parked Miss(const FlightRead& read, ParkedRead parked, int64_t now_ns);

  Session& session_;
  std::optional<Here> here_;
  std::vector<Parked> parked_;
  std::vector<hotkey::KeyId> leads_;
  std::vector<FlightWrite> writes_;
};

}  // namespace tidegate
