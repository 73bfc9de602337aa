// RDB files: what is saved comes back, and what is broken is said and harms nothing.
#include <sys/resource.h>

#include <csignal>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/data_convert.h"
#include "storage/rdb/crc64.h"
#include "storage/rdb/rdb_writer.h"
#include "tests/support/data_engine.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using testing::DataEngine;
using ::testing::HasSubstr;
using testing::Integer;
using testing::TemporaryFolder;
using testing::TestEngine;

void Fill(DataEngine& engine) {
  for (const char* command :
       {"SET s text", "SET n -123456", "SET t temporary PXAT 1800000000000", "RPUSH l 1 two 3",
        "SADD i 1 2 300000", "SADD m one 2", "ZADD z 1.5 a -inf b", "HSET h f v 1 2",
        "HSET e f v g w", "HPEXPIREAT e 1800000000000 FIELDS 1 f", "XADD x 5-1 f v",
        "XADD x 5-2 f v g w", "XDEL x 5-1", "XGROUP CREATE x readers 0",
        "XREADGROUP GROUP readers one STREAMS x >", "XGROUP CREATE empty g $ MKSTREAM",
        "BF.ADD b item"})
    ASSERT_THAT(engine.Run(command), ::testing::Not(::testing::StartsWith("-"))) << command;
  engine.test().client().db = 3;
  engine.Run("SET other database");
  engine.test().client().db = 0;
  std::vector<std::string> many = {"RPUSH", "long"};
  for (int i = 0; i < 5000; ++i) many.push_back("element " + std::to_string(i));
  engine.test().RunWords(many);
  engine.test().RunWords({"SET", "large", std::string(300'000, 'x') + std::string(300'000, 'y')});
}

// A file of these parts, with the right checksum.
std::string File(std::string_view parts, std::string_view version = "0010") {
  std::string file = "REDIS" + std::string(version) + std::string(parts) + "\xff";
  rdb::RdbWriter(file).Fixed64(rdb::Crc64(0, file));
  return file;
}

TEST(RdbFile, AllTypesComeBack) {
  TemporaryFolder folder;
  DataEngine engine;
  Fill(engine);
  Result<SaveReport> saved = engine.Save(folder.File("dump.rdb"));
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  EXPECT_EQ(folder.FileCount(), 1u);
  EXPECT_EQ(folder.Read("dump.rdb").size(), saved->bytes);
  EXPECT_EQ(folder.Read("dump.rdb").substr(0, 9), "REDIS0012");  // fields expire
  DataEngine other;
  Result<LoadReport> loaded = other.Load(folder.File("dump.rdb"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->keys, saved->keys);
  EXPECT_EQ(other.Digest(), engine.Digest());
  EXPECT_EQ(other.Run("PEXPIRETIME t"), Integer(1'800'000'000'000));
  EXPECT_EQ(other.Run("XINFO STREAM empty"), engine.Run("XINFO STREAM empty"));
  EXPECT_EQ(other.Run("BF.EXISTS b item"), Integer(1));
}

// The file is read through a window, and written through a buffer, that are smaller than these.
TEST(RdbFile, ValuesLargerThanTheWindow) {
  TemporaryFolder folder;
  DataEngine engine;
  std::mt19937 random(11);
  const auto bytes = [&random](size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  };
  const auto run = [&engine](const std::vector<std::string>& words) {
    engine.test().RunWords(words);
  };
  run({"SET", "string", bytes(5'000'000)});
  run({"SET", "repeated", std::string(3'000'000, 'a')});
  run({"RPUSH", "list", bytes(1'500'000), "small", bytes(2'000'000), bytes(100)});
  run({"HSET", "hash", "f", bytes(2'500'000), bytes(1'100'000), "v"});
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    run({"SADD", "set", bytes(9000), n});
    run({"ZADD", "sorted", n, bytes(7000)});
    run({"HSET", "fields", bytes(500), bytes(8000)});
    run({"XADD", "stream", n + "-1", "field", bytes(9000)});
  }
  for (const bool compress : {false, true}) {
    ASSERT_TRUE(engine.Save(folder.File("dump.rdb"), {.compress = compress}).ok());
    DataEngine other;
    const Result<LoadReport> loaded = other.Load(folder.File("dump.rdb"));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(other.Digest(), engine.Digest()) << compress;
    const Result<ConvertReport> converted =
        ConvertToRdb({DataFormat::kRdb, folder.File("dump.rdb")}, folder.File("copy.rdb"), {});
    ASSERT_TRUE(converted.ok()) << converted.error().message;
    DataEngine copy;
    ASSERT_TRUE(copy.Load(folder.File("copy.rdb")).ok());
    EXPECT_EQ(copy.Digest(), engine.Digest()) << compress;
  }
}

