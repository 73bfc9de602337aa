// Engine: locking, parking, the gate, expiry and eviction, driven by commands made for these tests.
#include "storage/engine.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/command_context.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr uint16_t kHeldSlot = 12182;  // of "foo"

ExecStatus Put(CommandContext& ctx) {
  Entry* existing = ctx.db().FindForWrite(ctx.key());
  const int64_t expire_at = ctx.argc() > 3 ? std::stoll(std::string(ctx.arg(3))) : kNoExpire;
  ctx.db().SetString(ctx.key(), existing, ctx.arg(2), expire_at);
  ctx.reply().Ok();
  return ExecStatus::kDone;
}
ExecStatus Fetch(CommandContext& ctx) {
  const Entry* entry = ctx.db().FindForRead(ctx.key());
  entry == nullptr ? ctx.reply().Null() : ctx.reply().Bulk(entry->value());
  return ExecStatus::kDone;
}
ExecStatus Many(CommandContext& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.keys().size()));
  return ExecStatus::kDone;
}
ExecStatus Hold(CommandContext& ctx) {
  EXPECT_TRUE(ctx.TryLockSlot(kHeldSlot));
  ctx.reply().Ok();
  return ExecStatus::kDone;
}
ExecStatus Release(CommandContext& ctx) {
  ctx.UnlockSlot(kHeldSlot);
  ctx.reply().Ok();
  return ExecStatus::kDone;
}
ExecStatus Wipe(CommandContext& ctx) {
  ctx.reply().Integer(
      static_cast<int64_t>(ctx.keyspace().Clear(ctx.thread(), -1, std::vector<bool>(16))));
  return ExecStatus::kDone;
}

constexpr CommandSpec Row(std::string_view name, Arity arity, KeyRange keys, Access access,
                          Scope scope, uint32_t flags, ExecStatus (*handler)(CommandContext&)) {
  return {.name = name,
          .arity = arity,
          .keys = keys,
          .access = access,
          .scope = scope,
          .flags = flags,
          .group = Group::kGeneric,
          .since = "1.0.0",
          .summary = "For this test.",
          .handler = handler};
}
constexpr CommandSpec kRows[] = {
    Row("FETCH", Exactly(2), {1, 1, 1}, Access::kRead, Scope::kOneKey, kFlagNone, Fetch),
    Row("HOLD", Exactly(1), {}, Access::kRead, Scope::kSlotBySlot, kFlagNone, Hold),
    Row("MANY", AtLeast(2), {1, -1, 1}, Access::kRead, Scope::kManyKeys, kFlagNone, Many),
    Row("PUT", AtLeast(3), {1, 1, 1}, Access::kWrite, Scope::kOneKey, kDenyOom, Put),
    Row("RELEASE", Exactly(1), {}, Access::kRead, Scope::kSlotBySlot, kFlagNone, Release),
    Row("WIPE", Exactly(1), {}, Access::kWrite, Scope::kWholeKeyspace, kFlagNone, Wipe),
};
static_assert(IsValidFamily(kRows));

// One client on one engine thread.
struct Client {
  Client(Engine& engine_in, const CommandTable& table_in, std::vector<uint64_t>& woken,
         uint64_t ticket)
      : engine(engine_in), table(table_in), thread(engine.AddThread(&Woken, &woken)) {
    state.ticket = ticket;
  }
  static void Woken(void* list, uint64_t ticket) {
    static_cast<std::vector<uint64_t>*>(list)->push_back(ticket);
  }

  // The reply, or "" when suspended.
  std::string Run(std::vector<std::string_view> words, int64_t now_ms = kNow) {
    engine.BeginTurn(thread);
    engine.BeginBatch(thread, now_ms);
    std::string reply = RunInBatch(std::move(words));
    engine.EndBatch(thread);
    return reply;
  }
  std::string RunInBatch(std::vector<std::string_view> words) {
    const Command* command = table.Find(words[0]);
    std::vector<int> indexes;
    EXPECT_TRUE(FindKeyArguments(*command->spec, words, indexes));
    std::vector<KeyRef> keys;
    for (const int i : indexes) keys.push_back(KeyRef::Of(words[static_cast<size_t>(i)]));
    const Request request{command, words, keys};
    OutputBuffer out(pool);
    ReplyWriter reply(out);
    if (engine.Execute(thread, request, state, reply) == ExecStatus::kSuspended) return "";
    OutputBuffer::Piece piece{};
    return out.Peek(&piece, 1) == 1 ? std::string(piece.data, piece.size) : "";
  }

