#include "storage/fiber.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace tidegate {
namespace {

struct Walk {
  Fiber* fiber = nullptr;
  std::vector<int> seen;
  std::shared_ptr<int> held = std::make_shared<int>(7);
};

void Count(void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  const std::shared_ptr<int> copy = walk.held;  // destroyed when the body is through
  for (int i = 0; i < 3; ++i) {
    walk.seen.push_back(i);
    walk.fiber->Leave();
  }
}

TEST(FiberTest, GoesOnWhereItWasLeft) {
  Walk walk;
  Fiber fiber(std::make_unique<FiberStack>(), &Count, &walk);
  walk.fiber = &fiber;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(fiber.Resume());
    EXPECT_EQ(walk.seen.size(), static_cast<size_t>(i + 1));
    EXPECT_EQ(walk.held.use_count(), 2);
  }
  EXPECT_TRUE(fiber.Resume());
  EXPECT_TRUE(fiber.through());
  EXPECT_EQ(walk.held.use_count(), 1);
}

TEST(FiberTest, FibersTakeTurnsAndStacksAreUsedAgain) {
  std::unique_ptr<FiberStack> stack = std::make_unique<FiberStack>();
  for (int round = 0; round < 3; ++round) {
    Walk left;
    Walk right;
    Fiber first(std::move(stack), &Count, &left);
    Fiber second(std::make_unique<FiberStack>(), &Count, &right);
    left.fiber = &first;
    right.fiber = &second;
    while (!first.Resume() && !second.Resume()) {
    }
    EXPECT_TRUE(second.Resume());
    EXPECT_EQ(left.seen, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(right.seen, left.seen);
    stack = first.TakeStack();
  }
}

// What a body may use of its stack.
void UseStack(void* argument) {
  volatile char bytes[(1_MiB).count];
  for (size_t i = 0; i < sizeof bytes; i += 512) bytes[i] = 1;
  *static_cast<bool*>(argument) = bytes[0] == 1;
}

TEST(FiberTest, ThereIsRoomForLargeFrames) {
  bool done = false;
  Fiber fiber(std::make_unique<FiberStack>(), &UseStack, &done);
  EXPECT_TRUE(fiber.Resume());
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace tidegate