TEST(RdbFile, IsOfVersion10WhenRedis7CanHoldIt) {
  TemporaryFolder folder;
  DataEngine engine;
  Fill(engine);
  Result<SaveReport> saved = engine.Save(folder.File("dump.rdb"), {.for_redis = true});
  ASSERT_TRUE(saved.ok());
  EXPECT_EQ(saved->filters_left_out, 1u);
  EXPECT_EQ(saved->hashes_without_times, 1u);
  EXPECT_EQ(folder.Read("dump.rdb").substr(0, 9), "REDIS0010");
  DataEngine other;
  ASSERT_TRUE(other.Load(folder.File("dump.rdb")).ok());
  EXPECT_EQ(other.Run("EXISTS b e"), Integer(1));
  EXPECT_EQ(other.Run("HPEXPIRETIME e FIELDS 1 f"), "*1\r\n:-1\r\n");
}

TEST(RdbFile, OptionsOfWriting) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.test().RunWords({"SET", "k", std::string(5000, 'x')});
  ASSERT_TRUE(engine.Save(folder.File("plain"), {.compress = false, .check_sum = false}).ok());
  const std::string plain = folder.Read("plain");
  EXPECT_THAT(plain, HasSubstr(std::string(5000, 'x')));
  EXPECT_EQ(plain.substr(plain.size() - 8), std::string(8, '\0'));
  ASSERT_TRUE(engine.Save(folder.File("packed")).ok());
  EXPECT_LT(folder.Read("packed").size(), 500u);
  DataEngine other;
  EXPECT_TRUE(other.Load(folder.File("plain")).ok());
  EXPECT_EQ(other.Digest(), engine.Digest());
}

TEST(RdbFile, KeysWhoseTimeHasPassedAreDropped) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.Run("SET a 1 PX 1000");
  engine.Run("RPUSH l 1");
  engine.Run("PEXPIRE l 1000");
  engine.Run("SET b 1 PX 100000");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  DataEngine later;
  later.test().AdvanceMs(5000);
  Result<LoadReport> loaded = later.Load(folder.File("dump.rdb"));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->keys, 1u);
  EXPECT_EQ(loaded->expired, 2u);
  EXPECT_EQ(later.Run("DBSIZE"), Integer(1));
}

TEST(RdbFile, KeysThatAreThereAlready) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.Run("SET k file");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  engine.Run("SET k memory");
  EXPECT_THAT(engine.Load(folder.File("dump.rdb")).error().message,
              HasSubstr("key \"k\": this key is there already"));
  ASSERT_TRUE(engine.Load(folder.File("dump.rdb"), {.replace = true}).ok());
  EXPECT_EQ(engine.Run("GET k"), testing::Bulk("file"));
}

TEST(RdbFile, UseIsKeptForEviction) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  engine.Run("SET k v");
  engine.test().AdvanceMs(50'000);
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  DataEngine other;
  other.settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  ASSERT_TRUE(other.Load(folder.File("dump.rdb")).ok());
  EXPECT_EQ(other.Run("OBJECT IDLETIME k"), Integer(50));
}

