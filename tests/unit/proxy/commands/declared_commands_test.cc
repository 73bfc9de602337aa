// DeclaredCommands in a CommandTable: found by name and by pattern, with their keys.
#include "proxy/commands/declared_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/route/forward_rule.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = KeyRuleOptions::Kind;

class DeclaredCommandsTest : public ::testing::Test {
 protected:
  explicit DeclaredCommandsTest() {
    for (const auto& family : StorageCommandFamilies()) families_.push_back(family);
    families_.push_back(kScriptingFamily);
  }
  void Declare(std::vector<DeclaredCommandOptions> options) {
    declared_ = std::make_unique<DeclaredCommands>(options, families_);
    families_.push_back(declared_->family());
    table_ = CommandTable::Create(families_);
  }
  std::vector<int> KeysOf(std::vector<std::string_view> args) {
    const Command* command = table_->Find(args[0]);
    std::vector<int> keys;
    if (command == nullptr || !FindKeyArguments(*command->spec, args, keys)) return {-1};
    return keys;
  }

  std::vector<std::span<const CommandSpec>> families_;
  std::unique_ptr<DeclaredCommands> declared_;
  std::unique_ptr<CommandTable> table_;
};

TEST_F(DeclaredCommandsTest, TheLongestPatternWinsAndANameBeforeAll) {
  Declare({{"J*", {Kind::kNone, 0, 0, 0}},
           {"JSON.*", {Kind::kRange, 1, 1, 1}},
           {"JSON.MGET", {Kind::kRange, 1, -2, 1}, true}});
  EXPECT_EQ(table_->Find("json.get")->full_name, "json.*");
  EXPECT_EQ(table_->Find("Json.Mget")->full_name, "json.mget");
  EXPECT_EQ(table_->Find("jx")->full_name, "j*");
  EXPECT_EQ(table_->Find("x"), nullptr);
  EXPECT_EQ(table_->Find("get")->full_name, "get");
  EXPECT_EQ(table_->Find("json.get")->spec->access, Access::kWrite);
  EXPECT_EQ(table_->Find("json.mget")->spec->access, Access::kRead);
  for (const Command* command : table_->top_level())
    EXPECT_FALSE(command->full_name.ends_with('*'));
  EXPECT_NE(table_->Find("j" + std::string(100, 'x')), nullptr);  // as long as it may be
}

TEST_F(DeclaredCommandsTest, FindTheirKeys) {
  Declare({{"ONE", {Kind::kRange, 1, 1, 1}},
           {"PAIRS", {Kind::kRange, 1, -1, 2}},
           {"COUNT", {Kind::kCounted, 1, 0, 0}},
           {"MERGE", {Kind::kTargetAndCounted, 2, 0, 0}},
           {"NONE", {Kind::kNone, 0, 0, 0}}});
  EXPECT_THAT(KeysOf({"one", "a", "b"}), ElementsAre(1));
  EXPECT_FALSE(table_->Find("one")->spec->arity.Accepts(1));
  EXPECT_THAT(KeysOf({"pairs", "a", "1", "b", "2"}), ElementsAre(1, 3));
  EXPECT_THAT(KeysOf({"count", "2", "a", "b", "x"}), ElementsAre(2, 3));
  EXPECT_THAT(KeysOf({"merge", "t", "2", "a", "b"}), ElementsAre(1, 3, 4));
  EXPECT_THAT(KeysOf({"none", "x"}), IsEmpty());
}

TEST_F(DeclaredCommandsTest, WhatIsKnownStaysAsItIs) {
  Declare({{"GET", {Kind::kNone, 0, 0, 0}}, {"MINE", {Kind::kRange, 1, 1, 1}}});
  EXPECT_THAT(KeysOf({"get", "k"}), ElementsAre(1));
  EXPECT_THAT(KeysOf({"mine", "k"}), ElementsAre(1));
}

TEST_F(DeclaredCommandsTest, ScriptsGoByTheirKeysOrToTheRest) {
  Declare({});
  EXPECT_THAT(KeysOf({"eval", "return 1", "2", "a", "b", "x"}), ElementsAre(3, 4));
  EXPECT_THAT(KeysOf({"evalsha", "abc", "0", "x"}), IsEmpty());
  EXPECT_THAT(KeysOf({"fcall", "f", "-1"}), ElementsAre(-1));
  const Command* script = table_->Find("script");
  const std::vector<std::string_view> load = {"script", "load", "return 1"};
  EXPECT_EQ(ForwardRuleOf({.command = CommandTable::FindSubcommand(*script, "load"), .args = load}),
            ForwardRule::kScriptByCatchAll);
  const std::vector<std::string_view> eval = {"eval", "return 1", "1", "a"};
  EXPECT_EQ(ForwardRuleOf({.command = table_->Find("eval"), .args = eval}),
            ForwardRule::kScriptByKey);
}

}  // namespace
}  // namespace tidegate
