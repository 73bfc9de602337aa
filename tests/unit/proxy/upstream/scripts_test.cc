// Scripts at upstreams: whom they go to when there are several nodes, and what becomes of a call by
// SHA1 that a node does not know. The nodes are servers of the tests', which keep what they were
// told.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/sha1.h"
#include "proxy/commands/families.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr std::string_view kNoScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

// Knows a script when it was told its text; a script gives ":1", and GET ":2".
class ScriptNode final {
 public:
  std::string Answer(const std::string& command) {
    const std::lock_guard lock(mutex_);
    if (command.starts_with("SELECT") || command.starts_with("CLIENT")) return "+OK\r\n";
    heard_.push_back(command);
    if (command.starts_with("GET")) return ":2\r\n";
    if (command.starts_with("EVALSHA")) return known_ ? ":1\r\n" : std::string(kNoScript);
    if (command.starts_with("EVAL")) known_ = true;
    if (command.starts_with("EVAL")) return ":1\r\n";
    return answer_;
  }
  std::vector<std::string> TakeHeard() {
    const std::lock_guard lock(mutex_);
    return std::exchange(heard_, {});
  }
  void Forget() {
    const std::lock_guard lock(mutex_);
    known_ = false;
  }
  void set_answer(std::string answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  uint16_t port() const { return server_.port(); }
  FakeRedis& server() { return server_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> heard_;
  std::string answer_ = "+OK\r\n";
  bool known_ = false;
  FakeRedis server_{[this](const std::string& command) { return Answer(command); }};
};

std::function<void(Options&)> InFrontOf(ClusterKind kind, const std::vector<uint16_t>& ports) {
  return [=](Options& options) {
    options.workers = 1;
    options.enable_debug_command = ProtectedAction::kYes;
    ClusterOptions cluster{.name = "cache",
                           .kind = kind,
                           .connect_timeout = std::chrono::milliseconds(500),
                           .request_timeout = std::chrono::milliseconds(2000)};
    for (const uint16_t port : ports) cluster.nodes.push_back({.address = {"127.0.0.1", port}});
    options.clusters.push_back(cluster);
    options.routes = {{"near:*", "local"}, {"*", "cache"}};
  };
}

std::string EvalSha(std::string_view text, std::string_view key) {
  return "EVALSHA " + Sha1Hex(text) + " 1 " + std::string(key);
}

class ScriptReload : public ::testing::Test {
 protected:
  std::string Ask(const std::string& command) {
    client_.Send(command + "\r\n");
    return client_.ReadSome();
  }

  ScriptNode node_;
  TestServer server_{ProxyCommandFamilies(), InFrontOf(ClusterKind::kRedis, {node_.port()})};
  TestClient client_{server_.port()};
};

TEST_F(ScriptReload, AnUnknownScriptIsSentWithItsText) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  node_.Forget();
  EXPECT_EQ(Ask(EvalSha("text", "k") + " a b"), ":1\r\n");
  const std::vector<std::string> expected = {"EVAL text 1 k", EvalSha("text", "k") + " a b",
                                             "EVAL text 1 k a b"};
  EXPECT_EQ(node_.TakeHeard(), expected);
  EXPECT_EQ(Ask(EvalSha("text", "k")), ":1\r\n");
  EXPECT_EQ(node_.TakeHeard().size(), 1U);
  EXPECT_EQ(Ask("PING"), "+PONG\r\n");
}

TEST_F(ScriptReload, WhatIsNotKnownHereIsTheClientsMatter) {
  EXPECT_EQ(Ask(EvalSha("never seen", "k")), kNoScript);
  EXPECT_EQ(Ask("SCRIPT LOAD loaded"), "+OK\r\n");
  EXPECT_EQ(Ask(EvalSha("loaded", "k")), ":1\r\n");
  EXPECT_EQ(Ask("SCRIPT FLUSH"), "+OK\r\n");
  node_.Forget();
  EXPECT_EQ(Ask(EvalSha("loaded", "k")), kNoScript);
}

// A script may give any error, after it has done something.
TEST_F(ScriptReload, OnlyTheNodesOwnErrorCounts) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  node_.server().Set([](const std::string&) { return "-NOSCRIPT of the script's own\r\n"; });
  EXPECT_EQ(Ask(EvalSha("text", "k")), "-NOSCRIPT of the script's own\r\n");
}

TEST_F(ScriptReload, WhatDoesNotCompileWasNeverThere) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  EXPECT_EQ(Ask("EVAL uncounted x k"), ":1\r\n");
  EXPECT_EQ(Ask("EVAL uncounted 2 k"), ":1\r\n");
  node_.Forget();
  EXPECT_EQ(Ask(EvalSha("uncounted", "k")), kNoScript);
  node_.server().Set([](const std::string& command) -> std::string {
    if (command.starts_with("EVALSHA")) return std::string(kNoScript);
    return "-ERR Error compiling script (new function): user_script:1: '=' expected\r\n";
  });
  EXPECT_EQ(Ask(EvalSha("text", "k")), kNoScript);
  EXPECT_TRUE(Ask("EVAL text 1 k").starts_with("-ERR Error compiling script"));
}

