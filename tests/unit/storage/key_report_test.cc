// What keys take, as lines of CSV: from the same data as a file and from the engine.
#include "storage/key_report.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/data_engine.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using testing::DataEngine;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

class TextOutput final : public ByteOutput {
 public:
  Status Write(std::string_view bytes) override {
    text += bytes;
    return {};
  }
  std::string text;
};

class KeyReportTest : public ::testing::Test {
 protected:
  void Report(const KeyReportOptions& options = {.sizes = SizesOf::kTidegate}) {
    Result<SaveReport> saved = engine_.Save(folder_.File("dump.rdb"));
    ASSERT_TRUE(saved.ok()) << saved.error().message;
    TextOutput csv;
    Result<KeyReport> report =
        ReportKeys({DataFormat::kRdb, folder_.File("dump.rdb")}, csv, options, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    report_ = std::move(report).value();
    std::istringstream lines(csv.text);
    std::getline(lines, heading_);
    for (std::string line; std::getline(lines, line);) lines_.push_back(line);
    std::sort(lines_.begin(), lines_.end());
  }
  std::string LineOf(const std::string& key) const {
    for (const std::string& line : lines_) {
      if (line.find(",\"" + key + "\",") != std::string::npos) return line;
    }
    return "none of " + key;
  }
  // As MEMORY USAGE says, which is the process's to name and the engine's to answer.
  int64_t Usage(const std::string& key) {
    static constexpr CommandSpec kSpec = {.name = "USAGE",
                                          .arity = AtLeast(3),
                                          .keys = {2, 2, 1},
                                          .access = Access::kRead,
                                          .scope = Scope::kOneKey,
                                          .handler = CmdMemoryUsage};
    Command command;
    command.spec = &kSpec;
    command.full_name = "memory|usage";
    const std::string_view args[] = {"MEMORY", "USAGE", key};
    const KeyRef keys[] = {KeyRef::Of(key)};
    const std::string reply =
        engine_.test().RunCommand({.command = &command, .args = args, .keys = keys});
    return reply.starts_with(':') ? std::stoll(reply.substr(1)) : -1;
  }
  static std::vector<std::string> Cells(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream in(line + ",");
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    return cells;
  }

  TemporaryFolder folder_;
  DataEngine engine_;
  KeyReport report_;
  std::string heading_;
  std::vector<std::string> lines_;
};

TEST_F(KeyReportTest, TellsOfEveryTypeWhatTheEngineTells) {
  const std::map<std::string, std::string> rest = {
      {"s", "string|embstr|1|4|"},
      {"n", "string|int|1|7|"},
      {"l", "list|listpack|3|3|"},
      {"i", "set|intset|3|6|"},
      {"m", "set|listpack|2|3|"},
      {"z", "sortedset|listpack|2|3|"},
      {"h", "hash|listpack|2|6|"},
      {"x", "stream|stream|2|4|"},
      {"t", "string|embstr|1|1|2027-01-15T08:00:00.250000"}};
  for (const char* command :
       {"SET s text", "SET n -123456", "SET t v PXAT 1800000000250", "RPUSH l 1 two 3",
        "SADD i 1 2 300000", "SADD m one 2", "ZADD z 1.5 abc 2 b", "HSET h field v 1 2",
        "XADD x 5-1 f v", "XADD x 5-2 f v g w"})
    ASSERT_THAT(engine_.Run(command), ::testing::Not(::testing::StartsWith("-"))) << command;
  Report();
  EXPECT_EQ(heading_,
            "database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry");
  ASSERT_EQ(lines_.size(), rest.size());
  for (const auto& [key, expected] : rest) {
    std::vector<std::string> cells = Cells(LineOf(key));
    ASSERT_EQ(cells.size(), 8u) << LineOf(key);
    EXPECT_EQ(cells[0], "0");
    EXPECT_EQ(cells[1] + "|" + cells[4] + "|" + cells[5] + "|" + cells[6] + "|" + cells[7],
              expected)
        << key;
    EXPECT_EQ(std::stoll(cells[3]), Usage(key)) << key;
  }
  EXPECT_EQ(report_.source.read.keys, rest.size());
}

// Beside it what redis-server 7.0.15 answers to MEMORY USAGE key SAMPLES 0.
TEST_F(KeyReportTest, OfRedisSizesAndEncodingsAreThoseOfRedis) {
  engine_.Run("SET int 123456");
  engine_.test().RunWords({"SET", "embstr", std::string(44, 'x')});
  engine_.test().RunWords({"SET", "raw", std::string(1000, 'x')});
  engine_.Run("SADD intset 1 2 300000");
  engine_.Run("HSET small field v 1 2");
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(1000 + i);
    engine_.test().RunWords({"SADD", "table", "member" + number});
    engine_.test().RunWords({"ZADD", "skiplist", number, "member" + number});
    engine_.test().RunWords({"RPUSH", "list", "an element with the number " + number});
  }
  engine_.Run("XADD stream 5-1 f v");
  Report({.sizes = SizesOf::kRedis});
  const std::map<std::string, std::pair<std::string, int64_t>> redis = {
      {"int", {"int", 48}},
      {"embstr", {"embstr", 96}},
      {"raw", {"raw", 1072}},
      {"intset", {"intset", 80}},
      {"small", {"listpack", 80}},
      {"table", {"hashtable", 48296}},
      {"skiplist", {"skiplist", 102080}},
      {"list", {"quicklist", 33504}},
      {"stream", {"stream", 4728}}};
  for (const auto& [key, expected] : redis) {
    const std::vector<std::string> cells = Cells(LineOf(key));
    ASSERT_EQ(cells.size(), 8u) << LineOf(key);
    EXPECT_EQ(cells[4], expected.first) << key;
    EXPECT_NEAR(std::stod(cells[3]) / static_cast<double>(expected.second), 1, 0.05) << key;
  }
}

