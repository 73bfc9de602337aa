// Reads that wait for one another's load, in virtual time: two workers, a store, clients that read,
// write, delete, go away and have many requests under way, applications that load what they miss
// (or die over it). One seed is one interleaving; TIDEGATE_SEED replays one, TIDEGATE_INTERLEAVINGS
// says how many are run.
//
// What holds: each client gets each reply once, in order and in time; what a GET says was true at
// some moment between its being sent and its being answered; one leader at a time; nobody waits to
// the end for a key that is there; in the end nothing is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "policy/single_flight/lease_table.h"
#include "policy/single_flight/read_parking.h"
#include "tests/support/sim_worker.h"

namespace tidegate {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLease = 40 * kMs;
constexpr int64_t kWait = 100 * kMs;
constexpr int64_t kHop = 2 * kMs;  // longest way between two places
constexpr int kWorkers = 2;
constexpr int kKeys = 2;

using Value = std::optional<int>;

struct Reply {
  bool done = false;
  bool is_get = false;
  Value value;
  int key = 0;
  int64_t sent_ns = 0;
};

struct Client {
  int worker = 0;
  bool gone = false;
  std::vector<Reply> replies;
  size_t next = 0;                      // whose turn it is to be given
  std::map<uint32_t, uint64_t> parked;  // sequence -> number
  std::vector<int> leads;
};

class World;

class Host final : public ReadParkingHost {
 public:
  Host(World& world, LeaseTable& leases, int worker)
      : parking(leases, *this, worker), world_(world), worker_(worker) {}

  ReadParking parking;

 private:
  bool Read(const ParkedKey& key, uint64_t client) override;
  bool End(const ParkedRead& read, ParkEnd end, const ParkedKey& key,
           std::string_view reply) override;
  void TellAbandoned(uint64_t workers, hotkey::KeyId id) override;
  void StepSoon() override;
  void TickAt(int64_t at_ns) override;

  World& world_;
  const int worker_;
};

class World final {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    for (int i = 0; i < kWorkers; ++i) hosts_.push_back(std::make_unique<Host>(*this, leases_, i));
    for (int key = 0; key < kKeys; ++key) history_[key].push_back({0, std::nullopt});
    multiplexed_ = Chance(50);
    const int clients = multiplexed_ ? 3 : 8;
    for (int i = 0; i < clients; ++i) {
      clients_.emplace_back();
      clients_.back().worker = i % kWorkers;
    }
  }

  std::string Run() {
    for (size_t client = 0; client < clients_.size(); ++client) Act(client, 12);
    while (!events_.empty() && fault_.empty()) {
      const auto first = events_.begin();
      now_ns_ = first->first.first;
      const std::function<void()> event = std::move(first->second);
      events_.erase(first);
      event();
    }
    if (!fault_.empty()) return fault_;
    for (const Client& client : clients_) {
      if (!client.gone && client.next != client.replies.size()) return "a reply never came";
    }
    for (const auto& host : hosts_) {
      if (!host->parking.idle()) return "something is left on a worker";
    }
    if (leases_.waiters() != 0) return "waiters are counted that are not there";
    if (counters_.flight.waiting.load() != 0) return "the gauge of waiters is not zero";
    return "";
  }

  // --- for hosts ---
  int64_t now_ns() const { return now_ns_; }
  Host& host(int worker) { return *hosts_[static_cast<size_t>(worker)]; }
  void At(int64_t at_ns, std::function<void()> event) {
    events_.emplace(std::pair(std::max(at_ns, now_ns_), ++order_), std::move(event));
  }
  void Later(std::function<void()> event) { At(now_ns_ + Random(kHop), std::move(event)); }
  void Tell(uint64_t workers, hotkey::KeyId id, bool abandoned) {
    for (int i = 0; i < kWorkers; ++i) {
      if ((workers >> i & 1) == 0) continue;
      Later([this, i, id, abandoned] {
        if (abandoned) {
          host(i).parking.TellAbandoned(id, now_ns_);
        } else {
          host(i).parking.TellWritten(id, now_ns_);
        }
      });
    }
  }
  // A worker asks for a key, on behalf of those who wait.
  void ReadFor(int worker, hotkey::KeyId id) {
    Later([this, worker, id] {
      const Value value = Now(static_cast<int>(id));
      Later([this, worker, id, value] {
        const std::string text = value ? std::to_string(*value) : "";
        host(worker).parking.TakeReply(id, text, !value, now_ns_);
      });
    });
  }
  bool End(const ParkedRead& read, ParkEnd end, hotkey::KeyId id, std::string_view reply) {
    Client& client = clients_[read.client - 1];
    if (client.gone) return false;
    const int key = static_cast<int>(id);
    if (client.parked.erase(read.sequence) == 0) Fail("a read ended twice");
    if (now_ns_ > client.replies[read.sequence].sent_ns + kWait + 8 * kHop)
      Fail("a client waited longer than it may");
    if (end == ParkEnd::kLeads) Lead(read.client - 1, key);
    if (end == ParkEnd::kValue) {
      Answer(read.client - 1, read.sequence, std::stoi(std::string(reply)));
    } else {
      const bool is_late = end == ParkEnd::kNil && read.deadline_ns <= now_ns_;
      if (is_late || end == ParkEnd::kLeads) CheckNil(key);
      Answer(read.client - 1, read.sequence, std::nullopt);
    }
    return true;
  }