// It would be overtaken by what is behind it already; the next one alone is sent again.
TEST_F(ScriptReload, NothingIsOvertaken) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  node_.Forget();
  const std::string call = EvalSha("text", "k") + "\r\n";
  const std::string expected = std::string(kNoScript) + ":2\r\n:1\r\n";
  EXPECT_EQ(client_.Ask(call + "GET k\r\n" + call, expected), expected);
  const std::string after = ":1\r\n:2\r\n";
  EXPECT_EQ(client_.Ask(call + "GET k\r\n", after), after);
}

TEST_F(ScriptReload, ANodeThatNeverKnowsItIsAskedOnce) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  node_.server().Set([](const std::string& command) {
    return command.starts_with("SELECT") ? "+OK\r\n" : std::string(kNoScript);
  });
  EXPECT_EQ(Ask(EvalSha("text", "k")), kNoScript);
  const UpstreamCounters& counters = server_->workers()[0]->upstreams()[0]->Figures()[0]->counters;
  EXPECT_EQ(counters.script_reloads.Get(), 1U);
  EXPECT_EQ(counters.in_flight.Get(), 0U);
}

TEST_F(ScriptReload, ALostConnectionLosesTheTextToo) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  node_.server().Set([](const std::string& command) {
    if (command.starts_with("SELECT")) return std::string("+OK\r\n");
    return command.starts_with("EVALSHA") ? std::string(kNoScript)
                                          : std::string(FakeRedis::kHangUp);
  });
  EXPECT_EQ(Ask(EvalSha("text", "k")),
            "-ERR upstream cluster 'cache', 127.0.0.1:" + std::to_string(node_.port()) +
                ": it closed the connection\r\n");
  node_.server().Set([this](const std::string& command) { return node_.Answer(command); });
  EXPECT_EQ(Ask("GET k"), ":2\r\n");
}

TEST_F(ScriptReload, WithWatchedKeysItGoesOverTheSameConnection) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  EXPECT_EQ(Ask("WATCH k"), "+OK\r\n");
  node_.Forget();
  EXPECT_EQ(Ask(EvalSha("text", "k")), ":1\r\n");
  EXPECT_EQ(Ask("UNWATCH"), "+OK\r\n");
}

// Behind a script that runs it would wait for the script's end.
TEST_F(ScriptReload, WhatEndsAScriptDoesNotWaitBehindIt) {
  node_.server().Set([](const std::string& command) {
    if (command == "SELECT 0") return "-BUSY Redis is busy running a script.\r\n";
    if (command.starts_with("SCRIPT")) return "+OK\r\n";
    return "";  // it runs
  });
  TestClient killer(server_.port());
  client_.Send("EVAL endless 0\r\n");
  EXPECT_TRUE(Eventually([this] { return node_.server().asked() >= 2; }));
  EXPECT_EQ(killer.Ask("SCRIPT KILL\r\n", "+OK\r\n"), "+OK\r\n");
}

class ScriptsOnARing : public ::testing::Test {
 protected:
  std::string Ask(const std::string& command) {
    client_.Send(command + "\r\n");
    return client_.ReadSome();
  }
  // How many nodes heard the command.
  int Heard(const std::string& command) {
    int count = 0;
    for (ScriptNode& node : nodes_) {
      for (const std::string& heard : node.TakeHeard()) count += heard == command ? 1 : 0;
    }
    return count;
  }

  std::array<ScriptNode, 3> nodes_;
  TestServer server_{
      ProxyCommandFamilies(),
      InFrontOf(ClusterKind::kRing, {nodes_[0].port(), nodes_[1].port(), nodes_[2].port()})};
  TestClient client_{server_.port()};
};

TEST_F(ScriptsOnARing, WhatIsKeptByNodesGoesToAll) {
  for (const char* command :
       {"SCRIPT LOAD x", "SCRIPT FLUSH", "FUNCTION LOAD x", "FUNCTION DELETE x", "FUNCTION FLUSH",
        "FUNCTION RESTORE x", "SCRIPT KILL", "FUNCTION KILL"}) {
    EXPECT_EQ(Ask(command), "+OK\r\n") << command;
    EXPECT_EQ(Heard(command), 3) << command;
  }
  nodes_[1].set_answer("-ERR no\r\n");
  EXPECT_EQ(Ask("SCRIPT LOAD x"), "-ERR no\r\n");
  EXPECT_EQ(Ask("SCRIPT KILL"), "+OK\r\n");
}

