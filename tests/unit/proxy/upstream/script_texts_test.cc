// ScriptTexts: what is kept, what goes first, and how a call by SHA1 becomes one by text.
#include "proxy/upstream/script_texts.h"

#include <gtest/gtest.h>

#include <string>

#include "base/sha1.h"
#include "base/text.h"

namespace tidegate {
namespace {

TEST(ScriptTexts, AreFoundByTheirSha1InEitherCase) {
  ScriptTexts texts;
  texts.Keep("return 1");
  const std::string sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
  ASSERT_NE(texts.Find(sha), nullptr);
  EXPECT_EQ(*texts.Find(ToUpperAscii(sha)), "return 1");
  EXPECT_EQ(texts.Find(Sha1Hex("return 2")), nullptr);
  EXPECT_EQ(texts.Find(""), nullptr);
  texts.Keep("return 1");
  EXPECT_EQ(texts.count(), 1U);
  EXPECT_EQ(texts.bytes(), 8U);
  texts.Clear();
  EXPECT_EQ(texts.Find(sha), nullptr);
  EXPECT_EQ(texts.bytes(), 0U);
}

TEST(ScriptTexts, TheOneUsedLongestAgoGoesFirst) {
  ScriptTexts texts;
  const auto text = [](size_t i) { return "return " + std::to_string(i); };
  for (size_t i = 0; i < kScriptTextsMax; ++i) texts.Keep(text(i));
  texts.Keep(text(0));
  EXPECT_NE(texts.Find(Sha1Hex(text(1))), nullptr);
  texts.Keep("one more");
  texts.Keep("and one");
  EXPECT_EQ(texts.count(), kScriptTextsMax);
  EXPECT_NE(texts.Find(Sha1Hex(text(0))), nullptr);
  EXPECT_NE(texts.Find(Sha1Hex(text(1))), nullptr);
  EXPECT_EQ(texts.Find(Sha1Hex(text(2))), nullptr);
  EXPECT_EQ(texts.Find(Sha1Hex(text(3))), nullptr);
  EXPECT_NE(texts.Find(Sha1Hex(text(4))), nullptr);
}

TEST(ScriptTexts, AreBoundedInBytes) {
  ScriptTexts texts;
  const std::string large(kScriptTextBytesMax.count, 'x');
  for (char c = 'a'; c <= 'z'; ++c) texts.Keep(c + large.substr(1));
  EXPECT_EQ(texts.bytes(), kScriptTextsBytesMax.count);
  EXPECT_EQ(texts.Find(Sha1Hex("a" + large.substr(1))), nullptr);
  EXPECT_NE(texts.Find(Sha1Hex("z" + large.substr(1))), nullptr);
  texts.Keep("y" + large);
  EXPECT_EQ(texts.Find(Sha1Hex("y" + large)), nullptr);
}

TEST(ScriptTexts, ACallGetsTheText) {
  const std::string call = "*4\r\n$7\r\nEvalSha\r\n$3\r\nabc\r\n$1\r\n1\r\n$4\r\nk\r\ny\r\n";
  EXPECT_EQ(CalledScript(call), "abc");
  EXPECT_EQ(WithScriptText(call, "return\r\n1"),
            "*4\r\n$4\r\nEVAL\r\n$9\r\nreturn\r\n1\r\n$1\r\n1\r\n$4\r\nk\r\ny\r\n");
  EXPECT_EQ(WithScriptText("*3\r\n$10\r\nevalsha_ro\r\n$1\r\na\r\n$1\r\n0\r\n", "x"),
            "*3\r\n$7\r\nEVAL_RO\r\n$1\r\nx\r\n$1\r\n0\r\n");
  EXPECT_EQ(CalledScript("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), "");
  EXPECT_EQ(CalledScript("*2\r\n$7\r\nEVALSHA\r\n$40\r\nk"), "");
}

}  // namespace
}  // namespace tidegate
