#include "base/output_buffer.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

constexpr size_t kBlock = kOutputBlockBytes.count;

std::string Contents(const OutputBuffer& buffer) {
  std::vector<OutputBuffer::Piece> pieces(1000);
  std::string text;
  const size_t count = buffer.Peek(pieces.data(), pieces.size());
  for (size_t i = 0; i < count; ++i) text.append(pieces[i].data, pieces[i].size);
  return text;
}

class OutputBufferTest : public testing::Test {
 protected:
  OutputBlockPool pool_;
  OutputBuffer buffer_{pool_};
};

TEST_F(OutputBufferTest, HoldsNothingWhenEmpty) {
  EXPECT_TRUE(buffer_.empty());
  EXPECT_EQ(buffer_.memory_bytes(), 0u);
  buffer_.Append("");
  buffer_.AppendLarge("");
  EXPECT_EQ(buffer_.memory_bytes(), 0u);
  OutputBuffer::Piece piece;
  EXPECT_EQ(buffer_.Peek(&piece, 1), 0u);
}

TEST_F(OutputBufferTest, ReserveWithoutCommitAddsNothing) {
  buffer_.Append("a");
  buffer_.Reserve(100);
  buffer_.Reserve(kBlock);
  EXPECT_EQ(Contents(buffer_), "a");
  buffer_.Append("b");
  EXPECT_EQ(Contents(buffer_), "ab");
}

TEST_F(OutputBufferTest, ABigPieceGetsABlockOfItsSize) {
  buffer_.Append(std::string(3 * kBlock, 'x'));
  EXPECT_EQ(buffer_.memory_bytes(), 3 * kBlock);
  EXPECT_EQ(buffer_.size(), 3 * kBlock);
}

TEST_F(OutputBufferTest, ThePoolCountsEveryBlockThereIs) {
  EXPECT_EQ(pool_.held_bytes(), 0u);
  buffer_.Append("a");
  buffer_.Append(std::string(3 * kBlock, 'x'));
  EXPECT_EQ(pool_.held_bytes(), 4 * kBlock);
  buffer_.Truncate(1);
  EXPECT_EQ(pool_.held_bytes(), kBlock);
  buffer_.Clear();
  EXPECT_EQ(pool_.held_bytes(), kBlock);  // kept for the next one
  {
    OutputBuffer many(pool_);
    for (size_t i = 0; i < 2 * kPooledOutputBlocksMax; ++i) many.Append(std::string(kBlock, 'x'));
    EXPECT_EQ(pool_.held_bytes(), 2 * kPooledOutputBlocksMax * kBlock);
  }
  EXPECT_EQ(pool_.held_bytes(), kPooledOutputBlocksMax * kBlock);
}

TEST_F(OutputBufferTest, ManyBuffersAtOnceBeginSmall) {
  std::vector<std::unique_ptr<OutputBuffer>> others;
  for (size_t i = 0; i < kPooledOutputBlocksMax; ++i) {
    others.push_back(std::make_unique<OutputBuffer>(pool_));
    others.back()->Append("x");
    EXPECT_EQ(others.back()->memory_bytes(), kBlock);
  }
  buffer_.Append("small");
  EXPECT_EQ(buffer_.memory_bytes(), kSmallOutputBlockBytes.count);
  const std::string more(2000, 'm');
  buffer_.Append(more);
  EXPECT_EQ(buffer_.memory_bytes(), kSmallOutputBlockBytes.count + kBlock);
  EXPECT_EQ(Contents(buffer_), "small" + more);
  buffer_.Consume(buffer_.size());
  others.pop_back();
  buffer_.Append("again");
  EXPECT_EQ(buffer_.memory_bytes(), kBlock);
}

TEST_F(OutputBufferTest, AppendLargeFillsTheBlockFirst) {
  buffer_.Append("head");
  buffer_.AppendLarge(std::string(kBlock, 'x'));
  OutputBuffer::Piece pieces[3];
  ASSERT_EQ(buffer_.Peek(pieces, 3), 2u);
  EXPECT_EQ(pieces[0].size, kBlock);
  EXPECT_EQ(pieces[1].size, 4u);
}