TEST_F(ScriptsOnARing, WhatAllNodesKnowAlikeGoesToOne) {
  for (const char* command : {"EVAL x 0", "EVAL_RO x 0", "FCALL f 0", "FUNCTION LIST",
                              "FUNCTION DUMP", "FUNCTION STATS"}) {
    Ask(command);
    EXPECT_EQ(Heard(command), 1) << command;
  }
  // A client stays with its node; clients spread.
  for (int i = 0; i < 5; ++i) Ask("EVAL x 0");
  int nodes_asked = 0;
  for (ScriptNode& node : nodes_) nodes_asked += node.TakeHeard().empty() ? 0 : 1;
  EXPECT_EQ(nodes_asked, 1);
  for (int i = 0; i < 100; ++i) {
    TestClient other(server_.port());
    EXPECT_EQ(other.Ask("EVAL x 0\r\n", ":1\r\n"), ":1\r\n");
  }
  nodes_asked = 0;
  for (ScriptNode& node : nodes_) nodes_asked += node.TakeHeard().empty() ? 0 : 1;
  EXPECT_EQ(nodes_asked, 3);
}

TEST_F(ScriptsOnARing, AScriptThatAllKnowButOneExistsNowhere) {
  for (ScriptNode& node : nodes_) node.set_answer("*2\r\n:1\r\n:1\r\n");
  EXPECT_EQ(Ask("SCRIPT EXISTS a b"), "*2\r\n:1\r\n:1\r\n");
  nodes_[2].set_answer("*2\r\n:1\r\n:0\r\n");
  EXPECT_EQ(Ask("SCRIPT EXISTS a b"), "*2\r\n:1\r\n:0\r\n");
}

TEST_F(ScriptsOnARing, ChannelsAndSubscribersOfAllNodes) {
  nodes_[0].set_answer("*1\r\n$1\r\na\r\n");
  nodes_[1].set_answer("*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  nodes_[2].set_answer("*0\r\n");
  EXPECT_EQ(Ask("PUBSUB CHANNELS"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_EQ(Ask("PUBSUB SHARDCHANNELS"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  for (ScriptNode& node : nodes_) node.set_answer("*2\r\n$1\r\na\r\n:2\r\n");
  EXPECT_EQ(Ask("PUBSUB NUMSUB a"), "*2\r\n$1\r\na\r\n:6\r\n");
  EXPECT_EQ(Ask("PUBSUB SHARDNUMSUB a"), "*2\r\n$1\r\na\r\n:6\r\n");
  for (ScriptNode& node : nodes_) node.set_answer(":3\r\n");
  EXPECT_EQ(Ask("PUBSUB NUMPAT"), ":9\r\n");
}

// Keys decide, wherever they stand among those that have none.
TEST_F(ScriptsOnARing, ScriptsWithoutKeysInATransaction) {
  for (ScriptNode& node : nodes_) {
    node.server().Set([](const std::string& command) {
      if (command == "EXEC") return "*2\r\n:1\r\n:2\r\n";
      return command.starts_with("EVAL") || command.starts_with("GET") ? "+QUEUED\r\n" : "+OK\r\n";
    });
  }
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    const std::string expected = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n";
    EXPECT_EQ(
        client_.Ask("MULTI\r\nEVAL x 0\r\nGET " + std::string(key) + "\r\nEXEC\r\n", expected),
        expected);
  }
  const std::string refused =
      "+OK\r\n-ERR 'dbsize' is not supported in a transaction on a cluster of several nodes\r\n"
      "-EXECABORT Transaction discarded because of previous errors.\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nDBSIZE\r\nEXEC\r\n", refused), refused);
}

// The client may have loaded it at another node.
TEST_F(ScriptsOnARing, ATransactionBringsItsScripts) {
  EXPECT_EQ(Ask("EVAL text 1 k"), ":1\r\n");
  for (ScriptNode& node : nodes_) {
    node.TakeHeard();
    node.server().Set([&node](const std::string& command) {
      const std::string reply = node.Answer(command);
      if (command == "EXEC") return std::string("*0\r\n");
      return std::string(reply == ":1\r\n" ? "+QUEUED\r\n" : "+OK\r\n");
    });
  }
  const std::string call = EvalSha("text", "{k}a");
  const std::string expected = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*0\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\n" + call + "\r\n" + call + "\r\nEXEC\r\n", expected), expected);
  std::vector<std::string> heard;
  for (ScriptNode& node : nodes_) {
    for (std::string& command : node.TakeHeard()) heard.push_back(std::move(command));
  }
  EXPECT_EQ(heard, (std::vector<std::string>{"MULTI", "EVAL text 1 {k}a", call, "EXEC"}));
}

TEST_F(ScriptsOnARing, DebugDoesNotSpeakOfOtherKeys) {
  EXPECT_EQ(Ask("DEBUG OBJECT near:k"), "-ERR no such key\r\n");
  EXPECT_EQ(Ask("DEBUG OBJECT far"),
            "-ERR DEBUG is about keys of the engine, and this one belongs to an upstream "
            "cluster\r\n");
}

}  // namespace
}  // namespace tidegate
