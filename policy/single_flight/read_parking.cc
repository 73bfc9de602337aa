#include "policy/single_flight/read_parking.h"

#include <algorithm>

namespace tidegate {
namespace {

void Count(std::atomic<uint64_t>& figure) { figure.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

ReadParking::Parked ReadParking::Missed(const ParkedKey& key, const ParkedRead& read,
                                        uint32_t generation, bool may_wait, int64_t now_ns) {
  FlightFigures& figures = key.counters->flight;
  const LeaseTable::Missed missed = leases_.Miss({.id = key.id,
                                                  .generation = generation,
                                                  .client = read.client,
                                                  .worker = worker_,
                                                  .now_ns = now_ns,
                                                  .lease_ns = key.lease_ns,
                                                  .may_wait = may_wait});
  switch (missed.place) {
    case LeaseTable::Place::kLeads:
      Count(figures.leases);
      return {.place = Place::kLeads};
    case LeaseTable::Place::kWaits:
      if (!may_wait) return {.place = Place::kWaits};
      return {.place = Place::kWaits, .number = Add(key, read, missed)};
    case LeaseTable::Place::kAgain:
      // The engine's client gets the nil that was true when it asked.
      if (read.is_here || !may_wait || !leases_.Wait()) return {};
      return {.place = Place::kWaits, .number = Add(key, read, {})};
    case LeaseTable::Place::kPasses:
      break;
  }
  if (missed.full) Count(figures.passed);
  return {};
}

ReadParking::Group& ReadParking::GroupOf(const ParkedKey& key) {
  Group& group = groups_[key.id];
  if (group.key == nullptr) group.key = std::make_shared<const ParkedKey>(key);
  return group;
}

uint64_t ReadParking::Add(const ParkedKey& key, const ParkedRead& read,
                          const LeaseTable::Missed& missed) {
  Group& group = GroupOf(key);
  const uint64_t number = next_number_++;
  reads_.emplace(number, Read{.read = read, .id = key.id});
  deadlines_.emplace(read.deadline_ns, number);
  ++group.reads;
  FlightFigures& figures = key.counters->flight;
  Count(figures.parked);
  figures.waiting.fetch_add(1, std::memory_order_relaxed);
  Wait(group, number, missed);
  ArmTick();
  return number;
}

// `missed.lease` 0: the key was written, so it is asked for.
void ReadParking::Wait(Group& group, uint64_t number, const LeaseTable::Missed& missed) {
  reads_.at(number).lease = missed.lease;
  group.waiting.push_back(number);
  if (missed.lease == 0) return Look(group);
  LookAt(group, missed.until_ns);
}

void ReadParking::LookAt(Group& group, int64_t at_ns) {
  if (group.look_ns == at_ns) return;
  if (group.look_ns != 0) looks_.erase({group.look_ns, group.key->id});
  group.look_ns = at_ns;
  if (at_ns != 0) looks_.emplace(at_ns, group.key->id);
  ArmTick();
}

void ReadParking::ArmTick() {
  int64_t next_ns = 0;
  if (!deadlines_.empty()) next_ns = deadlines_.begin()->first;
  if (!looks_.empty())
    next_ns = next_ns == 0 ? looks_.begin()->first : std::min(next_ns, looks_.begin()->first);
  // A tick that comes for nothing asks for the next one.
  if (next_ns == 0 || (tick_at_ns_ != 0 && tick_at_ns_ <= next_ns)) return;
  tick_at_ns_ = next_ns;
  host_.TickAt(next_ns);
}

void ReadParking::TellWritten(hotkey::KeyId id, int64_t /*now_ns*/) {
  const auto found = groups_.find(id);
  if (found != groups_.end()) Look(found->second);
}

void ReadParking::TellAbandoned(hotkey::KeyId id, int64_t now_ns) {
  const auto found = groups_.find(id);
  if (found != groups_.end()) TakeOver(found->second, now_ns);
}

void ReadParking::Look(Group& group) {
  LookAt(group, 0);
  std::deque<uint64_t> asking;
  std::deque<uint64_t> waiting;
  waiting.swap(group.waiting);
  const hotkey::KeyId id = group.key->id;
  for (const uint64_t number : waiting) {
    const auto read = reads_.find(number);
    if (read == reads_.end()) continue;
    if (read->second.read.is_here) {
      Finish(number, ParkEnd::kAgain);
    } else {
      asking.push_back(number);
    }
  }
  group.waiting = std::move(asking);
  if (!group.waiting.empty()) {
    to_ask_.insert(id);
    StepSoon();
  }
  Tidy(id);
}

// One question at a time: the next one comes behind its reply.
void ReadParking::Ask(Group& group) {
  if (group.is_asked) {
    group.ask_again = true;
    return;
  }
  group.asked.assign(group.waiting.begin(), group.waiting.end());
  group.waiting.clear();
  std::erase_if(group.asked, [this](uint64_t number) { return !reads_.contains(number); });
  if (group.asked.empty()) return Tidy(group.key->id);
  LookAt(group, 0);
  group.asked_generation = leases_.GenerationOf(group.key->id);
  group.is_asked = true;
  group.ask_again = false;
  if (host_.Read(*group.key, reads_.at(group.asked.front()).read.client)) return;
  group.is_asked = false;
  const hotkey::KeyId id = group.key->id;
  for (const uint64_t number : std::exchange(group.asked, {})) Finish(number, ParkEnd::kNil);
  Tidy(id);
}

void ReadParking::TakeReply(hotkey::KeyId id, std::string_view reply, bool is_nil, int64_t now_ns) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return;
  Group& group = found->second;
  group.is_asked = false;
  const std::vector<uint64_t> asked = std::exchange(group.asked, {});
  if (is_nil) {
    MissAgain(group, asked, now_ns);
  } else {
    const auto value = std::make_shared<const std::string>(reply);
    for (const uint64_t number : asked) Finish(number, ParkEnd::kValue, value);
  }
  if (group.ask_again && !group.waiting.empty()) {
    to_ask_.insert(id);
    StepSoon();
  }
  group.ask_again = false;
  Tidy(id);
}

// It was deleted again, or what was written was something else.
void ReadParking::MissAgain(Group& group, const std::vector<uint64_t>& numbers, int64_t now_ns) {
  for (const uint64_t number : numbers) {
    const auto read = reads_.find(number);
    if (read == reads_.end()) continue;
    leases_.LeftLease(group.key->id, std::exchange(read->second.lease, 0));
    LeaseTable::Asker asker =
        AskerFor(group, read->second.read.client, group.asked_generation, now_ns);
    asker.is_waiter = true;
    const LeaseTable::Missed missed = leases_.Miss(asker);
    if (missed.place == LeaseTable::Place::kWaits || missed.place == LeaseTable::Place::kAgain) {
      Wait(group, number, missed);
      continue;
    }
    const bool leads = missed.place == LeaseTable::Place::kLeads;
    if (leads) Count(group.key->counters->flight.leases);
    Finish(number, leads ? ParkEnd::kLeads : ParkEnd::kNil);
  }
}

LeaseTable::Asker ReadParking::AskerFor(const Group& group, uint64_t client, uint32_t generation,
                                        int64_t now_ns) const {
  return {.id = group.key->id,
          .generation = generation,
          .client = client,
          .worker = worker_,
          .now_ns = now_ns,
          .lease_ns = group.key->lease_ns};
}

uint64_t ReadParking::Oldest(Group& group) {
  while (!group.waiting.empty() && !reads_.contains(group.waiting.front()))
    group.waiting.pop_front();
  return group.waiting.empty() ? 0 : group.waiting.front();
}

void ReadParking::TakeOver(Group& group, int64_t now_ns) {
  LookAt(group, 0);
  const uint64_t number = Oldest(group);
  if (number == 0) return Tidy(group.key->id);
  const LeaseTable::Missed missed =
      leases_.TakeOver(AskerFor(group, reads_.at(number).read.client, 0, now_ns));
  if (missed.place == LeaseTable::Place::kAgain) return Look(group);
  LookAt(group, missed.until_ns);
  if (missed.place != LeaseTable::Place::kLeads) return;
  Count(group.key->counters->flight.promoted);
  Count(group.key->counters->flight.leases);
  const hotkey::KeyId id = group.key->id;
  group.waiting.pop_front();
  Finish(number, ParkEnd::kLeads);
  Tidy(id);
}

void ReadParking::Answer(uint64_t number) { Finish(number, ParkEnd::kNil); }

void ReadParking::Hasten(uint64_t number, int64_t deadline_ns) {
  const auto found = reads_.find(number);
  if (found == reads_.end() || found->second.read.deadline_ns <= deadline_ns) return;
  deadlines_.erase({found->second.read.deadline_ns, number});
  found->second.read.deadline_ns = deadline_ns;
  deadlines_.emplace(deadline_ns, number);
  ArmTick();
}

void ReadParking::Forget(uint64_t number) {
  if (!reads_.contains(number)) return;
  const hotkey::KeyId id = Remove(number).id;
  Tidy(id);
}

ReadParking::Read ReadParking::Remove(uint64_t number) {
  const auto found = reads_.find(number);
  const Read read = found->second;
  reads_.erase(found);
  deadlines_.erase({read.read.deadline_ns, number});
  leases_.Left(read.id, read.lease);
  Group& group = groups_.at(read.id);
  --group.reads;
  group.key->counters->flight.waiting.fetch_sub(1, std::memory_order_relaxed);
  return read;
}

void ReadParking::Finish(uint64_t number, ParkEnd end,
                         const std::shared_ptr<const std::string>& reply) {
  if (!reads_.contains(number)) return;
  const Read read = Remove(number);
  const std::shared_ptr<const ParkedKey>& key = groups_.at(read.id).key;
  FlightFigures& figures = key->counters->flight;
  if (end == ParkEnd::kValue || end == ParkEnd::kAgain) Count(figures.released);
  ends_.push_back({.read = read.read, .end = end, .key = key, .reply = reply});
  StepSoon();
}

// A group stays while somebody is asked for it, so that the reply finds it.
void ReadParking::Tidy(hotkey::KeyId id) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return;
  Group& group = found->second;
  Oldest(group);
  if (group.reads > 0 || group.is_asked) return;
  LookAt(group, 0);
  to_ask_.erase(id);
  groups_.erase(found);
}

void ReadParking::StepSoon() {
  if (steps_soon_) return;
  steps_soon_ = true;
  host_.StepSoon();
}

void ReadParking::Step(int64_t now_ns) {
  steps_soon_ = false;
  for (const hotkey::KeyId id : std::exchange(to_ask_, {})) {
    const auto group = groups_.find(id);
    if (group != groups_.end()) Ask(group->second);
  }
  size_t bytes = 0;
  for (size_t n = 0; n < kParkedEndsPerTurnMax && bytes < kParkedBytesPerTurnMax; ++n) {
    if (ends_.empty()) return;
    const Ending ending = std::move(ends_.front());
    ends_.pop_front();
    if (ending.reply != nullptr) bytes += ending.reply->size();
    Deliver(ending, now_ns);
  }
  if (!ends_.empty()) StepSoon();
}

// A lease that its client does not live to use goes to the next one.
void ReadParking::Deliver(const Ending& ending, int64_t now_ns) {
  const std::string_view reply =
      ending.reply == nullptr ? std::string_view() : std::string_view(*ending.reply);
  const bool heard = host_.End(ending.read, ending.end, *ending.key, reply);
  if (heard || ending.end != ParkEnd::kLeads) return;
  const uint64_t workers = leases_.Abandon(ending.key->id, ending.read.client, now_ns);
  if (workers != 0) host_.TellAbandoned(workers, ending.key->id);
}

void ReadParking::Tick(int64_t now_ns) {
  tick_at_ns_ = 0;
  while (!looks_.empty() && looks_.begin()->first <= now_ns) {
    const hotkey::KeyId id = looks_.begin()->second;
    TakeOver(groups_.at(id), now_ns);
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    const uint64_t number = deadlines_.begin()->second;
    const Read& read = reads_.at(number);
    const hotkey::KeyId id = read.id;
    Count(groups_.at(id).key->counters->flight.timed_out);
    Finish(number, read.read.wants_error ? ParkEnd::kError : ParkEnd::kNil);
    Tidy(id);
  }
  ArmTick();
}

}  // namespace tidegate