TEST_F(KeyReportTest, OfRedisAnEntryIsWhatTheFileIs) {
  for (const char* command : {"SET s text PXAT 1800000000250", "RPUSH l 1 two 3",
                              "SADD i 1 2 300000", "HSET h field v 1 2", "ZADD z 1.5 abc 2 b",
                              "XADD x 5-1 f v", "XGROUP CREATE x g 0", "BF.ADD b item"})
    ASSERT_THAT(engine_.Run(command), ::testing::Not(::testing::StartsWith("-"))) << command;
  Report({.sizes = SizesOf::kRedis});
  const std::vector<std::string> of_file = lines_;
  Result<ConvertReport> aof =
      ConvertToAof({DataFormat::kRdb, folder_.File("dump.rdb")}, folder_.File("one.aof"), {});
  ASSERT_TRUE(aof.ok()) << aof.error().message;
  TextOutput csv;
  ASSERT_TRUE(ReportKeys({DataFormat::kAof, folder_.File("one.aof")}, csv, {}, {}).ok());
  for (const std::string& line : of_file) EXPECT_THAT(csv.text, HasSubstr(line + "\n"));
  EXPECT_EQ(of_file.size(), 7u);
}

TEST_F(KeyReportTest, LargeValuesAreWithinAFifthOfWhatTheyTakeInTheEngine) {
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    engine_.test().RunWords({"HSET", "hash", "field:" + number, "value of " + number});
    engine_.test().RunWords({"ZADD", "zset", number, "member:" + number});
    engine_.test().RunWords({"RPUSH", "list", "element " + number});
    engine_.test().RunWords({"SADD", "set", "member " + number});
    engine_.test().RunWords({"XADD", "stream", "*", "field", number});
  }
  engine_.test().RunWords({"SET", "string", std::string(300'000, 'x')});
  Report();
  for (const char* key : {"hash", "zset", "list", "set", "stream", "string"}) {
    const std::vector<std::string> cells = Cells(LineOf(key));
    ASSERT_EQ(cells.size(), 8u) << LineOf(key);
    EXPECT_NEAR(std::stod(cells[3]) / static_cast<double>(Usage(key)), 1, 0.2) << key;
    EXPECT_EQ(cells[5], std::string(key) == "string" ? "1" : "3000") << key;
  }
  EXPECT_EQ(Cells(LineOf("string"))[6], "300000");
}

TEST_F(KeyReportTest, SmallKeysHaveNoLineAndCountAllTheSame) {
  engine_.test().RunWords({"SET", "small", "v"});
  engine_.test().RunWords({"SET", "large", std::string(5000, 'x')});
  Report({.sizes = SizesOf::kTidegate, .bytes_min = 4096});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_THAT(lines_[0], HasSubstr("\"large\""));
  EXPECT_EQ(report_.lines, 1u);
  ASSERT_EQ(report_.prefixes.size(), 1u);
  EXPECT_EQ(report_.prefixes[0].keys, 2u);
}

TEST_F(KeyReportTest, PrefixesEndWithTheSeparator) {
  for (const char* key : {"user:1:name", "user:1:mail", "user:2:name", "item:7", "plain"})
    engine_.test().RunWords({"SET", key, "v"});
  const auto names = [this] {
    std::map<std::string, uint64_t> keys;
    for (const PrefixTotal& total : report_.prefixes) keys[total.prefix] = total.keys;
    return keys;
  };
  Report();
  EXPECT_EQ(names(), (std::map<std::string, uint64_t>{{"user:", 3}, {"item:", 1}, {"(none)", 1}}));
  EXPECT_EQ(report_.prefixes[0].prefix, "user:");  // the most bytes first
  uint64_t bytes = 0;
  for (const PrefixTotal& total : report_.prefixes) bytes += total.bytes;
  EXPECT_EQ(bytes, report_.bytes);
  lines_.clear();
  Report({.depth = 2});
  EXPECT_EQ(names(), (std::map<std::string, uint64_t>{
                         {"user:1:", 2}, {"user:2:", 1}, {"item:", 1}, {"(none)", 1}}));
}

TEST_F(KeyReportTest, DatabasesAreTold) {
  engine_.test().client().db = 5;
  engine_.Run("SET other 1");
  engine_.test().client().db = 0;
  Report();
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(Cells(lines_[0])[0], "5");
}

TEST(CsvText, NamesCanBeReadBack) {
  EXPECT_EQ(CsvText("plain"), "\"plain\"");
  EXPECT_EQ(CsvText("a,\"b\"\\c"), "\"a,\"\"b\"\"\\\\c\"");
  EXPECT_EQ(CsvText("line\nfeed\x7f"), "\"line\\x0afeed\\x7f\"");
  EXPECT_EQ(CsvText("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x8c\x8a"),
            "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x8c\x8a\"");
  EXPECT_EQ(CsvText("\xc3(\xff\x80"), "\"\\xc3(\\xff\\x80\"");
  EXPECT_EQ(CsvText("\xc0\x80\xed\xa0\x80"), "\"\\xc0\\x80\\xed\\xa0\\x80\"");
}

TEST_F(KeyReportTest, ABrokenFileIsAnError) {
  TextOutput csv;
  folder_.Write("broken.rdb", "REDIS0010\x00\x01");
  const Result<KeyReport> report =
      ReportKeys({DataFormat::kRdb, folder_.File("broken.rdb")}, csv, {}, {});
  ASSERT_FALSE(report.ok());
}

}  // namespace
}  // namespace tidegate