  Engine& engine;
  const CommandTable& table;
  EngineThread& thread;
  ClientState state;
  OutputBlockPool pool;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : engine_(Engine::Create({}).value()) {
    const std::array<std::span<const CommandSpec>, 1> families = {kRows};
    table_ = CommandTable::Create(families);
    a_ = std::make_unique<Client>(*engine_, *table_, woken_, 1);
    b_ = std::make_unique<Client>(*engine_, *table_, woken_, 2);
  }

  std::vector<uint64_t> woken_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  std::unique_ptr<Client> a_;
  std::unique_ptr<Client> b_;
};

TEST_F(EngineTest, BusySlotParksAndUnlockWakes) {
  EXPECT_EQ(a_->Run({"HOLD"}), "+OK\r\n");
  EXPECT_EQ(b_->Run({"FETCH", "foo"}), "");
  EXPECT_EQ(b_->Run({"FETCH", "bar"}), "$-1\r\n");  // other slots are free
  EXPECT_TRUE(woken_.empty());
  EXPECT_EQ(a_->Run({"RELEASE"}), "+OK\r\n");
  EXPECT_EQ(woken_, std::vector<uint64_t>{2});
  EXPECT_EQ(b_->Run({"FETCH", "foo"}), "$-1\r\n");
  EXPECT_EQ(engine_->Stats().lock_parks, 1u);
}

TEST_F(EngineTest, ManyKeysHoldNothingWhenOneIsBusy) {
  a_->Run({"HOLD"});
  EXPECT_EQ(b_->Run({"MANY", "x", "foo", "y", "x"}), "");
  EXPECT_EQ(a_->Run({"MANY", "x", "y"}), ":2\r\n");
  a_->Run({"RELEASE"});
  EXPECT_EQ(b_->Run({"MANY", "x", "foo", "y", "x"}), ":4\r\n");
}

TEST_F(EngineTest, CancelledRequestIsNotWoken) {
  a_->Run({"HOLD"});
  EXPECT_EQ(b_->Run({"FETCH", "foo"}), "");
  engine_->Cancel(b_->thread, b_->state);
  a_->Run({"RELEASE"});
  EXPECT_TRUE(woken_.empty());
}

TEST_F(EngineTest, GateWaitsForOthersAndHoldsThemOff) {
  a_->Run({"PUT", "k", "v"});
  engine_->BeginBatch(a_->thread, kNow);
  EXPECT_EQ(b_->Run({"WIPE"}), "");
  EXPECT_EQ(a_->RunInBatch({"FETCH", "k"}), "$1\r\nv\r\n");  // a is inside and goes on
  EXPECT_TRUE(woken_.empty());
  engine_->EndBatch(a_->thread);
  EXPECT_EQ(woken_, std::vector<uint64_t>{2});
  EXPECT_EQ(a_->Run({"FETCH", "k"}), "");  // closed: a is parked
  EXPECT_EQ(b_->Run({"WIPE"}), ":1\r\n");
  EXPECT_EQ(woken_, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(a_->Run({"FETCH", "k"}), "$-1\r\n");
}

TEST_F(EngineTest, GateOpensWhenItsOwnerIsGone) {
  engine_->BeginBatch(a_->thread, kNow);
  EXPECT_EQ(b_->Run({"WIPE"}), "");
  engine_->EndBatch(a_->thread);
  EXPECT_EQ(a_->Run({"FETCH", "k"}), "");
  engine_->Cancel(b_->thread, b_->state);
  EXPECT_EQ(woken_.back(), 1u);
  EXPECT_EQ(a_->Run({"FETCH", "k"}), "$-1\r\n");
}

TEST_F(EngineTest, RequestThatKeepsLosingTakesTheGate) {
  a_->Run({"HOLD"});
  b_->state.rounds = kLockRoundsMax;
  EXPECT_EQ(b_->Run({"PUT", "other", "v"}), "+OK\r\n");
  EXPECT_EQ(b_->state.rounds, 0);
  EXPECT_EQ(engine_->Stats().gate_closings, 1u);
  a_->Run({"RELEASE"});
}

TEST_F(EngineTest, ExpiredKeyIsGoneForReaders) {
  a_->Run({"PUT", "k", "v", std::to_string(kNow + 100)});
  EXPECT_EQ(a_->Run({"FETCH", "k"}, kNow + 99), "$1\r\nv\r\n");
  EXPECT_EQ(a_->Run({"FETCH", "k"}, kNow + 100), "$-1\r\n");
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 0u);
  EXPECT_EQ(engine_->StatsOfDb(0).expires, 0u);
}

