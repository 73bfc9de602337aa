#include "proxy/upstream/reply_framer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace tidegate {
namespace {

using Outcome = ReplyFramer::Outcome;

const std::vector<std::string> kReplies = {
    "+OK\r\n",
    "-ERR no\r\n",
    ":-12\r\n",
    "$5\r\nhello\r\n",
    "$0\r\n\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "$6\r\n\r\n+OK\r\r\n",
    "*2\r\n*2\r\n:1\r\n*0\r\n$1\r\na\r\n",
    "*3\r\n$-1\r\n-ERR inner\r\n*1\r\n*1\r\n+x\r\n",
};

const std::vector<std::string> kResp3Replies = {
    "_\r\n",
    "#t\r\n",
    ",3.5\r\n",
    "(123456789012345678901\r\n",
    "=7\r\ntxt:abc\r\n",
    "!5\r\nERR x\r\n",
    "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
    "~2\r\n:1\r\n:2\r\n",
    "%0\r\n",
    "|1\r\n+ttl\r\n:3\r\n$2\r\nhi\r\n",
    "*2\r\n|1\r\n+a\r\n%1\r\n+k\r\n+v\r\n:1\r\n:2\r\n",
    "|0\r\n+OK\r\n",
    "*1\r\n|1\r\n+a\r\n+b\r\n:7\r\n",
};

// Feeds `stream` cut at the given places, as a connection would, and returns the frames.
std::vector<std::string> Frames(Protocol protocol, const std::string& stream,
                                const std::vector<size_t>& sizes, std::string* kinds = nullptr,
                                bool skips = false) {
  ReplyFramer framer(protocol);
  std::string passed;  // of the frame that is under way, when what is done with is taken away
  std::vector<std::string> frames;
  std::string kept;
  size_t at = 0;
  for (size_t i = 0; at < stream.size(); ++i) {
    const size_t n = std::min(sizes[i % sizes.size()], stream.size() - at);
    kept += stream.substr(at, n);
    at += n;
    for (Outcome outcome = framer.Next(kept); outcome != Outcome::kNeedInput;
         outcome = framer.Next(kept)) {
      if (outcome == Outcome::kGarbage) {
        frames.push_back("garbage: " + std::string(framer.garbage()));
        return frames;
      }
      if (kinds != nullptr) *kinds += outcome == Outcome::kPush ? '>' : '.';
      frames.push_back(passed + kept.substr(0, framer.frame_bytes()));
      passed.clear();
      kept.erase(0, framer.frame_bytes());
    }
    if (skips) {
      const size_t size = framer.Passable(kept.size());
      passed += kept.substr(0, size);
      kept.erase(0, size);
      framer.Skip(size);
    }
    EXPECT_TRUE(framer.bytes_wanted() == 0 || framer.bytes_wanted() > kept.size());
  }
  EXPECT_EQ(kept, "");
  return frames;
}

std::vector<std::string> All(Protocol protocol) {
  std::vector<std::string> all = kReplies;
  if (protocol == Protocol::kResp3)
    all.insert(all.end(), kResp3Replies.begin(), kResp3Replies.end());
  return all;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += part;
  return joined;
}

TEST(ReplyFramer, FindsTheEndOfEveryKindByteByByte) {
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    EXPECT_EQ(Frames(protocol, Joined(All(protocol)), {1}), All(protocol));
    EXPECT_EQ(Frames(protocol, Joined(All(protocol)), {1'000'000}), All(protocol));
    EXPECT_EQ(Frames(protocol, Joined(All(protocol)), {1}, nullptr, true), All(protocol));
  }
}

TEST(ReplyFramer, RandomRepliesAtRandomSplits) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::vector<std::string> all = All(Protocol::kResp3);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> replies;
    for (int i = 0; i < 40; ++i) replies.push_back(all[random() % all.size()]);
    std::vector<size_t> sizes;
    for (int i = 0; i < 50; ++i) sizes.push_back(1 + random() % 23);
    ASSERT_EQ(Frames(Protocol::kResp3, Joined(replies), sizes), replies);
    ASSERT_EQ(Frames(Protocol::kResp3, Joined(replies), sizes, nullptr, true), replies);
  }
}

TEST(ReplyFramer, TellsPushesFromReplies) {
  const std::string push = ">2\r\n+invalidate\r\n*1\r\n+k\r\n";
  std::string kinds;
  EXPECT_EQ(Frames(Protocol::kResp3, push + "+OK\r\n" + push, {3}, &kinds),
            (std::vector<std::string>{push, "+OK\r\n", push}));
  EXPECT_EQ(kinds, ">.>");
}

TEST(ReplyFramer, RefusesWhatNoServerSends) {
  for (const char* bytes : {"HTTP/1.1 400 Bad Request\r\n",
                            "\r\n",
                            "\n",
                            "+OK\n",
                            ":x\r\n",
                            ":\r\n",
                            "$-2\r\n",
                            "$x\r\n",
                            "$3\r\nabcd\r\n",
                            "$3\r\nabc\n\r",
                            "$3\nabc\r\n\r\n",
                            "$03\r\nabc\r\n",
                            "$00\r\n\r\n",
                            "$\r\n\r\n\r\n",
                            "*-2\r\n",
                            "*x\r\n",
                            "$600000000\r\n",
                            "*99999999999\r\n",
                            "+a\rb\r\n",
                            "#x\r\n",
                            "%-1\r\n",
                            "=-1\r\n",
                            "*1\r\n>1\r\n+a\r\n",
                            ">0\r\n",
                            "$?\r\n"}) {
    for (const size_t piece : {size_t{1}, std::string_view(bytes).size()}) {
      const auto frames = Frames(Protocol::kResp3, bytes, {piece});
      ASSERT_FALSE(frames.empty()) << bytes;
      EXPECT_TRUE(frames[0].starts_with("garbage: ")) << bytes;
    }
  }
}

TEST(ReplyFramer, RefusesTypesOfResp3InResp2) {
  for (const std::string& reply : kResp3Replies) {
    EXPECT_EQ(Frames(Protocol::kResp2, reply, {1})[0],
              "garbage: a type of RESP3 in a reply of RESP2");
  }
}

TEST(ReplyFramer, LimitsDepthAndLines) {
  std::string deep;
  for (size_t i = 0; i < kReplyDepthMax; ++i) deep += "*1\r\n";
  EXPECT_EQ(Frames(Protocol::kResp2, deep + ":1\r\n", {7}).size(), 1u);
  EXPECT_EQ(Frames(Protocol::kResp2, deep + "*1\r\n:1\r\n", {7})[0],
            "garbage: aggregates nested too deep");
  const std::string line(kReplyLineBytesMax.count + 8, 'x');
  EXPECT_EQ(Frames(Protocol::kResp2, "+" + line, {1000})[0], "garbage: a line that is too long");
}

TEST(ReplyFramer, SaysHowMuchABulkWants) {
  ReplyFramer framer(Protocol::kResp2);
  EXPECT_EQ(framer.Next("*2\r\n$100\r\nab"), Outcome::kNeedInput);
  EXPECT_EQ(framer.bytes_wanted(), 4u + 6u + 100u + 2u);
}

}  // namespace
}  // namespace tidegate
