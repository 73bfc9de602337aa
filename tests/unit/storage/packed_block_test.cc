#include "storage/value/packed_block.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// A block, or none, that is given back at the end.
class PackedBlockTest : public testing::Test {
 protected:
  ~PackedBlockTest() override {
    if (block_ != nullptr) PackedBlock::Destroy(block_);
  }

  void Replace(size_t offset, size_t removed, std::string_view bytes, uint32_t epoch = 1) {
    PackedBlockBuffer buffer(block_, epoch);
    uint8_t* to = buffer.Splice(offset, removed, bytes.size());
    EXPECT_EQ(to, buffer.data() + offset);
    std::memcpy(to, bytes.data(), bytes.size());
  }

  PackedBlock* block_ = nullptr;
};

TEST_F(PackedBlockTest, BeginsAsLargeAsItNeeds) {
  Replace(0, 0, "twenty bytes of text");
  EXPECT_EQ(block_->bytes(), "twenty bytes of text");
  EXPECT_EQ(block_->allocated_bytes(), MemoryRoundUp(PackedBlock::kHeaderBytes + 20));
}

TEST_F(PackedBlockTest, SplicesAnywhere) {
  Replace(0, 0, "middle");
  Replace(0, 0, "front ");
  Replace(block_->size(), 0, " end");
  EXPECT_EQ(block_->bytes(), "front middle end");
  Replace(6, 6, "centre of it");
  EXPECT_EQ(block_->bytes(), "front centre of it end");
  Replace(5, 13, "");
  EXPECT_EQ(block_->bytes(), "front end");
  Replace(0, block_->size(), "");
  EXPECT_EQ(block_->bytes(), "");
  Replace(0, 0, "again");
  EXPECT_EQ(block_->bytes(), "again");
}

TEST_F(PackedBlockTest, CarriesTheEpochOfItsLastChange) {
  Replace(0, 0, "bytes", 7);
  EXPECT_EQ(block_->epoch(), 7u);
  Replace(1, 2, "YT", 8);
  EXPECT_EQ(block_->epoch(), 8u);
  Replace(0, 0, "", 9);  // announces a change in place
  EXPECT_EQ(block_->epoch(), 9u);
  PackedBlock* copy = block_->Clone();
  EXPECT_EQ(copy->epoch(), 9u);
  EXPECT_EQ(copy->bytes(), "bYTes");
  Replace(0, 1, "B", 10);
  EXPECT_EQ(copy->bytes(), "bYTes");
  PackedBlock::Destroy(copy);
}

TEST_F(PackedBlockTest, SmallAppendsMoveItSeldomAndLeaveLittleSlack) {
  size_t moved_bytes = 0;
  const PackedBlock* last = nullptr;
  std::string expected;
  while (expected.size() < 16'384) {
    Replace(expected.size(), 0, "0123456789");
    expected += "0123456789";
    if (block_ != last) moved_bytes += expected.size();
    last = block_;
    const size_t need = PackedBlock::kHeaderBytes + expected.size();
    EXPECT_LE(block_->allocated_bytes(), MemoryRoundUp(need + need / 8));
  }
  EXPECT_EQ(block_->bytes(), expected);
  EXPECT_LT(moved_bytes, 12 * expected.size());
}

TEST_F(PackedBlockTest, ShrinksWhenAQuarterIsUnused) {
  Replace(0, 0, std::string(16'000, 'x'));
  const PackedBlock* whole = block_;
  Replace(0, 3'000, "");
  EXPECT_EQ(block_, whole);
  while (block_->size() > 0) {
    Replace(0, std::min<size_t>(block_->size(), 100), "");
    const size_t need = block_->size();
    EXPECT_LE(block_->allocated_bytes(), MemoryRoundUp(PackedBlock::kHeaderBytes +
                                                       std::max<size_t>(need + need / 3 + 16, 32)));
  }
}

TEST_F(PackedBlockTest, PushingAndPoppingInTurnMovesNothing) {
  Replace(0, 0, std::string(1000, 'x'));
  for (const size_t part : {1u, 10u, 50u}) {
    Replace(block_->size(), 0, std::string(part, 'y'));
    const PackedBlock* place = block_;
    for (int i = 0; i < 100; ++i) {
      Replace(0, part, "");
      EXPECT_EQ(block_, place);
      Replace(block_->size(), 0, std::string(part, 'z'));
      EXPECT_EQ(block_, place);
    }
  }
}

TEST_F(PackedBlockTest, PushesAndPopsAtTheHeadMoveOnlyWhatIsInFront) {
  const std::string tail(4'000, 'x');
  Replace(0, 0, "head" + tail);
  std::string pushed;
  size_t moved = 0;
  // Where the tail lies tells whether it was moved.
  const auto place_of_tail = [&] { return block_->data() + block_->size() - tail.size(); };
  for (int i = 0; i < 1'000; ++i) {
    const uint8_t* place = place_of_tail();
    Replace(4, 0, "12345678");
    pushed += "12345678";
    if (place_of_tail() != place) ++moved;
    ASSERT_EQ(block_->bytes(), "head" + pushed + tail);
  }
  EXPECT_LT(moved, 15);
  for (moved = 0; !pushed.empty(); pushed.resize(pushed.size() - 8)) {
    const uint8_t* place = place_of_tail();
    Replace(4, 8, "");
    if (place_of_tail() != place) ++moved;
  }
  EXPECT_EQ(block_->bytes(), "head" + tail);
  EXPECT_LT(moved, 10);
}

TEST_F(PackedBlockTest, AQueueMovesItsBytesSeldom) {
  // In at the tail, out at the head: the slack in front is what the tail needs.
  Replace(0, 0, std::string(8'000, 'x'));
  size_t moved = 0;
  for (int i = 0; i < 2'000; ++i) {
    Replace(block_->size(), 0, "12345678");
    const uint8_t* place = block_->data() + 8;
    Replace(0, 8, "");
    if (block_->data() != place) ++moved;
  }
  EXPECT_LT(moved, 60);
}

TEST_F(PackedBlockTest, HoldsHalfAGibibyte) {
  const size_t size = size_t{512} << 20;
  block_ = PackedBlock::Create(size, 1);
  block_->data()[0] = 'a';
  block_->data()[size - 1] = 'z';
  Replace(size, 0, "!");
  EXPECT_EQ(block_->size(), size + 1);
  EXPECT_EQ(block_->bytes().front(), 'a');
  EXPECT_EQ(block_->bytes().substr(size - 1), "z!");
}

TEST_F(PackedBlockTest, GivesAllMemoryBack) {
  const uint64_t before = MemoryUsedBytes();
  Replace(0, 0, std::string(100, 'x'));
  Replace(50, 0, std::string(5'000, 'y'));
  Replace(0, 5'090, "");
  EXPECT_EQ(MemoryUsedBytes(), before + block_->allocated_bytes());
  PackedBlock::Destroy(block_);
  block_ = nullptr;
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST_F(PackedBlockTest, AgreesWithAString) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  std::string model;
  for (int step = 0; step < 5'000; ++step) {
    const size_t offset = below(model.size() + 1);
    const size_t removed = below(std::min<size_t>(model.size() - offset, 300) + 1);
    const std::string bytes(below(random() % 50 == 0 ? 5'000 : 250),
                            static_cast<char>('a' + step % 26));
    model.replace(offset, removed, bytes);
    Replace(offset, removed, bytes);
    ASSERT_EQ(block_->bytes(), model);
  }
}

}  // namespace
}  // namespace tidegate