TEST_F(EngineTest, SweepRemovesWhatIsDueAndOnlyThat) {
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "{one}" + std::to_string(i);
    a_->Run({"PUT", key, "v", std::to_string(kNow + (i % 2 == 0 ? 1000 : 60'000))});
    a_->Run({"PUT", "spread" + std::to_string(i), "v",
             std::to_string(kNow + (i % 3 == 0 ? 1000 : 60'000))});
    a_->Run({"PUT", "stay" + std::to_string(i), "v"});
  }
  for (int step = 0; step < 4; ++step) {
    engine_->BackgroundStep(a_->thread, kNow + 2000, 0, 2, 50'000'000);
    engine_->BackgroundStep(b_->thread, kNow + 2000, 1, 2, 50'000'000);
  }
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 9000u - 1500 - 1000);
  EXPECT_EQ(engine_->StatsOfDb(0).expires, 6000u - 2500);
  EXPECT_EQ(engine_->Stats().expired_keys, 2500u);
  for (int step = 0; step < 4; ++step) {
    engine_->BackgroundStep(a_->thread, kNow + 70'000, 0, 2, 50'000'000);
    engine_->BackgroundStep(b_->thread, kNow + 70'000, 1, 2, 50'000'000);
  }
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 3000u);
}

TEST_F(EngineTest, SweepWithTinyBudgetGetsThroughABigSlot) {
  for (int i = 0; i < 5000; ++i)
    a_->Run({"PUT", "{one}" + std::to_string(i), "v", std::to_string(kNow + 10)});
  for (int step = 0; step < 2000 && engine_->StatsOfDb(0).keys > 0; ++step) {
    engine_->BackgroundStep(a_->thread, kNow + 5000, 0, 1, 1);
  }
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 0u);
}

TEST_F(EngineTest, MeanExpiryFollowsEveryChange) {
  const auto mean = [&] { return engine_->StatsOfDb(0).mean_expire_at_s - kNow / 1000; };
  a_->Run({"PUT", "stays", "v"});
  EXPECT_EQ(engine_->StatsOfDb(0).mean_expire_at_s, 0);
  a_->Run({"PUT", "a", "v", std::to_string(kNow + 10'000)});
  b_->Run({"PUT", "b", "v", std::to_string(kNow + 20'000)});
  EXPECT_EQ(mean(), 15);
  b_->Run({"PUT", "a", "w", std::to_string(kNow + 40'000)});  // written over in place
  EXPECT_EQ(mean(), 30);
  a_->Run({"PUT", "a", std::string(5000, 'x'), std::to_string(kNow + 60'000)});
  EXPECT_EQ(mean(), 40);
  a_->Run({"PUT", "absurd", "v", "9223372036854775807"});
  a_->Run({"PUT", "absurd", "v"});
  EXPECT_EQ(mean(), 40);
  a_->Run({"FETCH", "b"}, kNow + 30'000);  // expires
  EXPECT_EQ(mean(), 60);
  engine_->SwapDatabases(b_->thread, 0, 1);
  EXPECT_EQ(engine_->StatsOfDb(0).mean_expire_at_s, 0);
  EXPECT_EQ(engine_->StatsOfDb(1).mean_expire_at_s - kNow / 1000, 60);
  engine_->ClearDatabase(b_->thread, -1);
  EXPECT_EQ(engine_->StatsOfDb(1).mean_expire_at_s, 0);
  a_->Run({"PUT", "c", "v", std::to_string(kNow + 10'000)});
  EXPECT_EQ(mean(), 10);
}

TEST_F(EngineTest, FrozenDataHidesExpiredKeysWithoutRemovingThem) {
  a_->Run({"PUT", "k", "v", std::to_string(kNow + 100)});
  a_->Run({"PUT", "w", "v", std::to_string(kNow + 100)});
  engine_->settings().frozen_until_ms = kNow + 1000;
  EXPECT_EQ(a_->Run({"FETCH", "k"}, kNow + 200), "$-1\r\n");
  engine_->BackgroundStep(a_->thread, kNow + 200, 0, 1, 50'000'000);
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 2u);
  EXPECT_EQ(engine_->Stats().expired_keys, 0u);
  // A write that got in before the pause replaces the key, and does not stand beside it.
  a_->Run({"PUT", "w", "new"}, kNow + 200);
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 2u);
  EXPECT_EQ(a_->Run({"FETCH", "w"}, kNow + 200), "$3\r\nnew\r\n");
  EXPECT_EQ(a_->Run({"FETCH", "k"}, kNow + 1000), "$-1\r\n");
  EXPECT_EQ(engine_->StatsOfDb(0).keys, 1u);
}

TEST_F(EngineTest, LoweredMaxmemoryEvictsInTheBackground) {
  const std::string value(500, 'v');
  for (int i = 0; i < 2000; ++i) a_->Run({"PUT", "k" + std::to_string(i), value});
  engine_->settings().maxmemory_bytes = MemoryUsedBytes() - 400'000;
  EXPECT_FALSE(engine_->EvictInBackground(a_->thread, kNow)) << "noeviction: nothing to do";
  engine_->settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  engine_->settings().frozen_until_ms = kNow + 1000;
  EXPECT_FALSE(engine_->EvictInBackground(a_->thread, kNow)) << "nothing goes in a pause";
  EXPECT_EQ(engine_->Stats().evicted_keys, 0u);
  for (int step = 0; step < 1000; ++step) {
    engine_->BeginTurn(a_->thread);
    if (!engine_->EvictInBackground(a_->thread, kNow + 1000)) break;
  }
  EXPECT_LE(MemoryUsedBytes(), engine_->settings().maxmemory_bytes);
  EXPECT_GT(engine_->StatsOfDb(0).keys, 500u);
}

TEST_F(EngineTest, MaxmemoryRefusesOrEvicts) {
  const std::string value(500, 'v');
  engine_->settings().maxmemory_bytes = MemoryUsedBytes() + 400'000;
  int stored = 0;
  std::string reply;
  while ((reply = a_->Run({"PUT", "k" + std::to_string(stored), value})) == "+OK\r\n")
    ASSERT_LT(++stored, 10000);
  EXPECT_EQ(reply.substr(0, 4), "-OOM");
  EXPECT_GT(stored, 300);
  engine_->settings().maxmemory_policy = EvictionPolicy::kVolatileLru;
  EXPECT_EQ(a_->Run({"PUT", "x", value}).substr(0, 4), "-OOM");  // nothing is volatile
  engine_->settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  for (int i = 0; i < 2000; ++i)
    EXPECT_EQ(a_->Run({"PUT", "n" + std::to_string(i), value}), "+OK\r\n");
  EXPECT_GT(engine_->Stats().evicted_keys, 1000u);
  EXPECT_LE(MemoryUsedBytes(), engine_->settings().maxmemory_bytes + 2000);
}

}  // namespace
}  // namespace tidegate
