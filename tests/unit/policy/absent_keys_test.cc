// What the policies make of reads whose keys are not there, and of the writes that change it.
#include "policy/absent_keys.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "policy/judge.h"
#include "policy/route_policies.h"
#include "tests/support/called_request.h"

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr std::string_view kNil = "$-1\r\n";

class AbsentKeysTest : public ::testing::Test {
 protected:
  using Call = testing::CalledRequest;

  std::unique_ptr<Call> Make(const std::vector<std::string>& words) const {
    return testing::MakeCalledRequest(*commands_, words);
  }

  void Use(RoutePolicyOptions options) {
    const std::unique_ptr<RoutePolicies> before = std::move(policies_);
    route_.policies = std::move(options);
    policies_ = std::make_unique<RoutePolicies>(
        RoutePolicies::Setting{route_, Profile::kStrict, true, *commands_}, counters_,
        before.get());
  }
  AbsentKeys& keys() { return *policies_->absent_keys(); }

  Verdict Ask(const std::vector<std::string>& words, bool in_transaction = false,
              bool watches = false) {
    judge_.Begin({.now_ns = kSecond, .in_transaction = in_transaction, .watches = watches});
    const std::unique_ptr<Call> call = Make(words);
    if (MayWriteUnnamedKeys(*call->request.command, !call->keys.empty()))
      judge_.NoteWriteOfAny(*policies_);
    judge_.Ask(*policies_, call->request, call->keys, {});
    return judge_.End();
  }
  // Asks, and has the data reply; what the client gets instead, "" if that.
  std::string Read(const std::vector<std::string>& words, std::string_view reply) {
    Verdict verdict = Ask(words);
    if (verdict.kind == Verdict::Kind::kAnswer) return "answered";
    if (verdict.absence == nullptr) return "";
    const AbsentRuling ruling = verdict.absence->OnReply(reply, kSecond);
    if (ruling.answer == nullptr) return "";
    return std::string(kOnAbsentNames[static_cast<size_t>(ruling.answer->kind)]) + " " +
           ruling.answer->text;
  }
  bool IsAnswered(const std::vector<std::string>& words) {
    return Ask(words).kind == Verdict::Kind::kAnswer;
  }
  void Miss(const std::string& key) {
    for (int i = 0; i < kNegativeMisses; ++i) EXPECT_EQ(Read({"GET", key}, kNil), "");
  }
  void Complete(const std::vector<std::string>& names) {
    keys().known_keys()->BeginBuild(names.size());
    for (const std::string& name : names) keys().known_keys()->AddFound(KeyHash(name));
    EXPECT_TRUE(keys().known_keys()->EndBuild(0));
  }
  uint64_t refused(PolicyKind kind) { return counters_->of(kind).refused.load(); }
  uint64_t observed(PolicyKind kind) { return counters_->of(kind).observed.load(); }

  std::unique_ptr<CommandTable> commands_ = CommandTable::Create(StorageCommandFamilies());
  RouteOptions route_{.match = "*", .cluster = "cache"};
  std::shared_ptr<PolicyCounters> counters_ = std::make_shared<PolicyCounters>();
  std::unique_ptr<RoutePolicies> policies_;
  Judge judge_;
};

RoutePolicyOptions Negative(PolicyMode mode, AbsentAnswer answer = {}) {
  return {.negative_cache = {.any = true, .mode = mode, .answer = std::move(answer)}};
}

RoutePolicyOptions Bloom(PolicyMode mode, AbsentAnswer on_absent, bool spare = false) {
  return {.bloom = {.any = true, .mode = mode, .on_absent = std::move(on_absent), .spare = spare}};
}

TEST_F(AbsentKeysTest, NothingIsThereWithoutARule) {
  Use({});
  EXPECT_EQ(policies_->absent_keys(), nullptr);
  EXPECT_EQ(Ask({"GET", "a"}).absence, nullptr);
  Use(Negative(PolicyMode::kOff));
  EXPECT_EQ(policies_->absent_keys(), nullptr);
}

TEST_F(AbsentKeysTest, KeysMissedThreeTimesAreAnsweredHere) {
  Use(Negative(PolicyMode::kEnforce));
  Miss("a");
  EXPECT_TRUE(IsAnswered({"GET", "a"}));
  EXPECT_TRUE(IsAnswered({"HGETALL", "a"}));
  EXPECT_TRUE(IsAnswered({"EXISTS", "a"}));
  EXPECT_FALSE(IsAnswered({"GET", "b"}));
  EXPECT_EQ(refused(PolicyKind::kNegativeCache), 3);
  // Its arguments may be wrong, which the data would say.
  EXPECT_FALSE(IsAnswered({"LRANGE", "a", "0", "x"}));
  // More than one key.
  EXPECT_FALSE(IsAnswered({"MGET", "a", "b"}));
}

