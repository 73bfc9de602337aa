#include "proxy/commands/command_details.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "proxy/commands/families.h"

namespace tidegate {
namespace {

std::unique_ptr<CommandTable> AllCommands() {
  std::vector<std::span<const CommandSpec>> families;
  for (const auto& family : StorageCommandFamilies()) families.push_back(family);
  for (const auto& family : ProxyCommandFamilies()) families.push_back(family);
  return CommandTable::Create(families);
}

Words CategoriesOf(const CommandTable& table, std::string_view name,
                   std::string_view subcommand = "") {
  const Command* command = table.Find(name);
  if (!subcommand.empty()) command = CommandTable::FindSubcommand(*command, subcommand);
  return CommandCategories(*command->spec);
}

// What redis-server 7.0.15 answers.
TEST(CommandDetails, Categories) {
  const auto table = AllCommands();
  EXPECT_EQ(CategoriesOf(*table, "GET"), (Words{"read", "string", "fast"}));
  EXPECT_EQ(CategoriesOf(*table, "DEL"), (Words{"keyspace", "write", "slow"}));
  EXPECT_EQ(CategoriesOf(*table, "DBSIZE"), (Words{"keyspace", "read", "fast"}));
  EXPECT_EQ(CategoriesOf(*table, "FLUSHALL"), (Words{"keyspace", "write", "slow", "dangerous"}));
  EXPECT_EQ(CategoriesOf(*table, "KEYS"), (Words{"keyspace", "read", "slow", "dangerous"}));
  EXPECT_EQ(CategoriesOf(*table, "CONFIG"), (Words{"slow"}));
  EXPECT_EQ(CategoriesOf(*table, "CONFIG", "SET"), (Words{"admin", "slow", "dangerous"}));
  EXPECT_EQ(CategoriesOf(*table, "CLIENT", "KILL"),
            (Words{"admin", "slow", "dangerous", "connection"}));
  EXPECT_EQ(CategoriesOf(*table, "COMMAND"), (Words{"slow", "connection"}));
  EXPECT_EQ(CategoriesOf(*table, "WAIT"), (Words{"slow", "connection"}));
  EXPECT_EQ(CategoriesOf(*table, "ROLE"), (Words{"admin", "fast", "dangerous"}));
  EXPECT_EQ(CategoriesOf(*table, "MEMORY", "USAGE"), (Words{"read", "slow"}));
  EXPECT_EQ(CategoriesOf(*table, "OBJECT", "HELP"), (Words{"keyspace", "slow"}));
  EXPECT_EQ(CategoriesOf(*table, "PUBSUB", "HELP"), (Words{"slow"}));
  EXPECT_EQ(CategoriesOf(*table, "SORT"),
            (Words{"write", "set", "sortedset", "list", "slow", "dangerous"}));
}

TEST(CommandDetails, FlagWordsInRedisOrder) {
  const auto table = AllCommands();
  EXPECT_EQ(CommandFlagWords(*table->Find("COPY")->spec), (Words{"write", "denyoom"}));
  EXPECT_EQ(CommandFlagWords(*table->Find("AUTH")->spec),
            (Words{"noscript", "loading", "stale", "fast", "no_auth", "allow_busy"}));
  EXPECT_EQ(CommandFlagWords(*table->Find("OBJECT")->spec), Words{});
}

TEST(CommandDetails, KeySpecifications) {
  const auto table = AllCommands();
  const auto rename = KeySpecifications(*table->Find("RENAME")->spec);
  ASSERT_EQ(rename.size(), 2u);
  EXPECT_EQ(rename[0].flags, (Words{"RW", "access", "delete"}));
  EXPECT_EQ(rename[0].index, 1);
  EXPECT_EQ(rename[1].flags, (Words{"OW", "update"}));
  EXPECT_EQ(rename[1].index, 2);
  EXPECT_EQ(rename[1].last, 0);
  const auto bitop = KeySpecifications(*table->Find("BITOP")->spec);
  ASSERT_EQ(bitop.size(), 2u);
  EXPECT_EQ(bitop[1].index, 3);
  EXPECT_EQ(bitop[1].last, -1);
  const auto mset = KeySpecifications(*table->Find("MSET")->spec);
  ASSERT_EQ(mset.size(), 1u);
  EXPECT_EQ(mset[0].step, 2);
  EXPECT_TRUE(KeySpecifications(*table->Find("PING")->spec).empty());
  const auto store = KeySpecifications(*table->Find("ZUNIONSTORE")->spec);
  ASSERT_EQ(store.size(), 2u);
  EXPECT_FALSE(store[0].counted);
  EXPECT_EQ(store[0].flags, (Words{"OW", "update"}));
  EXPECT_TRUE(store[1].counted);
  EXPECT_EQ(store[1].index, 2);
}

TEST(CommandDetails, KeysBehindKeywords) {
  const auto table = AllCommands();
  const auto read = KeySpecifications(*table->Find("XREAD")->spec);
  ASSERT_EQ(read.size(), 1u);
  ASSERT_NE(read[0].keyword, nullptr);
  EXPECT_EQ(read[0].keyword->keyword, "STREAMS");
  EXPECT_EQ(read[0].keyword->limit, 2);
  EXPECT_EQ(read[0].last, -1);
  const auto radius = KeySpecifications(*table->Find("GEORADIUS")->spec);
  ASSERT_EQ(radius.size(), 3u);
  EXPECT_EQ(radius[0].keyword, nullptr);
  EXPECT_EQ(radius[0].index, 1);
  EXPECT_EQ(radius[2].keyword->keyword, "STOREDIST");
  EXPECT_EQ(radius[2].flags, (Words{"OW", "update"}));
  // And what a call does to the key behind one.
  const std::string_view store[] = {"GEORADIUS", "k", "1", "2", "3", "m", "STORE", "to"};
  EXPECT_EQ(KeyFlagsOfCall(*table->Find("GEORADIUS")->spec, store, 7), (Words{"OW", "update"}));
  EXPECT_EQ(KeySpecifications(*table->Find("SORT")->spec)[2].keyword->keyword, "");
}

TEST(CommandDetails, KeyFlagsOfSetDependOnTheCall) {
  const auto table = AllCommands();
  const CommandSpec& set = *table->Find("SET")->spec;
  const std::string_view plain[] = {"SET", "k", "v"};
  const std::string_view reading[] = {"SET", "k", "v", "GET"};
  EXPECT_EQ(KeyFlagsOfCall(set, plain, 1), (Words{"OW", "update"}));
  EXPECT_EQ(KeyFlagsOfCall(set, reading, 1), (Words{"RW", "access", "update"}));
}

TEST(CommandDetails, EveryRowHasAKnownGroupAndTidyWords) {
  const auto table = AllCommands();
  for (const Command* command : table->all()) {
    EXPECT_FALSE(CommandGroupName(command->spec->group).empty()) << command->full_name;
    for (const KeySpecification& keys : KeySpecifications(*command->spec)) {
      const std::set<std::string_view> access = {"RO", "RW", "OW", "RM", "not_key"};
      ASSERT_FALSE(keys.flags.empty()) << command->full_name;
      EXPECT_EQ(access.count(keys.flags[0]), 1u) << command->full_name;
    }
  }
}

TEST(CommandDetails, SplitWords) {
  EXPECT_EQ(SplitWords(""), Words{});
  EXPECT_EQ(SplitWords("one"), Words{"one"});
  EXPECT_EQ(SplitWords(" one  two "), (Words{"one", "two"}));
}

}  // namespace
}  // namespace tidegate
