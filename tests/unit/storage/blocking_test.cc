// Blocked requests: nothing is served twice, lost or overtaken, whoever pushes, times out or
// leaves. The commands are made up for the test: a "box" is a string key that holds one thing.
#include "storage/blocking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "storage/command_context.h"
#include "storage/engine_thread.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// PUT box thing: refused while the box is full.
ExecStatus CmdPut(CommandContext& ctx) {
  if (ctx.db().FindForWrite(ctx.key()) != nullptr) return ctx.Fail("ERR full");
  ctx.db().SetString(ctx.key(), nullptr, ctx.arg(2), kNoExpire);
  ctx.db().SignalReady(ctx.key());
  ctx.reply().Ok();
  return ExecStatus::kDone;
}

// The first of the keys that may be looked at and holds something.
const KeyRef* FirstFull(CommandContext& ctx, std::span<const KeyRef> keys) {
  for (const KeyRef& key : keys) {
    if (ctx.served_key() != nullptr && ctx.served_key()->name != key.name) continue;
    if (ctx.db().Peek(key) != nullptr) return &key;
  }
  return nullptr;
}

// TAKE box … timeout_ms: what is in the first full one.
ExecStatus CmdTake(CommandContext& ctx) {
  const KeyRef* full = FirstFull(ctx, ctx.keys());
  if (full == nullptr)
    return ctx.Block(ctx.keys(), *ctx.IntegerArg(ctx.argc() - 1), TimeoutReply::kNullArray);
  ReplyString(ctx.reply(), *ctx.db().Peek(*full));
  ctx.db().Delete(*full);
  return ExecStatus::kDone;
}

// CARRY from to timeout_ms: moves the thing to another box.
ExecStatus CmdCarry(CommandContext& ctx) {
  const std::span<const KeyRef> from = ctx.keys().first(1);
  if (FirstFull(ctx, from) == nullptr)
    return ctx.Block(from, *ctx.IntegerArg(3), TimeoutReply::kNull, &ctx.key(1));
  std::string thing;
  thing = StringContents(*ctx.db().Peek(ctx.key()), thing);
  ctx.db().Delete(ctx.key());
  Entry* target = ctx.db().FindForWrite(ctx.key(1));
  ctx.db().SetString(ctx.key(1), target, thing, kNoExpire);
  ctx.db().SignalReady(ctx.key(1));
  ctx.reply().Bulk(thing);
  return ExecStatus::kDone;
}

