// SimWorker: a worker without sockets. One thread with a few clients, which drives the engine as a
// session's worker does: batches, suspension, wake-ups through a mailbox, cancelled requests,
// background work between batches.
//
//   SimClient::Next ──> Execute ──kDone──> SimClient::OnReply
//                          └─kSuspended──> waits for Wake, then the same command again (or Cancel)
//
// Why not real sessions: thousands of interleavings a millisecond, under the thread sanitizer, with
// nothing between the commands and the engine. Commands come from a seeded generator, so the same
// seed sends the same commands; which thread runs when is the machine's choice.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/command.h"
#include "storage/engine.h"
#include "tests/support/resp_value.h"

namespace tidegate::testing {

using Words = std::vector<std::string>;
using Random = std::mt19937_64;

// What all workers of one run share.
struct SimWorld {
  SimWorld(Engine& engine_in, const CommandTable& table_in) : engine(engine_in), table(table_in) {}

  Engine& engine;
  const CommandTable& table;
  std::atomic<int64_t> now_ms{1'700'000'000'000};  // moves on while they run
  std::atomic<bool> stop{false};

  // The first failure ends the run; later ones are only counted.
  void Fail(std::string what);
  std::string failure();  // empty: none

 private:
  std::mutex mutex_;
  std::string failure_;
};

class SimClient {
 public:
  virtual ~SimClient() = default;
  // The database of its commands.
  virtual int db() const { return 0; }
  // The next command; empty: this client is done.
  virtual Words Next(Random& random) = 0;
  virtual void OnReply(const Words& sent, const RespValue& reply) = 0;
  // The client "left" while its command was suspended: the command has not been executed. Returns
  // whether that may be done to this client.
  virtual bool MayBeCancelled() const { return true; }
  virtual void OnCancelled(const Words& /*sent*/) {}

  // What the clock of the batch says in which the command is executed. Set by the worker.
  int64_t now_ms = 0;
};

class SimWorker final {
 public:
  SimWorker(SimWorld& world, int index, int worker_count, uint64_t seed);
  ~SimWorker();
  SimWorker(const SimWorker&) = delete;
  SimWorker& operator=(const SimWorker&) = delete;

  // Before Start().
  void Add(std::unique_ptr<SimClient> client);
  void Start();
  // Until all its clients are done, or the world stops.
  void Join();

  uint64_t executed() const { return executed_; }

 private:
  struct Seat;  // a client, and the command it has under way

  void Run();
  void RunBatch(Seat& seat);
  bool Execute(Seat& seat);
  void TakeWoken(bool wait);
  bool WakeLate();
  Seat* PickRunnable();
  static void Wake(void* self, uint64_t ticket);

  SimWorld& world_;
  const int index_;
  const int worker_count_;
  Random random_;
  EngineThread* engine_thread_;
  std::vector<std::unique_ptr<Seat>> seats_;
  OutputBlockPool pool_;
  std::thread thread_;
  uint64_t executed_ = 0;

  std::mutex mutex_;
  std::condition_variable woken_signal_;
  std::vector<uint64_t> woken_;
};

// The seed of this run: TIDEGATE_SEED, else a new one. Tests show it when they fail.
uint64_t SimSeed();

// Limits so small that values change their form all the time.
void MakeCollectionsSmall(EngineSettings& settings);

// A random test should send what the server understands: an error about the form fails it.
inline void FailIfMalformed(SimWorld& world, const Words& sent, const RespValue& reply) {
  if (reply.type != '-') return;
  const bool malformed = reply.text.find("syntax") != std::string::npos ||
                         reply.text.find("unknown") != std::string::npos ||
                         reply.text.find("wrong number") != std::string::npos;
  if (malformed) world.Fail(sent[0] + ": " + reply.text);
}

}  // namespace tidegate::testing
