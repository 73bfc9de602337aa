// LeaseTable: who is loading which missing key. One for the process, so that of all clients that
// miss a key at once only one goes to the database.
//
//   GET, nil --> Miss: nobody loads it --> leads: gets the nil, and is expected to write the key
//                      somebody does   --> waits, at most until the lease ends
//   a write --> Write: the lease is over, and these workers have reads that wait for it
//   no write in time, or the leader's client goes --> TakeOver: one of those who wait leads
//
// A lease may also be given while the key is still there (is_early), so that one client loads it
// before it expires: then only a write ends it, until somebody else misses the key as well.
//
// No wake-up is lost between a nil and a write: who reads a key takes its generation before, a
// write raises that after it has happened, and then looks for a lease; Miss makes the lease, and
// then looks whether the generation is the same. One of both sees the other.
// Keys are named by their id (hotkey/key_id.h). Two keys with one id would end each other's leases,
// which costs a read more.
// Threads: any. Cost: a write of a key without a lease pays an addition and a load in one of
// kLeaseStripes places; locks are taken for misses and for keys that have a lease.
// Source: Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/thread_annotations.h"
#include "hotkey/key_id.h"

namespace tidegate {

inline constexpr size_t kLeaseStripes = 1024;
inline constexpr size_t kLeaseShards = 64;
// Keys with a lease, in each shard; more get none, and their misses pass. About six megabytes.
inline constexpr size_t kLeasesPerShardMax = 1024;
// Reads that wait for one key, and in all: more get their nil at once.
inline constexpr uint32_t kWaitersPerKeyMax = 10'000;
inline constexpr int64_t kWaitersMax = 100'000;
// A lease that is over for longer is not the one that a write is about.
inline constexpr int64_t kLateWriteNanosMax = 3'000'000'000;

class LeaseTable final {
 public:
  LeaseTable();
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  // Some route has the policy, or had it: until then nobody need look at requests.
  void Use() { used_.store(true, std::memory_order_relaxed); }
  bool used() const { return used_.load(std::memory_order_relaxed); }

  // Before a key is read.
  uint32_t GenerationOf(hotkey::KeyId id) const {
    return StripeOf(id).generation.load(std::memory_order_seq_cst);
  }
  // Whether a write of the key, or a read that finds it, may end a lease.
  bool MayHave(hotkey::KeyId id) const {
    return StripeOf(id).leases.load(std::memory_order_seq_cst) != 0;
  }

  // Whether somebody is expected to write the key.
  bool Has(hotkey::KeyId id, int64_t now_ns) const;

  struct Asker {
    hotkey::KeyId id = 0;
    uint32_t generation = 0;  // from before the read
    uint64_t client = 0;      // the session's ticket
    int worker = 0;
    int64_t now_ns = 0;
    int64_t lease_ns = 0;
    bool may_wait = true;    // false: it is only asked about, and does not come back
    bool is_waiter = false;  // it waits already, for another lease
    bool is_early = false;  // the key is still there (early_refresh): that it is found ends nothing
  };
  // kPasses: it gets its nil, and nobody counts on it. kAgain: the key was written meanwhile.
  enum class Place : uint8_t { kLeads, kWaits, kAgain, kPasses };
  struct Missed {
    Place place = Place::kPasses;
    int64_t until_ns = 0;  // of the lease
    uint64_t lease = 0;    // its number, for Left
    bool full = false;     // kPasses because too many wait, or have leases
  };
  Missed Miss(const Asker& asker);

  struct Ended {
    uint64_t workers = 0;  // bits: those that have reads that wait
    int64_t load_ns = 0;   // since the lease was given; 0: there was none
  };
  // The key was written; also when it was found, as nobody need wait then.
  Ended Write(hotkey::KeyId id, int64_t now_ns);
  Ended Found(hotkey::KeyId id, int64_t now_ns);

  // One that waits wants to lead. kWaits: the lease has time left; kAgain: it is over.
  Missed TakeOver(const Asker& asker);
  // The leader's client has gone. The workers that have reads that wait.
  uint64_t Abandon(hotkey::KeyId id, uint64_t client, int64_t now_ns);
  // Whether the client is still expected to write the key.
  bool Leads(hotkey::KeyId id, uint64_t client, int64_t now_ns);

  // A read waits although there is no lease: for another read. False: too many do.
  bool Wait();
  // A read does not wait any more. It waits, but not for that lease. `lease` 0: that has ended.
  void Left(hotkey::KeyId id, uint64_t lease);
  void LeftLease(hotkey::KeyId id, uint64_t lease);
  int64_t waiters() const { return waiters_.load(std::memory_order_relaxed); }

 private:
  struct Stripe {
    std::atomic<uint32_t> generation{0};
    std::atomic<uint32_t> leases{0};
  };
  struct Lease {
    uint64_t number = 0;
    uint64_t leader = 0;
    int64_t until_ns = 0;
    int64_t begun_ns = 0;
    uint64_t workers = 0;
    uint32_t waiters = 0;
    bool is_early = false;
  };
  struct Shard {
    Mutex mutex;
    std::unordered_map<hotkey::KeyId, Lease> leases TG_GUARDED_BY(mutex);
  };

  Stripe& StripeOf(hotkey::KeyId id) { return stripes_[id % kLeaseStripes]; }
  const Stripe& StripeOf(hotkey::KeyId id) const { return stripes_[id % kLeaseStripes]; }
  Shard& ShardOf(hotkey::KeyId id) const { return shards_[id / kLeaseStripes % kLeaseShards]; }
  Missed Lead(Shard& shard, const Asker& asker) TG_REQUIRES(shard.mutex);
  Missed Join(Lease& lease, const Asker& asker);
  static Missed LeadAnew(Lease& lease, const Asker& asker);
  void Sweep(Shard& shard, int64_t now_ns) TG_REQUIRES(shard.mutex);
  enum class EndedBy : bool { kWrite, kFound };
  Ended End(hotkey::KeyId id, EndedBy by, int64_t now_ns);

  const std::unique_ptr<Stripe[]> stripes_;
  const std::unique_ptr<Shard[]> shards_;
  std::atomic<bool> used_{false};
  std::atomic<uint64_t> next_lease_{1};
  std::atomic<int64_t> waiters_{0};
};

}  // namespace tidegate
