// Long commands: many turns, one moment. What others see and get in between, and how it ends when
// the client is gone, when somebody wants the gate, or when there may be no turns.
#include "storage/long_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"
#include "config/notify.h"
#include "storage/command.h"
#include "storage/request.h"
#include "tests/support/resp_value.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using testing::ParseResp;
using ::testing::StartsWith;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int kMembers = 3000;
// Every breath ends the turn.
constexpr EngineOptions kManyTurns = {.short_command_elements_max = 100,
                                      .long_command_turn_nanos = 0};

// A client and the request it has sent.
class TestClient final {
 public:
  // The pool is the thread's: it outlives what the client leaves behind.
  TestClient(Engine& engine, const CommandTable& table, EngineThread& thread, OutputBlockPool& pool,
             uint64_t ticket)
      : engine_(engine), table_(table), thread_(thread), out_(pool), reply_(out_) {
    state_.ticket = ticket;
  }
  ~TestClient() {
    if (under_way_) Leave();
  }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // Begins a request; true when it is answered.
  bool Send(std::string_view line) { return SendWords(SplitWords(line)); }
  bool SendWords(std::vector<std::string> words) {
    words_ = std::move(words);
    args_.assign(words_.begin(), words_.end());
    const Command* command = table_.Find(args_[0]);
    std::vector<int> positions;
    FindKeyArguments(*command->spec, args_, positions);
    keys_.clear();
    for (const int at : positions) keys_.push_back(KeyRef::Of(args_[static_cast<size_t>(at)]));
    request_ = {.command = command, .args = args_, .keys = keys_};
    return Go();
  }
  // Goes on with it.
  bool Go() {
    engine_.BeginBatch(thread_, kNow);
    const ExecStatus status = engine_.Execute(thread_, request_, state_, reply_);
    engine_.EndBatch(thread_);
    under_way_ = status == ExecStatus::kSuspended;
    return !under_way_;
  }
  // Till it is answered; how many turns that took beyond the first.
  int Finish() {
    int turns = 0;
    while (under_way_) {
      Go();
      if (++turns > 100'000) return -1;
    }
    return turns;
  }
  std::string Ask(std::string_view line) {
    Send(line);
    Finish();
    return TakeReply();
  }
  void Leave() {
    engine_.Cancel(thread_, state_);
    under_way_ = false;
  }
  std::string TakeReply() {
    std::string text = out_.CopyFrom(0);
    out_.Clear();
    return text;
  }
  ClientState& state() { return state_; }
  ReplyWriter& reply() { return reply_; }
  bool is_long() const { return state_.long_command != nullptr; }

 private:
  static std::vector<std::string> SplitWords(std::string_view line) {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == ' ') {
        words.emplace_back();
      } else {
        words.back().push_back(c);
      }
    }
    return words;
  }

  Engine& engine_;
  const CommandTable& table_;
  EngineThread& thread_;
  OutputBuffer out_;
  ReplyWriter reply_;
  ClientState state_;
  std::vector<std::string> words_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
  Request request_;
  bool under_way_ = false;
};

