#include "storage/journal/effect_record.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "storage/journal/effect_log.h"
#include "tests/support/effect_capture.h"

namespace tidegate {
namespace {

using testing::EffectCapture;

// All commands of a record; nothing when it is broken.
std::optional<std::vector<EffectCommand>> Read(std::string_view record) {
  std::vector<EffectCommand> commands;
  EffectReader reader(record);
  for (;;) {
    EffectCommand command;
    const Result<bool> more = reader.Next(command);
    if (!more.ok()) return std::nullopt;
    if (!more.value()) return commands;
    commands.push_back(command);
  }
}

TEST(EffectRecordTest, TellsWhatWasAddedInOrder) {
  EffectLog log;
  EXPECT_FALSE(log.pending());
  log.Add(0, {"SET", "a", ""});
  const std::vector<std::string_view> fields = {"f", std::string_view("v\0w", 3)};
  log.Add(15, {"HSET", "h"}, fields);
  log.Begin(3, 2);
  log.Word("DEL");
  log.Word(std::string(300, 'k'));
  ASSERT_TRUE(log.pending());
  const auto commands = Read(log.record());
  ASSERT_TRUE(commands);
  ASSERT_EQ(commands->size(), 3u);
  EXPECT_EQ((*commands)[0].args, (std::vector<std::string_view>{"SET", "a", ""}));
  EXPECT_EQ((*commands)[1].db, 15);
  EXPECT_EQ((*commands)[1].args[3], std::string_view("v\0w", 3));
  EXPECT_EQ((*commands)[2].db, 3);
  EXPECT_EQ((*commands)[2].args[1].size(), 300u);
  log.Clear();
  EXPECT_FALSE(log.pending());
}

TEST(EffectRecordTest, ASmallSetTakesEightBytesMoreThanItsOwn) {
  EffectLog log;
  log.Add(0, {"SET", "key", "value"});
  EXPECT_EQ(log.record().size(), 8u + 8u);
}

TEST(EffectRecordTest, TellsWhatChangesBesideTheCommands) {
  EffectLog log;
  log.Add(0, {"SET", "a", "1"});
  log.Count(0, 1, 0);
  log.Count(7, 0, -1);
  log.Count(0, -3, 1'000'000);
  log.Count(2, 1, 0);
  log.Count(2, -1, 0);
  log.NoteObject(uint64_t{9} << 40);
  log.NoteObject(3);
  log.Finish();
  EffectReader reader(log.record());
  EffectCommand command;
  ASSERT_TRUE(reader.Next(command).value());
  EXPECT_FALSE(reader.Next(command).value());
  ASSERT_EQ(reader.counts().size(), 2u);  // not of database 2, where nothing changed
  EXPECT_EQ(reader.counts()[0].db, 0);
  EXPECT_EQ(reader.counts()[0].keys, -2);
  EXPECT_EQ(reader.counts()[0].expires, 1'000'000);
  EXPECT_EQ(reader.counts()[1].db, 7);
  EXPECT_EQ(reader.counts()[1].expires, -1);
  EXPECT_EQ(reader.objects(), (std::vector<uint64_t>{uint64_t{9} << 40, 3}));
  EXPECT_FALSE(reader.Next(command).value());

  const std::string whole(log.record());
  EXPECT_FALSE(Read(whole + std::string("\0\1\0", 3)));      // a command behind counts
  EXPECT_FALSE(Read(whole.substr(0, whole.size() - 1)));     // the last number is cut off
  EXPECT_FALSE(Read(std::string_view("\0\0\1\2\0", 5)));     // a note and no command
  EXPECT_FALSE(Read(whole + std::string("\0\0\3", 3)));      // a note of no kind
  EXPECT_FALSE(Read(whole + std::string("\0\0\2\5\1", 5)));  // fewer ids than it says
  for (const int64_t n : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1}, INT64_MAX})
    EXPECT_EQ(UnZigZag(ZigZag(n)), n);