 private:
  struct Version {
    int64_t at_ns;
    Value value;
  };

  int64_t Random(int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(random_);
  }
  bool Chance(int percent) { return Random(100) < percent; }
  void Fail(const std::string& fault) {
    if (fault_.empty()) fault_ = fault;
  }
  Value Now(int key) { return history_[key].back().value; }
  void Change(int key, Value value) { history_[key].push_back({now_ns_, value}); }

  void Act(size_t client, int left) {
    if (left == 0) return;
    At(now_ns_ + Random(60 * kMs), [this, client, left] {
      Client& self = clients_[client];
      if (self.gone) return;
      const int sends = multiplexed_ || Chance(30) ? 1 + static_cast<int>(Random(4)) : 1;
      // A client of a pool says the next thing when it has its replies.
      if (!multiplexed_ && self.next != self.replies.size()) return Act(client, left);
      for (int i = 0; i < sends; ++i) Send(client);
      if (Chance(3)) Leave(client);
      Act(client, left - 1);
    });
  }

  void Send(size_t client) {
    const int key = static_cast<int>(Random(kKeys));
    const int64_t dice = Random(100);
    if (dice < 75) return Get(client, key);
    if (dice < 88) return Write(client, key, static_cast<int>(++values_));
    Write(client, key, std::nullopt);
  }

  uint32_t Place(size_t client, int key, bool is_get) {
    Client& self = clients_[client];
    self.replies.push_back({.is_get = is_get, .value = {}, .key = key, .sent_ns = now_ns_});
    return static_cast<uint32_t>(self.replies.size() - 1);
  }

  // Events of one client reach the store, and their replies the worker, in order.
  void Forward(size_t client, std::function<void()> at_store, std::function<void()> at_worker) {
    int64_t& out = out_ns_[client];
    out = std::max(out + 1, now_ns_ + Random(kHop));
    At(out, [this, client, at_store = std::move(at_store), at_worker = std::move(at_worker)] {
      at_store();
      int64_t& in = in_ns_[client];
      in = std::max(in + 1, now_ns_ + Random(kHop));
      At(in, at_worker);
    });
  }

  void Get(size_t client, int key) {
    const uint32_t sequence = Place(client, key, true);
    const uint32_t generation = leases_.GenerationOf(static_cast<uint64_t>(key));
    auto value = std::make_shared<Value>();
    Forward(
        client, [this, key, value] { *value = Now(key); },
        [this, client, key, sequence, generation, value] {
          if (clients_[client].gone) return;
          if (*value) {
            AnswerOwn(client, key);
            Tell(leases_.Found(static_cast<uint64_t>(key), now_ns_).workers,
                 static_cast<uint64_t>(key), false);
            ended_[static_cast<size_t>(key)] = true;
            return Answer(client, sequence, *value);
          }
          Missed(client, key, sequence, generation);
        });
  }

  void Missed(size_t client, int key, uint32_t sequence, uint32_t generation) {
    Client& self = clients_[client];
    const bool is_short = self.replies.size() - self.next > 8;
    const ReadParking::Parked parked =
        host(self.worker)
            .parking.Missed(
                {.id = static_cast<uint64_t>(key), .lease_ns = kLease, .counters = &counters_},
                {.client = client + 1,
                 .sequence = sequence,
                 .deadline_ns = now_ns_ + (is_short ? 20 * kMs : kWait)},
                generation, true, now_ns_);
    if (parked.place == ReadParking::Place::kWaits) {
      self.parked[sequence] = parked.number;
      return;
    }
    if (parked.place == ReadParking::Place::kLeads) Lead(client, key);
    Answer(client, sequence, std::nullopt);
  }

  void Write(size_t client, int key, Value value) {
    const uint32_t sequence = Place(client, key, false);
    AnswerOwn(client, key);
    Forward(
        client, [this, key, value] { Change(key, value); },
        [this, client, key, sequence, value] {
          if (value) NoteWritten(key);
          if (!clients_[client].gone) Answer(client, sequence, std::nullopt);
        });
  }

  void NoteWritten(int key) {
    ended_[static_cast<size_t>(key)] = true;
    const auto id = static_cast<uint64_t>(key);
    Tell(leases_.Write(id, now_ns_).workers, id, false);
  }