TEST_F(OutputBufferTest, ConsumeCrossesBlocksAndFreesThem) {
  const std::string text = std::string(kBlock, 'a') + std::string(kBlock, 'b') + "tail";
  buffer_.Append(text.substr(0, kBlock));
  buffer_.Append(text.substr(kBlock, kBlock));
  buffer_.Append("tail");
  buffer_.Consume(kBlock + 10);
  EXPECT_EQ(Contents(buffer_), text.substr(kBlock + 10));
  EXPECT_EQ(buffer_.memory_bytes(), 2 * kBlock);
  buffer_.Consume(buffer_.size());
  EXPECT_TRUE(buffer_.empty());
  EXPECT_EQ(buffer_.memory_bytes(), 0u);
  buffer_.Append("again");
  EXPECT_EQ(Contents(buffer_), "again");
}

TEST_F(OutputBufferTest, TruncateTakesBackWhatWasWrittenSinceTheMark) {
  buffer_.Append("keep");
  const size_t mark = buffer_.Mark();
  buffer_.Append(std::string(2 * kBlock, 'x'));
  buffer_.Append("more");
  buffer_.Truncate(mark);
  EXPECT_EQ(Contents(buffer_), "keep");
  buffer_.Append("!");
  EXPECT_EQ(Contents(buffer_), "keep!");
  buffer_.Truncate(0);
  EXPECT_TRUE(buffer_.empty());
  buffer_.Append("new");
  EXPECT_EQ(Contents(buffer_), "new");
}

TEST_F(OutputBufferTest, TruncateCountsFromWhatIsNotConsumed) {
  buffer_.Append("consumed");
  buffer_.Append("keep");
  buffer_.Consume(8);
  const size_t mark = buffer_.Mark();
  EXPECT_EQ(mark, 4u);
  buffer_.Append("gone");
  buffer_.Truncate(mark);
  EXPECT_EQ(Contents(buffer_), "keep");
}

TEST_F(OutputBufferTest, PeekStopsAtThePiecesItMayFill) {
  for (int i = 0; i < 4; ++i) buffer_.Append(std::string(kBlock, 'x'));
  OutputBuffer::Piece pieces[2];
  EXPECT_EQ(buffer_.Peek(pieces, 2), 2u);
}

TEST_F(OutputBufferTest, TheLastBlockReturnedIsTheFirstTaken) {
  buffer_.Append("x");
  OutputBuffer::Piece piece;
  ASSERT_EQ(buffer_.Peek(&piece, 1), 1u);
  const char* memory = piece.data;
  buffer_.Clear();
  EXPECT_EQ(buffer_.Reserve(1), memory);
}

// Against a plain string, with every operation at random sizes around the block size.
TEST_F(OutputBufferTest, BehavesAsAString) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const size_t sizes[] = {0, 1, 7, 1000, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock};
  std::string model;
  for (int step = 0; step < 3000; ++step) {
    const std::string bytes(sizes[random() % 8], static_cast<char>('a' + step % 26));
    switch (random() % 5) {
      case 0:
        buffer_.Append(bytes);
        model += bytes;
        break;
      case 1:
        buffer_.AppendLarge(bytes);
        model += bytes;
        break;
      case 2: {
        const size_t n = model.empty() ? 0 : random() % (model.size() + 1);
        buffer_.Consume(n);
        model.erase(0, n);
        break;
      }
      case 3: {
        const size_t mark = model.empty() ? 0 : random() % (model.size() + 1);
        buffer_.Truncate(mark);
        model.resize(mark);
        break;
      }
      default:
        buffer_.Reserve(bytes.size());
    }
    ASSERT_EQ(buffer_.size(), model.size()) << "step " << step;
    ASSERT_EQ(buffer_.empty(), model.empty());
    if (step % 10 == 0) {
      ASSERT_EQ(Contents(buffer_), model) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace tidegate