constexpr CommandSpec kBoxCommands[] = {
    {.name = "CARRY",
     .arity = Exactly(4),
     .keys = {1, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .group = Group::kGeneric,
     .since = "0.0.0",
     .summary = "For the test.",
     .handler = CmdCarry},
    {.name = "PUT",
     .arity = Exactly(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .group = Group::kGeneric,
     .since = "0.0.0",
     .summary = "For the test.",
     .handler = CmdPut},
    {.name = "TAKE",
     .arity = AtLeast(3),
     .keys = {1, -2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .group = Group::kGeneric,
     .since = "0.0.0",
     .summary = "For the test.",
     .handler = CmdTake},
};

// One client on a thread of the engine.
class Client final {
 public:
  Client(Engine& engine, EngineThread& thread, const CommandTable& table, uint64_t ticket)
      : engine_(engine), thread_(thread), table_(table), out_(pool_), reply_(out_) {
    client_.ticket = ticket;
  }

  // Begins a command, or (no words) executes the suspended one again. False: suspended.
  bool Run(std::vector<std::string> words, int64_t now_ms) {
    if (!words.empty()) {
      words_ = std::move(words);
      args_.assign(words_.begin(), words_.end());
      keys_.clear();
      std::vector<int> positions;
      FindKeyArguments(*table_.Find(args_[0])->spec, args_, positions);
      for (const int i : positions) keys_.push_back(KeyRef::Of(args_[static_cast<size_t>(i)]));
    }
    engine_.BeginBatch(thread_, now_ms);
    const ExecStatus status = engine_.Execute(
        thread_, {.command = table_.Find(args_[0]), .args = args_, .keys = keys_}, client_, reply_);
    engine_.EndBatch(thread_);
    return status != ExecStatus::kSuspended;
  }
  std::string TakeReply() {
    std::string text = out_.CopyFrom(0);
    out_.Clear();
    return text;
  }
  void Leave() { engine_.Cancel(thread_, client_); }
  ClientState& state() { return client_; }

 private:
  Engine& engine_;
  EngineThread& thread_;
  const CommandTable& table_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  ClientState client_;
  std::vector<std::string> words_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
};

struct Boxes {
  Boxes() : engine(std::move(Engine::Create({})).value()) {
    const std::array<std::span<const CommandSpec>, 1> families = {kBoxCommands};
    table = CommandTable::Create(families);
    for (EngineThread*& thread : threads) {
      thread = &engine->AddThread(
          [](void* self, uint64_t ticket) { static_cast<Boxes*>(self)->woken[ticket].store(true); },
          this);
    }
  }
  Client NewClient(uint64_t ticket, int thread = 0) {
    return Client(*engine, *threads[static_cast<size_t>(thread)], *table, ticket);
  }

  std::unique_ptr<Engine> engine;
  std::unique_ptr<CommandTable> table;
  std::array<EngineThread*, 3> threads{};
  std::array<std::atomic<bool>, 64> woken{};
};

constexpr int64_t kNow = 1'000'000;

TEST(BlockingTest, ServesInTheOrderOfArrival) {
  Boxes boxes;
  Client first = boxes.NewClient(1);
  Client second = boxes.NewClient(2, 1);
  Client pusher = boxes.NewClient(3);
  EXPECT_FALSE(first.Run({"TAKE", "a", "b", "0"}, kNow));
  EXPECT_FALSE(second.Run({"TAKE", "a", "0"}, kNow));
  EXPECT_TRUE(pusher.Run({"PUT", "a", "x"}, kNow));
  EXPECT_TRUE(boxes.woken[1]);
  EXPECT_FALSE(boxes.woken[2]);
  EXPECT_FALSE(second.Run({}, kNow));  // a spurious wake-up
  EXPECT_TRUE(first.Run({}, kNow));
  EXPECT_EQ(first.TakeReply(), "$1\r\nx\r\n");
  // The first one waits nowhere any more, not even at its other key.
  pusher.TakeReply();
  EXPECT_TRUE(pusher.Run({"PUT", "b", "y"}, kNow));
  EXPECT_TRUE(pusher.Run({"PUT", "b", "z"}, kNow));
  EXPECT_EQ(pusher.TakeReply(), "+OK\r\n-ERR full\r\n");
  EXPECT_TRUE(pusher.Run({"PUT", "a", "w"}, kNow));
  EXPECT_TRUE(second.Run({}, kNow));
  EXPECT_EQ(second.TakeReply(), "$1\r\nw\r\n");
}

TEST(BlockingTest, EndsByTimeByWishAndWithItsClient) {
  Boxes boxes;
  Client late = boxes.NewClient(1);
  Client unblocked = boxes.NewClient(2);
  Client gone = boxes.NewClient(3);
  Client pusher = boxes.NewClient(4);
  EXPECT_FALSE(late.Run({"TAKE", "a", "100"}, kNow));
  EXPECT_FALSE(unblocked.Run({"TAKE", "a", "0"}, kNow));
  EXPECT_FALSE(gone.Run({"TAKE", "a", "0"}, kNow));
  EXPECT_FALSE(late.Run({}, kNow + 99));
  EXPECT_TRUE(late.Run({}, kNow + 100));
  EXPECT_EQ(late.TakeReply(), "*-1\r\n");
  unblocked.state().unblock = ClientState::Unblock::kError;
  EXPECT_TRUE(unblocked.Run({}, kNow));
  EXPECT_EQ(unblocked.TakeReply(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  gone.Leave();
  EXPECT_TRUE(pusher.Run({"PUT", "a", "x"}, kNow));
  EXPECT_TRUE(pusher.Run({"TAKE", "a", "0"}, kNow));  // nobody else got it
  EXPECT_EQ(pusher.TakeReply(), "+OK\r\n$1\r\nx\r\n");
}

TEST(BlockingTest, MovesFollowEachOther) {
  Boxes boxes;
  Client a_to_b = boxes.NewClient(1);
  Client b_to_c = boxes.NewClient(2, 1);
  Client takes_c = boxes.NewClient(3, 2);
  Client pusher = boxes.NewClient(4);
  EXPECT_FALSE(takes_c.Run({"TAKE", "c", "0"}, kNow));
  EXPECT_FALSE(b_to_c.Run({"CARRY", "b", "c", "0"}, kNow));
  EXPECT_FALSE(a_to_b.Run({"CARRY", "a", "b", "0"}, kNow));
  EXPECT_TRUE(pusher.Run({"PUT", "a", "x"}, kNow));
  for (Client* client : {&a_to_b, &b_to_c, &takes_c}) {
    EXPECT_TRUE(client->Run({}, kNow));
    EXPECT_EQ(client->TakeReply(), "$1\r\nx\r\n");
  }
  for (const char* box : {"a", "b", "c"}) {
    EXPECT_TRUE(pusher.Run({"PUT", box, "y"}, kNow)) << box;  // all are empty
  }
  EXPECT_EQ(pusher.TakeReply(), "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
}

TEST(BlockingTest, NothingBlocksInsideATransaction) {
  Boxes boxes;
  Client client = boxes.NewClient(1);
  EngineThread& thread = *boxes.threads[0];
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  const std::array<std::string_view, 3> args = {"TAKE", "a", "0"};
  const KeyRef key = KeyRef::Of("a");
  boxes.engine->BeginBatch(thread, kNow);
  ASSERT_EQ(boxes.engine->BeginAtomic(thread, std::array{key.slot}, false, client.state()),
            ExecStatus::kDone);
  boxes.engine->ExecuteAtomic(
      thread, {.command = boxes.table->Find("TAKE"), .args = args, .keys = {&key, 1}},
      client.state(), reply);
  boxes.engine->EndAtomic(thread);
  boxes.engine->EndBatch(thread);
  EXPECT_EQ(out.CopyFrom(0), "*-1\r\n");
}

// Two threads take from the same two boxes with short times, one puts: each thing arrives once.
TEST(BlockingTest, EachThingArrivesOnceWhileThreadsRace) {
  constexpr int kThings = 3000;
  Boxes boxes;
  std::atomic<int64_t> now_ms{kNow};
  std::atomic<bool> through{false};
  std::array<std::vector<int>, 2> taken;
  const auto take = [&](int index) {
    Client client = boxes.NewClient(static_cast<uint64_t>(index + 1), index);
    while (true) {
      if (!client.Run({"TAKE", "a", "{x}b", "3"}, now_ms)) {
        while (!client.Run({}, now_ms)) std::this_thread::yield();
      }
      const std::string reply = client.TakeReply();
      if (reply.starts_with("$")) {
        taken[static_cast<size_t>(index)].push_back(std::stoi(reply.substr(reply.find('\n') + 1)));
      } else if (through) {
        return;
      }
    }
  };
  std::thread one(take, 0);
  std::thread two(take, 1);
  Client pusher = boxes.NewClient(3, 2);
  for (int thing = 0; thing < kThings;) {
    ++now_ms;
    while (!pusher.Run({"PUT", thing % 2 == 0 ? "a" : "{x}b", std::to_string(thing)}, now_ms))
      continue;
    if (pusher.TakeReply() == "+OK\r\n") ++thing;
  }
  through = true;
  const auto done = [&](std::thread& thread) {
    std::atomic<bool> joined{false};
    std::thread clock([&] {
      while (!joined) {
        ++now_ms;
        std::this_thread::yield();
      }
    });
    thread.join();
    joined = true;
    clock.join();
  };
  done(one);
  done(two);
  std::vector<int> all(taken[0]);
  all.insert(all.end(), taken[1].begin(), taken[1].end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), static_cast<size_t>(kThings));
  for (int i = 0; i < kThings; ++i) ASSERT_EQ(all[static_cast<size_t>(i)], i);
}

// Who has claimed a request and has nothing for it must not put it back for a client that left in
// between: it would take what comes next.
TEST(BlockedRequestTest, DoesNotWaitOnWithoutItsClient) {
  BlockedRequest left_while_claimed;
  ASSERT_TRUE(left_while_claimed.Claim());
  left_while_claimed.Abandon();
  EXPECT_EQ(left_while_claimed.state, BlockedRequest::kClaimed);
  left_while_claimed.PutBack();
  EXPECT_EQ(left_while_claimed.state, BlockedRequest::kEnded);

  BlockedRequest stays;
  ASSERT_TRUE(stays.Claim());
  stays.PutBack();
  EXPECT_EQ(stays.state, BlockedRequest::kWaiting);
  stays.Abandon();
  EXPECT_EQ(stays.state, BlockedRequest::kEnded);
}

}  // namespace
}  // namespace tidegate