class LongCommandTest : public ::testing::Test {
 protected:
  LongCommandTest()
      : engine_(std::move(Engine::Create(kManyTurns)).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        thread_(engine_->AddThread(
            [](void* self, uint64_t ticket) {
              static_cast<LongCommandTest*>(self)->woken_.push_back(ticket);
            },
            this)),
        other_thread_(engine_->AddThread(
            [](void* self, uint64_t ticket) {
              static_cast<LongCommandTest*>(self)->woken_.push_back(ticket);
            },
            this)) {}
  ~LongCommandTest() override { engine_->FinishAbandoned(thread_, kNow); }

  std::unique_ptr<TestClient> NewClient() { return NewClientOf(thread_); }
  std::unique_ptr<TestClient> NewClientOf(EngineThread& thread) {
    return std::make_unique<TestClient>(*engine_, *table_, thread, pool_, next_ticket_++);
  }
  // Members 0 … n-1, no number among them.
  void FillSet(TestClient& client, std::string_view key, int members, int first = 0) {
    for (int i = first; i < first + members; i += 100) {
      std::string line = "SADD " + std::string(key);
      for (int n = i; n < std::min(first + members, i + 100); ++n) line += " m" + ToText(n);
      client.Ask(line);
    }
  }
  void FillList(TestClient& client, std::string_view key, int elements) {
    for (int i = 0; i < elements; i += 100) {
      std::string line = "RPUSH " + std::string(key);
      for (int n = i; n < std::min(elements, i + 100); ++n) line += " " + ToText(elements - n);
      client.Ask(line);
    }
  }
  bool WasWoken(const TestClient& client) {
    const uint64_t ticket = const_cast<TestClient&>(client).state().ticket;
    return std::find(woken_.begin(), woken_.end(), ticket) != woken_.end();
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  std::vector<uint64_t> woken_;
  OutputBlockPool pool_;
  EngineThread& thread_;
  EngineThread& other_thread_;
  uint64_t next_ticket_ = 1;
};

TEST_F(LongCommandTest, OthersRunBetweenItsTurns) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  auto neighbour = NewClient();
  ASSERT_FALSE(client->Send("SMEMBERS s"));
  ASSERT_TRUE(client->is_long());
  EXPECT_TRUE(WasWoken(*client));
  EXPECT_EQ(client->TakeReply(), "");
  EXPECT_TRUE(neighbour->Send("SET elsewhere 1"));
  EXPECT_EQ(neighbour->TakeReply(), "+OK\r\n");
  EXPECT_GT(client->Finish(), 10);
  const auto reply = ParseResp(client->TakeReply());
  ASSERT_EQ(reply.items.size(), static_cast<size_t>(kMembers));
  EXPECT_FALSE(client->is_long());
}

TEST_F(LongCommandTest, ShortOnesAreDoneAtOnce) {
  auto client = NewClient();
  FillSet(*client, "s", 100);
  EXPECT_TRUE(client->Send("SMEMBERS s"));
  FillSet(*client, "s", kMembers);
  EXPECT_TRUE(client->Send("SISMEMBER s m5"));
  EXPECT_TRUE(client->Send("SSCAN s 0 COUNT 50"));
}

// Its keys are those of one moment: who wants to change or read them waits, on any thread, and is
// woken at the end.
TEST_F(LongCommandTest, ItsSlotsAreKept) {
  for (const std::string_view change :
       {"DEL s", "SET s 1", "SREM s m7", "RENAME s elsewhere", "SUNIONSTORE s few", "GET s"}) {
    auto client = NewClient();
    client->Ask("DEL s elsewhere");
    FillSet(*client, "s", kMembers);
    client->Ask("SADD few x");
    ASSERT_FALSE(client->Send("SMEMBERS s"));
    auto other = NewClientOf(other_thread_);
    EXPECT_FALSE(other->Send(change)) << change;
    EXPECT_TRUE(other->state().parked);
    EXPECT_EQ(other->state().rounds, 0) << "the gate is no help";
    woken_.clear();
    EXPECT_GT(client->Finish(), 10);
    EXPECT_TRUE(WasWoken(*other));
    EXPECT_EQ(ParseResp(client->TakeReply()).items.size(), static_cast<size_t>(kMembers));
    EXPECT_TRUE(other->Go()) << change;
  }
}

TEST_F(LongCommandTest, WhatItStoresIsThereAtTheEnd) {
  auto client = NewClient();
  FillSet(*client, "a", kMembers);
  FillSet(*client, "b", kMembers, kMembers / 2);
  auto other = NewClient();
  ASSERT_FALSE(client->Send("SUNIONSTORE result a b"));
  int turns = 0;
  while (!client->Go()) {
    EXPECT_FALSE(other->Send("EXISTS result"));
    other->Leave();
    ++turns;
  }
  EXPECT_GT(turns, 20);
  EXPECT_EQ(client->TakeReply(), ":" + ToText(kMembers + kMembers / 2) + "\r\n");
  EXPECT_EQ(other->Ask("SCARD result"), ":" + ToText(kMembers + kMembers / 2) + "\r\n");
}

// As in Redis: what was begun is done, whether anybody waits for the reply or not.
TEST_F(LongCommandTest, GoesOnWithoutItsClient) {
  auto other = NewClient();
  {
    auto client = NewClient();
    FillSet(*client, "a", kMembers);
    ASSERT_FALSE(client->Send("SINTERSTORE result a a"));
    woken_.clear();
    client->Leave();
    EXPECT_TRUE(WasWoken(*client)) << "so that its thread calls StepAbandoned";
  }
  EXPECT_FALSE(other->Send("SCARD result"));
  other->Leave();
  int turns = 0;
  for (; !thread_.abandoned.empty(); ++turns) engine_->StepAbandoned(thread_, kNow);
  EXPECT_GT(turns, 10);
  EXPECT_EQ(other->Ask("SCARD result"), ":" + ToText(kMembers) + "\r\n");
}

TEST_F(LongCommandTest, IsFinishedBeforeItsThreadEnds) {
  auto client = NewClient();
  FillSet(*client, "a", kMembers);
  ASSERT_FALSE(client->Send("SUNIONSTORE result a"));
  client->Leave();
  engine_->FinishAbandoned(thread_, kNow);
  EXPECT_TRUE(thread_.abandoned.empty());
  EXPECT_EQ(client->Ask("SCARD result"), ":" + ToText(kMembers) + "\r\n");
}

// Nobody gets the gate in between, and who wants it does not stop others; but the next long command
// waits, so that his turn comes.
TEST_F(LongCommandTest, TheGateWaits) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  FillSet(*client, "t", kMembers);
  auto flusher = NewClientOf(other_thread_);
  auto second = NewClient();
  auto neighbour = NewClient();
  ASSERT_FALSE(client->Send("SMEMBERS s"));
  EXPECT_FALSE(flusher->Send("FLUSHALL"));
  EXPECT_TRUE(neighbour->Send("SET elsewhere 1"));
  EXPECT_FALSE(second->Send("SMEMBERS t"));
  EXPECT_FALSE(second->is_long());
  woken_.clear();
  client->Finish();
  EXPECT_EQ(ParseResp(client->TakeReply()).items.size(), static_cast<size_t>(kMembers));
  EXPECT_TRUE(WasWoken(*flusher));
  EXPECT_TRUE(WasWoken(*second));
  EXPECT_TRUE(flusher->Go());
  EXPECT_TRUE(second->Go());
  EXPECT_EQ(second->TakeReply(), "*0\r\n");
}

