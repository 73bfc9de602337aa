// FieldTable against std::unordered_map: every operation in random order, at all sizes of fields
// and values, with honest hashes and with hashes that collide.
#include "storage/value/field_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

struct Destroyer {
  void operator()(FieldTable* table) const { FieldTable::Destroy(table); }
};
using Owned = std::unique_ptr<FieldTable, Destroyer>;

// Only four different hashes, two of which share 45 bits.
uint64_t FourHashes(std::string_view field) {
  constexpr uint64_t kHashes[] = {0, 0x40000, 0x8000000000000000, 0xffffffffffffffff};
  return kHashes[KeyHash(field) % 4];
}
// Everybody shares 28 bits; the others are honest.
uint64_t SharedPrefix(std::string_view field) { return 0xabcdef1230000000 | KeyHash(field) >> 28; }
// Tags are far from where an even spread would have them.
uint64_t Skewed(std::string_view field) {
  const uint64_t hash = KeyHash(field);
  return hash % 4 == 0 ? hash : hash & 0x0003ffffffffffff;
}

std::string Pattern(size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

struct Value {
  std::string bytes;
  std::optional<int64_t> expiry_ms;
};
using Model = std::unordered_map<std::string, Value>;

void ExpectField(const FieldView& field, const std::string& name, const Value& value) {
  ASSERT_TRUE(static_cast<bool>(field)) << name.size();
  ASSERT_EQ(field.field(), name);
  ASSERT_EQ(field.value_size(), value.bytes.size());
  ASSERT_EQ(field.CopyValue(), value.bytes);
  ASSERT_EQ(field.expiry_ms(), value.expiry_ms);
}

// What a page promises of itself.
void ExpectSound(const FieldPage& page) {
  size_t bytes = 0;
  size_t expires = 0;
  for (uint32_t i = 0; i < page.count; ++i) {
    if (i > 0) {
      ASSERT_LE(page.tag(i - 1), page.tag(i));
    }
    const FieldView field = page.view(i);
    const bool large = (page.flags(i) & field_item::kLarge) != 0;
    bytes +=
        (large ? field_item::LargeBytes(page.values)
               : field_item::InlineBytes(page.values, field.field().size(), field.value_size())) +
        (field.has_expiry() ? 8 : 0);
    expires += field.has_expiry() ? 1u : 0u;
  }
  ASSERT_EQ(bytes, page.item_bytes - page.garbage_bytes);
  ASSERT_EQ(expires, page.expires);
  ASSERT_LE(page.live_bytes() + page.garbage_bytes, page.capacity);
}

void ExpectSame(const FieldTable& table, const Model& model) {
  ASSERT_EQ(table.size(), model.size());
  size_t expires = 0;
  int64_t earliest = FieldTable::kNoExpiry;
  for (const auto& [name, value] : model) {
    ASSERT_NO_FATAL_FAILURE(ExpectField(table.Find(name), name, value));
    if (!value.expiry_ms) continue;
    ++expires;
    earliest = std::min(earliest, *value.expiry_ms);
  }
  ASSERT_EQ(table.expires(), expires);
  ASSERT_LE(table.earliest_expiry_ms(), earliest);
  size_t walked = 0;
  table.ForEach([&](const FieldView& field) {
    ++walked;
    const auto found = model.find(std::string(field.field()));
    ASSERT_NE(found, model.end());
    ASSERT_EQ(field.value_size(), found->second.bytes.size());
  });
  ASSERT_EQ(walked, model.size());
  FieldTable::Iterator pages(table);
  do {
    ASSERT_NO_FATAL_FAILURE(ExpectSound(pages.page()));
  } while (pages.NextPage());
}

// Sizes that matter: varint and inline limits, chunks.
size_t SomeSize(std::mt19937& random) {
  constexpr size_t kEdges[] = {0, 1, 127, 128, 500, 1000, 1023, 1024, 1025, 16384, 16385};
  return random() % 16 == 0 ? kEdges[random() % std::size(kEdges)] : random() % 71;
}

// Random operations on fields 0 .. range-1, growing and shrinking in turns.
class FieldTableModelTest : public ::testing::TestWithParam<FieldHash> {
 protected:
  void Run(std::mt19937& random, unsigned range, int steps) {
    for (int step = 0; step < steps && !HasFatalFailure(); ++step) {
      const unsigned number = random() % range;
      std::string name = std::to_string(number);
      if (number % 37 == 5) name = Pattern(1000 + number % 200, number);
      if (number == 0) name.clear();
      const bool growing = step / (steps / 4 + 1) % 2 == 0;
      Step(random, name, random() % 100, growing);
    }
  }

  void Step(std::mt19937& random, const std::string& name, unsigned dice, bool growing) {
    table_->set_epoch(++epoch_);
    const auto found = model_.find(name);
    ASSERT_EQ(static_cast<bool>(table_->Find(name)), found != model_.end());
    if (dice < (growing ? 60 : 25)) {
      std::string bytes = Pattern(SomeSize(random), random());
      const bool keep = random() % 2 == 0;
      const auto on_set = keep ? FieldTable::OnSet::kKeepExpiry : FieldTable::OnSet::kDropExpiry;
      ASSERT_EQ(table_->Set(name, bytes, on_set), found == model_.end());
      Value& value = model_[name];
      value.bytes = std::move(bytes);
      if (!keep) value.expiry_ms.reset();
      ASSERT_NO_FATAL_FAILURE(ExpectField(table_->Find(name), name, value));
    } else if (dice < 80) {
      ASSERT_EQ(table_->Erase(name), found != model_.end());
      model_.erase(name);
    } else {
      std::optional<int64_t> expiry_ms;
      if (random() % 3 != 0) expiry_ms = static_cast<int64_t>(random());
      ASSERT_EQ(table_->SetExpiry(name, expiry_ms), found != model_.end());
      if (found != model_.end()) found->second.expiry_ms = expiry_ms;
    }
  }

  const uint64_t before_ = MemoryUsedBytes();
  Owned table_{FieldTable::Create(FieldValues::kBytes, GetParam())};
  Model model_;
  uint32_t epoch_ = 0;
};

TEST_P(FieldTableModelTest, AgreesWithAMap) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const unsigned range : {4u, 40u, 600u, 6000u}) {
    ASSERT_NO_FATAL_FAILURE(Run(random, range, 12000));
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*table_, model_));
    const Owned copy(table_->Clone());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*copy, model_));
    table_->Set("only here", "x");
    ASSERT_EQ(copy->size(), model_.size());
    table_->Erase("only here");
  }
  const std::vector<std::pair<std::string, Value>> all(model_.begin(), model_.end());
  for (const auto& [name, value] : all) ASSERT_TRUE(table_->Erase(name));
  EXPECT_EQ(table_->size(), 0u);
  EXPECT_EQ(table_->expires(), 0u);
  EXPECT_EQ(table_->earliest_expiry_ms(), FieldTable::kNoExpiry);
  EXPECT_LT(table_->allocated_bytes(), 8192u);
  table_.reset();
  EXPECT_EQ(MemoryUsedBytes(), before_);
}

