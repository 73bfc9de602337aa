// ReadParking: the reads of one worker that wait until somebody else has loaded their key, and what
// becomes of them.
//
//   Missed --> waits --> Told: written    --> one read for all of them --> its value
//                        Told: abandoned, --> one of them leads: nil
//                        or the lease ends
//                        the wait's cap   --> nil, or an error
//                        Answer: its own client writes the key --> nil
//
// Everything that is decided is done in Step, some at a time, never inside the call that decides
// it: those calls come from callbacks in which no request may be placed and no session woken. Reads
// of the engine wait, too, with their whole session, and look again by themselves.
// The value is for those reads alone that waited when it was asked for: one that came later may
// have seen the key deleted since. It knows no clock, no socket and no session, so a seed replays
// it. Owner: one worker. Cost: a few searches for each read that waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hotkey/key_id.h"
#include "policy/policy_counters.h"
#include "policy/single_flight/lease_table.h"

namespace tidegate {

// Reads that get their reply in one turn, and the bytes of these.
inline constexpr size_t kParkedEndsPerTurnMax = 256;
inline constexpr size_t kParkedBytesPerTurnMax = size_t{16} << 20;

// A key that reads wait for.
struct ParkedKey {
  hotkey::KeyId id = 0;
  hotkey::Keyspace keyspace = {};
  std::string name = {};
  int64_t lease_ns = 0;                // of who takes the lease over
  std::string route = {};              // its pattern
  PolicyCounters* counters = nullptr;  // of its route; outlives everything
};

struct ParkedRead {
  uint64_t client = 0;    // the session's ticket
  uint32_t sequence = 0;  // of its request
  bool is_here = false;   // of the engine
  bool wants_error = false;
  int64_t deadline_ns = 0;
};

// kValue: the reply that comes with it. kLeads, kNil: nil. kAgain: looks again, of the engine.
enum class ParkEnd : uint8_t { kValue, kLeads, kNil, kError, kAgain };

class ReadParkingHost {
 public:
  // GET of the key, at the upstream that the client's route names; TakeReply will be called.
  // False: it cannot be asked for.
  virtual bool Read(const ParkedKey& key, uint64_t client) = 0;
  // False: the client has gone.
  virtual bool End(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
                   std::string_view reply) = 0;
  // Told, by the workers in these bits; maybe this one.
  virtual void TellAbandoned(uint64_t workers, hotkey::KeyId id) = 0;
  // Step, soon; Tick, then.
  virtual void StepSoon() = 0;
  virtual void TickAt(int64_t at_ns) = 0;

 protected:
  ~ReadParkingHost() = default;
};

class ReadParking final {
 public:
  ReadParking(LeaseTable& leases, ReadParkingHost& host, int worker)
      : leases_(leases), host_(host), worker_(worker) {}
  ReadParking(const ReadParking&) = delete;
  ReadParking& operator=(const ReadParking&) = delete;

  // A read that found nothing. `number`: of a read that waits.
  enum class Place : uint8_t { kLeads, kWaits, kPasses };
  struct Parked {
    Place place = Place::kPasses;
    uint64_t number = 0;
  };
  Parked Missed(const ParkedKey& key, const ParkedRead& read, uint32_t generation, bool may_wait,
                int64_t now_ns);

  // The key was written or found, somewhere; or its leader's client has gone.
  void TellWritten(hotkey::KeyId id, int64_t now_ns);
  void TellAbandoned(hotkey::KeyId id, int64_t now_ns);
  // Of Read. `is_nil`: there is still nothing.
  void TakeReply(hotkey::KeyId id, std::string_view reply, bool is_nil, int64_t now_ns);

  // It gets nil. It must not wait longer than that. It is gone, and gets nothing. Nothing happens
  // if it does not wait any more.
  void Answer(uint64_t number);
  void Hasten(uint64_t number, int64_t deadline_ns);
  void Forget(uint64_t number);

  void Step(int64_t now_ns);
  void Tick(int64_t now_ns);

  size_t waiting() const { return reads_.size(); }
  bool idle() const { return reads_.empty() && groups_.empty() && ends_.empty(); }

 private:
  struct Read {
    ParkedRead read;
    hotkey::KeyId id = 0;
    uint64_t lease = 0;  // 0: it has ended
  };
  struct Group {
    std::shared_ptr<const ParkedKey> key;
    std::deque<uint64_t> waiting;  // numbers, the oldest first; some may be gone
    std::vector<uint64_t> asked;   // they waited when it was asked
    bool is_asked = false;
    bool ask_again = false;
    uint32_t asked_generation = 0;
    int64_t look_ns = 0;  // the lease ends; 0: nobody looks
    size_t reads = 0;     // that are there
  };
  struct Ending {
    ParkedRead read;
    ParkEnd end = ParkEnd::kNil;
    std::shared_ptr<const ParkedKey> key;
    std::shared_ptr<const std::string> reply;
  };
  using Groups = std::unordered_map<hotkey::KeyId, Group>;

  Group& GroupOf(const ParkedKey& key);
  uint64_t Add(const ParkedKey& key, const ParkedRead& read, const LeaseTable::Missed& missed);
  void Wait(Group& group, uint64_t number, const LeaseTable::Missed& missed);
  void LookAt(Group& group, int64_t at_ns);
  void ArmTick();
  // Its keys are to be read, for those of upstreams; those of the engine look by themselves.
  void Look(Group& group);
  void Ask(Group& group);
  void MissAgain(Group& group, const std::vector<uint64_t>& numbers, int64_t now_ns);
  void TakeOver(Group& group, int64_t now_ns);
  void Finish(uint64_t number, ParkEnd end,
              const std::shared_ptr<const std::string>& reply = nullptr);
  // It does not wait any more.
  Read Remove(uint64_t number);
  void Tidy(hotkey::KeyId id);
  // The oldest that is there; 0: none.
  uint64_t Oldest(Group& group);
  LeaseTable::Asker AskerFor(const Group& group, uint64_t client, uint32_t generation,
                             int64_t now_ns) const;
  void StepSoon();
  void Deliver(const Ending& ending, int64_t now_ns);

  LeaseTable& leases_;
  ReadParkingHost& host_;
  const int worker_;
  uint64_t next_number_ = 1;
  std::unordered_map<uint64_t, Read> reads_;
  Groups groups_;
  std::set<std::pair<int64_t, uint64_t>> deadlines_;   // of reads
  std::set<std::pair<int64_t, hotkey::KeyId>> looks_;  // of groups
  std::set<hotkey::KeyId> to_ask_;
  std::deque<Ending> ends_;
  int64_t tick_at_ns_ = 0;  // 0: not
  bool steps_soon_ = false;
};

}  // namespace tidegate