TEST(RdbFile, OlderForms) {
  TemporaryFolder folder;
  using namespace std::string_literals;
  // A zipmap, an expiry in seconds, a set without elements, a library of functions, a module's
  // data beside the keys.
  const std::string zipmap = "\x02\x01"s + "f\x03\x00"s + "val\x01"s + "g\x01\x00"s + "2\xff"s;
  const std::string parts = "\xfe\x00"s + "\x09\x01h\x0e"s + zipmap + "\xfd\x00\x00\x00\x7f"s +
                            "\x00\x01s\x01v"s + "\x02\x05"s + "empty\x00"s + "\xf5\x03lib"s +
                            "\xf7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x02\x05\x01x\x00"s;
  folder.Write("old.rdb", File(parts));
  DataEngine engine;
  Result<LoadReport> loaded = engine.Load(folder.File("old.rdb"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->keys, 2u);
  EXPECT_EQ(loaded->empty, 1u);
  EXPECT_EQ(loaded->functions, 1u);
  EXPECT_EQ(engine.Run("HGETALL h"), "*4\r\n$1\r\nf\r\n$3\r\nval\r\n$1\r\ng\r\n$1\r\n2\r\n");
  EXPECT_EQ(engine.Run("EXPIRETIME s"), Integer(0x7f000000));
}

TEST(RdbFile, WhatCannotBeRead) {
  TemporaryFolder folder;
  using namespace std::string_literals;
  const std::pair<std::string, const char*> cases[] = {
      {"", "no RDB file"},
      {"RADIS0010", "no RDB file"},
      {"REDIS00x0", "no version"},
      {"REDIS0099\xff", "version 99 is newer"},
      {File("\x7f\x01kv"), "unknown type 127"},
      {File("\x06\x01kv"), "form before Redis 4.0"},
      {File("\xfe\x2a"), "database 42"},
      {File("\xf6\x01x"), "release candidate"},
      {File("\x00\x01k\x32"s + "short"), "a broken string (type 0), or the file ends early"},
      {"REDIS0010\xfa\x05redi", "ends early"},
      {File("\x07\x01k\x81\xf7\x1a\x2b\x3c\x4d\x5e\x6f\x00"s), "module type"},
      {File("\x0b\x01k\x03xyz"), "offset 16: key \"k\": a broken set (type 11)"},
      {"REDIS0010\xff" + std::string("\1\2\3\4\5\6\7\10"), "wrong checksum"},
      {"REDIS0010\xff", "no checksum"},
      {"REDIS0010", "no end mark"},
  };
  for (const auto& [bytes, what] : cases) {
    folder.Write("broken.rdb", bytes);
    DataEngine engine;
    Result<LoadReport> loaded = engine.Load(folder.File("broken.rdb"));
    ASSERT_FALSE(loaded.ok()) << what;
    EXPECT_THAT(loaded.error().message, HasSubstr(what));
    EXPECT_THAT(loaded.error().message, HasSubstr("offset"));
  }
  DataEngine engine;
  EXPECT_THAT(engine.Load(folder.File("none")).error().message, HasSubstr("No such file"));
  EXPECT_THAT(engine.Load(folder.path()).error().message, HasSubstr("not a regular file"));
}

// Cut off anywhere, or with any byte changed: an error, and nothing worse.
TEST(RdbFile, EveryTruncationIsFound) {
  TemporaryFolder folder;
  DataEngine engine;
  Fill(engine);
  engine.Run("DEL long large");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  const std::string whole = folder.Read("dump.rdb");
  for (size_t size = 0; size < whole.size(); ++size) {
    folder.Write("cut.rdb", whole.substr(0, size));
    DataEngine other;
    ASSERT_FALSE(other.Load(folder.File("cut.rdb")).ok()) << size;
  }
}

TEST(RdbFile, EveryChangedByteIsFound) {
  TemporaryFolder folder;
  DataEngine engine;
  Fill(engine);
  engine.Run("DEL long large");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  const std::string whole = folder.Read("dump.rdb");
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    folder.Write("changed.rdb", changed);
    DataEngine other;
    ASSERT_FALSE(other.Load(folder.File("changed.rdb")).ok()) << at;
  }
}

// With the checksum made right again, so that all of the readers is reached: whatever is not
// refused can be saved and read again.
TEST(RdbFile, ChangesWithARightChecksumDoNoHarm) {
  TemporaryFolder folder;
  DataEngine engine;
  Fill(engine);
  engine.Run("DEL long large");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb"), {.compress = false}).ok());
  const std::string whole = folder.Read("dump.rdb");
  DataEngine other;
  DataEngine again;
  std::mt19937 random(7);
  int loaded = 0;
  constexpr int kRounds = 500;
  for (int round = 0; round < kRounds; ++round) {
    std::string parts = whole.substr(9, whole.size() - 18);
    for (uint32_t changes = random() % 3 + 1; changes > 0; --changes) {
      const size_t at = random() % parts.size();
      if (random() % 4 == 0) {
        parts.erase(at, random() % 8 + 1);
      } else {
        parts[at] = static_cast<char>(random() % 2 == 0 ? random() : parts[at] ^ 1 << random() % 8);
      }
    }
    folder.Write("changed.rdb", File(parts, "0012"));
    other.Run("FLUSHALL");
    again.Run("FLUSHALL");
    if (!other.Load(folder.File("changed.rdb"), {.keep_expired = true}).ok()) continue;
    ++loaded;
    ASSERT_TRUE(other.Save(folder.File("again.rdb")).ok()) << round;
    Result<LoadReport> read = again.Load(folder.File("again.rdb"), {.keep_expired = true});
    ASSERT_TRUE(read.ok()) << round << " " << read.error().message;
  }
  EXPECT_GT(loaded, kRounds / 20);
  EXPECT_LT(loaded, kRounds);
}

// A full disk, as far as a process can have one of its own.
TEST(RdbFile, FailedWritesLeaveTheOldFile) {
  TemporaryFolder folder;
  DataEngine engine;
  engine.Run("SET k old");
  ASSERT_TRUE(engine.Save(folder.File("dump.rdb")).ok());
  const std::string old = folder.Read("dump.rdb");
  for (int i = 0; i < 2000; ++i)
    engine.test().RunWords({"SET", "k" + std::to_string(i), std::string(1000, 'x')});
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100'000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  Result<SaveReport> saved = engine.Save(folder.File("dump.rdb"), {.compress = false});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(saved.ok());
  EXPECT_THAT(saved.error().message, HasSubstr("File too large"));
  EXPECT_EQ(folder.Read("dump.rdb"), old);
  EXPECT_EQ(folder.FileCount(), 1u);
  EXPECT_THAT(engine.Save(folder.File("no/such/dump.rdb")).error().message,
              HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace tidegate