INSTANTIATE_TEST_SUITE_P(Hashes, FieldTableModelTest,
                         ::testing::Values(KeyHash, FourHashes, SharedPrefix, Skewed));

TEST(FieldTableTest, HoldsFieldsAndValuesOfAnySize) {
  const uint64_t before = MemoryUsedBytes();
  {
    const Owned table(FieldTable::Create(FieldValues::kBytes));
    Model model;
    std::vector<size_t> sizes;
    for (size_t i = 0; i <= 70; ++i) sizes.push_back(i);
    for (const size_t size : {127u, 128u, 1000u, 1020u, 1023u, 1024u, 1025u, 16384u, 16385u})
      sizes.push_back(size);
    sizes.push_back(1 << 20);
    for (const size_t field : sizes) {
      for (const size_t value : {size_t{0}, size_t{10}, size_t{127}, size_t{128}, size_t{1000},
                                 size_t{1025}, field, 1024 - std::min<size_t>(field, 1024)}) {
        const std::string name = Pattern(field, static_cast<unsigned>(value * 7 + 1));
        const Value bytes{Pattern(value, 3), std::nullopt};
        ASSERT_EQ(table->Set(name, bytes.bytes), model.count(name) == 0);
        model[name] = bytes;
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*table, model));
    const Owned copy(table->Clone());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*copy, model));
    int64_t at = 1000;
    for (auto& [name, value] : model) {
      ASSERT_TRUE(table->SetExpiry(name, ++at));
      value.expiry_ms = at;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*table, model));
    EXPECT_EQ(table->earliest_expiry_ms(), 1001);
    for (auto& [name, value] : model) {
      ASSERT_FALSE(table->Set(name, "short"));
      value = {"short", std::nullopt};
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*table, model));
    EXPECT_EQ(table->earliest_expiry_ms(), FieldTable::kNoExpiry);
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(FieldTableTest, SetsAndScoresTakeNoLengthOfValue) {
  const Owned set(FieldTable::Create(FieldValues::kNone));
  const Owned scores(FieldTable::Create(FieldValues::kDouble));
  const std::string big = Pattern(5000, 1);
  EXPECT_TRUE(set->Add("a"));
  EXPECT_FALSE(set->Add("a"));
  EXPECT_TRUE(set->Add(big));
  EXPECT_FALSE(set->Add(big));
  EXPECT_EQ(set->Find(big).value_size(), 0u);
  EXPECT_TRUE(scores->SetNumber("a", 1.5));
  EXPECT_FALSE(scores->SetNumber("a", -2.25));
  EXPECT_TRUE(scores->SetNumber(big, 1e300));
  EXPECT_FALSE(scores->SetNumber(big, 7));
  EXPECT_EQ(scores->Find("a").number(), -2.25);
  EXPECT_EQ(scores->Find(big).number(), 7);
  EXPECT_TRUE(scores->SetExpiry(big, 5));
  EXPECT_EQ(scores->Find(big).number(), 7);
  EXPECT_EQ(scores->Find(big).expiry_ms(), 5);
  for (int i = 0; i < 20000; ++i) {
    set->Add(std::to_string(i));
    scores->SetNumber(std::to_string(i), i);
  }
  for (int i = 0; i < 20000; ++i) {
    ASSERT_TRUE(static_cast<bool>(set->Find(std::to_string(i))));
    ASSERT_EQ(scores->Find(std::to_string(i)).number(), i);
  }
  EXPECT_TRUE(set->Erase(big));
  EXPECT_FALSE(static_cast<bool>(set->Find(big)));
}

