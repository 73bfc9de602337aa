#include "storage/value/listpack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/moving_buffer.h"

namespace tidegate {
namespace {

using std::string_view_literals::operator""sv;

std::string TextAt(ListpackView view, size_t at) {
  char digits[kListpackDigitsBytes];
  return std::string(view.Get(at).Render(digits));
}

std::vector<std::string> Texts(ListpackView view) {
  std::vector<std::string> texts;
  for (size_t at = view.First(); at != view.End(); at = view.Next(at)) {
    texts.push_back(TextAt(view, at));
  }
  return texts;
}

using Strings = std::vector<std::string>;

// A listpack in a buffer that moves on every edit.
class ListpackTest : public testing::Test {
 protected:
  ListpackTest() { list_.Create(); }

  void AppendAll(const Strings& texts) {
    for (const std::string& text : texts) list_.Append(text);
  }
  // The bytes of the one entry.
  std::string_view EntryOf(std::string_view text) {
    list_.Create();
    list_.Append(text);
    EXPECT_EQ(TextAt(list_.view(), list_.view().First()), text);
    return list_.view().Encoded(list_.view().First(), list_.view().End());
  }

  MovingBuffer buffer_;
  Listpack list_{buffer_};
};

TEST_F(ListpackTest, AnEmptyOneTakesSevenBytes) {
  EXPECT_EQ(buffer_.bytes(), "\x07\0\0\0\0\0\xff"sv);
  const ListpackView view = list_.view();
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(view.count(), 0u);
  EXPECT_EQ(view.First(), view.End());
  EXPECT_EQ(view.Last(), view.End());
  EXPECT_EQ(view.Seek(0), view.End());
  EXPECT_EQ(view.Seek(-1), view.End());
  EXPECT_EQ(view.Find("x"), view.End());
  EXPECT_EQ(list_.Erase(view.First(), 3), 0u);
}

// All bytes below are those of redis-server 7.0.15: DUMP of a hash or list of these texts.
TEST_F(ListpackTest, IsAHashOfRedis) {
  for (const std::string_view text : {"name", "tide", "n", "42"}) list_.Append(text);
  EXPECT_EQ(buffer_.bytes(), "\x18\0\0\0\x04\0\x84name\x05\x84tide\x05\x81n\x02\x2a\x01\xff"sv);
}

TEST_F(ListpackTest, EncodesIntegersOfAllWidthsAsRedis) {
  EXPECT_EQ(EntryOf("0"), "\0\x01"sv);
  EXPECT_EQ(EntryOf("127"), "\x7f\x01"sv);
  EXPECT_EQ(EntryOf("128"), "\xc0\x80\x02"sv);
  EXPECT_EQ(EntryOf("-1"), "\xdf\xff\x02"sv);
  EXPECT_EQ(EntryOf("4095"), "\xcf\xff\x02"sv);
  EXPECT_EQ(EntryOf("4096"), "\xf1\0\x10\x03"sv);
  EXPECT_EQ(EntryOf("-4096"), "\xd0\0\x02"sv);
  EXPECT_EQ(EntryOf("-4097"), "\xf1\xff\xef\x03"sv);
  EXPECT_EQ(EntryOf("32767"), "\xf1\xff\x7f\x03"sv);
  EXPECT_EQ(EntryOf("32768"), "\xf2\0\x80\0\x04"sv);
  EXPECT_EQ(EntryOf("-32768"), "\xf1\0\x80\x03"sv);
  EXPECT_EQ(EntryOf("-32769"), "\xf2\xff\x7f\xff\x04"sv);
  EXPECT_EQ(EntryOf("8388607"), "\xf2\xff\xff\x7f\x04"sv);
  EXPECT_EQ(EntryOf("8388608"), "\xf3\0\0\x80\0\x05"sv);
  EXPECT_EQ(EntryOf("-8388608"), "\xf2\0\0\x80\x04"sv);
  EXPECT_EQ(EntryOf("-8388609"), "\xf3\xff\xff\x7f\xff\x05"sv);
  EXPECT_EQ(EntryOf("2147483647"), "\xf3\xff\xff\xff\x7f\x05"sv);
  EXPECT_EQ(EntryOf("2147483648"), "\xf4\0\0\0\x80\0\0\0\0\x09"sv);
  EXPECT_EQ(EntryOf("-2147483648"), "\xf3\0\0\0\x80\x05"sv);
  EXPECT_EQ(EntryOf("-2147483649"), "\xf4\xff\xff\xff\x7f\xff\xff\xff\xff\x09"sv);
  EXPECT_EQ(EntryOf("9223372036854775807"), "\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09"sv);
  EXPECT_EQ(EntryOf("-9223372036854775808"), "\xf4\0\0\0\0\0\0\0\x80\x09"sv);
}

TEST_F(ListpackTest, KeepsTextThatIsNoCanonicalIntegerAsRedis) {
  EXPECT_EQ(EntryOf(""), "\x80\x01"sv);
  EXPECT_EQ(EntryOf("-0"), "\x82-0\x03"sv);
  EXPECT_EQ(EntryOf("+1"), "\x82+1\x03"sv);
  EXPECT_EQ(EntryOf("007"),
            "\x83"
            "007\x04"sv);
  EXPECT_EQ(EntryOf("9223372036854775808"),
            "\x93"
            "9223372036854775808\x14"sv);
}

TEST_F(ListpackTest, EncodesTextOfAllSizesAsRedis) {
  struct Case {
    size_t size;
    std::string_view head;
    std::string_view backlen;
  };
  const Case cases[] = {
      {63, "\xbf"sv, "\x40"sv},
      {64, "\xe0\x40"sv, "\x42"sv},
      {4095, "\xef\xff"sv, "\x20\x81"sv},
      {4096, "\xf0\0\x10\0\0"sv, "\x20\x85"sv},
      {16'377, "\xf0\xf9\x3f\0\0"sv, "\x7f\xfe"sv},
      {16'378, "\xf0\xfa\x3f\0\0"sv, "\0\xff\xff"sv},  // one more byte than its 14 bits need
      {16'379, "\xf0\xfb\x3f\0\0"sv, "\x01\x80\x80"sv},
      {20'000, "\xf0\x20\x4e\0\0"sv, "\x01\x9c\xa5"sv},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.size);
    const std::string text(c.size, 'y');
    EXPECT_EQ(EntryOf(text), std::string(c.head) + text + std::string(c.backlen));
    EXPECT_EQ(Listpack::EncodedSize(text), c.head.size() + c.size + c.backlen.size());
  }
}

TEST_F(ListpackTest, WalksBothWaysOverEntriesOfAllSizes) {
  Strings texts = {"", "7", "-7", "70000", "text"};
  for (const size_t size : {63u, 64u, 126u, 127u, 4095u, 4096u, 16'378u, 2'097'145u, 2'097'146u}) {
    texts.emplace_back(size, 'x');
  }
  AppendAll(texts);
  const ListpackView view = list_.view();
  EXPECT_EQ(Texts(view), texts);
  Strings backwards;
  for (size_t at = view.Last(); at != view.End(); at = view.Prev(at)) {
    backwards.push_back(TextAt(view, at));
  }
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(backwards, texts);
  EXPECT_TRUE(ListpackView::Validate(view.bytes(), true));
}

TEST_F(ListpackTest, SeeksFromBothEnds) {
  const Strings texts = {"a", "b", "c", "d", "e"};
  AppendAll(texts);
  const ListpackView view = list_.view();
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(TextAt(view, view.Seek(i)), texts[static_cast<size_t>(i)]);
    EXPECT_EQ(view.Seek(i - 5), view.Seek(i));
  }
  for (const int64_t i : {int64_t{5}, int64_t{-6}, std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(view.Seek(i), view.End());
  }
}

TEST_F(ListpackTest, InsertsReplacesAndErases) {
  list_.Append("b");
  list_.Prepend("a");
  list_.Append(int64_t{4});
  list_.Insert(list_.view().Seek(2), "c");
  EXPECT_EQ(Texts(list_.view()), (Strings{"a", "b", "c", "4"}));
  list_.Replace(list_.view().Seek(1), "longer than it was");
  list_.Replace(list_.view().Last(), int64_t{5});
  EXPECT_EQ(Texts(list_.view()), (Strings{"a", "longer than it was", "c", "5"}));
  EXPECT_EQ(list_.Erase(list_.view().Seek(1)), 1u);
  EXPECT_EQ(list_.Erase(list_.view().Seek(1), 100), 2u);
  EXPECT_EQ(Texts(list_.view()), (Strings{"a"}));
  EXPECT_EQ(list_.Erase(list_.view().First(), 100), 1u);
  EXPECT_EQ(buffer_.bytes(), "\x07\0\0\0\0\0\xff"sv);
}

TEST_F(ListpackTest, EveryEditIsOneSplice) {
  auto splices = [this, last = buffer_.splices()]() mutable {
    const size_t now = buffer_.splices();
    return now - std::exchange(last, now);
  };
  list_.AppendPair(ListpackValue::Of("field"), ListpackValue::Of("12"));
  EXPECT_EQ(splices(), 1u);
  const std::string_view texts[] = {"a", "1000", "", "d"};
  list_.AppendTexts(texts);
  EXPECT_EQ(splices(), 1u);
  const std::array<ListpackValue, 3> values = {ListpackValue(7), ListpackValue::Of("x"),
                                               ListpackValue::AsText("8")};
  list_.Insert(list_.view().First(), values);
  EXPECT_EQ(splices(), 1u);
  list_.Replace(list_.view().First(), "9");  // in place
  EXPECT_EQ(splices(), 1u);
  list_.Erase(list_.view().Seek(1), 2);
  EXPECT_EQ(splices(), 1u);
  EXPECT_EQ(Texts(list_.view()), (Strings{"9", "field", "12", "a", "1000", "", "d"}));
  list_.Create(values);
  EXPECT_EQ(splices(), 1u);
  EXPECT_EQ(Texts(list_.view()), (Strings{"7", "x", "8"}));
  EXPECT_TRUE(ListpackView::Validate(buffer_.bytes(), true));
}

TEST_F(ListpackTest, CopiesEncodedEntries) {
  AppendAll({"a", "1", "b", "2", "c"});
  MovingBuffer other_buffer;
  Listpack other(other_buffer);
  other.Create();
  other.Append("z");
  const ListpackView from = list_.view();
  other.InsertEncoded(other.view().First(), from.Encoded(from.Seek(1), from.Seek(4)), 3);
  EXPECT_EQ(Texts(other.view()), (Strings{"1", "b", "2", "z"}));
  EXPECT_EQ(other.view().count(), 4u);
  other.InsertEncoded(other.view().End(), {}, 0);
  EXPECT_TRUE(ListpackView::Validate(other_buffer.bytes(), true));
}

TEST_F(ListpackTest, FindsWithSkip) {
  AppendAll({"1", "one", "two", "1", "3000", "two", "-5", "x", std::string(100, 'l'), "y"});
  const ListpackView view = list_.view();
  EXPECT_EQ(view.Find("1", 1), view.Seek(0));
  EXPECT_EQ(view.Find("two", 1), view.Seek(2));
  EXPECT_EQ(view.Find("two", 0, view.Seek(3)), view.Seek(5));
  EXPECT_EQ(view.Find("one", 1), view.End());  // a value, not a field
  EXPECT_EQ(view.Find("3000", 1), view.Seek(4));
  EXPECT_EQ(view.Find("-5", 1), view.Seek(6));
  EXPECT_EQ(view.Find(std::string(100, 'l'), 1), view.Seek(8));
  EXPECT_EQ(view.Find("y", 2), view.Seek(9));
  EXPECT_EQ(view.Find("y", 3), view.End());
  EXPECT_EQ(view.Find("x", 100), view.End());
  for (const std::string_view absent : {"", "01", "+1", "-0", "3001", "twi", "tw"}) {
    EXPECT_EQ(view.Find(absent), view.End());
  }
}

TEST_F(ListpackTest, FindsTextOfEverySizeAndTellsEveryByte) {
  for (size_t size = 0; size <= 70; ++size) {
    SCOPED_TRACE(size);
    const std::string text(size, 'q');
    list_.Create();
    list_.Append(text);
    EXPECT_EQ(list_.view().Find(text), list_.view().First());
    EXPECT_EQ(list_.view().Find(text + "q"), list_.view().End());
    for (size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = 'Q';
      EXPECT_EQ(list_.view().Find(other), list_.view().End());
    }
  }
}

// Other writers may encode wider than they need to; Redis reads and finds those too.
TEST_F(ListpackTest, ReadsAndFindsEncodingsThatAreWiderThanNeeded) {
  MovingBuffer buffer(
      "\x20\0\0\0\x05\0"
      "\x82"
      "12\x03"                      // digits as text
      "\xf4\x05\0\0\0\0\0\0\0\x09"  // 5 in 64 bits
      "\xe0\x02hi\x04"              // a short text with a size of 12 bits
      "\xc0\x06\x02"                // 6 in 13 bits
      "\xe0\0\x02\xff"sv);
  ASSERT_TRUE(ListpackView::Validate(buffer.bytes(), true));
  const ListpackView view(buffer.bytes());
  EXPECT_EQ(Texts(view), (Strings{"12", "5", "hi", "6", ""}));
  EXPECT_TRUE(view.Get(view.First()).Equals("12"));
  int64_t index = 0;
  for (const std::string_view text : {"12", "5", "hi", "6", ""}) {
    EXPECT_EQ(view.Find(text), view.Seek(index++));
  }
}

TEST_F(ListpackTest, ValuesCompareWithTexts) {
  const ListpackValue number = ListpackValue::Of("-123");
  EXPECT_TRUE(number.is_integer());
  EXPECT_EQ(number.integer(), -123);
  EXPECT_TRUE(number.Equals("-123"));
  for (const std::string_view other : {"", "-", "-12", "-1234", "123", "-0123", "text"}) {
    EXPECT_FALSE(number.Equals(other));
  }
  EXPECT_FALSE(number.Equals(std::string(1000, '1')));
  const ListpackValue text = ListpackValue::Of("0123");
  EXPECT_FALSE(text.is_integer());
  EXPECT_TRUE(text.Equals("0123"));
  EXPECT_FALSE(text.Equals("123"));
  EXPECT_EQ(number, ListpackValue(-123));
  EXPECT_EQ(text, ListpackValue::AsText("0123"));
  EXPECT_FALSE(number == text);
  char digits[kListpackDigitsBytes];
  EXPECT_EQ(ListpackValue(std::numeric_limits<int64_t>::min()).Render(digits),
            "-9223372036854775808");
}

TEST_F(ListpackTest, CountsBeyondItsHeader) {
  const std::vector<ListpackValue> many(65'534, ListpackValue(1));
  list_.Append(many);
  EXPECT_EQ(buffer_.bytes().substr(4, 2), "\xfe\xff"sv);
  list_.Append("2");
  EXPECT_EQ(buffer_.bytes().substr(4, 2), "\xff\xff"sv);
  list_.Append("3");
  const ListpackView view = list_.view();
  EXPECT_EQ(view.count(), 65'536u);
  EXPECT_TRUE(ListpackView::Validate(view.bytes(), true));
  EXPECT_EQ(TextAt(view, view.Seek(65'535)), "3");
  EXPECT_EQ(view.Seek(65'536), view.End());
  EXPECT_EQ(TextAt(view, view.Seek(-2)), "2");
  EXPECT_EQ(TextAt(view, view.Seek(-65'536)), "1");
  EXPECT_EQ(view.Seek(-65'537), view.End());
  EXPECT_EQ(list_.Erase(view.First(), 65'000), 65'000u);
  EXPECT_EQ(list_.view().count(), 536u);
  EXPECT_EQ(list_.Erase(list_.view().First(), 1'000'000), 536u);
  EXPECT_TRUE(ListpackView::Validate(buffer_.bytes(), true));
}

}  // namespace
}  // namespace tidegate