  // A dropped database is not counted, and neither is what came before in the same record.
  log.Clear();
  log.Add(0, {"SET", "a", "1"});
  log.Count(0, 1, 0);
  log.Add(0, {"FLUSHDB"});
  log.CountNoMore();
  const size_t size = log.record().size();
  log.Finish();
  EXPECT_EQ(log.record().size(), size);
}

TEST(EffectRecordTest, GivesLargeMemoryBack) {
  EffectLog log;
  const std::string large(2 * kEffectLogKeptBytes.count, 'v');
  log.Add(0, {"SET", "a", large});
  EXPECT_EQ(Read(log.record())->at(0).args[2], large);
  log.Clear();
  log.Add(0, {"DEL", "a"});
  EXPECT_EQ(EffectCapture::Text(log.record()), "DEL a");
}

TEST(EffectLogTest, TheCommandItselfUnlessItSaysSomethingElse) {
  const std::vector<std::string_view> args = {"X", "y"};
  EffectLog log;
  EffectLog::Outer outer = log.BeginCommand();
  log.EndCommand(outer, 0, args, true);
  EXPECT_FALSE(log.pending()) << "nothing was changed";

  outer = log.BeginCommand();
  log.NoteChange();
  log.EndCommand(outer, 2, args, true);
  EXPECT_EQ(EffectCapture::Text(log.record()), "2:X y");
  log.Clear();

  outer = log.BeginCommand();
  log.NoteChange();
  log.EndCommand(outer, 0, args, false);
  EXPECT_FALSE(log.pending()) << "it was put off";

  // One within another.
  outer = log.BeginCommand();
  log.NoteChange();
  const EffectLog::Outer inner = log.BeginCommand();
  log.Give();
  log.Add(0, {"Z"});
  log.NoteChange();
  log.EndCommand(inner, 0, args, true);
  log.EndCommand(outer, 0, args, true);
  EXPECT_EQ(EffectCapture::Text(log.record()), "Z | X y");
}

TEST(EffectRecordTest, RefusesWhatIsBroken) {
  const auto refused = [](std::string_view record) { return !Read(record).has_value(); };
  using namespace std::string_view_literals;
  EXPECT_TRUE(refused(""sv)) << "no command at all";
  EXPECT_TRUE(refused("\x00"sv)) << "no number of arguments";
  EXPECT_TRUE(refused("\x00\x00"sv)) << "no argument";
  EXPECT_TRUE(refused("\x00\x01"sv)) << "an argument without a length";
  EXPECT_TRUE(
      refused("\x00\x01\x04"
              "abc"sv))
      << "beyond the end";
  EXPECT_TRUE(refused("\x00\xff\xff\xff\xff\x0f"sv)) << "more arguments than bytes";
  EXPECT_TRUE(refused("\x80\x00\x01\x01x"sv)) << "an idle byte";
  EXPECT_TRUE(refused("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x01\x01x"sv)) << "over 64 bits";
  EXPECT_TRUE(refused("\xff\xff\xff\xff\x0f\x01\x01x"sv)) << "no such database anywhere";
  EXPECT_FALSE(refused("\x00\x01\x01x"sv));
  EXPECT_TRUE(refused("\x00\x01\x01x\x00"sv)) << "something is left over";
}

TEST(EffectRecordTest, RandomBytesAreReadOrRefused) {
  std::mt19937_64 random(20240117);
  EffectLog log;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes;
    if (i % 2 == 0) {
      bytes.resize(random() % 40);
      for (char& byte : bytes) byte = static_cast<char>(random() % (i % 4 == 0 ? 256 : 6));
    } else {
      log.Clear();
      log.Add(static_cast<int>(random() % 16), {"SET", "key", std::string(random() % 200, 'v')});
      log.Add(0, {"DEL", "other"});
      bytes = log.record();
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
      if (random() % 2 == 0) bytes.resize(random() % bytes.size());
    }
    const auto commands = Read(bytes);
    if (!commands) continue;
    size_t total = 0;
    for (const EffectCommand& command : *commands) {
      for (const std::string_view arg : command.args) total += 1 + arg.size();
    }
    EXPECT_LE(total, bytes.size());
  }
}

}  // namespace
}  // namespace tidegate