TEST_F(LongCommandTest, WhoGivesUpTheGateLetsOthersGoOn) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  FillSet(*client, "t", kMembers);
  auto flusher = NewClientOf(other_thread_);
  auto second = NewClient();
  ASSERT_FALSE(client->Send("SMEMBERS s"));
  EXPECT_FALSE(flusher->Send("FLUSHALL"));
  EXPECT_FALSE(second->Send("SMEMBERS t"));
  woken_.clear();
  flusher->Leave();
  EXPECT_TRUE(WasWoken(*second));
  EXPECT_FALSE(second->Go());
  EXPECT_TRUE(second->is_long());
  client->Finish();
  second->Finish();
  EXPECT_EQ(ParseResp(second->TakeReply()).items.size(), static_cast<size_t>(kMembers));
}

TEST_F(LongCommandTest, ATransactionIsOneStep) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  const KeyRef key = KeyRef::Of("s");
  const std::vector<std::string_view> args = {"SMEMBERS", "s"};
  const Request request = {.command = table_->Find("SMEMBERS"), .args = args, .keys = {&key, 1}};
  engine_->BeginBatch(thread_, kNow);
  ASSERT_EQ(engine_->BeginAtomic(thread_, {&key.slot, 1}, false, client->state()),
            ExecStatus::kDone);
  engine_->ExecuteAtomic(thread_, request, client->state(), client->reply());
  engine_->EndAtomic(thread_);
  engine_->EndBatch(thread_);
  EXPECT_EQ(ParseResp(client->TakeReply()).items.size(), static_cast<size_t>(kMembers));
}