  void AnswerOwn(size_t client, int key) {
    Client& self = clients_[client];
    for (const auto& [sequence, number] : self.parked) {
      if (self.replies[sequence].key == key) host(self.worker).parking.Answer(number);
    }
  }

  void Lead(size_t client, int key) {
    const auto place = static_cast<size_t>(key);
    if (!ended_[place] && lease_until_ns_[place] > now_ns_) Fail("two clients load one key");
    ended_[place] = false;
    lease_until_ns_[place] = now_ns_;  // it began at some time before, and this is told late
    if (leases_.Leads(static_cast<uint64_t>(key), client + 1, now_ns_))
      lease_until_ns_[place] = now_ns_ + kLease / 2;
    clients_[client].leads.push_back(key);
    // The application: loads, through any connection, or dies over it.
    if (Chance(25)) {
      if (Chance(30)) Leave(client);
      return;
    }
    At(now_ns_ + Random(80 * kMs), [this, key] {
      const auto by = static_cast<size_t>(Random(static_cast<int64_t>(clients_.size())));
      if (!clients_[by].gone) Write(by, key, static_cast<int>(++values_));
    });
  }

  void Leave(size_t client) {
    Client& self = clients_[client];
    if (self.gone) return;
    self.gone = true;
    for (const auto& [sequence, number] : self.parked) host(self.worker).parking.Forget(number);
    self.parked.clear();
    for (const int key : self.leads) {
      const auto id = static_cast<uint64_t>(key);
      if (leases_.Leads(id, client + 1, now_ns_)) ended_[static_cast<size_t>(key)] = true;
      Tell(leases_.Abandon(id, client + 1, now_ns_), id, true);
    }
  }

  void Answer(size_t client, uint32_t sequence, Value value) {
    Client& self = clients_[client];
    Reply& reply = self.replies[sequence];
    if (reply.done) return Fail("a request was answered twice");
    reply.done = true;
    reply.value = value;
    if (reply.is_get && !WasTrue(reply, value)) Fail("a GET was told what was never so");
    while (self.next < self.replies.size() && self.replies[self.next].done) ++self.next;
  }

  bool WasTrue(const Reply& reply, Value value) {
    const std::vector<Version>& versions = history_[reply.key];
    for (size_t i = 0; i < versions.size(); ++i) {
      const bool began = versions[i].at_ns <= now_ns_;
      const bool lasted = i + 1 == versions.size() || versions[i + 1].at_ns >= reply.sent_ns;
      if (began && lasted && versions[i].value == value) return true;
    }
    return false;
  }

  // Told nil after a wait: the key must not have been there for long.
  void CheckNil(int key) {
    const Version& last = history_[key].back();
    if (last.value && last.at_ns < now_ns_ - 8 * kHop)
      Fail("a client was told nil of a key that it should have been woken for");
  }

  std::mt19937_64 random_;
  LeaseTable leases_;
  PolicyCounters counters_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Client> clients_;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> events_;
  std::map<size_t, int64_t> out_ns_;
  std::map<size_t, int64_t> in_ns_;
  std::map<int, std::vector<Version>> history_;
  std::vector<bool> ended_ = std::vector<bool>(kKeys, true);
  std::vector<int64_t> lease_until_ns_ = std::vector<int64_t>(kKeys, 0);
  std::string fault_;
  bool multiplexed_ = false;
  int64_t now_ns_ = 1;
  uint64_t order_ = 0;
  uint64_t values_ = 0;
};

bool Host::Read(const ParkedKey& key, uint64_t /*client*/) {
  world_.ReadFor(worker_, key.id);
  return true;
}

bool Host::End(const ParkedRead& read, ParkEnd end, const ParkedKey& key, std::string_view reply) {
  return world_.End(read, end, key.id, reply);
}

void Host::TellAbandoned(uint64_t workers, hotkey::KeyId id) { world_.Tell(workers, id, true); }

void Host::StepSoon() {
  world_.At(world_.now_ns(), [this] { parking.Step(world_.now_ns()); });
}

void Host::TickAt(int64_t at_ns) {
  world_.At(at_ns, [this] { parking.Tick(world_.now_ns()); });
}

uint64_t Interleavings() {
  constexpr uint64_t kUsual = 3000;
  const char* text = std::getenv("TIDEGATE_INTERLEAVINGS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : kUsual;
}

TEST(FlightSim, EveryInterleavingAnswersInOrderAndInTime) {
  const bool replays = std::getenv("TIDEGATE_SEED") != nullptr;
  const uint64_t first = testing::SimSeed();
  const uint64_t count = replays ? 1 : Interleavings();
  for (uint64_t i = 0; i < count; ++i) {
    const std::string fault = World(first + i).Run();
    ASSERT_EQ(fault, "") << "TIDEGATE_SEED=" << first + i;
  }
}

}  // namespace
}  // namespace tidegate
