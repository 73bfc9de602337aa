// What the policies of a route make of requests: shapes, big keys, rates, and transactions.
#include "policy/judge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/output_buffer.h"
#include "policy/blank_reply.h"
#include "policy/load_shedding.h"
#include "tests/support/called_request.h"

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class JudgeTest : public ::testing::Test {
 protected:
  using Call = testing::CalledRequest;

  std::unique_ptr<Call> Make(const std::vector<std::string>& words) const {
    return testing::MakeCalledRequest(*commands_, words);
  }

  void Use(RoutePolicyOptions options, Profile profile = Profile::kStrict,
           bool is_upstream = false) {
    route_.policies = std::move(options);
    counters_ = std::make_shared<PolicyCounters>();
    policies_ = std::make_unique<RoutePolicies>(
        RoutePolicies::Setting{route_, profile, is_upstream, *commands_}, counters_, nullptr);
  }

  Verdict Ask(const std::vector<std::string>& words) { return AskAll({words}, false); }
  Verdict AskAll(const std::vector<std::vector<std::string>>& calls, bool in_transaction = true) {
    judge_.Begin({.client = 1,
                  .user = 1,
                  .now_ns = kSecond,
                  .big_keys = &big_keys_,
                  .in_transaction = in_transaction});
    for (const auto& words : calls) {
      const std::unique_ptr<Call> call = Make(words);
      if (!judge_.Ask(*policies_, call->request, call->keys, {})) break;
    }
    return judge_.End();
  }
  // "" : it passes.
  std::string ErrorOf(const std::vector<std::string>& words) { return Ask(words).error; }

  void NoteBig(std::string_view key, uint64_t bytes, uint64_t elements) {
    big_keys_.Note({.id = hotkey::IdOf(KeyHash(key), {}),
                    .name = key,
                    .cluster = "engine",
                    .bytes = bytes,
                    .elements = elements,
                    .exact = true},
                   1);
  }
  PolicyFigures& FiguresOf(PolicyKind kind) { return counters_->of(kind); }

  std::unique_ptr<CommandTable> commands_ = CommandTable::Create(StorageCommandFamilies());
  RouteOptions route_{.match = "item:*", .cluster = "local"};
  std::shared_ptr<PolicyCounters> counters_;
  std::unique_ptr<RoutePolicies> policies_;
  hotkey::BigKeyTable big_keys_;
  Judge judge_;
};

TEST_F(JudgeTest, NothingIsAskedWhereNothingIs) {
  Use({});
  for (const Command* command : commands_->all()) EXPECT_FALSE(policies_->Concerns(*command));
  EXPECT_TRUE(policies_->Describe().empty());
}

TEST_F(JudgeTest, OnlyDelWhereOnlyThatMayBecomeAnother) {
  Use({}, Profile::kStandard, true);
  for (const Command* command : commands_->all())
    EXPECT_EQ(policies_->Concerns(*command), command->full_name == "del") << command->full_name;
}

TEST_F(JudgeTest, KeysWithoutAShapeAreDenied) {
  Use({.key_shape = {
           .allow = {"item:<int>", "item:<int>:*"}, .deny = {"*'*"}, .key_bytes_max = 20_B}});
  EXPECT_EQ(ErrorOf({"GET", "item:1"}), "");
  EXPECT_EQ(ErrorOf({"GET", "item:-1"}),
            "DENIED the key has none of the shapes that are allowed (key_shape of route 'item:*')");
  EXPECT_EQ(ErrorOf({"GET", "item:1:'"}),
            "DENIED the key has a shape that is denied (key_shape of route 'item:*')");
  EXPECT_EQ(ErrorOf({"SET", "item:012345678901234567890", "x"}),
            "DENIED the key is too long (key_shape of route 'item:*')");
  EXPECT_EQ(ErrorOf({"MGET", "item:1", "item:x"}).substr(0, 6), "DENIED");
  EXPECT_EQ(FiguresOf(PolicyKind::kKeyShape).refused.load(), 4);
}

TEST_F(JudgeTest, ObserveOnlyCounts) {
  Use({.rate_limit = {.rules = {{.per = RatePer::kKey, .rate = {1}, .burst = 1}}},
       .key_shape = {.deny = {"*'*"}},
       .big_key = {.refuse_keys = true, .elements_max = 10}},
      Profile::kStandard);
  NoteBig("item:big", 10, 6000);
  EXPECT_EQ(ErrorOf({"GET", "item:'"}), "");
  EXPECT_EQ(ErrorOf({"GET", "item:'"}), "");
  EXPECT_EQ(ErrorOf({"KEYS", "*"}), "");
  EXPECT_EQ(ErrorOf({"HGETALL", "item:big"}), "");
  EXPECT_EQ(FiguresOf(PolicyKind::kKeyShape).observed.load(), 2);
  EXPECT_EQ(FiguresOf(PolicyKind::kRateLimit).observed.load(), 1);
  EXPECT_EQ(FiguresOf(PolicyKind::kBigKey).observed.load(), 2);
  for (const PolicyFigures& figures : counters_->figures) EXPECT_EQ(figures.refused.load(), 0);
}

