#include "storage/value/chunked_string.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

constexpr size_t kChunk = ChunkedString::kChunkBytes;

struct Destroyer {
  void operator()(ChunkedString* string) const { ChunkedString::Destroy(string); }
};
using Owned = std::unique_ptr<ChunkedString, Destroyer>;

Owned Make(std::string_view bytes) { return Owned(ChunkedString::Create(bytes)); }

std::string Contents(const ChunkedString& string) {
  std::string out(string.size(), '?');
  string.Read(0, out.size(), out.data());
  return out;
}

std::string Pattern(size_t bytes, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

TEST(ChunkedStringTest, HoldsBytesOfAnySize) {
  for (const size_t size : {size_t{0}, size_t{1}, kChunk - 1, kChunk, kChunk + 1, 4 * kChunk}) {
    const std::string bytes = Pattern(size);
    const Owned string = Make(bytes);
    EXPECT_EQ(string->size(), size);
    EXPECT_EQ(string->chunk_count(), (size + kChunk - 1) / kChunk);
    EXPECT_EQ(Contents(*string), bytes);
  }
}

TEST(ChunkedStringTest, VisitsPiecesInOrder) {
  const std::string bytes = Pattern(3 * kChunk);
  const Owned string = Make(bytes);
  std::string seen;
  size_t pieces = 0;
  string->Visit(10, 2 * kChunk, [&](size_t offset, std::string_view piece) {
    EXPECT_EQ(offset, 10 + seen.size());
    seen.append(piece);
    ++pieces;
  });
  EXPECT_EQ(pieces, 3u);
  EXPECT_EQ(seen, bytes.substr(10, 2 * kChunk));
}

TEST(ChunkedStringTest, WholeChunksOfZerosTakeNoMemory) {
  const Owned string = Make("start");
  string->Write(size_t{512} << 20, "end");
  EXPECT_EQ(string->size(), (size_t{512} << 20) + 3);
  EXPECT_LT(string->allocated_bytes(), size_t{1} << 20);
  EXPECT_FALSE(string->is_hole(0));
  EXPECT_TRUE(string->is_hole(1));
  char bytes[8] = {};
  string->Read(0, 8, bytes);
  EXPECT_EQ(std::string_view(bytes, 8), std::string_view("start\0\0\0", 8));
  string->Read((size_t{512} << 20) - 5, 8, bytes);
  EXPECT_EQ(std::string_view(bytes, 8), std::string_view("\0\0\0\0\0end", 8));
}

TEST(ChunkedStringTest, WritingIntoAHoleZerosTheRestOfTheChunk) {
  const Owned string = Make("");
  string->Resize(2 * kChunk + 100);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(string->is_hole(i));
  string->Write(kChunk + 7, "x");
  string->Write(2 * kChunk + 50, "y");
  std::string expected(2 * kChunk + 100, '\0');
  expected[kChunk + 7] = 'x';
  expected[2 * kChunk + 50] = 'y';
  EXPECT_EQ(Contents(*string), expected);
}

TEST(ChunkedStringTest, SmallAppendsCopyLittle) {
  const Owned string = Make("");
  std::string expected;
  size_t allocations = 0;
  size_t last_allocated = string->allocated_bytes();
  for (int i = 0; i < 5000; ++i) {
    const std::string bytes = Pattern(7, static_cast<unsigned>(i));
    string->Write(string->size(), bytes);
    expected += bytes;
    allocations += string->allocated_bytes() != last_allocated ? 1 : 0;
    last_allocated = string->allocated_bytes();
  }
  EXPECT_EQ(Contents(*string), expected);
  EXPECT_LT(allocations, 100u);
}

TEST(ChunkedStringTest, ACloneIsIndependentAndKeepsHoles) {
  const Owned string = Make(Pattern(kChunk));
  string->Write(5 * kChunk, "tail");
  const Owned copy(string->Clone());
  EXPECT_TRUE(copy->is_hole(2));
  const std::string before = Contents(*string);
  EXPECT_EQ(Contents(*copy), before);
  string->Write(0, "changed");
  EXPECT_EQ(Contents(*copy), before);
}

TEST(ChunkedStringTest, AssignOverwritesInPlaceWhenTheSizeFits) {
  const Owned string = Make(Pattern(4 * kChunk));
  const size_t before = string->allocated_bytes();
  const std::string same_size = Pattern(4 * kChunk, 2);
  string->Assign(same_size);
  EXPECT_EQ(Contents(*string), same_size);
  EXPECT_EQ(string->allocated_bytes(), before);
  string->Assign("short");
  EXPECT_EQ(Contents(*string), "short");
  EXPECT_LT(string->allocated_bytes(), 200u);
  string->Assign("");
  EXPECT_EQ(string->size(), 0u);
}

TEST(ChunkedStringTest, ChunksCarryTheEpochOfTheirLastChange) {
  const Owned string = Make(Pattern(3 * kChunk));
  string->set_epoch(7);
  string->Write(kChunk + 1, "x");
  EXPECT_EQ(string->chunk_epoch(0), 0u);
  EXPECT_EQ(string->chunk_epoch(1), 7u);
  EXPECT_EQ(string->chunk_epoch(2), 0u);
  string->set_epoch(8);
  string->Resize(4 * kChunk);
  EXPECT_EQ(string->chunk_epoch(2), 0u);
  EXPECT_EQ(string->chunk_epoch(3), 8u);
  string->set_epoch(9);
  string->Resize(kChunk + 5);
  EXPECT_EQ(string->chunk_epoch(0), 0u);
  EXPECT_EQ(string->chunk_epoch(1), 9u);
}

TEST(ChunkedStringTest, GivesAllMemoryBack) {
  const uint64_t before = MemoryUsedBytes();
  {
    const Owned string = Make(Pattern(100));
    string->Write(10 * kChunk, Pattern(3 * kChunk));
    const Owned copy(string->Clone());
    string->Resize(2 * kChunk);
    copy->Assign("x");
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

// Against std::string: random writes, appends, growth and shrinking.
TEST(ChunkedStringTest, AgreesWithAPlainString) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  for (int round = 0; round < 20; ++round) {
    std::string model = Pattern(below(3 * kChunk), random());
    Owned string = Make(model);
    for (int step = 0; step < 60; ++step) {
      const std::string bytes = Pattern(below(2) == 0 ? below(40) : below(2 * kChunk), random());
      switch (below(6)) {
        case 0:
          string->Write(model.size(), bytes);
          model += bytes;
          break;
        case 1: {
          const size_t size = below(6 * kChunk);
          string->Resize(size);
          model.resize(size);
          break;
        }
        case 2:
          if (below(5) != 0) break;
          string->Assign(bytes);
          model = bytes;
          break;
        case 3:
          string.reset(string->Clone());
          break;
        default: {
          const size_t offset = below(model.size() + kChunk + 1);
          if (bytes.empty()) break;
          if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
          model.replace(offset, bytes.size(), bytes);
          string->Write(offset, bytes);
        }
      }
      ASSERT_EQ(string->size(), model.size());
      ASSERT_EQ(Contents(*string), model);
    }
  }
}

}  // namespace
}  // namespace tidegate
