// MergedReply: what the replies of several nodes are together.
#include "proxy/upstream/merged_reply.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidegate {
namespace {

std::string Merge(SplitRule rule, const std::vector<std::string>& replies) {
  MergedReply merged(rule, Protocol::kResp2);
  for (uint16_t i = 0; i < replies.size(); ++i) merged.AddPart(i);
  for (uint16_t i = 0; i < replies.size(); ++i)
    EXPECT_EQ(merged.Take(i, replies[i]), i + 1U == replies.size());
  return merged.Whole();
}

constexpr std::string_view kNot = "-ERR a node's reply to a part of it is not what it can be\r\n";

TEST(MergedReply, WhatAllSay) {
  EXPECT_EQ(Merge(SplitRule::kSame, {"$3\r\nabc\r\n", "$3\r\nabc\r\n"}), "$3\r\nabc\r\n");
  EXPECT_EQ(Merge(SplitRule::kSame, {"$3\r\nabc\r\n", "$3\r\nabd\r\n"}), kNot);
  EXPECT_EQ(Merge(SplitRule::kSame, {"+OK\r\n", "-ERR no\r\n", "+OK\r\n"}), "-ERR no\r\n");
}

TEST(MergedReply, Union) {
  EXPECT_EQ(Merge(SplitRule::kUnion,
                  {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*0\r\n", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n"}),
            "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
  EXPECT_EQ(Merge(SplitRule::kUnion, {"*0\r\n", "*0\r\n"}), "*0\r\n");
  EXPECT_EQ(Merge(SplitRule::kUnion, {"*0\r\n", "+OK\r\n"}), kNot);
}

TEST(MergedReply, Each) {
  const std::string one = "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n";
  const std::string other = "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:7\r\n";
  EXPECT_EQ(Merge(SplitRule::kSumEach, {one, other, other}),
            "*4\r\n$1\r\na\r\n:5\r\n$1\r\nb\r\n:14\r\n");
  EXPECT_EQ(Merge(SplitRule::kSumEach, {"*0\r\n", "*0\r\n"}), "*0\r\n");
  EXPECT_EQ(Merge(SplitRule::kLeastEach, {"*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:1\r\n"}),
            "*2\r\n:0\r\n:1\r\n");
  EXPECT_EQ(Merge(SplitRule::kSumEach, {one, "*2\r\n$1\r\na\r\n:1\r\n"}), kNot);
  EXPECT_EQ(Merge(SplitRule::kSumEach, {one, "*4\r\n$1\r\nx\r\n:1\r\n$1\r\nb\r\n:0\r\n"}), kNot);
}

TEST(MergedReply, WhatOneOfThemDid) {
  const std::string none = "-NOTBUSY No scripts in execution right now.\r\n";
  const std::string wrote = "-UNKILLABLE Sorry the script already executed write commands\r\n";
  EXPECT_EQ(Merge(SplitRule::kAnyDone, {none, "+OK\r\n", none}), "+OK\r\n");
  EXPECT_EQ(Merge(SplitRule::kAnyDone, {none, wrote, none}), wrote);
  EXPECT_EQ(Merge(SplitRule::kAnyDone, {none, none}), none);
  EXPECT_EQ(Merge(SplitRule::kAnyDone, {"-ERR down\r\n", "+OK\r\n"}), "+OK\r\n");
}

}  // namespace
}  // namespace tidegate