TEST(FieldTableTest, AccountsForItsMemory) {
  const uint64_t before = MemoryUsedBytes();
  Owned table(FieldTable::Create(FieldValues::kBytes));
  EXPECT_EQ(MemoryUsedBytes() - before, table->allocated_bytes());
  const auto add = [&](int i) {
    table->Set("field:" + std::to_string(i), Pattern(i % 100 == 0 ? 3000 : i % 50, 1));
  };
  for (int i = 0; i < 60000; ++i) add(i);
  EXPECT_EQ(MemoryUsedBytes() - before, table->allocated_bytes());
  const size_t full = table->allocated_bytes();
  const Owned copy(table->Clone());
  EXPECT_EQ(MemoryUsedBytes() - before, table->allocated_bytes() + copy->allocated_bytes());
  for (int i = 0; i < 60000; ++i) {
    if (i % 20 != 1) table->Erase("field:" + std::to_string(i));
  }
  EXPECT_LT(table->allocated_bytes(), full / 3);
  EXPECT_EQ(MemoryUsedBytes() - before, table->allocated_bytes() + copy->allocated_bytes());
  const Owned taken(table->TakeAll());
  EXPECT_EQ(taken->size(), 3000u);
  EXPECT_EQ(table->size(), 0u);
  EXPECT_FALSE(static_cast<bool>(table->Find("field:1")));
  EXPECT_TRUE(table->Set("field:1", "again"));
}

