// Names of keys in replies: which are turned back, and what is left as it came.
#include "proxy/upstream/reply_names.h"

#include <gtest/gtest.h>

#include <string>

namespace tidegate {
namespace {

using Shape = ReplyNames::Shape;

std::string Restored(Shape shape, const std::string& reply, Protocol protocol = Protocol::kResp2) {
  ReplyNames names(shape);
  names.Add("t7:a", "app1:a");
  names.Add("b", "app2:b");
  return names.Restore(reply, protocol);
}

std::string WithoutPrefix(Shape shape, const std::string& reply) {
  ReplyNames names(shape);
  names.set_prefix("t7:");
  return names.Restore(reply, Protocol::kResp2);
}

TEST(ReplyNames, TheFirstElement) {
  EXPECT_EQ(Restored(Shape::kFirst, "*2\r\n$4\r\nt7:a\r\n$4\r\nt7:a\r\n"),
            "*2\r\n$6\r\napp1:a\r\n$4\r\nt7:a\r\n");
  EXPECT_EQ(Restored(Shape::kFirst, "*2\r\n$1\r\nb\r\n*1\r\n$1\r\nb\r\n"),
            "*2\r\n$6\r\napp2:b\r\n*1\r\n$1\r\nb\r\n");
}

TEST(ReplyNames, Streams) {
  const std::string entries = "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\nt7:a\r\n$1\r\nb\r\n";
  EXPECT_EQ(Restored(Shape::kStreams,
                     "*2\r\n*2\r\n$4\r\nt7:a\r\n" + entries + "*2\r\n$1\r\nb\r\n" + entries),
            "*2\r\n*2\r\n$6\r\napp1:a\r\n" + entries + "*2\r\n$6\r\napp2:b\r\n" + entries);
  EXPECT_EQ(Restored(Shape::kStreams, "%1\r\n$4\r\nt7:a\r\n" + entries, Protocol::kResp3),
            "%1\r\n$6\r\napp1:a\r\n" + entries);
}

TEST(ReplyNames, KeysAndPagesOfThem) {
  EXPECT_EQ(WithoutPrefix(Shape::kEach, "*3\r\n$4\r\nt7:a\r\n$3\r\nt7:\r\n$1\r\nx\r\n"),
            "*3\r\n$1\r\na\r\n$0\r\n\r\n$1\r\nx\r\n");
  EXPECT_EQ(WithoutPrefix(Shape::kScan, "*2\r\n$4\r\nt7:5\r\n*1\r\n$4\r\nt7:5\r\n"),
            "*2\r\n$4\r\nt7:5\r\n*1\r\n$1\r\n5\r\n");
  EXPECT_EQ(WithoutPrefix(Shape::kEach, "*0\r\n"), "*0\r\n");
}

TEST(ReplyNames, WhatNamesNoneIsLeftAsItIs) {
  for (const Shape shape : {Shape::kFirst, Shape::kEach, Shape::kScan, Shape::kStreams}) {
    for (const char* reply :
         {"*-1\r\n", "$-1\r\n", "_\r\n", "-ERR t7:a\r\n", "+QUEUED\r\n", "*2\r\n:1\r\n:2\r\n", ""})
      EXPECT_EQ(Restored(shape, reply), reply);
  }
}

}  // namespace
}  // namespace tidegate
