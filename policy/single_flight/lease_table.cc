#include "policy/single_flight/lease_table.h"

namespace tidegate {

LeaseTable::LeaseTable()
    : stripes_(std::make_unique<Stripe[]>(kLeaseStripes)),
      shards_(std::make_unique<Shard[]>(kLeaseShards)) {}

LeaseTable::Missed LeaseTable::Miss(const Asker& asker) {
  Shard& shard = ShardOf(asker.id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(asker.id);
  if (found == shard.leases.end()) return Lead(shard, asker);
  if (GenerationOf(asker.id) != asker.generation) return {.place = Place::kAgain};
  Lease& lease = found->second;
  if (lease.until_ns > asker.now_ns) return Join(lease, asker);
  return LeadAnew(lease, asker);
}

// Nobody has loaded it in time. Since when it is being loaded stays, so that a slow load is known
// for one.
LeaseTable::Missed LeaseTable::LeadAnew(Lease& lease, const Asker& asker) {
  if (asker.now_ns - lease.until_ns > kLateWriteNanosMax) lease.begun_ns = asker.now_ns;
  lease.leader = asker.client;
  lease.until_ns = asker.now_ns + asker.lease_ns;
  lease.is_early = asker.is_early;
  return {.place = Place::kLeads, .until_ns = lease.until_ns, .lease = lease.number};
}

LeaseTable::Missed LeaseTable::Lead(Shard& shard, const Asker& asker) {
  if (shard.leases.size() >= kLeasesPerShardMax) Sweep(shard, asker.now_ns);
  if (shard.leases.size() >= kLeasesPerShardMax) return {.place = Place::kPasses, .full = true};
  Stripe& stripe = StripeOf(asker.id);
  stripe.leases.fetch_add(1, std::memory_order_seq_cst);
  if (GenerationOf(asker.id) != asker.generation) {
    stripe.leases.fetch_sub(1, std::memory_order_seq_cst);
    return {.place = Place::kAgain};
  }
  const Lease lease{.number = next_lease_.fetch_add(1, std::memory_order_relaxed),
                    .leader = asker.client,
                    .until_ns = asker.now_ns + asker.lease_ns,
                    .begun_ns = asker.now_ns,
                    .is_early = asker.is_early};
  shard.leases.emplace(asker.id, lease);
  return {.place = Place::kLeads, .until_ns = lease.until_ns, .lease = lease.number};
}

LeaseTable::Missed LeaseTable::Join(Lease& lease, const Asker& asker) {
  lease.is_early = lease.is_early && asker.is_early;
  // Whoever loads a key must be able to say so.
  if (lease.leader == asker.client) return {.place = Place::kPasses};
  if (asker.may_wait) {
    if (lease.waiters >= kWaitersPerKeyMax || (!asker.is_waiter && !Wait()))
      return {.place = Place::kPasses, .full = true};
    lease.workers |= uint64_t{1} << asker.worker;
    ++lease.waiters;
  }
  return {.place = Place::kWaits, .until_ns = lease.until_ns, .lease = lease.number};
}

LeaseTable::Missed LeaseTable::TakeOver(const Asker& asker) {
  Shard& shard = ShardOf(asker.id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(asker.id);
  if (found == shard.leases.end()) return {.place = Place::kAgain};
  Lease& lease = found->second;
  if (lease.until_ns > asker.now_ns)
    return {.place = Place::kWaits, .until_ns = lease.until_ns, .lease = lease.number};
  return LeadAnew(lease, asker);
}

// Those that ended without a write stay until somebody needs their place: a write that comes late
// says how long the next one has to be.
void LeaseTable::Sweep(Shard& shard, int64_t now_ns) {
  for (auto it = shard.leases.begin(); it != shard.leases.end();) {
    if (it->second.until_ns <= now_ns && it->second.waiters == 0) {
      StripeOf(it->first).leases.fetch_sub(1, std::memory_order_seq_cst);
      it = shard.leases.erase(it);
    } else {
      ++it;
    }
  }
}

LeaseTable::Ended LeaseTable::Write(hotkey::KeyId id, int64_t now_ns) {
  StripeOf(id).generation.fetch_add(1, std::memory_order_seq_cst);
  return MayHave(id) ? End(id, EndedBy::kWrite, now_ns) : Ended{};
}

LeaseTable::Ended LeaseTable::Found(hotkey::KeyId id, int64_t now_ns) {
  return MayHave(id) ? End(id, EndedBy::kFound, now_ns) : Ended{};
}

LeaseTable::Ended LeaseTable::End(hotkey::KeyId id, EndedBy by, int64_t now_ns) {
  Shard& shard = ShardOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(id);
  if (found == shard.leases.end()) return {};
  if (by == EndedBy::kFound && found->second.is_early) return {};
  const Ended ended{.workers = found->second.workers, .load_ns = now_ns - found->second.begun_ns};
  shard.leases.erase(found);
  StripeOf(id).leases.fetch_sub(1, std::memory_order_seq_cst);
  return ended;
}

uint64_t LeaseTable::Abandon(hotkey::KeyId id, uint64_t client, int64_t now_ns) {
  Shard& shard = ShardOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(id);
  if (found == shard.leases.end() || found->second.leader != client) return 0;
  Lease& lease = found->second;
  lease.leader = 0;
  lease.until_ns = now_ns;
  lease.begun_ns = now_ns;  // how long its load would have taken nobody knows
  return lease.waiters > 0 ? lease.workers : 0;
}

bool LeaseTable::Has(hotkey::KeyId id, int64_t now_ns) const {
  if (!MayHave(id)) return false;
  Shard& shard = ShardOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(id);
  return found != shard.leases.end() && found->second.until_ns > now_ns;
}

bool LeaseTable::Leads(hotkey::KeyId id, uint64_t client, int64_t now_ns) {
  if (!MayHave(id)) return false;
  Shard& shard = ShardOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(id);
  return found != shard.leases.end() && found->second.leader == client &&
         found->second.until_ns > now_ns;
}

bool LeaseTable::Wait() {
  if (waiters_.fetch_add(1, std::memory_order_relaxed) < kWaitersMax) return true;
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void LeaseTable::Left(hotkey::KeyId id, uint64_t lease) {
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  LeftLease(id, lease);
}

void LeaseTable::LeftLease(hotkey::KeyId id, uint64_t lease) {
  if (lease == 0 || !MayHave(id)) return;
  Shard& shard = ShardOf(id);
  const MutexLock lock(shard.mutex);
  const auto found = shard.leases.find(id);
  if (found != shard.leases.end() && found->second.number == lease && found->second.waiters > 0)
    --found->second.waiters;
}

}  // namespace tidegate