TEST(FieldTableTest, SmallItemsCostAboutTwelveBytesMoreThanTheirBytes) {
  const Owned table(FieldTable::Create(FieldValues::kBytes));
  size_t raw = 0;
  double sum = 0;
  int samples = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::string name = "field:" + std::to_string(i);
    table->Set(name, "value:1234");
    raw += name.size() + 10;
    if (i < 20000 || i % 1000 != 0) continue;
    sum += static_cast<double>(table->allocated_bytes() - raw) / static_cast<double>(table->size());
    ++samples;
  }
  EXPECT_LT(sum / samples, 13.0);
}

// Every page that a change touched has the epoch of the change, and no other.
TEST(FieldTableTest, PagesCarryTheEpochOfTheirLastChange) {
  const Owned table(FieldTable::Create(FieldValues::kBytes));
  table->set_epoch(1);
  for (int i = 0; i < 5000; ++i) table->Set(std::to_string(i), "value");
  const auto pages_of = [&](uint32_t epoch) {
    size_t n = 0;
    FieldTable::Iterator it(*table);
    do {
      n += it.page().epoch == epoch ? 1u : 0u;
    } while (it.NextPage());
    return n;
  };
  const size_t pages = pages_of(1);
  EXPECT_GT(pages, 20u);
  uint32_t epoch = 1;
  const auto expect_one_page = [&](const char* what) {
    SCOPED_TRACE(what);
    EXPECT_EQ(pages_of(epoch), 1u);
  };
  table->set_epoch(++epoch);
  table->Find("7");
  EXPECT_EQ(pages_of(epoch), 0u);
  table->Set("7", "VALUE");
  expect_one_page("overwrite");
  table->set_epoch(++epoch);
  table->Set("7", "val");
  expect_one_page("shorter");
  table->set_epoch(++epoch);
  table->SetExpiry("7", 5);
  expect_one_page("expiry");
  table->set_epoch(++epoch);
  table->SetExpiry("7", 6);
  expect_one_page("another expiry");
  table->set_epoch(++epoch);
  table->SetExpiry("7", std::nullopt);
  expect_one_page("no expiry");
  table->set_epoch(++epoch);
  table->Erase("7");
  expect_one_page("erase");
  const Owned copy(table->Clone());
  FieldTable::Iterator a(*table);
  FieldTable::Iterator b(*copy);
  do {
    ASSERT_EQ(a.page().epoch, b.page().epoch);
    ASSERT_EQ(a.NextPage(), b.NextPage());
  } while (a.cursor() != 0);
  const std::string big = Pattern(100000, 1);
  table->set_epoch(++epoch);
  table->Set("big", big);
  EXPECT_EQ(table->Find("big").chunks()->chunk_epoch(3), epoch);
}

TEST(FieldTableTest, FreesInSlices) {
  const uint64_t before = MemoryUsedBytes();
  FieldTable* table = FieldTable::Create(FieldValues::kBytes);
  for (int i = 0; i < 100000; ++i) {
    table->Set("field:" + std::to_string(i), Pattern(i % 1000 == 0 ? 40000 : i % 30, 1));
  }
  int slices = 1;
  uint64_t last = MemoryUsedBytes();
  while (!FieldTable::FreeSome(table, 50)) {
    ASSERT_LT(MemoryUsedBytes(), last);
    last = MemoryUsedBytes();
    ++slices;
  }
  EXPECT_GT(slices, 20);
  EXPECT_EQ(MemoryUsedBytes(), before);
  FieldTable::Destroy(FieldTable::Create(FieldValues::kNone));
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(FieldTableTest, PrefetchIsHarmless) {
  const Owned table(FieldTable::Create(FieldValues::kNone));
  for (int i = 0; i < 3000; ++i) {
    const std::string name = std::to_string(i);
    const uint64_t hash = table->Hash(name);
    table->Prefetch(hash);
    table->PrefetchItem(hash);
    table->Add(hash, name);
    table->Prefetch(hash);
    table->PrefetchItem(hash);
  }
  EXPECT_EQ(table->size(), 3000u);
}

}  // namespace
}  // namespace tidegate
