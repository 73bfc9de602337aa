#include "storage/journal/journal_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/crc32c.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;

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

// With a checksum that is right for whatever the bytes are now.
std::string Sealed(std::string bytes) {
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(4));
  for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(crc >> (8 * i));
  return bytes;
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
  EXPECT_EQ(bytes.substr(4, 12), std::string("\1\0\0\0\2\1\0\0\0\0\0\0", 12));
  EXPECT_EQ(bytes.substr(24), std::string("\1\0\0\0\0\0\0\0\2ab", 11));
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
  bytes[4] = 2;
  EXPECT_EQ(ErrorOf(Sealed(bytes)), "its format version is 2, known is 1");
  bytes[4] = 1;
  bytes[24] = 3;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("record 2 of 3"));
  bytes[24] = 1;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("count of records"));
  bytes[24] = 0;
  EXPECT_THAT(ErrorOf(Sealed(bytes)), HasSubstr("count of records"));
}

TEST(JournalGroup, SurvivesAnyBytes) {
  std::minstd_rand random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 80, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
    if (bytes.size() > kJournalGroupHeaderBytes) bytes[4] = 1;
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