// Effects are the command's own until its end: another command of the thread does not deliver them.
TEST_F(LongCommandTest, EffectsComeAtTheEnd) {
  struct Heard {
    std::vector<std::string> events;
  } heard;
  engine_->settings().notify_classes = notify::kKeyevent | notify::kList | notify::kString;
  engine_->SetKeyEventSink(
      [](void* to, EngineThread&, std::span<const KeyEvent> events) {
        for (const KeyEvent& event : events)
          static_cast<Heard*>(to)->events.emplace_back(event.event);
      },
      &heard);
  auto client = NewClient();
  FillList(*client, "l", kMembers);
  auto other = NewClient();
  heard.events.clear();
  ASSERT_FALSE(client->Send("LREM l 0 5"));
  while (!client->Go()) EXPECT_TRUE(other->Send("SET elsewhere 1"));
  EXPECT_EQ(client->TakeReply(), ":1\r\n");
  EXPECT_EQ(std::count(heard.events.begin(), heard.events.end(), "lrem"), 1);
  EXPECT_EQ(heard.events.back(), "lrem");
}

TEST_F(LongCommandTest, WhatItStoresServesWhoWaits) {
  for (const std::string_view sort :
       {"SORT l STORE d", "SORT l BY w_* STORE d", "SORT l BY w_* GET # STORE d"}) {
    auto client = NewClient();
    FillList(*client, "l", kMembers);
    auto waiter = NewClientOf(other_thread_);
    ASSERT_FALSE(waiter->Send("BLPOP d 0"));
    ASSERT_FALSE(client->Send(sort));
    EXPECT_FALSE(waiter->Go());
    EXPECT_GT(client->Finish(), 2) << sort;
    EXPECT_EQ(client->TakeReply(), ":" + ToText(kMembers) + "\r\n");
    ASSERT_TRUE(waiter->Go());
    EXPECT_THAT(waiter->TakeReply(), StartsWith("*2\r\n$1\r\nd\r\n"));
    EXPECT_EQ(client->Ask("LLEN d"), ":" + ToText(kMembers - 1) + "\r\n");
    client->Ask("DEL l d");
  }
}

// The elements are those of one moment; the key is free as soon as they are collected.
TEST_F(LongCommandTest, SortLetsItsKeyGo) {
  for (const std::string_view sort : {"SORT l LIMIT 0 2", "SORT l BY w_* LIMIT 0 2"}) {
    auto client = NewClient();
    FillList(*client, "l", kMembers);
    auto other = NewClientOf(other_thread_);
    ASSERT_FALSE(client->Send(sort));
    EXPECT_FALSE(other->Send("DEL l")) << "being collected";
    while (!other->Go()) ASSERT_FALSE(client->Go());
    EXPECT_EQ(other->TakeReply(), ":1\r\n");
    client->Finish();
    // Without weights they are sorted as texts.
    const std::string_view second = sort.find("BY") == std::string_view::npos ? "2" : "10";
    const auto reply = ParseResp(client->TakeReply());
    ASSERT_EQ(reply.items.size(), 2u);
    EXPECT_EQ(reply.items[0].text, "1");
    EXPECT_EQ(reply.items[1].text, second);
  }
}

// A large sort that looks keys up for a list does not stop everybody. What changes in between: the
// source, which was collected; the target, which is written over; its type.
TEST_F(LongCommandTest, SortStoresWithoutTheGate) {
  auto client = NewClient();
  FillList(*client, "l", kMembers);
  auto other = NewClientOf(other_thread_);
  ASSERT_FALSE(client->Send("SORT l BY w_* STORE d"));
  EXPECT_TRUE(other->Send("EXISTS l")) << "behind the gate it saw only that there is too much";
  other->TakeReply();
  ASSERT_FALSE(client->Go());
  EXPECT_FALSE(other->Send("RPUSH l 0")) << "being collected";
  int turns = 0;
  while (!other->Go()) {
    ASSERT_FALSE(client->Go());
    ++turns;
  }
  EXPECT_GT(turns, 0);
  EXPECT_EQ(other->TakeReply(), ":" + ToText(kMembers + 1) + "\r\n");
  EXPECT_EQ(other->Ask("SET d text"), "+OK\r\n");
  EXPECT_EQ(other->Ask("SET w_1 9"), "+OK\r\n");
  client->Finish();
  EXPECT_EQ(client->TakeReply(), ":" + ToText(kMembers) + "\r\n");
  EXPECT_EQ(other->Ask("LLEN d"), ":" + ToText(kMembers) + "\r\n");
  EXPECT_EQ(other->Ask("LLEN l"), ":" + ToText(kMembers + 1) + "\r\n");
}

