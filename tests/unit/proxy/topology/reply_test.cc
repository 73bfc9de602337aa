// ReplyReader: every type, whatever the pieces, and its limits.
#include "proxy/topology/reply.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

#include "tests/unit/proxy/topology/reply_notation.h"

namespace tidegate::topology {
namespace {

using Kind = Reply::Kind;

std::string FailureOf(std::string_view bytes) {
  ReplyReader reader;
  reader.Feed(bytes);
  for (int i = 0; i < 100; ++i) {
    Result<std::optional<Reply>> reply = reader.Next();
    if (!reply.ok()) {
      EXPECT_EQ(reader.Next().error().message, reply.error().message) << "stays failed";
      return reply.error().message;
    }
    if (!reply->has_value()) return "";
  }
  return "too many replies";
}

// The tree in the tests' notation, to compare it whole.
std::string Show(const Reply& reply) {
  switch (reply.kind) {
    case Kind::kNull:
      return "_";
    case Kind::kText:
      return reply.text;
    case Kind::kStatus:
      return "+" + reply.text;
    case Kind::kError:
      return "-" + reply.text;
    case Kind::kInteger:
      return ":" + ToText(reply.integer);
    case Kind::kBoolean:
      return reply.integer != 0 ? "true" : "false";
    default:
      break;
  }
  std::string text = reply.kind == Kind::kMap ? "{" : reply.kind == Kind::kPush ? ">[" : "[";
  for (const Reply& item : reply.items) text += " " + Show(item);
  return text + (reply.kind == Kind::kMap ? " }" : " ]");
}

constexpr std::string_view kEverything =
    "*13\r\n+OK\r\n-ERR no\r\n:-12\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5\r\n"
    "(12345678901234567890\r\n=7\r\ntxt:a b\r\n!5\r\nERR x\r\n"
    "|1\r\n+ttl\r\n:3\r\n%2\r\n+a\r\n:1\r\n|1\r\n+b\r\n*1\r\n:7\r\n+c\r\n~1\r\n:2\r\n"
    ">2\r\n+pubsub\r\n%0\r\n*0\r\n";

TEST(ReplyReaderTest, EveryTypeWhateverThePieces) {
  const std::string expected[] = {
      "[ +OK -ERR no :-12 a\r _ _ _ true 1.5 12345678901234567890 a b -ERR x ]",
      "{ +a :1 +c [ :2 ] }", ">[ +pubsub { } ]", "[ ]"};
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    ReplyReader reader;
    std::string_view rest = kEverything;
    std::vector<std::string> shown;
    while (!rest.empty()) {
      const size_t piece = round == 0 ? rest.size() : std::min<size_t>(rest.size(), random() % 9);
      reader.Feed(rest.substr(0, piece));
      rest.remove_prefix(piece);
      while (true) {
        Result<std::optional<Reply>> reply = reader.Next();
        ASSERT_TRUE(reply.ok()) << reply.error().message;
        if (!reply->has_value()) break;
        shown.push_back(Show(**reply));
      }
    }
    ASSERT_EQ(shown.size(), 4U);
    EXPECT_EQ(shown[0].substr(0, 20), expected[0].substr(0, 20));
    for (size_t i = 1; i < 4; ++i) EXPECT_EQ(shown[i], expected[i]);
  }
}

TEST(ReplyReaderTest, GarbageIsAnErrorThatStays) {
  EXPECT_EQ(FailureOf("HTTP/1.1 400 Bad Request\r\n"),
            "\"HTTP/1.1 400 Bad Request\" where a reply should be");
  EXPECT_EQ(FailureOf("\r\n"), "an empty line where a reply should be");
  EXPECT_EQ(FailureOf(":12a\r\n"), "\":12a\" where a reply should be");
  EXPECT_EQ(FailureOf("#x\r\n"), "\"#x\" where a reply should be");
  EXPECT_EQ(FailureOf("_x\r\n"), "\"_x\" where a reply should be");
  EXPECT_EQ(FailureOf("$-2\r\n"), "a string of invalid length");
  EXPECT_EQ(FailureOf("$?\r\n"), "a string of invalid length");
  EXPECT_EQ(FailureOf("=-1\r\n"), "a string of invalid length");
  EXPECT_EQ(FailureOf("=2\r\nab\r\n"), "a verbatim string without its format");
  EXPECT_EQ(FailureOf("$1\r\nabc\r\n"), "a string that does not end where it said");
  EXPECT_EQ(FailureOf("*x\r\n"), "a list of invalid length");
  EXPECT_EQ(FailureOf("%-1\r\n"), "a list of invalid length");
}

TEST(ReplyReaderTest, LimitsBeforeMemoryIsTaken) {
  EXPECT_EQ(FailureOf("$99999999999\r\n"), "a reply of too many bytes");
  EXPECT_EQ(FailureOf("$9223372036854775807\r\n"), "a reply of too many bytes");
  EXPECT_EQ(FailureOf("*1000001\r\n"), "a reply of too many elements");
  EXPECT_EQ(FailureOf("*9223372036854775807\r\n"), "a reply of too many elements");
  EXPECT_EQ(FailureOf(std::string(kReplyLineBytesMax.count + 1, '+')), "a line without an end");
  std::string nested;
  for (size_t i = 0; i <= kReplyDepthMax; ++i) nested += "*1\r\n";
  EXPECT_EQ(FailureOf(nested), "a reply nested too deeply");
  // Many short lists in a list: none is too long, together they are.
  std::string many = "*1000000\r\n";
  for (size_t i = 0; i < kReplyElementsMax / 2; ++i) many += "*1\r\n:1\r\n";
  EXPECT_EQ(FailureOf(many), "a reply of too many elements");
  std::string attributes;
  for (size_t i = 0; i <= kReplyElementsMax; ++i) attributes += "|0\r\n";
  EXPECT_EQ(FailureOf(attributes), "a reply of too many elements");
  EXPECT_EQ(FailureOf("*2\r\n:1\r\n"), "") << "half a reply is none yet";
  EXPECT_EQ(ParseReply("$5\r\nab").error().message, "half a reply");
}

TEST(ReplyTest, FieldsOfMapsAndOfFlatLists) {
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    const Reply reply = ReplyOf("{ name mymaster port '6379' quorum 2 down _ }", protocol);
    EXPECT_EQ(reply.FindText("name"), "mymaster");
    EXPECT_EQ(reply.FindInteger("port"), 6379);
    EXPECT_EQ(reply.FindInteger("quorum"), 2);
    EXPECT_EQ(reply.FindText("quorum"), "");
    EXPECT_EQ(reply.FindInteger("name"), std::nullopt);
    EXPECT_EQ(reply.Find("mymaster"), nullptr) << "a value is no name";
    ASSERT_NE(reply.Find("down"), nullptr);
    EXPECT_TRUE(reply.Find("down")->is_null());
  }
  EXPECT_EQ(ReplyOf("[ a 1 b ]").Find("b"), nullptr) << "a name without a value";
  EXPECT_EQ(ReplyOf("a").Find("a"), nullptr);
}

}  // namespace
}  // namespace tidegate::topology
