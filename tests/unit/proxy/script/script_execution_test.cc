// EVAL in a whole server with two workers: what others see of a script, what is recorded of it, and
// how a long one ends.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/sha1.h"
#include "proxy/commands/families.h"
#include "proxy/script/scripting.h"
#include "proxy/upstream/script_texts.h"
#include "tests/support/effect_capture.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using testing::EffectCapture;

std::string Encode(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return out;
}

// A reply on one line.
std::string AskLine(TestClient& client, const std::vector<std::string>& words) {
  client.Send(Encode(words));
  std::string line;
  while (!line.ends_with("\r\n")) {
    const std::string byte = client.Read(1, 30'000);
    if (byte.empty()) return line;
    line += byte;
  }
  return line.substr(0, line.size() - 2);
}

std::vector<std::string> Eval(const std::string& text, const std::vector<std::string>& keys,
                              const std::vector<std::string>& args = {}) {
  std::vector<std::string> words = {"EVAL", text, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  return words;
}

constexpr const char* kForever = "while true do end";

class ScriptExecutionTest : public ::testing::Test {
 protected:
  ScriptWatch& watch() { return server_->script_texts().scripting().watch(); }

  std::unique_ptr<EffectCapture> effects_ = std::make_unique<EffectCapture>();
  TestServer server_{
      ProxyCommandFamilies(),
      [](Options& options) { options.busy_reply_threshold = std::chrono::milliseconds(20); },
      [this](Server& server) { server.engine().SetEffectSink(effects_.get()); }};
};

TEST_F(ScriptExecutionTest, EffectsAreOneRecord) {
  TestClient client(server_.port());
  EXPECT_EQ(AskLine(client, Eval("redis.call('set', KEYS[1], 'v') redis.call('incr', 'other') "
                                 "redis.call('spop', 'none') redis.call('get', 'k') return 1",
                                 {"k"})),
            ":1");
  EXPECT_EQ(AskLine(client, Eval("return redis.call('exists', 'k')", {})), ":1");
  const std::vector<std::string> records = effects_->records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(EffectCapture::Text(records[0]), "set k v | incr other");
}

TEST_F(ScriptExecutionTest, ATransactionWithAScriptIsOneRecord) {
  TestClient client(server_.port());
  AskLine(client, {"MULTI"});
  AskLine(client, {"SET", "a", "1"});
  AskLine(client, Eval("return redis.call('incr', 'a')", {}));
  client.Send(Encode({"EXEC"}));
  EXPECT_EQ(client.Read(13), "*2\r\n+OK\r\n:2\r\n");
  const std::vector<std::string> records = effects_->records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(EffectCapture::Text(records[0]), "SET a 1 | incr a");
}

TEST_F(ScriptExecutionTest, AScriptIsKnownOnAllWorkers) {
  TestClient one(server_.port());
  TestClient other(server_.port());
  const std::string text = "return 7";
  one.Send(Encode({"SCRIPT", "LOAD", text}));
  EXPECT_EQ(one.Read(47), "$40\r\n" + Sha1Hex(text) + "\r\n");
  EXPECT_EQ(AskLine(other, {"EVALSHA", Sha1Hex(text), "0"}), ":7");
  EXPECT_EQ(AskLine(other, {"SCRIPT", "FLUSH"}), "+OK");
  EXPECT_EQ(AskLine(one, {"EVALSHA", Sha1Hex(text), "0"}),
            "-NOSCRIPT No matching script. Please use EVAL.");
}

TEST_F(ScriptExecutionTest, WhoIsBlockedGetsWhatAScriptPushes) {
  TestClient blocked(server_.port());
  TestClient client(server_.port());
  blocked.Send(Encode({"BLMOVE", "list", "target", "LEFT", "LEFT", "0"}));
  ASSERT_TRUE(Eventually([&] { return server_->Totals().sessions_suspended == 1; }));
  EXPECT_EQ(AskLine(client, Eval("redis.call('set', 'x', 1) redis.call('rpush', 'list', 'e') "
                                 "return redis.call('llen', 'list')",
                                 {})),
            ":1");
  EXPECT_EQ(blocked.Read(7), "$1\r\ne\r\n");
}

TEST_F(ScriptExecutionTest, ALongScriptLetsOthersGoOnAndIsKilled) {
  TestClient client(server_.port());
  TestClient other(server_.port());
  client.Send(Encode(Eval(kForever, {"k"})));
  ASSERT_TRUE(Eventually([&] { return watch().busy(); }));
  EXPECT_TRUE(AskLine(other, {"PING"}).starts_with("-BUSY "));
  EXPECT_EQ(AskLine(other, {"SCRIPT", "KILL"}), "+OK");
  EXPECT_EQ(client.Read(5), "-ERR ");
  ASSERT_TRUE(Eventually([&] { return !watch().busy(); }));
  EXPECT_EQ(AskLine(other, {"PING"}), "+PONG");
  EXPECT_EQ(AskLine(other, {"SCRIPT", "KILL"}), "-NOTBUSY No scripts in execution right now.");
}

TEST_F(ScriptExecutionTest, AScriptThatHasWrittenIsNotKilled) {
  TestClient client(server_.port());
  TestClient other(server_.port());
  client.Send(Encode(Eval("redis.call('set', 'k', 1) repeat until redis.call('get', 'go')", {})));
  ASSERT_TRUE(Eventually([&] { return watch().busy(); }));
  EXPECT_TRUE(AskLine(other, {"SCRIPT", "KILL"}).starts_with("-UNKILLABLE "));
  // SHUTDOWN ends it, and half of a script is not recorded.
  server_.Stop(true);
  EXPECT_TRUE(effects_->records().empty());
}

TEST_F(ScriptExecutionTest, AScriptGoesOnWithoutItsClient) {
  TestClient other(server_.port());
  {
    TestClient client(server_.port());
    client.Send(
        Encode(Eval("redis.call('set', 'begun', 1) for i = 1, 1e7 do end "
                    "redis.call('set', 'done', 1)",
                    {})));
    ASSERT_TRUE(Eventually([&] { return watch().busy(); }));
  }
  EXPECT_TRUE(Eventually([&] { return AskLine(other, {"EXISTS", "done"}) == ":1"; }));
}

// Accounts are declared, or not; whatever anybody reads adds up.
TEST_F(ScriptExecutionTest, MoneyIsNeitherMadeNorLost) {
  constexpr int kAccounts = 20;
  const std::string transfer =
      "local from, to = KEYS[1] or ARGV[1], KEYS[2] or ARGV[2] redis.call('decr', from) "
      "redis.call('incr', to) return 1";
  const std::string sum =
      "local s = 0 for i = 0, 19 do s = s + redis.call('get', 'a' .. i) end return s";
  TestClient client(server_.port());
  for (int i = 0; i < kAccounts; ++i) AskLine(client, {"SET", "a" + std::to_string(i), "100"});
  std::atomic<int> wrong{0};
  const auto work = [&](int seed) {
    TestClient own(server_.port());
    for (int i = 0; i < 300; ++i) {
      const std::string from = "a" + std::to_string((i * 7 + seed) % kAccounts);
      const std::string to = "a" + std::to_string((i * 3 + seed * 5 + 1) % kAccounts);
      const bool declared = (i + seed) % 2 == 0;
      const std::string reply = declared ? AskLine(own, Eval(transfer, {from, to}))
                                         : AskLine(own, Eval(transfer, {}, {from, to}));
      if (reply != ":1" && !reply.starts_with("-BUSY")) ++wrong;
      const std::string total = AskLine(own, Eval(sum, {}));
      if (total != ":2000" && !total.starts_with("-BUSY")) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(AskLine(client, Eval(sum, {})), ":2000");
}

}  // namespace
}  // namespace tidegate
