// Nobody reads something older than what was written and acknowledged through this process, on
// whichever connection, while replicas are late by chance and lose their links: clients write
// numbers that grow, each its own key, and all read all keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "tests/support/fake_replica_set.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr size_t kWriters = 3;
constexpr int kWritesOfEach = 12;
constexpr int kReadsBetweenMax = 200;

std::string KeyOf(size_t writer) { return "counter:" + std::to_string(writer); }

class FanoutSim final {
 public:
  explicit FanoutSim(unsigned seed)
      : seed_(seed),
        set_(2, seed),
        server_(ProxyCommandFamilies(), set_.InFront({.said = true,
                                                      .mode = PolicyMode::kEnforce,
                                                      .hot = false,
                                                      .patterns = {"counter:*"}})) {}

  int64_t ReadsOfReplicas() { return set_.reads(1) + set_.reads(2); }
  FakeReplicaSet& set() { return set_; }
  const std::vector<std::string>& wrong() const { return wrong_; }

  // What one read gives; -1: an error.
  static int64_t Read(TestClient& client, const std::string& key) {
    client.Send("GET " + key + "\r\n");
    std::string reply;
    while (reply.empty() || std::count(reply.begin(), reply.end(), '\n') < LinesOf(reply)) {
      const std::string more = client.ReadSome(30'000);
      if (more.empty()) return -1;
      reply += more;
    }
    if (reply.starts_with("$-1")) return 0;
    if (reply.front() != '$') return -1;
    return std::atoll(reply.c_str() + reply.find('\n') + 1);
  }

  void RunWriter(size_t writer) {
    std::mt19937 random(seed_ + static_cast<unsigned>(writer) + 1);
    TestClient writes(server_.port());
    TestClient reads(server_.port());
    for (int64_t n = 1; n <= kWritesOfEach; ++n) {
      const std::string ok = "+OK\r\n";
      writes.Send("SET " + KeyOf(writer) + " " + std::to_string(n) + "\r\n");
      if (writes.Read(ok.size(), 30'000) != ok) return Wrong("a write failed");
      acknowledged_[writer].store(n);
      const int count = 1 + static_cast<int>(random() % kReadsBetweenMax);
      for (int i = 0; i < count; ++i) {
        const size_t other = random() % kWriters;
        const int64_t least = acknowledged_[other].load();
        const int64_t got = Read(random() % 2 == 0 ? reads : writes, KeyOf(other));
        if (got < least)
          return Wrong(KeyOf(other) + ": " + std::to_string(got) + " after " +
                       std::to_string(least));
      }
    }
  }

  bool Begin() {
    return Eventually([&] {
      TestClient client(server_.port());
      client.Send("SET counter:none 0\r\n");
      return client.ReadSome() == "+OK\r\n";
    });
  }

  // Replicas are late, and one of them loses its link now and then, until the writers are through.
  void Run() {
    std::atomic<size_t> running{kWriters};
    std::vector<std::thread> writers;
    for (size_t i = 0; i < kWriters; ++i) {
      writers.emplace_back([this, i, &running] {
        RunWriter(i);
        running.fetch_sub(1);
      });
    }
    std::mt19937 random(seed_);
    while (running.load() > 0) {
      set_.SetApplying(static_cast<int>(random() % 4) * 25);
      set_.SetLinkUp(1 + random() % 2, random() % 4 != 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (std::thread& writer : writers) writer.join();
  }

  // With replicas that are well again.
  bool EndsFannedOut() {
    set_.SetApplying(100);
    set_.SetLinkUp(1, true);
    set_.SetLinkUp(2, true);
    const int64_t before = ReadsOfReplicas();
    TestClient client(server_.port());
    return Eventually([&] {
      for (size_t i = 0; i < kWriters; ++i) {
        if (Read(client, KeyOf(i)) != kWritesOfEach) Wrong("the last write is gone");
      }
      return ReadsOfReplicas() > before;
    });
  }

 private:
  static int64_t LinesOf(const std::string& reply) {
    return reply.front() == '$' && !reply.starts_with("$-1") ? 2 : 1;
  }
  void Wrong(const std::string& what) {
    const std::lock_guard lock(mutex_);
    wrong_.push_back(what);
  }

  const unsigned seed_;
  FakeReplicaSet set_;
  TestServer server_;
  std::array<std::atomic<int64_t>, kWriters> acknowledged_{};
  std::mutex mutex_;
  std::vector<std::string> wrong_;
};

TEST(ReplicaFanoutSim, NobodyReadsOlderThanWhatWasAcknowledged) {
  const char* const given = std::getenv("TIDEGATE_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("TIDEGATE_SEED=" + std::to_string(seed));
  FanoutSim sim(seed);
  ASSERT_TRUE(sim.Begin());
  sim.Run();
  EXPECT_TRUE(sim.EndsFannedOut());
  EXPECT_EQ(sim.wrong(), std::vector<std::string>());
}

}  // namespace
}  // namespace tidegate
