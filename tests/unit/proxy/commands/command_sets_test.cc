// Command tables that a reload makes: ids, and what is kept of the tables before.
#include "proxy/commands/command_sets.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidegate {
namespace {

class CommandSetsTest : public ::testing::Test {
 protected:
  static Options Declaring(const std::vector<std::string>& names) {
    Options options;
    options.clusters.push_back({.name = "cache", .kind = ClusterKind::kRedis});
    for (const std::string& name : names) options.declared_commands.push_back({.name = name});
    return options;
  }
  const CommandTable& For(const Options& options) {
    Result<const CommandTable*> table = sets_.For(options);
    EXPECT_TRUE(table.ok());
    return **table;
  }

  CommandSets sets_{[] {
    const auto families = StorageCommandFamilies();
    return std::vector<std::span<const CommandSpec>>(families.begin(), families.end());
  }()};
};

TEST_F(CommandSetsTest, DeclaredCommandsAreForUpstreams) {
  Options without = Declaring({"MY.GET"});
  without.clusters.pop_back();
  const CommandTable& engine = For(without);
  EXPECT_EQ(engine.Find("my.get"), nullptr);
  EXPECT_NE(engine.Find("eval"), nullptr);
  const CommandTable& more = For(Declaring({"MY.GET"}));
  EXPECT_NE(more.Find("my.get"), nullptr);
  EXPECT_NE(more.Find("eval"), nullptr);
  EXPECT_EQ(engine.Find("my.get"), nullptr) << "a table does not change";
  EXPECT_EQ(&For(without), &engine) << "what was there once is taken again";
}

TEST_F(CommandSetsTest, IdsStayAsLongAsTheirCommands) {
  const CommandTable& first = For(Declaring({"MY.A", "MY.B", "MY.C"}));
  const CommandTable& second = For(Declaring({"MY.NEW", "MY.C", "MY.A"}));
  EXPECT_EQ(first.Find("get")->id, second.Find("get")->id);
  EXPECT_EQ(first.Find("my.a")->id, second.Find("my.a")->id);
  EXPECT_EQ(first.Find("my.c")->id, second.Find("my.c")->id);
  EXPECT_EQ(first.Find("my.b")->id, second.Find("my.new")->id) << "it takes the place that is free";
  EXPECT_LT(first.Find("get")->id, sets_.known().size());
  EXPECT_GE(first.Find("my.a")->id, sets_.known().size());
  EXPECT_LE(first.size(), sets_.ids_max());
  EXPECT_EQ(second.Find("my.b"), nullptr);
}

TEST_F(CommandSetsTest, ThereIsAnEndToIt) {
  for (size_t i = 0; i < kCommandSetsMax; ++i) For(Declaring({"MY." + std::to_string(i)}));
  const Result<const CommandTable*> refused = sets_.For(Declaring({"MY.MORE"}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "'commands' has changed 100 times: that needs a restart");
  EXPECT_NE(For(Declaring({"MY.7"})).Find("my.7"), nullptr);
}

}  // namespace
}  // namespace tidegate
