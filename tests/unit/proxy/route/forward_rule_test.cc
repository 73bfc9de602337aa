// ForwardRule: of every command that there is, whom it means.
#include "proxy/route/forward_rule.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "proxy/commands/families.h"
#include "storage/command.h"

namespace tidegate {
namespace {

std::unique_ptr<CommandTable> AllCommands() {
  std::vector<std::span<const CommandSpec>> families;
  for (const auto& family : StorageCommandFamilies()) families.push_back(family);
  for (const auto& family : ProxyCommandFamilies()) families.push_back(family);
  families.push_back(kScriptingFamily);
  return CommandTable::Create(families);
}

class ForwardRuleTest : public ::testing::Test {
 protected:
  Request Parse(const std::string& line) {
    words_ = SplitAt(line);
    args_.assign(words_.begin(), words_.end());
    request_.args = args_;
    request_.command = table_->Find(args_[0]);
    if (request_.command->is_container())
      request_.command = CommandTable::FindSubcommand(*request_.command, args_[1]);
    return request_;
  }
  ForwardRule RuleOf(const std::string& line) { return ForwardRuleOf(Parse(line)); }

  static std::vector<std::string> SplitAt(const std::string& line) {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == ' ') {
        words.emplace_back();
      } else {
        words.back() += c;
      }
    }
    return words;
  }

  std::unique_ptr<CommandTable> table_ = AllCommands();
  std::vector<std::string> words_;
  std::vector<std::string_view> args_;
  Request request_;
};

TEST_F(ForwardRuleTest, DataGoesByItsKeys) {
  for (const char* line :
       {"get k", "SET k v", "mget a b", "sort k", "xread streams block 0", "object encoding k",
        "memory usage k", "zunionstore d 1 k", "dump k", "restore k 0 x", "copy a b", "move k 1",
        "object freq k", "fcall f 1 k"}) {
    if (table_->Find(SplitAt(line)[0]) == nullptr) continue;
    EXPECT_EQ(RuleOf(line), ForwardRule::kByKey) << line;
  }
}

TEST_F(ForwardRuleTest, TheWholeKeyspaceIsThatOfTheCatchAll) {
  for (const char* line : {"dbsize", "flushall", "flushdb", "keys *", "randomkey", "scan 0",
                           "swapdb 0 1", "publish c m", "spublish c m", "pubsub channels"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kByCatchAll) << line;
}

TEST_F(ForwardRuleTest, SaysWhatNeedsAConnectionOfItsOwn) {
  for (const char* line :
       {"blpop k 0", "bzpopmin k 0", "blmove a b left left 0", "xread block 0 streams k $",
        "xreadgroup group g c block 0 streams k >", "watch k"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kPrivateByKey) << line;
  for (const char* line : {"subscribe c", "psubscribe c", "ssubscribe c", "wait 1 0"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kPrivateByCatchAll) << line;
}

TEST_F(ForwardRuleTest, ScriptsAreLookedAtOnTheirWay) {
  for (const char* line : {"eval x 1 k", "evalsha x 0", "eval_ro x 0", "evalsha_ro x 1 k"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kScriptByKey) << line;
  for (const char* line : {"script load x", "script kill", "function stats", "function list"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kScriptByCatchAll) << line;
}

// Whatever is added to the table: nothing that administers a server may reach somebody else's.
TEST_F(ForwardRuleTest, NoCommandAboutAServerIsForwarded) {
  for (const char* line : {"ping",
                           "info",
                           "config get x",
                           "config set a b",
                           "client list",
                           "debug sleep 1",
                           "shutdown",
                           "monitor",
                           "save",
                           "bgsave",
                           "slowlog get",
                           "select 1",
                           "hello 3",
                           "multi",
                           "exec",
                           "unwatch",
                           "unsubscribe",
                           "acl whoami",
                           "replicaof no one",
                           "latency reset",
                           "module list",
                           "cluster info",
                           "memory stats",
                           "bgrewriteaof"})
    EXPECT_EQ(RuleOf(line), ForwardRule::kHere) << line;
  for (const Command* command : table_->all()) {
    if (command->is_container()) continue;
    if ((command->spec->flags & (kAdmin | kProtected)) == 0) continue;
    const std::vector<std::string_view> args(20, "0");
    const Request request{.command = command, .args = args};
    EXPECT_TRUE(ForwardRuleOf(request) == ForwardRule::kHere || command->spec->keys.first != 0)
        << command->full_name;
  }
}

TEST_F(ForwardRuleTest, KnowsWhatTouchesOtherDatabases) {
  for (const char* line : {"flushall", "swapdb 0 1", "move k 1", "copy a b DB 2"})
    EXPECT_TRUE(TouchesOtherDatabases(Parse(line))) << line;
  for (const char* line : {"flushdb", "copy a b", "copy a b replace", "get db"})
    EXPECT_FALSE(TouchesOtherDatabases(Parse(line))) << line;
}

}  // namespace
}  // namespace tidegate
