// SizeWatch: which commands make a key known as big, which one takes it back, and how often it is
// said.
#include "storage/size_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/engine_thread.h"
#include "tests/support/engine_fixture.h"

namespace tidegate::testing {
namespace {

constexpr uint64_t kBytes = 64 * 1024;
constexpr uint64_t kElements = 1000;

class SizeWatchTest : public ::testing::Test {
 protected:
  SizeWatchTest() { watch().Watch({.bytes = kBytes, .elements = kElements}); }

  SizeWatch& watch() { return engine_.thread().sizes; }
  // What is said after a command.
  std::vector<SizeNote> NotesAfter(const std::vector<std::string>& words) {
    reply_ = engine_.RunWords(words);
    return watch().Take();
  }
  std::vector<SizeNote> NotesAfter(const std::string& command, const std::string& key,
                                   uint64_t elements, bool pairs) {
    std::vector<std::string> words = {command, key};
    for (uint64_t i = 0; i < elements; ++i) {
      words.push_back(std::to_string(i));
      if (pairs) words.push_back("m" + std::to_string(i));
    }
    return NotesAfter(words);
  }

  TestEngine engine_;
  std::string reply_;
};

TEST_F(SizeWatchTest, AStringIsSaidWithItsExactLengthFromTheLimitOn) {
  EXPECT_TRUE(NotesAfter({"SET", "k", std::string(kBytes - 1, 'x')}).empty());
  const auto notes = NotesAfter({"SET", "k", std::string(kBytes, 'x')});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].what, SizeNote::What::kSize);
  EXPECT_EQ(notes[0].name, "k");
  EXPECT_EQ(notes[0].type, "string");
  EXPECT_EQ(notes[0].size.bytes, kBytes);
}

TEST_F(SizeWatchTest, EveryTypeIsCounted) {
  struct Case {
    std::string command;
    std::string type;
    bool pairs;
  };
  for (const Case& one : {Case{"RPUSH", "list", false}, Case{"SADD", "set", false},
                          Case{"HSET", "hash", true}, Case{"ZADD", "zset", true}}) {
    EXPECT_TRUE(NotesAfter(one.command, one.type + ":small", kElements - 1, one.pairs).empty())
        << one.type << " " << reply_;
    const auto notes = NotesAfter(one.command, one.type, kElements, one.pairs);
    ASSERT_EQ(notes.size(), 1u) << one.type << " " << reply_;
    EXPECT_EQ(notes[0].type, one.type);
    EXPECT_EQ(notes[0].size.elements, kElements);
  }
  std::vector<SizeNote> notes;
  for (uint64_t i = 0; i < kElements; ++i) {
    EXPECT_TRUE(notes.empty()) << i;
    notes = NotesAfter({"XADD", "stream", "*", "f", "v"});
  }
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].size.elements, kElements);
}

TEST_F(SizeWatchTest, TheOneElementThatReachesTheLimitIsEnough) {
  NotesAfter("HSET", "h", kElements - 1, true);
  const auto notes = NotesAfter({"HSET", "h", "one more", "v"});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].size.elements, kElements);
}

TEST_F(SizeWatchTest, WhatShrinksIsDeletedOrExpiresIsTakenBack) {
  NotesAfter({"SET", "k", std::string(kBytes, 'x')});
  auto notes = NotesAfter({"SET", "k", "small"});
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(notes.back().what, SizeNote::What::kSize);
  EXPECT_EQ(notes.back().size.bytes, 5u);

  NotesAfter({"SET", "k", std::string(kBytes, 'x')});
  notes = NotesAfter({"DEL", "k"});
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(notes.back().what, SizeNote::What::kGone);

  NotesAfter({"SET", "k", std::string(kBytes, 'x'), "PX", "10"});
  engine_.AdvanceMs(20);
  notes = NotesAfter({"GET", "k"});
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(notes.back().what, SizeNote::What::kGone);
  EXPECT_EQ(notes.back().name, "k");
}

TEST_F(SizeWatchTest, RenameTakesItAlong) {
  NotesAfter({"SET", "from", std::string(kBytes, 'x')});
  const auto notes = NotesAfter({"RENAME", "from", "to"});
  bool gone = false;
  bool there = false;
  for (const SizeNote& note : notes) {
    gone = gone || (note.name == "from" && note.what == SizeNote::What::kGone);
    there = there || (note.name == "to" && note.size.bytes == kBytes);
  }
  EXPECT_TRUE(gone);
  EXPECT_TRUE(there);
}

TEST_F(SizeWatchTest, AFlushIsSaidOnce) {
  const auto notes = NotesAfter({"FLUSHALL"});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].what, SizeNote::What::kFlushed);
  EXPECT_LT(notes[0].db, 0);
}

TEST_F(SizeWatchTest, TheSameSizeIsNoNewsForAWhile) {
  ASSERT_EQ(NotesAfter("RPUSH", "l", 10 * kElements, false).size(), 1u);
  EXPECT_TRUE(NotesAfter({"RPUSH", "l", "one more"}).empty());
  EXPECT_TRUE(NotesAfter({"LINDEX", "l", "0"}).empty());
  EXPECT_EQ(NotesAfter("RPUSH", "l", kElements, false).size(), 1u);
  engine_.AdvanceMs(kNewsAgainMs);
  EXPECT_EQ(NotesAfter({"LINDEX", "l", "0"}).size(), 1u);
}

TEST_F(SizeWatchTest, AReadTellsOfWhatWasThereBefore) {
  watch().Stop();
  NotesAfter({"SET", "k", std::string(kBytes, 'x')});
  watch().Watch({.bytes = kBytes, .elements = kElements});
  EXPECT_EQ(NotesAfter({"GET", "k"}).size(), 1u);
}

TEST_F(SizeWatchTest, NothingIsSaidWhileNobodyAsks) {
  watch().Stop();
  EXPECT_TRUE(NotesAfter({"SET", "k", std::string(kBytes, 'x')}).empty());
  EXPECT_TRUE(NotesAfter({"DEL", "k"}).empty());
}

TEST_F(SizeWatchTest, SmallKeysOfTheSameRequestAreNotTold) {
  const auto notes = NotesAfter({"MSET", "a", "1", "big", std::string(kBytes, 'x'), "b", "2"});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].name, "big");
}

// An entry must never hold a value that reaches a limit: those are not looked at.
TEST(SizeWatchLimits, AreAboveWhatAnEntryHolds) {
  EXPECT_GT(kWatchedBytesMin, Entry::kEmbeddedEntryBytesMax);
  // Two bytes are the least that an element of a listpack takes.
  EXPECT_GT(kWatchedElementsMin, Entry::kEmbeddedEntryBytesMax / 2);
}

}  // namespace
}  // namespace tidegate::testing
