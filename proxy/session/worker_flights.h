// WorkerFlights: what the reads of one worker that wait for a load need from the outside: requests
// to upstreams, other workers, time, and the sessions that get the replies. Who waits for what, and
// what becomes of it, ReadParking knows.
//
// A key that was written is asked for once, for all who wait, at the node that takes its writes: a
// replica may not have it yet. Owner: the worker. Outlives the worker's connections, which answer
// it until the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "policy/flights.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/upstream_client.h"
#include "proxy/upstream/upstream_link.h"

namespace tidegate {

class RoutePolicies;
class Worker;

// A key that a request may make.
struct FlightWrite {
  hotkey::KeyId id = 0;
  uint16_t place = 0;  // in LoadTimes
  std::shared_ptr<RoutePolicies> policies;
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

  // The writes have been executed. A read has found the key. The client, which was expected to
  // write it, has gone.
  void NoteWritten(const std::vector<FlightWrite>& writes);
  void NoteFound(hotkey::KeyId id);
  void Abandon(hotkey::KeyId id, uint64_t client);

 private:
  // ReadParkingHost.
  bool Read(const ParkedKey& key, uint64_t client) override;
  bool End(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
           std::string_view reply) override;
  void TellAbandoned(uint64_t workers, hotkey::KeyId id) override;
  void StepSoon() override;
  void TickAt(int64_t at_ns) override;
  // UpstreamClient: the reply to Read.
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
  std::map<uint32_t, hotkey::KeyId> asked_;  // by the sequence of the request
  bool stopped_ = false;
};

// Whether a reply says that there is nothing.
inline bool IsNilReply(std::string_view reply) { return reply == "$-1\r\n" || reply == "_\r\n"; }

}  // namespace tidegate
