// Which keys are settled, and who is told when one is.
#include "proxy/upstream/key_moves.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidegate {
namespace {

using State = KeyMoves::State;
using Tickets = std::vector<uint64_t>;

const KeyRef kA = KeyRef::Of("a");
const KeyRef kB = KeyRef::Of("b");

TEST(KeyMoves, OneMovesAndTheOthersWait) {
  KeyMoves moves;
  EXPECT_EQ(moves.Begin(0, kA, 1), State::kMine);
  EXPECT_EQ(moves.Begin(0, kA, 2), State::kOthers);
  EXPECT_EQ(moves.Begin(0, kA, 2), State::kOthers);  // asks again, is told once
  EXPECT_EQ(moves.Begin(0, kB, 3), State::kMine);
  EXPECT_EQ(moves.Begin(1, kA, 4), State::kMine);
  EXPECT_EQ(moves.Restored(0, kA), (Tickets{1, 2}));
  EXPECT_EQ(moves.Begin(0, kA, 5), State::kSettled);
  EXPECT_EQ(moves.Absent(0, kB), (Tickets{3}));
  EXPECT_EQ(moves.Begin(0, kB, 5), State::kSettled);
  EXPECT_EQ(moves.Begin(1, kB, 5), State::kMine);
}

TEST(KeyMoves, AfterAFailureItIsTriedAgain) {
  KeyMoves moves;
  EXPECT_EQ(moves.Begin(0, kA, 1), State::kMine);
  EXPECT_EQ(moves.Failed(0, kA), (Tickets{1}));
  EXPECT_EQ(moves.Begin(0, kA, 2), State::kMine);
}

// What is settled may be forgotten, what is still to be removed may not: it would come back.
TEST(KeyMoves, RestoredKeysAreNotForgotten) {
  constexpr size_t kSettledMax = 256;
  KeyMoves moves(kSettledMax);
  EXPECT_EQ(moves.Begin(0, kA, 1), State::kMine);
  moves.Restored(0, kA);
  for (size_t i = 0; i < kSettledMax * 4; ++i) {
    const std::string name = "k" + std::to_string(i);
    const KeyRef key = KeyRef::Of(name);
    ASSERT_EQ(moves.Begin(0, key, 1), State::kMine);
    moves.Absent(0, key);
  }
  EXPECT_EQ(moves.Begin(0, KeyRef::Of("k0"), 1), State::kMine);
  EXPECT_EQ(moves.Begin(0, kA, 2), State::kSettled);
  moves.Removed(0, kA);
  EXPECT_EQ(moves.Begin(0, kA, 2), State::kSettled);
}

}  // namespace
}  // namespace tidegate