TEST_F(LongCommandTest, SortFailsOnce) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  int errors = 0;
  client->reply().ObserveErrors([](void* count, std::string_view) { ++*static_cast<int*>(count); },
                                &errors);
  EXPECT_EQ(client->Ask("SORT s"), "-ERR One or more scores can't be converted into double\r\n");
  EXPECT_EQ(errors, 1);
  EXPECT_EQ(client->Ask("SORT s STORE d"),
            "-ERR One or more scores can't be converted into double\r\n");
  EXPECT_EQ(errors, 2);
}

TEST_F(LongCommandTest, LookupsCountOnce) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  const EngineStats before = engine_->Stats();
  client->Ask("SUNION s s nothing");
  EXPECT_EQ(engine_->Stats().keyspace_hits - before.keyspace_hits, 2u);
  EXPECT_EQ(engine_->Stats().keyspace_misses - before.keyspace_misses, 1u);
}

// Each has many turns, and the result that it has without.
TEST_F(LongCommandTest, ManyCommandsHaveTurns) {
  auto client = NewClient();
  FillSet(*client, "s", kMembers);
  FillSet(*client, "s2", kMembers, kMembers / 2);
  FillList(*client, "l", kMembers);
  for (int i = 0; i < kMembers; ++i) {
    client->Ask("ZADD z " + ToText(i) + " m" + ToText(i));
    client->Ask("HSET h f" + ToText(i) + " " + ToText(i));
    client->Ask("XADD x " + ToText(i + 1) + "-0 f v");
  }
  const struct {
    std::string_view line;
    int64_t result;  // an integer, or elements
    bool is_short = false;
  } kCases[] = {
      {"SMEMBERS s", kMembers},
      {"SUNION s s2", kMembers + kMembers / 2},
      {"SINTER s s2", kMembers / 2},
      {"SDIFF s s2", kMembers / 2},
      {"SINTERCARD 2 s s2", kMembers / 2},
      {"SRANDMEMBER s 2000", 2000},
      {"SRANDMEMBER s -2000", 2000},
      {"HGETALL h", 2 * kMembers},
      {"HKEYS h", kMembers},
      {"HRANDFIELD h 2000", 2000},
      {"LRANGE l 0 -1", kMembers},
      {"LRANGE l 100 -101", kMembers - 200},
      {"LINSERT l BEFORE none x", -1},
      {"ZRANGE z 0 -1", kMembers},
      {"ZRANGEBYSCORE z (10 +inf", kMembers - 11},
      {"ZUNION 2 z s", kMembers},
      {"ZINTERCARD 2 z s2", kMembers / 2},
      {"ZRANGESTORE zr z 0 -1", kMembers},
      {"ZUNIONSTORE zr 2 z s2", kMembers + kMembers / 2},
      {"XRANGE x - +", kMembers},
      {"XREVRANGE x + 100", kMembers - 99},
      {"COPY s copy", 1},
      {"COPY z copyz", 1},
      {"COPY l copyl", 1},
      {"COPY x copyx", 1},
      {"COPY h copyh", 1},
      {"SPOP copy 1500", 1500},
      {"SPOP copy 9999", kMembers - 1500},
      {"EXISTS copy", 0, true},
      {"ZREMRANGEBYRANK copyz 0 1499", 1500},
      {"ZPOPMIN copyz 1000", 2000},
      {"ZCARD copyz", 500, true},
      {"LREM copyl 0 7", 1},
      {"LPOP copyl 2500", 2500, true},  // of one page: there is no breath
      {"LLEN copyl", kMembers - 2501, true},
      {"XTRIM copyx MAXLEN 1000", kMembers - 1000},
      {"XTRIM copyx MINID 2501", 500},
      {"XLEN copyx", 500, true},
  };
  for (const auto& one : kCases) {
    const bool at_once = client->Send(one.line);
    const bool was_long = client->is_long();
    client->Finish();
    const auto reply = ParseResp(client->TakeReply());
    const int64_t result =
        reply.type == ':' ? reply.integer() : static_cast<int64_t>(reply.items.size());
    EXPECT_EQ(result, one.result) << one.line;
    EXPECT_EQ(at_once && !was_long, one.is_short) << one.line;
  }
}

