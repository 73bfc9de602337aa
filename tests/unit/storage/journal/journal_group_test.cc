#include "storage/journal/journal_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/journal_group_bytes.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using testing::InVersion1;
using testing::Sealed;

std::shared_ptr<const JournalGroup> GroupOf(uint64_t first,
                                            const std::vector<std::string>& records) {
  JournalGroupBuilder builder;
  builder.Begin(first);
  for (const std::string& record : records) builder.Add(record);
  return builder.Finish(1'700'000'000'123);
}

std::string ErrorOf(std::string_view bytes) {
  const Result<JournalGroupView> view = JournalGroupView::Parse(bytes);
  return view.ok() ? "no error" : view.error().message;
}

TEST(JournalGroup, GivesBackWhatWasPutIn) {
  const std::vector<std::string> records = {"a", "", std::string(200, 'x'),
                                            std::string("\0\r\n", 3)};
  const auto group = GroupOf(41, records);
  EXPECT_EQ(group->first(), 41u);
  EXPECT_EQ(group->last(), 44u);
  Result<JournalGroupView> view = JournalGroupView::Parse(group->bytes());
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->first(), 41u);
  EXPECT_EQ(view->last(), 44u);
  EXPECT_EQ(view->unix_ms(), 1'700'000'000'123);
  std::string_view record;
  for (const std::string& expected : records) {
    ASSERT_TRUE(view->Next(&record));
    EXPECT_EQ(record, expected);
  }
  EXPECT_FALSE(view->Next(&record));
}

TEST(JournalGroup, HasTheDocumentedBytes) {
  const std::string bytes(GroupOf(258, {"ab"})->bytes());
  EXPECT_EQ(bytes.substr(4, 12), std::string("\2\0\0\0\2\1\0\0\0\0\0\0", 12));
  EXPECT_EQ(bytes.substr(24, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes.substr(32), std::string("\53\0\0\0\0\0\0\0\2ab", 11));
  EXPECT_EQ(JournalGroupView::SizeOf(bytes), bytes.size());
  EXPECT_EQ(Sealed(bytes), bytes);
}

TEST(JournalGroup, FindsEveryWrongByte) {
  const std::string bytes(GroupOf(1, {"one", "two", "three"})->bytes());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string wrong = bytes;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    EXPECT_THAT(ErrorOf(wrong), HasSubstr("checksum"));
    EXPECT_NE(ErrorOf(bytes.substr(0, i)), "no error");
  }
}

TEST(JournalGroup, RefusesANewerVersionAndWrongCounts) {
  std::string bytes(GroupOf(1, {"one", "two"})->bytes());
  bytes[4] = 3;
  EXPECT_EQ(ErrorOf(Sealed(bytes)), "its format version is 3, known is up to 2");
  bytes[4] = 0;
  EXPECT_EQ(ErrorOf(Sealed(bytes)), "its format version is 0, known is up to 2");
  bytes[4] = 2;
  bytes[24] = 3;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("record 2 of 3"));
  bytes[24] = 1;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("count of records"));
  bytes[24] = 0;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("count of records"));
}

TEST(JournalGroup, ReadsTheFirstVersion) {
  const std::vector<std::string> records = {"one", "", "three"};
  const std::string bytes = InVersion1(std::string(GroupOf(7, records)->bytes()));
  EXPECT_EQ(JournalGroupView::SizeOf(bytes), 0u);
  Result<JournalGroupView> view = JournalGroupView::Parse(bytes);
  ASSERT_TRUE(view.ok()) << view.error().message;
  EXPECT_EQ(view->last(), 9u);
  std::string_view record;
  for (const std::string& expected : records) {
    ASSERT_TRUE(view->Next(&record));
    EXPECT_EQ(record, expected);
  }
}

TEST(JournalGroup, ItsHeaderSaysHowLongItIs) {
  std::string bytes(GroupOf(1, {"one", "two"})->bytes());
  EXPECT_EQ(JournalGroupView::SizeOf(bytes.substr(0, kJournalGroupHeaderBytes)), bytes.size());
  EXPECT_EQ(JournalGroupView::SizeOf(bytes.substr(0, kJournalGroupHeaderBytes - 1)), 0u);
  for (size_t i = 4; i < kJournalGroupHeaderBytes; ++i) {
    std::string wrong = bytes;
    wrong[i] = static_cast<char>(wrong[i] ^ 4);
    EXPECT_EQ(JournalGroupView::SizeOf(wrong), 0u) << i;
  }
  ++bytes[32];
  EXPECT_EQ(ErrorOf(Sealed(bytes)), "its header does not have its size");
  bytes[32] = 3;
  EXPECT_EQ(JournalGroupView::SizeOf(Sealed(bytes)), 0u);
}

TEST(JournalGroup, SurvivesAnyBytes) {
  std::minstd_rand random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 80, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
    if (bytes.size() > kJournalGroupHeaderBytes) {
      bytes[4] = static_cast<char>(1 + random() % 2);
      if (bytes[4] == 2)
        bytes.replace(32, 8,
                      std::string(1, static_cast<char>(bytes.size())) + std::string(7, '\0'));
    }
    if (bytes.size() >= 4) bytes = Sealed(bytes);
    Result<JournalGroupView> view = JournalGroupView::Parse(bytes);
    std::string_view record;
    if (!view.ok()) continue;
    for (uint32_t i = 0; i < view->count(); ++i) ASSERT_TRUE(view->Next(&record));
    EXPECT_FALSE(view->Next(&record));
  }
}

}  // namespace
}  // namespace tidegate
