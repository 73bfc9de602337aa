// Listpacks under random edits, against a vector of strings, and under random damage.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/value/listpack.h"
#include "storage/value/packed_block.h"
#include "tests/support/moving_buffer.h"

namespace tidegate {
namespace {

using Strings = std::vector<std::string>;

// Texts that meet every encoding at its edges, and each other.
class TextSource final {
 public:
  explicit TextSource(unsigned seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }

  std::string Next() {
    switch (Below(4)) {
      case 0:
        return std::to_string(Edge());
      case 1:
        return Filled(Below(20));
      case 2:
        return Filled(Below(200));
      default:
        return Below(20) == 0 ? Large() : std::to_string(static_cast<int64_t>(Below(300)) - 100);
    }
  }

 private:
  int64_t Edge() {
    constexpr int kBits[] = {7, 12, 15, 23, 31, 63};
    const int bits = kBits[Below(6)];
    const int64_t around = static_cast<int64_t>(Below(5)) - 2;
    if (bits == 63) {
      return around < 0 ? std::numeric_limits<int64_t>::max() + around
                        : std::numeric_limits<int64_t>::min() + around;
    }
    const int64_t edge = int64_t{1} << bits;
    return (Below(2) == 0 ? edge : -edge) + around;
  }

  std::string Large() {
    constexpr size_t kSizes[] = {63, 64, 122, 126, 127, 4095, 4096, 16'377, 16'378, 100'000};
    return Filled(kSizes[Below(10)]);
  }

  std::string Filled(size_t size) {
    std::string text(size, static_cast<char>('a' + Below(3)));
    if (size > 0) text[Below(size)] = static_cast<char>(random_());
    return text;
  }

  std::mt19937_64 random_;
};

void ExpectSame(ListpackView view, const Strings& model) {
  ASSERT_TRUE(ListpackView::Validate(view.bytes(), true));
  ASSERT_EQ(view.count(), model.size());
  char digits[kListpackDigitsBytes];
  size_t at = view.First();
  for (const std::string& text : model) {
    ASSERT_NE(at, view.End());
    ASSERT_EQ(view.Get(at).Render(digits), text);
    ASSERT_TRUE(view.Get(at).Equals(text));
    at = view.Next(at);
  }
  ASSERT_EQ(at, view.End());
  for (size_t i = model.size(); i > 0; --i) {
    at = view.Prev(at);
    ASSERT_EQ(view.Get(at).Render(digits), model[i - 1]);
  }
  ASSERT_EQ(view.Prev(at), view.End());
}

void EditOnce(TextSource& source, Listpack& list, Strings& model) {
  const size_t index = source.Below(model.size() + 1);
  const size_t at = list.view().Seek(static_cast<int64_t>(index));
  const auto place = model.begin() + static_cast<std::ptrdiff_t>(index);
  switch (source.Below(model.size() > 60 ? 8 : 5)) {
    case 0: {
      const std::string text = source.Next();
      list.Insert(at, text);
      model.insert(place, text);
      return;
    }
    case 1: {
      Strings texts(source.Below(5));
      for (std::string& text : texts) text = source.Next();
      const std::vector<std::string_view> views(texts.begin(), texts.end());
      list.InsertTexts(at, views);
      model.insert(place, texts.begin(), texts.end());
      return;
    }
    case 2: {
      const std::string first = source.Next();
      const std::string second = source.Next();
      list.AppendPair(ListpackValue::Of(first), ListpackValue::Of(second));
      model.push_back(first);
      model.push_back(second);
      return;
    }
    case 3: {
      if (index == model.size()) return;
      const std::string text = source.Next();
      list.Replace(at, text);
      *place = text;
      return;
    }
    default: {
      const size_t n = source.Below(6);
      const size_t erased = std::min(n, model.size() - index);
      ASSERT_EQ(list.Erase(at, n), erased);
      model.erase(place, place + static_cast<std::ptrdiff_t>(erased));
    }
  }
}

void ExpectFinds(TextSource& source, ListpackView view, const Strings& model) {
  const std::string text =
      model.empty() || source.Below(2) == 0 ? source.Next() : model[source.Below(model.size())];
  const size_t skip = source.Below(3);
  const size_t from = source.Below(model.size() + 1);
  size_t expected = from;
  while (expected < model.size() && model[expected] != text) expected += skip + 1;
  ASSERT_EQ(view.Find(text, skip, view.Seek(static_cast<int64_t>(from))),
            view.Seek(static_cast<int64_t>(expected)));
}

void EditAtRandom(unsigned seed, PackedBuffer& buffer) {
  TextSource source(seed);
  Listpack list(buffer);
  list.Create();
  Strings model;
  for (int step = 0; step < 500; ++step) {
    EditOnce(source, list, model);
    ExpectSame(list.view(), model);
    ExpectFinds(source, list.view(), model);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(ListpackRandomTest, AgreesWithAVectorOfStrings) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    MovingBuffer buffer;
    EditAtRandom(seed, buffer);
  }
}

TEST(ListpackRandomTest, AgreesWithAVectorOfStringsInABlock) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  PackedBlock* block = nullptr;
  PackedBlockBuffer buffer(block, 3);
  EditAtRandom(seed, buffer);
  EXPECT_EQ(block->epoch(), 3u);
  PackedBlock::Destroy(block);
}

// Exactly as large as its bytes, so that the address sanitizer sees each read beyond them.
class Exact final {
 public:
  explicit Exact(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

// What Validate lets through can be read, searched and edited like any other.
bool UseIfValid(const std::string& damaged) {
  const Exact bytes(damaged);
  if (!ListpackView::Validate(bytes.view(), true)) return false;
  const ListpackView view(bytes.view());
  char digits[kListpackDigitsBytes];
  Strings model;
  for (size_t at = view.First(); at != view.End(); at = view.Next(at)) {
    model.emplace_back(view.Get(at).Render(digits));
  }
  ExpectSame(view, model);
  EXPECT_EQ(view.Find("never there", 1), view.End());
  MovingBuffer buffer(damaged);
  Listpack list(buffer);
  list.Prepend("front");
  list.Erase(list.view().Last());
  EXPECT_TRUE(ListpackView::Validate(buffer.bytes(), true));
  return true;
}

TEST(ListpackRandomTest, NoDamageIsReadOutOfBounds) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  TextSource source(seed);
  size_t accepted = 0;
  for (int round = 0; round < 400; ++round) {
    MovingBuffer buffer;
    Listpack list(buffer);
    list.Create();
    for (size_t n = source.Below(8); n > 0; --n) list.Append(source.Next());
    const std::string whole(buffer.bytes());
    ASSERT_TRUE(UseIfValid(whole));
    for (int damage = 0; damage < 50; ++damage) {
      std::string bytes = whole;
      for (size_t n = 1 + source.Below(3); n > 0; --n) {
        bytes[source.Below(bytes.size())] = static_cast<char>(source.Below(256));
      }
      accepted += UseIfValid(bytes) ? 1 : 0;
    }
    // Cut short, with a header that agrees, so that the entries are what is wrong.
    std::string cut = whole.substr(0, 7 + source.Below(whole.size() - 6));
    cut.back() = static_cast<char>(0xff);
    for (size_t i = 0; i < 4; ++i) cut[i] = static_cast<char>(cut.size() >> (8 * i));
    cut[4] = cut[5] = static_cast<char>(0xff);
    UseIfValid(cut);
    UseIfValid(whole.substr(0, source.Below(whole.size())));
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace tidegate
