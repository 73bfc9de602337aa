// Notes of changed keys: gathered over threads and failed checkpoints, found again by slot, and
// given up when there are too many.
#include "storage/cut/changed_slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace tidegate {
namespace {

using Notes = std::map<uint16_t, std::vector<uint32_t>>;

void Note(ChangedKeys& keys, Notes& notes, uint16_t slot, uint32_t position) {
  keys.Add(slot, uint64_t{position} << 32 | 0x1234567);
  notes[slot].push_back(position);
}

void ExpectSame(const ChangedSlots& slots, Notes notes) {
  for (uint32_t slot = 0; slot < 16384; ++slot) {
    std::vector<uint32_t> found;
    for (const uint64_t note : slots.Of(static_cast<uint16_t>(slot))) {
      EXPECT_EQ(ChangedKeys::SlotOf(note), slot);
      found.push_back(ChangedKeys::PositionOf(note));
    }
    std::vector<uint32_t>& expected = notes[static_cast<uint16_t>(slot)];
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(found, expected) << slot;
  }
}

TEST(ChangedSlotsTest, FindsTheNotesOfAllThreadsBySlot) {
  std::mt19937 random(1);
  Notes notes;
  ChangedSlots slots;
  for (int thread = 0; thread < 3; ++thread) {
    ChangedKeys keys;
    for (int i = 0; i < 5000; ++i) Note(keys, notes, random() % 16384, random());
    Note(keys, notes, 0, 0);
    Note(keys, notes, 16383, UINT32_MAX);
    slots.Take(keys);
    EXPECT_EQ(keys.count(), 0u);
  }
  slots.Sort();
  EXPECT_FALSE(slots.everything());
  ExpectSame(slots, notes);
}

TEST(ChangedSlotsTest, KeepsThemUntilACheckpointSucceeds) {
  Notes notes;
  ChangedSlots slots;
  ChangedKeys keys;
  Note(keys, notes, 7, 100);
  slots.Take(keys);
  slots.Sort();
  Note(keys, notes, 7, 50);  // what was taken is free for new ones
  slots.Take(keys);
  slots.Sort();
  ExpectSame(slots, notes);
  slots.Landed();
  ExpectSame(slots, {});
}

TEST(ChangedSlotsTest, WhatHasLandedIsMetOnceMore) {
  Notes first;
  Notes second;
  ChangedSlots slots;
  slots.KeepLanded();
  ChangedKeys keys;
  Note(keys, first, 7, 100);
  slots.Take(keys);
  slots.Sort();
  slots.Landed();
  Note(keys, second, 7, 50);
  slots.Take(keys);
  slots.Sort();
  Notes both = second;
  both[7].push_back(100);
  ExpectSame(slots, both);
  slots.Landed();
  slots.Sort();
  ExpectSame(slots, second);
  slots.Landed();
  slots.Sort();
  ExpectSame(slots, {});
  // Also when it was everything.
  slots.SetEverything();
  slots.Landed();
  EXPECT_FALSE(slots.everything());
  slots.Sort();
  EXPECT_TRUE(slots.everything());
  slots.Landed();
  slots.Sort();
  slots.Landed();
  slots.Sort();
  EXPECT_FALSE(slots.everything());
}

TEST(ChangedSlotsTest, TooManyNotesMeanEverything) {
  ChangedSlots slots;
  ChangedKeys keys;
  for (size_t i = 0; i < kChangedKeysMax; ++i) keys.Add(1, i << 32);
  EXPECT_FALSE(keys.overflowed());
  EXPECT_EQ(keys.count(), kChangedKeysMax);
  keys.Add(1, 0);
  EXPECT_TRUE(keys.overflowed());
  EXPECT_EQ(keys.count(), kChangedKeysMax);
  slots.Take(keys);
  EXPECT_FALSE(keys.overflowed());
  slots.Sort();
  EXPECT_TRUE(slots.everything());
  slots.Landed();
  EXPECT_FALSE(slots.everything());
}

TEST(ChangedSlotsTest, SoDoCheckpointsThatFailForLong) {
  ChangedSlots slots;
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(slots.everything());
    ChangedKeys keys;
    for (size_t j = 0; j < kChangedKeysMax; ++j) keys.Add(1, j << 32);
    slots.Take(keys);
    slots.Sort();
  }
  EXPECT_TRUE(slots.everything());
}

}  // namespace
}  // namespace tidegate