TEST_F(AbsentKeysTest, OnlyWhatProvesItCounts) {
  Use(Negative(PolicyMode::kEnforce));
  for (int i = 0; i < 10; ++i) {
    Read({"HGET", "a", "f"}, kNil);    // the field is not there
    Read({"STRLEN", "b"}, ":0\r\n");   // it may be empty
    Read({"GET", "c"}, "$0\r\n\r\n");  // it is
    Read({"GET", "d"}, "-LOADING\r\n");
    Read({"MGET", "e"}, "*1\r\n$-1\r\n");  // it may be of another type
  }
  for (const char* key : {"a", "b", "c", "d", "e"}) EXPECT_FALSE(IsAnswered({"GET", key})) << key;
  for (int i = 0; i < kNegativeMisses; ++i) Read({"HGETALL", "f"}, "%0\r\n");
  EXPECT_TRUE(IsAnswered({"HGET", "f", "x"}));
}

TEST_F(AbsentKeysTest, WritesEndIt) {
  Use(Negative(PolicyMode::kEnforce));
  const std::vector<std::vector<std::string>> writes = {
      {"SET", "a", "1"},           {"DEL", "a"},
      {"COPY", "x", "a"},          {"RENAME", "x", "a"},
      {"RESTORE", "a", "0", "x"},  {"MOVE", "a", "1"},
      {"SORT", "x", "STORE", "a"}, {"BITOP", "AND", "a", "x"},
      {"SWAPDB", "0", "1"},        {"LMOVE", "x", "a", "LEFT", "LEFT"},
      {"MSET", "x", "1", "a", "2"}};
  for (const auto& write : writes) {
    Miss("a");
    EXPECT_TRUE(IsAnswered({"GET", "a"}));
    EXPECT_NE(Ask(write).absence, nullptr) << write[0];
    EXPECT_FALSE(IsAnswered({"GET", "a"})) << write[0];
  }
  Miss("a");
  Ask({"FLUSHALL"});
  EXPECT_TRUE(IsAnswered({"GET", "a"}));  // it makes no key
}

TEST_F(AbsentKeysTest, NothingIsLearntWhileAWriteIsUnderWay) {
  Use(Negative(PolicyMode::kEnforce));
  {
    const Verdict write = Ask({"SET", "a", "1"});
    Miss("a");
    EXPECT_FALSE(IsAnswered({"GET", "a"}));
  }
  EXPECT_FALSE(IsAnswered({"GET", "a"}));
  Miss("a");
  EXPECT_TRUE(IsAnswered({"GET", "a"}));
}

TEST_F(AbsentKeysTest, TransactionsAndWatchersGetWhatTheDataSay) {
  Use(Negative(PolicyMode::kEnforce));
  Miss("a");
  EXPECT_EQ(Ask({"GET", "a"}, true).kind, Verdict::Kind::kPass);
  EXPECT_EQ(Ask({"GET", "a"}, false, true).kind, Verdict::Kind::kPass);
  EXPECT_TRUE(IsAnswered({"GET", "a"}));
  const Verdict exec = Ask({"SET", "a", "1"}, true);
  EXPECT_FALSE(IsAnswered({"GET", "a"}));
}

TEST_F(AbsentKeysTest, AnswersAreThoseOfTheRule) {
  Use(Negative(PolicyMode::kEnforce, {.kind = OnAbsent::kSentinel, .text = "null"}));
  Miss("a");
  Verdict verdict = Ask({"GET", "a"});
  EXPECT_EQ(verdict.answer, PolicyAnswer::kBlank);
  EXPECT_EQ(verdict.blank, "null");
  EXPECT_EQ(Ask({"HGETALL", "a"}).answer, PolicyAnswer::kNil);
  Use(Negative(PolicyMode::kEnforce, {.kind = OnAbsent::kError, .text = "no such item"}));
  Miss("a");
  EXPECT_EQ(Ask({"GET", "a"}).error, "ABSENT no such item");
  EXPECT_EQ(Ask({"EXISTS", "a"}).answer, PolicyAnswer::kNil);
}

