// The command line of the data tools.
#include "proxy/tools/tool_arguments.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

Result<ToolArguments> Parse(const Words& words) {
  return ParseToolArguments(*ToolOf(words), words);
}

TEST(ToolArguments, OnlyToolsAreTools) {
  EXPECT_EQ(ToolOf(Words{}), std::nullopt);
  EXPECT_EQ(ToolOf(Words{"tidegate.yaml"}), std::nullopt);
  EXPECT_EQ(ToolOf(Words{"--port", "1"}), std::nullopt);
  EXPECT_EQ(ToolOf(Words{"check"}), Tool::kCheck);
}

TEST(ToolArguments, WhatTheyTake) {
  Result<ToolArguments> import =
      Parse({"import", "a.rdb", "--to-server", "[::1]:6379", "--user", "u", "--password-file", "p",
             "--skip-modules", "--databases", "32"});
  ASSERT_TRUE(import.ok()) << import.error().message;
  EXPECT_EQ(import->source, "a.rdb");
  EXPECT_EQ(import->to_server, "[::1]:6379");
  EXPECT_EQ(import->user, "u");
  EXPECT_EQ(import->password_file, "p");
  EXPECT_TRUE(import->skip_modules);
  EXPECT_EQ(import->databases, 32);
  EXPECT_EQ(Parse({"import", "--dir", "data", "a.rdb"})->to_rdb, "data/dump.rdb");
  EXPECT_TRUE(Parse({"export", "a", "--to-aof", "b", "--redis"})->for_redis);
  EXPECT_EQ(Parse({"check", "a"})->source, "a");
  EXPECT_TRUE(Parse({"export", "--help"})->help);
  Result<ToolArguments> report =
      Parse({"rdb-report", "a.rdb", "--to-csv", "keys.csv", "--prefixes-csv", "p.csv", "--depth",
             "2", "--separator", "/", "--bytes-min", "10kb"});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->to_csv, "keys.csv");
  EXPECT_EQ(report->prefixes_csv, "p.csv");
  EXPECT_EQ(report->report.depth, 2);
  EXPECT_EQ(report->report.separator, '/');
  EXPECT_EQ(report->report.bytes_min, 10'240u);
}

TEST(ToolArguments, WhatMakesNoSense) {
  const std::pair<Words, const char*> cases[] = {
      {{"import", "a"}, "say one destination"},
      {{"export", "a", "--to-rdb", "b", "--to-aof", "c"}, "say one destination"},
      {{"check"}, "say a source"},
      {{"check", "a", "b"}, "more than one source: b"},
      {{"check", "a", "--to-rdb", "b"}, "unknown option --to-rdb"},
      {{"import", "a", "--to-aof", "b"}, "unknown option --to-aof"},
      {{"import", "a", "--dir", "b", "--redis"}, "--redis"},
      {{"export", "a", "--dir", "b"}, "unknown option --dir"},
      {{"export", "a", "--to-rdb"}, "without its value: --to-rdb"},
      {{"export", "a", "--to-rdb", ""}, "--to-rdb is empty"},
      {{"check", "a", "--databases", "0"}, "--databases must be between"},
      {{"check", "a", "--depth", "2"}, "unknown option --depth"},
      {{"rdb-report", "a", "--to-rdb", "b"}, "unknown option --to-rdb"},
      {{"rdb-report", "a", "--depth", "0"}, "--depth must be between"},
      {{"rdb-report", "a", "--sizes", "mine"}, "--sizes must be redis or tidegate"},
      {{"rdb-report"}, "say a source"},
      {{"rdb-report", "a", "--live", "h:1"}, "say a source or --live, not both"},
      {{"export", "a", "--to-rdb", "b", "--live", "h:1"}, "unknown option --live"},
      {{"rdb-report", "a", "--separator", "::"}, "--separator must be one character"},
      {{"rdb-report", "a", "--bytes-min", "much"}, "--bytes-min must be a size"},
  };
  for (const auto& [words, what] : cases) {
    const Result<ToolArguments> parsed = Parse(words);
    ASSERT_FALSE(parsed.ok()) << what;
    EXPECT_THAT(parsed.error().message, HasSubstr(what));
  }
}

}  // namespace
}  // namespace tidegate
