#include "tests/support/sim_worker.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "storage/blocking.h"
#include "storage/request.h"

namespace tidegate::testing {
namespace {

constexpr size_t kBatchCommandsMax = 16;
constexpr int64_t kBackgroundNanos = 200'000;
// A lost wake-up would leave a client waiting for ever: after so many looks the run fails instead.
// Looks and not seconds, because the machine may stop the whole process for a while.
constexpr std::chrono::milliseconds kLookInterval{10};
constexpr int kLooksMax = 3000;

std::string TakeText(OutputBuffer& out) {
  std::string text;
  while (!out.empty()) {
    OutputBuffer::Piece piece{};
    TG_CHECK(out.Peek(&piece, 1) == 1);
    text.append(piece.data, piece.size);
    out.Consume(piece.size);
  }
  return text;
}

}  // namespace

void SimWorld::Fail(std::string what) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = std::move(what);
  stop = true;
}

std::string SimWorld::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

struct SimWorker::Seat {
  std::unique_ptr<SimClient> client;
  ClientState state;
  Words words;
  std::vector<std::string_view> args;
  std::vector<KeyRef> keys;
  Request request;
  bool suspended = false;
  bool done = false;

  // Whether it waits in a blocking command whose time is up; a session has a timer for that.
  bool TimeIsUp(int64_t now_ms) const {
    return suspended && state.blocked != nullptr && state.blocked->deadline_ms != 0 &&
           now_ms >= state.blocked->deadline_ms;
  }

  // Makes the next command ready; false: there is none.
  bool Prepare(const CommandTable& table, Random& random) {
    words = client->Next(random);
    if (words.empty()) return false;
    args.assign(words.begin(), words.end());
    const Command* command = table.Find(args[0]);
    TG_CHECK(command != nullptr && command->spec->arity.Accepts(args.size()));
    if (command->is_container()) command = CommandTable::FindSubcommand(*command, args[1]);
    TG_CHECK(command != nullptr);
    std::vector<int> positions;
    TG_CHECK(FindKeyArguments(*command->spec, args, positions));
    keys.clear();
    for (const int position : positions)
      keys.push_back(KeyRef::Of(args[static_cast<size_t>(position)]));
    request = {.command = command, .args = args, .keys = keys};
    return true;
  }
};

SimWorker::SimWorker(SimWorld& world, int index, int worker_count, uint64_t seed)
    : world_(world),
      index_(index),
      worker_count_(worker_count),
      random_(seed + static_cast<uint64_t>(index)),
      engine_thread_(&world.engine.AddThread(&SimWorker::Wake, this)) {}

SimWorker::~SimWorker() { TG_CHECK(!thread_.joinable()); }

void SimWorker::Add(std::unique_ptr<SimClient> client) {
  auto seat = std::make_unique<Seat>();
  seat->client = std::move(client);
  seat->state.ticket = seats_.size();
  seat->state.db = seat->client->db();
  seats_.push_back(std::move(seat));
}

void SimWorker::Start() {
  thread_ = std::thread([this] { Run(); });
}

void SimWorker::Join() { thread_.join(); }

void SimWorker::Wake(void* self, uint64_t ticket) {
  auto* worker = static_cast<SimWorker*>(self);
  const std::lock_guard lock(worker->mutex_);
  worker->woken_.push_back(ticket);
  worker->woken_signal_.notify_one();
}

void SimWorker::Run() {
  while (!world_.stop) {
    TakeWoken(false);
    if (Seat* seat = PickRunnable()) {
      RunBatch(*seat);
    } else if (std::all_of(seats_.begin(), seats_.end(), [](const auto& s) { return s->done; })) {
      break;
    } else {
      TakeWoken(true);
    }
    world_.engine.StepAbandoned(*engine_thread_, world_.now_ms);
    if (random_() % 8 == 0) {
      world_.engine.BackgroundStep(*engine_thread_, world_.now_ms, index_, worker_count_,
                                   kBackgroundNanos);
    }
  }
  for (auto& seat : seats_) {
    if (seat->suspended) world_.engine.Cancel(*engine_thread_, seat->state);
  }
  world_.engine.FinishAbandoned(*engine_thread_, world_.now_ms);
}

SimWorker::Seat* SimWorker::PickRunnable() {
  const size_t first = random_() % seats_.size();
  for (size_t i = 0; i < seats_.size(); ++i) {
    Seat& seat = *seats_[(first + i) % seats_.size()];
    if (!seat.done && !seat.suspended) return &seat;
  }
  return nullptr;
}

void SimWorker::RunBatch(Seat& seat) {
  const size_t commands = 1 + random_() % kBatchCommandsMax;
  seat.client->now_ms = world_.now_ms;
  world_.engine.BeginBatch(*engine_thread_, seat.client->now_ms);
  for (size_t i = 0; i < commands && !seat.done; ++i) {
    if (!Execute(seat)) break;
  }
  world_.engine.EndBatch(*engine_thread_);
  // Now and then a client leaves while its command waits.
  if (seat.suspended && seat.client->MayBeCancelled() && random_() % 32 == 0) {
    world_.engine.Cancel(*engine_thread_, seat.state);
    seat.suspended = false;
    seat.client->OnCancelled(seat.words);
    seat.words.clear();
  }
}

// One command, new or the one that was suspended. False: the batch ends here.
bool SimWorker::Execute(Seat& seat) {
  if (seat.words.empty() && !seat.Prepare(world_.table, random_)) {
    seat.done = true;
    return false;
  }
  OutputBuffer out(pool_);
  ReplyWriter reply(out);
  if (world_.engine.Execute(*engine_thread_, seat.request, seat.state, reply) ==
      ExecStatus::kSuspended) {
    if (!out.empty()) world_.Fail("a suspended command wrote a reply: " + seat.words[0]);
    seat.suspended = true;
    return false;
  }
  const RespValue value = ParseResp(TakeText(out));
  if (value.type == 0) world_.Fail("no whole reply to " + seat.words[0]);
  const Words words = std::exchange(seat.words, {});
  seat.client->OnReply(words, value);
  ++executed_;
  return true;
}

bool SimWorker::WakeLate() {
  bool late = false;
  for (auto& seat : seats_) {
    if (!seat->TimeIsUp(world_.now_ms)) continue;
    seat->suspended = false;
    late = true;
  }
  return late;
}

void SimWorker::TakeWoken(bool wait) {
  std::vector<uint64_t> woken;
  {
    std::unique_lock lock(mutex_);
    for (int looks = 0; !WakeLate() && wait && woken_.empty() && !world_.stop; ++looks) {
      woken_signal_.wait_for(lock, kLookInterval);
      if (looks > kLooksMax) return world_.Fail("a suspended client was never woken");
    }
    woken.swap(woken_);
  }
  for (const uint64_t ticket : woken) seats_[ticket]->suspended = false;
}

void MakeCollectionsSmall(EngineSettings& settings) {
  settings.hash_listpack_entries_max = 6;
  settings.set_listpack_entries_max = 6;
  settings.set_intset_entries_max = 4;
  settings.zset_listpack_entries_max = 6;
  settings.list_listpack_size = 4;
  settings.stream_node_entries_max = 3;
}

uint64_t SimSeed() {
  const char* text = std::getenv("TIDEGATE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
}

}  // namespace tidegate::testing