TEST_F(AbsentKeysTest, ObservingCountsAndLearns) {
  Use(Negative(PolicyMode::kObserve));
  Miss("a");
  EXPECT_EQ(Read({"GET", "a"}, kNil), "");
  EXPECT_EQ(observed(PolicyKind::kNegativeCache), 1);
  EXPECT_EQ(refused(PolicyKind::kNegativeCache), 0);
}

TEST_F(AbsentKeysTest, WhatAReloadDoesNotChangeGoesOn) {
  Use(Negative(PolicyMode::kEnforce));
  Miss("a");
  RoutePolicyOptions more = Negative(PolicyMode::kEnforce);
  more.key_shape.deny = {"bad*"};
  Use(more);
  EXPECT_TRUE(IsAnswered({"GET", "a"}));
  Use(Negative(PolicyMode::kEnforce, {.kind = OnAbsent::kSentinel}));
  EXPECT_FALSE(IsAnswered({"GET", "a"}));
}

TEST_F(AbsentKeysTest, TheFilterJudgesWhatFoundNothing) {
  Use(Bloom(PolicyMode::kEnforce, {.kind = OnAbsent::kSentinel, .text = "null"}));
  EXPECT_EQ(Read({"GET", "no"}, kNil), "");
  Complete({"a", "b"});
  EXPECT_EQ(Read({"GET", "no"}, kNil), "sentinel null");
  EXPECT_EQ(Read({"HGET", "no", "f"}, "_\r\n"), "sentinel null");
  EXPECT_EQ(Read({"GET", "no"}, "$1\r\nx\r\n"), "");  // it is there all the same
  EXPECT_EQ(Read({"GET", "a"}, kNil), "");            // it was once
  // Neither has a place for a string.
  EXPECT_EQ(Read({"EXISTS", "no"}, ":0\r\n"), "");
  EXPECT_EQ(Read({"ZSCORE", "no", "m"}, kNil), "");
  EXPECT_EQ(refused(PolicyKind::kBloom), 2);
  EXPECT_EQ(observed(PolicyKind::kBloom), 2);
  Ask({"SET", "no", "1"});
  EXPECT_EQ(Read({"GET", "no"}, kNil), "");
}

TEST_F(AbsentKeysTest, ErrorsAndNil) {
  Use(Bloom(PolicyMode::kEnforce, {.kind = OnAbsent::kError, .text = "no such item"}));
  Complete({});
  EXPECT_EQ(Read({"HGETALL", "no"}, "*0\r\n"), "error no such item");
  EXPECT_EQ(Read({"EXISTS", "no"}, ":0\r\n"), "");
  Use(Bloom(PolicyMode::kEnforce, {.kind = OnAbsent::kNil}));
  Complete({});
  EXPECT_EQ(Read({"GET", "no"}, kNil), "");
}

TEST_F(AbsentKeysTest, SparingAnswersBeforeAnybodyIsAsked) {
  Use(Bloom(PolicyMode::kEnforce, {.kind = OnAbsent::kNil}, true));
  EXPECT_FALSE(IsAnswered({"GET", "no"}));
  Complete({"a"});
  EXPECT_TRUE(IsAnswered({"GET", "no"}));
  EXPECT_FALSE(IsAnswered({"GET", "a"}));
  EXPECT_EQ(Ask({"GET", "no"}, false, true).kind, Verdict::Kind::kPass);
  Ask({"SET", "no", "1"});
  EXPECT_FALSE(IsAnswered({"GET", "no"}));
  // Scripts may make any key: nothing is known until all keys were found again.
  Ask({"SWAPDB", "0", "1"});
  EXPECT_FALSE(IsAnswered({"GET", "other"}));
  EXPECT_TRUE(keys().known_keys()->WantsBuild());
}

TEST_F(AbsentKeysTest, ObserveAndDescribe) {
  Use(Bloom(PolicyMode::kObserve, {.kind = OnAbsent::kSentinel, .text = "null"}));
  EXPECT_EQ(policies_->absent_keys()->Describe(),
            std::vector<std::string>({"bloom observe: scan not complete on-absent sentinel null"}));
  Complete({"a"});
  EXPECT_EQ(Read({"GET", "no"}, kNil), "");
  EXPECT_EQ(observed(PolicyKind::kBloom), 1);
  Use(Negative(PolicyMode::kEnforce));
  EXPECT_EQ(policies_->absent_keys()->Describe(),
            std::vector<std::string>({"negative_cache enforce: ttl 5s keys 100000 answer nil"}));
}

}  // namespace
}  // namespace tidegate