TEST_F(JudgeTest, AnAnswerInPlaceOfAnError) {
  Use({.key_shape = {.deny = {"*'*"}, .answer = PolicyAnswer::kNil}});
  EXPECT_EQ(Ask({"GET", "item:'"}).answer, PolicyAnswer::kNil);
  EXPECT_EQ(AskAll({{"GET", "item:1"}, {"GET", "item:'"}}).answer, PolicyAnswer::kError);
}

TEST_F(JudgeTest, WhatReadsAllOfABigKeyIsRefused) {
  Use({.big_key = {.elements_max = 100, .bytes_max = 1_MiB}});
  NoteBig("item:list", 70'000, 6000);
  NoteBig("item:text", 2 << 20, 0);
  EXPECT_EQ(ErrorOf({"LRANGE", "item:list", "0", "-1"}),
            "TOOBIG 'lrange' would read 6000 elements, more than 100: read them in parts (big_key "
            "of route 'item:*')");
  EXPECT_EQ(ErrorOf({"GET", "item:text"}),
            "TOOBIG 'get' would read 2097152 bytes, more than 1048576: read them in parts (big_key "
            "of route 'item:*')");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"LRANGE", "item:list", "0", "99"},
           {"LRANGE", "item:list", "-100", "-1"},
           {"LRANGE", "item:list", "5990", "100000"},
           {"LRANGE", "item:list", "x", "y"},
           {"ZRANGE", "item:list", "(1", "(2", "BYSCORE"},
           {"ZRANGEBYSCORE", "item:list", "-inf", "+inf", "LIMIT", "0", "10"},
           {"GETRANGE", "item:text", "0", "10"},
           {"HSCAN", "item:list", "0"},
           {"LLEN", "item:list"},
           {"HGETALL", "item:small"}})
    EXPECT_EQ(ErrorOf(words), "") << words[0];
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"LRANGE", "item:list", "0", "100"},
                                             {"LRANGE", "item:list", "-101", "-1"},
                                             {"ZRANGE", "item:list", "0", "-1", "WITHSCORES"},
                                             {"ZRANGEBYSCORE", "item:list", "-inf", "+inf"},
                                             {"XRANGE", "item:list", "-", "+"},
                                             {"SUNION", "item:small", "item:list"},
                                             {"MGET", "item:small", "item:text"},
                                             {"SMEMBERS", "item:list"}})
    EXPECT_EQ(ErrorOf(words).substr(0, 6), "TOOBIG") << words[0];
}

