// Bytes of users as text for people.
#include "base/shown_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tidegate {
namespace {

TEST(ShownText, WholeCharactersStay) {
  EXPECT_EQ(Shown("user:7"), "user:7");
  EXPECT_EQ(Shown("schl\xc3\xbcssel"), "schl\xc3\xbcssel");
  EXPECT_EQ(Shown("\xe9\x8d\xb5\xf0\x9f\x94\x91"), "\xe9\x8d\xb5\xf0\x9f\x94\x91");
  EXPECT_EQ(Shown(""), "");
}

TEST(ShownText, ControlCharactersAndBadBytesAreHexadecimal) {
  EXPECT_EQ(Shown(std::string_view("a\0b\n\x7f", 5)), "a\\x00b\\x0a\\x7f");
  EXPECT_EQ(Shown("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(Shown("\xc0\xaf"), "\\xc0\\xaf") << "an overlong form";
  EXPECT_EQ(Shown("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(Shown("\xc2\x9b"
                  "x"),
            "\\xc2\\x9bx")
      << "a control sequence of terminals";
}

TEST(ShownText, DifferentBytesAreNotShownAsTheSame) {
  EXPECT_EQ(Shown("\\x00"), "\\\\x00");
  EXPECT_NE(Shown("\\x00"), Shown(std::string_view("\0", 1)));
}

TEST(JsonString, IsValidWhateverComes) {
  std::string text;
  AppendJsonString(text, "a\"b\\c\n\xff\xc3\xbc");
  EXPECT_EQ(text, "\"a\\\"b\\\\c\\u000a\\ufffd\xc3\xbc\"");
}

}  // namespace
}  // namespace tidegate