// Megabytes of arguments are copied in turns, in which nothing is locked.
TEST_F(LongCommandTest, DumpAndRestoreOfLargeValues) {
  constexpr int kManyMembers = 200'000;
  auto client = NewClient();
  FillSet(*client, "s", kManyMembers);
  ASSERT_FALSE(client->Send("DUMP s"));
  EXPECT_TRUE(client->is_long());
  client->Finish();
  const std::string payload = ParseResp(client->TakeReply()).text;
  ASSERT_GT(payload.size(), (1_MiB).count);

  const std::vector<std::string> restore = {"RESTORE", "copy", "0", payload};
  auto other = NewClient();
  ASSERT_FALSE(client->SendWords(restore));
  EXPECT_FALSE(client->is_long());
  EXPECT_EQ(other->Ask("EXISTS copy"), ":0\r\n");
  client->Leave();
  EXPECT_EQ(client->state().continuation, nullptr);
  EXPECT_EQ(other->Ask("EXISTS copy"), ":0\r\n");

  ASSERT_FALSE(client->SendWords(restore));
  while (!client->is_long()) ASSERT_FALSE(client->Go());
  EXPECT_FALSE(other->Send("EXISTS copy"));
  client->Finish();
  EXPECT_EQ(client->TakeReply(), "+OK\r\n");
  EXPECT_TRUE(other->Go());
  EXPECT_EQ(other->TakeReply(), ":1\r\n");
  EXPECT_EQ(client->Ask("SCARD copy"), ":" + ToText(kManyMembers) + "\r\n");
}

// While the arguments were copied another client took the key: that is what the command finds.
TEST_F(LongCommandTest, AKeyMayComeWhileArgumentsAreCopied) {
  auto client = NewClient();
  FillSet(*client, "s", 200'000);
  client->Send("DUMP s");
  client->Finish();
  const std::string payload = ParseResp(client->TakeReply()).text;
  ASSERT_FALSE(client->SendWords({"RESTORE", "copy", "0", payload}));
  EXPECT_EQ(NewClient()->Ask("SET copy 1"), "+OK\r\n");
  client->Finish();
  EXPECT_EQ(client->TakeReply(), "-BUSYKEY Target key name already exists.\r\n");
}

TEST_F(LongCommandTest, LargeStringsHaveTurns) {
  constexpr size_t kBytes = (8_MiB).count;
  auto client = NewClient();
  client->Ask("SETRANGE bits " + ToText(static_cast<int64_t>(kBytes) - 1) + " x");
  client->Ask("SETRANGE bits 4000000 y");
  const struct {
    std::string_view line;
    std::string reply;
  } kCases[] = {{"BITCOUNT bits", ":9\r\n"},
                {"BITPOS bits 1", ":" + ToText(4'000'000 * 8 + 1) + "\r\n"},
                {"BITOP NOT result bits", ":" + ToText(static_cast<int64_t>(kBytes)) + "\r\n"},
                {"COPY bits copy", ":1\r\n"}};
  for (const auto& one : kCases) {
    EXPECT_FALSE(client->Send(one.line)) << one.line;
    client->Finish();
    EXPECT_EQ(client->TakeReply(), one.reply) << one.line;
  }
  EXPECT_FALSE(client->Send("GET bits"));
  client->Finish();
  EXPECT_EQ(ParseResp(client->TakeReply()).text.size(), kBytes);
}

// It is copied piece by piece, and there is no memory any more before it is there.
TEST_F(LongCommandTest, ARefusedOneLeavesNothingToTheNextCommand) {
  auto client = NewClient();
  client->Ask("SET other 1");
  EXPECT_FALSE(client->SendWords({"RESTORE", "copy", "0", std::string((3_MiB).count, 'x')}));
  engine_->settings().maxmemory_bytes = 1;
  client->Finish();
  EXPECT_THAT(client->TakeReply(), StartsWith("-OOM command not allowed"));
  EXPECT_EQ(client->state().continuation, nullptr);
  engine_->settings().maxmemory_bytes = 0;
  EXPECT_EQ(client->Ask("SCAN 0"), "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nother\r\n");
}

}  // namespace
}  // namespace tidegate