TEST_F(JudgeTest, ARangeIsCapped) {
  Use({.big_key = {.elements_max = 100, .whole_reads = WholeReads::kCap}});
  NoteBig("item:list", 70'000, 6000);
  EXPECT_EQ(Ask({"LRANGE", "item:list", "0", "-1"}).cap->stop, 99);
  EXPECT_EQ(Ask({"LRANGE", "item:list", "-500", "-1"}).cap->stop, -401);
  EXPECT_FALSE(Ask({"LRANGE", "item:list", "0", "9"}).cap);
  EXPECT_EQ(ErrorOf({"SMEMBERS", "item:list"}).substr(0, 6), "TOOBIG");
  EXPECT_EQ(FiguresOf(PolicyKind::kBigKey).rewritten.load(), 2);
}

TEST_F(JudgeTest, DelOfABigKeyBecomesUnlink) {
  Use({}, Profile::kStandard, true);
  NoteBig("item:list", 70'000, 6000);
  NoteBig("item:noticed", 70'000, 10);
  EXPECT_TRUE(Ask({"DEL", "item:small", "item:list"}).unlink);
  EXPECT_FALSE(Ask({"DEL", "item:small", "item:noticed"}).unlink);
  EXPECT_FALSE(AskAll({{"DEL", "item:list"}}).unlink);
  EXPECT_EQ(FiguresOf(PolicyKind::kBigKey).rewritten.load(), 1);
  Use({}, Profile::kObserve, true);
  EXPECT_FALSE(Ask({"DEL", "item:list"}).unlink);
  EXPECT_EQ(FiguresOf(PolicyKind::kBigKey).observed.load(), 1);
}

TEST_F(JudgeTest, RatesSayHowLongToWait) {
  Use({.rate_limit = {.rules = {{.per = RatePer::kKey, .rate = {3}, .burst = 1}}}});
  EXPECT_EQ(ErrorOf({"GET", "item:1"}), "");
  EXPECT_EQ(ErrorOf({"GET", "item:1"}),
            "THROTTLED 3/s per key (rate_limit of route 'item:*'): retry after 334 ms");
}

TEST_F(JudgeTest, ATransactionIsExecutedWholeOrNotAtAll) {
  Use({.rate_limit = {.rules = {{.per = RatePer::kKey, .rate = {1}, .burst = 1}}}});
  EXPECT_EQ(ErrorOf({"GET", "item:full"}), "");
  EXPECT_EQ(AskAll({{"SET", "item:1", "x"}, {"GET", "item:full"}}).kind, Verdict::Kind::kAnswer);
  EXPECT_EQ(ErrorOf({"GET", "item:1"}), "");
}

TEST_F(JudgeTest, ExplainsItself) {
  Use({.rate_limit = {.rules = {{.per = RatePer::kHotKey, .rate = {400}, .burst = 100}}},
       .key_shape = {.mode = PolicyMode::kObserve, .allow = {"item:<int>"}},
       .big_key = {.refuse_keys = true}});
  EXPECT_EQ(policies_->Describe(),
            (std::vector<std::string>{"key_shape observe: allow item:<int> answer error",
                                      "big_key enforce: keys refuse",
                                      "rate_limit enforce: both per hot-key 400/s burst 100 over "
                                      "error"}));
}

TEST_F(JudgeTest, NothingAsEachCommandSaysIt) {
  OutputBlockPool pool;
  const auto reply_of = [this, &pool](const std::vector<std::string>& words, PolicyAnswer answer) {
    OutputBuffer output(pool);
    ReplyWriter reply(output);
    return WriteNothing(Make(words)->request, answer, reply) ? output.CopyFrom(0) : "none";
  };
  EXPECT_EQ(reply_of({"GET", "k"}, PolicyAnswer::kNil), "$-1\r\n");
  EXPECT_EQ(reply_of({"GET", "k"}, PolicyAnswer::kBlank), "$0\r\n\r\n");
  EXPECT_EQ(reply_of({"MGET", "k", "l"}, PolicyAnswer::kNil), "*2\r\n$-1\r\n$-1\r\n");
  EXPECT_EQ(reply_of({"HMGET", "k", "f"}, PolicyAnswer::kBlank), "*1\r\n$0\r\n\r\n");
  EXPECT_EQ(reply_of({"HGETALL", "k"}, PolicyAnswer::kNil), "*0\r\n");
  EXPECT_EQ(reply_of({"EXISTS", "k"}, PolicyAnswer::kBlank), ":0\r\n");
  EXPECT_EQ(reply_of({"ZSCORE", "k", "m"}, PolicyAnswer::kBlank), "$-1\r\n");
  EXPECT_EQ(reply_of({"TYPE", "k"}, PolicyAnswer::kNil), "none");
  EXPECT_EQ(reply_of({"SET", "k", "v"}, PolicyAnswer::kNil), "none");
}

TEST(LoadShedding, TheLeastComesFirst) {
  using P = RoutePriority;
  using A = DataAccess;
  constexpr int64_t kBase = 40;
  EXPECT_EQ(ShedWaitNanos({P::kLow, A::kRead}, kBase), 20);
  EXPECT_EQ(ShedWaitNanos({P::kLow, A::kWrite}, kBase), 30);
  EXPECT_EQ(ShedWaitNanos({P::kNormal, A::kRead}, kBase), 40);
  EXPECT_EQ(ShedWaitNanos({P::kNormal, A::kWrite}, kBase), 60);
  EXPECT_EQ(ShedWaitNanos({P::kHigh, A::kRead}, kBase), 80);
  EXPECT_EQ(ShedWaitNanos({P::kHigh, A::kWrite}, kBase), 120);
  EXPECT_EQ(LeastShedWaitNanos(kBase), 20);
  EXPECT_FALSE(ShedsForMemory(P::kLow, 1000, 0));
  EXPECT_FALSE(ShedsForMemory(P::kLow, 1000, 1000));
  EXPECT_TRUE(ShedsForMemory(P::kNormal, 1001, 1000));
  EXPECT_FALSE(ShedsForMemory(P::kHigh, 1001, 1000));
  EXPECT_TRUE(ShedsForMemory(P::kHigh, 1200, 1000));
}

}  // namespace
}  // namespace tidegate
