// WorkerFlights: what the reads of one worker that wait for a load need from the outside: requests
// to upstreams, other workers, time, and the sessions that get the replies. Who waits for what, and
// what becomes of it, ReadParking knows.
//
// A key that was written is asked for once, for all who wait, at the node that takes its writes: a
// replica may not have it yet. So is, for early_refresh, when a key expires of which nothing is
// known; the engine is asked in the same way. Owner: the worker. Outlives the worker's connections,
// which answer it until the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/flights.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/upstream_client.h"
#include "proxy/upstream/upstream_link.h"

namespace tidegate {

class RoutePolicies;
class Worker;

// Keys that a worker may be asking for when they expire, at one time; more are asked for later.
inline constexpr size_t kTtlAsksMax = 64;

// A key that a request writes, or that it may make.
struct FlightWrite {
  hotkey::KeyId id = 0;
  uint16_t place = 0;  // in LoadTimes
  std::shared_ptr<RoutePolicies> policies;
  bool makes = false;               // somebody may wait for it
  int64_t ttl_ms = 0;               // that it is given; 0: not known, or nobody wants to know
  int64_t begun_ms = 0;             // monotonic; with ttl_ms
  StaleCopies::Write copying = {};  // last, so that it ends while the policies are there
};

class WorkerFlights final : private ReadParkingHost, private UpstreamClient {
 public:
  explicit WorkerFlights(Worker& worker);
  ~WorkerFlights();
  WorkerFlights(const WorkerFlights&) = delete;
  WorkerFlights& operator=(const WorkerFlights&) = delete;

  // The worker has ended: nothing is told to anybody any more.
  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  ReadParking& parking() { return parking_; }
  LeaseTable& leases() { return leases_; }

  // The writes have been executed, or were answered with an error. A read has found the key. The
  // client, which was expected to write it, has gone.
  void NoteWritten(const std::vector<FlightWrite>& writes, bool failed);
  void NoteFound(hotkey::KeyId id);
  void Abandon(hotkey::KeyId id, uint64_t client);
  // When the key expires is found out, soon, for the policies' early_refresh.
  void AskTtl(std::shared_ptr<RoutePolicies> policies, const ParkedKey& key, uint64_t client);
  // Random enough for a lot.
  uint64_t NextLot() { return lot_ = lot_ * 6364136223846793005u + 1442695040888963407u; }

 private:
  // ReadParkingHost.
  bool Read(const ParkedKey& key, uint64_t client) override;
  bool End(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
           std::string_view reply) override;
  void TellAbandoned(uint64_t workers, hotkey::KeyId id) override;
  void StepSoon() override;
  void TickAt(int64_t at_ns) override;
  struct TtlAsk {
    std::shared_ptr<RoutePolicies> policies;
    ParkedKey key;
    uint64_t client = 0;
    uint32_t generation = 0;  // from before it was asked
    int64_t asked_ms = 0;     // monotonic
  };
  struct Asked {
    hotkey::KeyId id = 0;
    std::optional<TtlAsk> ttl;  // none: its value was asked for
  };
  // The command, of one key, under next_read_. False: it cannot be.
  bool Place(std::string_view command, const ParkedKey& key, uint64_t client);
  void AskTtls();
  std::optional<int64_t> TtlHere(const ParkedKey& key);
  // None: nobody can say.
  void TakeTtl(const TtlAsk& ask, std::optional<int64_t> ttl_ms);
  // UpstreamClient: the reply to Read, or to a question for a time to live.
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;

  enum class What : bool { kWritten, kAbandoned };
  void Tell(uint64_t workers, hotkey::KeyId id, What what);
  void Take(hotkey::KeyId id, What what);

  Worker& worker_;
  LeaseTable& leases_;
  ReadParking parking_;
  Timer timer_;
  UpstreamLink* link_;  // deletes itself when neither side needs it
  uint32_t next_read_ = 0;
  std::map<uint32_t, Asked> asked_;  // by the sequence of the request
  std::vector<TtlAsk> ttl_asks_;     // that were not sent yet
  uint64_t lot_ = 1;
  bool stopped_ = false;
};

// Whether a reply says that there is nothing.
inline bool IsNilReply(std::string_view reply) { return reply == "$-1\r\n" || reply == "_\r\n"; }

}  // namespace tidegate
