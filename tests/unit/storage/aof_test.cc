// Append-only files: read as Redis reads them, and written as it writes them anew.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/aof/aof_manifest.h"
#include "storage/data_convert.h"
#include "tests/support/data_engine.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::DataEngine;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Integer;
using testing::TemporaryFolder;

// Words separated by spaces, as a command.
std::string Resp(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) bytes += Bulk(word);
  return bytes;
}

TEST(Aof, CommandsNotesAndDatabases) {
  TemporaryFolder folder;
  folder.Write("a.aof", "#TS:1700000000\r\n" + Resp("SELECT 0") + Resp("SET k v") +
                            Resp("SELECT 2") + "#TS:1700000001\r\n" + Resp("RPUSH l 1 2 3") +
                            Resp("LPOP k extra words") + Resp("INCR l"));
  DataEngine engine;
  Result<LoadReport> loaded = engine.LoadLog(folder.File("a.aof"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->commands, 6u);
  EXPECT_EQ(loaded->failed_commands, 2u);
  EXPECT_FALSE(loaded->cut_off_at);
  EXPECT_EQ(engine.Run("GET k"), Bulk("v"));
  engine.test().client().db = 2;
  EXPECT_EQ(engine.Run("LLEN l"), Integer(3));
}

TEST(Aof, EarlyEnds) {
  TemporaryFolder folder;
  const std::string first = Resp("SET a 1");
  const std::string block = Resp("MULTI") + Resp("SET a 2") + Resp("SET b 2") + Resp("EXEC");
  const std::string whole = first + block + Resp("SET c 3");
  for (size_t size = 0; size <= whole.size(); ++size) {
    folder.Write("cut.aof", whole.substr(0, size));
    DataEngine engine;
    Result<LoadReport> loaded = engine.LoadLog(folder.File("cut.aof"));
    ASSERT_TRUE(loaded.ok()) << size << " " << loaded.error().message;
    const bool at_end_of_something = size == 0 || size == first.size() ||
                                     size == first.size() + block.size() || size == whole.size();
    EXPECT_EQ(loaded->cut_off_at.has_value(), !at_end_of_something) << size;
    const std::string a = engine.Run("GET a");
    EXPECT_EQ(engine.Run("EXISTS b") == Integer(1), a == Bulk("2")) << size;
    Result<LoadReport> strict =
        DataEngine().LoadLog(folder.File("cut.aof"), {.may_be_cut_off = false});
    EXPECT_EQ(strict.ok(), at_end_of_something) << size;
  }
}

TEST(Aof, WhatIsBroken) {
  TemporaryFolder folder;
  const std::pair<std::string, const char*> cases[] = {
      {"hello", "no command"},
      {"*x\r\n", "no command"},
      {"*0\r\n", "no command"},
      {"*1\r\n:1\r\n", "no command"},
      {"*1\r\n$4\r\nPINGxx", "no command"},
      {"*1\r\n$-1\r\n", "no command"},
      {"*1\r\n$99999999999\r\n", "no command"},
      {Resp("NOSUCH a"), "unknown command \"NOSUCH\""},
      {Resp("SET a"), "wrong number of arguments for \"SET\""},
      {Resp("SELECT 99"), "SELECT of a database"},
      {Resp("EXEC"), "EXEC without MULTI"},
      {Resp("MULTI") + Resp("MULTI"), "MULTI within MULTI"},
  };
  for (const auto& [bytes, what] : cases) {
    folder.Write("broken.aof", Resp("SET a 1") + bytes);
    DataEngine engine;
    Result<LoadReport> loaded = engine.LoadLog(folder.File("broken.aof"));
    ASSERT_FALSE(loaded.ok()) << what;
    EXPECT_THAT(loaded.error().message, HasSubstr(what));
    EXPECT_THAT(loaded.error().message, HasSubstr("offset "));
    EXPECT_EQ(engine.Run("GET a"), Bulk("1"));
  }
}

// What happened to a key before its time stands behind the time that is over by now.
TEST(Aof, NothingExpiresMeanwhile) {
  TemporaryFolder folder;
  folder.Write("a.aof", Resp("SET counter 5") + Resp("PEXPIREAT counter 1000") +
                            Resp("INCR counter") + Resp("PERSIST counter") +
                            Resp("SET over 1 PXAT 1000") + Resp("APPEND over 2") +
                            Resp("SET hand-made 1 EX 100") + Resp("SETEX too 100 1") +
                            Resp("SET mine 1") + Resp("EXPIRE mine 100"));
  DataEngine engine;
  ASSERT_TRUE(engine.LoadLog(folder.File("a.aof")).ok());
  EXPECT_EQ(engine.Run("DBSIZE"), Integer(5));
  EXPECT_EQ(engine.Run("GET counter"), Bulk("6"));
  EXPECT_EQ(engine.Run("PTTL counter"), Integer(-1));
  EXPECT_EQ(engine.Run("GET over"), testing::kNull);
  for (const char* key : {"hand-made", "too", "mine"})
    EXPECT_EQ(engine.Run("TTL " + std::string(key)), Integer(100)) << key;
}

TEST(Aof, BeginsWithAnRdb) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.Run("SET k 1");
  engine.Run("SET gone 1 PX 10");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  folder.Write("a.aof", folder.Read("dump.rdb") + Resp("INCR k") + Resp("PERSIST gone"));
  DataEngine other;
  Result<LoadReport> loaded = other.LoadLog(folder.File("a.aof"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->version, 10);
  EXPECT_EQ(loaded->commands, 2u);
  EXPECT_EQ(other.Run("GET k"), Bulk("2"));
}

TEST(Aof, Manifest) {
  const std::string good =
      "file \"with space.aof\" seq 3 type b\n# note\nfile a.0 seq 1 type h\n"
      "file i.1 seq 4 type i\r\nfile i.2 seq 5 type i future word\n";
  Result<std::vector<std::string>> names = ParseAofManifest(good);
  ASSERT_TRUE(names.ok()) << names.error().message;
  EXPECT_THAT(*names, ElementsAre("with space.aof", "i.1", "i.2"));
  for (const char* bad :
       {"", "\n", "file a seq 1 type b", "file a seq 1\n", "file a seq x type b\n",
        "file a seq 1 type q\n", "file d/a seq 1 type b\n",
        "file a seq 1 type b\nfile b seq 2 type b\n", "file a seq 2 type i\nfile b seq 1 type i\n",
        "file \"a seq 1 type i\n", "file a seq 1 type i odd\n"}) {
    EXPECT_FALSE(ParseAofManifest(bad).ok()) << bad;
  }
}

TEST(Aof, FilesOfAManifest) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.Run("SET k 1");
  ASSERT_TRUE(engine.Save(folder.File("x.1.base.rdb")).ok());
  folder.Write("x.1.incr.aof", Resp("SELECT 1") + Resp("SET one 1"));
  folder.Write("x.2.incr.aof", Resp("INCR k") + "*1\r\n$3");
  folder.Write("x.manifest",
               "file x.1.base.rdb seq 1 type b\nfile x.0.incr.aof seq 1 type h\n"
               "file x.1.incr.aof seq 1 type i\nfile x.2.incr.aof seq 2 type i\n");
  DataEngine other;
  Result<LoadReport> loaded = other.LoadLog(folder.File("x.manifest"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_TRUE(loaded->cut_off_at);
  EXPECT_EQ(other.Run("GET k"), Bulk("2"));
  // Only the last file may end early.
  folder.Write("x.1.incr.aof", "*1\r\n$3");
  EXPECT_FALSE(DataEngine().LoadLog(folder.File("x.manifest")).ok());
}

TEST(Aof, EverythingAsCommands) {
  TemporaryFolder folder;
  DataEngine engine;
  for (const char* command :
       {"SET s text", "SET t v PXAT 1800000000000", "RPUSH l 1 two 3", "SADD i 1 2 3",
        "SADD m one 2", "ZADD z 1.5 a -inf b 1e300 c", "HSET h f v 1 2", "HSET e f v g w",
        "HPEXPIREAT e 1800000000000 FIELDS 1 f", "XADD x 5-1 f v", "XADD x 5-2 f v g w",
        "XADD x 5-3 f v", "XDEL x 5-1", "XGROUP CREATE x readers 0 ENTRIESREAD 1",
        "XREADGROUP GROUP readers one COUNT 1 STREAMS x >", "XGROUP CREATECONSUMER x readers two",
        "XGROUP CREATE empty g $ MKSTREAM", "BF.ADD b item"})
    engine.Run(command);
  std::vector<std::string> many = {"SADD", "many"};
  for (int i = 0; i < 1000; ++i) many.push_back("member" + std::to_string(i));
  engine.test().RunWords(many);
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  const ConvertOptions options{.now_ms = engine.test().now_ms()};
  Result<ConvertReport> converted =
      ConvertToAof({DataFormat::kRdb, folder.File("dump.rdb")}, folder.File("out.aof"), options);
  ASSERT_TRUE(converted.ok()) << converted.error().message;
  EXPECT_EQ(converted->written.keys, converted->read.keys);
  DataEngine other;
  Result<LoadReport> loaded = other.LoadLog(folder.File("out.aof"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->failed_commands, 0u) << loaded->first_failure;
  EXPECT_EQ(other.Digest(), engine.Digest());
  EXPECT_EQ(other.Run("XPENDING x readers - + 10 one"),
            engine.Run("XPENDING x readers - + 10 one"));
  EXPECT_EQ(other.Run("XINFO STREAM empty"), engine.Run("XINFO STREAM empty"));
  // And back.
  ASSERT_TRUE(
      ConvertToRdb({DataFormat::kAof, folder.File("out.aof")}, folder.File("back.rdb"), options)
          .ok());
  DataEngine back;
  ASSERT_TRUE(back.Load(folder.File("back.rdb")).ok());
  EXPECT_EQ(back.Digest(), engine.Digest());
}

TEST(Aof, WhatIsThere) {
  TemporaryFolder folder;
  folder.Write("rdb", "REDIS0010\xff");
  folder.Write("log", Resp("SET a 1"));
  folder.Write("preamble.aof", "REDIS0010\xff");
  folder.Write("other", "hello");
  EXPECT_EQ(FindDataSource(folder.File("rdb"))->format, DataFormat::kRdb);
  EXPECT_EQ(FindDataSource(folder.File("log"))->format, DataFormat::kAof);
  EXPECT_EQ(FindDataSource(folder.File("preamble.aof"))->format, DataFormat::kAof);
  EXPECT_FALSE(FindDataSource(folder.File("other")).ok());
  EXPECT_FALSE(FindDataSource(folder.File("none")).ok());
  EXPECT_FALSE(FindDataSource(folder.path()).ok());
  folder.Write("x.manifest", "");
  EXPECT_EQ(FindDataSource(folder.path())->format, DataFormat::kAofManifest);
}

}  // namespace
}  // namespace tidegate
