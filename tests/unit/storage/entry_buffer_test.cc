// EntryBuffer: the bytes of a collection through every move, between entries and out of them.
#include "storage/keyspace/entry_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "storage/value/packed_scratch.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

std::string RandomBytes(std::mt19937& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// One random edit of both. Returns whether the buffer agrees with the string.
::testing::AssertionResult EditBoth(PackedBuffer& buffer, std::string& model, std::mt19937& random,
                                    size_t size_max) {
  const size_t offset = random() % (model.size() + 1);
  const size_t removed = random() % (std::min<size_t>(model.size() - offset, 40) + 1);
  const size_t added = model.size() > size_max ? 0 : random() % 60;
  const std::string bytes = RandomBytes(random, added);
  uint8_t* at = buffer.Splice(offset, removed, added);
  if (added > 0) std::memcpy(at, bytes.data(), added);
  model.replace(offset, removed, bytes);
  if (buffer.bytes() == model) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "at " << offset << " of " << model.size();
}

TEST(PackedScratchTest, AgreesWithAString) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    PackedScratch scratch;
    std::string model;
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(EditBoth(scratch, model, random, 3000));
  }
}

TEST(EntryBufferTest, AgreesWithAStringThroughAllItsMoves) {
  testing::TestEngine engine;
  std::mt19937 random(11);
  for (const size_t size_max : {100u, 900u, 1100u, 20000u}) {
    for (const bool expires : {false, true}) {
      engine.WithDatabase("k", [&](Database& db, const KeyRef& key) {
        Entry* entry = db.CreatePacked(key, nullptr, ValueType::kHash, false, "abc",
                                       expires ? db.now_ms() + 100'000 : kNoExpire);
        std::string model = "abc";
        EntryBuffer buffer(db, key, entry);
        for (int i = 0; i < 2000; ++i) ASSERT_TRUE(EditBoth(buffer, model, random, size_max));
        EXPECT_EQ(db.Peek(key), entry);
        EXPECT_EQ(PackedBytes(*entry), model);
        EXPECT_EQ(entry->has_expire(), expires);
        // Renaming may move the bytes out of the entry, or not.
        entry = db.SetExpire(key, entry, expires ? kNoExpire : db.now_ms() + 100'000);
        EXPECT_EQ(PackedBytes(*entry), model);
        EXPECT_TRUE(db.Delete(key));
      });
    }
  }
}

}  // namespace
}  // namespace tidegate
