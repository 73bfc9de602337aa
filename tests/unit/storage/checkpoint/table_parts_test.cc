// Tables in parts, on a disk that is a map: whatever is done between two checkpoints, and whichever
// of them fail, what is on disk after one that succeeds makes up the table.
#include "storage/checkpoint/table_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/checkpoint/stored_record.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate {
namespace {

struct Destroyer {
  void operator()(FieldTable* table) const { FieldTable::Destroy(table); }
};
using Owned = std::unique_ptr<FieldTable, Destroyer>;

// Chains of pages, whose hashes differ in the last bits or in the first ones.
uint64_t FewHashes(std::string_view field) {
  constexpr uint64_t kHashes[] = {0, 0x40000, 0x8000000000000000, 0xffffffffffffffff};
  return kHashes[KeyHash(field) % 4];
}
// Half of them in one part of many.
uint64_t Skewed(std::string_view field) {
  const uint64_t hash = KeyHash(field);
  return hash % 2 == 0 ? hash : hash & 0x0003ffffffffffff;
}

// A field as text: with value, score and time.
std::string TextOf(std::string_view field, std::string_view value, uint64_t time) {
  return std::string(field) + "=" + std::string(value) + "@" + std::to_string(time);
}
std::string TextOf(const FieldView& field, FieldValues values) {
  std::string value;
  if (values == FieldValues::kBytes) value = field.CopyValue();
  if (values == FieldValues::kDouble) value = std::to_string(field.number());
  const auto expiry_ms = field.expiry_ms();
  return TextOf(field.field(), value, expiry_ms ? static_cast<uint64_t>(*expiry_ms) + 1 : 0);
}

std::multiset<std::string> ContentsOf(const FieldTable& table) {
  std::multiset<std::string> contents;
  table.ForEach([&](const FieldView& field) { contents.insert(TextOf(field, table.values())); });
  return contents;
}

// Of the value that the parts make up.
std::multiset<std::string> ContentsOf(std::string_view value, FieldValues values) {
  std::multiset<std::string> contents;
  rdb::RdbReader in(value);
  in.Byte();
  if (values == FieldValues::kBytes) EXPECT_EQ(in.Fixed64(), 0u);
  std::string field_scratch;
  std::string value_scratch;
  for (uint64_t left = in.Length(); left > 0 && in.ok(); --left) {
    const uint64_t time = values == FieldValues::kBytes ? in.Length() : 0;
    const std::string field(in.String(field_scratch));
    std::string text;
    if (values == FieldValues::kBytes) text = in.String(value_scratch);
    if (values == FieldValues::kDouble) text = std::to_string(in.Double());
    contents.insert(TextOf(field, text, time));
  }
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.at_end());
  return contents;
}

using Parts = std::map<uint32_t, std::string>;

// What a checkpoint writes; returns how many parts.
size_t Write(FieldTable& table, uint8_t bits, Parts& parts) {
  size_t written = 0;
  std::string bytes;
  ForEachChangedPart(table, bits, [&](uint32_t part) {
    ++written;
    if (EncodeTablePart(table, bits, part, bytes)) {
      parts[part] = bytes;
    } else {
      parts.erase(part);
    }
  });
  table.NoteWritten();
  return written;
}

Result<std::string> Read(const FieldTable& table, uint8_t bits, const Parts& parts) {
  std::string value;
  StoredObject object{.id = 1, .size = table.size(), .by_hash = true, .part_bits = bits};
  object.rdb_type = TableRdbType(table);
  TablePartsReader reader(object, value);
  for (const auto& [part, bytes] : parts) TG_RETURN_IF_ERROR(reader.Add(part, 0, bytes));
  TG_RETURN_IF_ERROR(reader.Finish());
  return value;
}

struct Case {
  const char* name;
  FieldValues values;
  FieldHash hash;
};

class TablePartsTest : public ::testing::TestWithParam<Case> {
 protected:
  void Change(std::mt19937& random, unsigned range, bool growing) {
    std::string field = "field:" + std::to_string(random() % range);
    if (random() % 200 == 0) field.resize(1500, 'f');
    if (random() % 100 < (growing ? 25u : 75u)) {
      table_->Erase(field);
    } else if (GetParam().values == FieldValues::kBytes) {
      if (random() % 5 == 0) {
        std::optional<int64_t> expiry_ms;
        if (random() % 3 != 0) expiry_ms = static_cast<int64_t>(random());
        table_->SetExpiry(field, expiry_ms);
      } else {
        const size_t bytes = random() % 500 == 0 ? 3000 : random() % 60;
        table_->Set(field, std::string(bytes, static_cast<char>('a' + random() % 26)));
      }
    } else if (GetParam().values == FieldValues::kDouble) {
      table_->SetNumber(field, static_cast<double>(random() % 1000));
    } else {
      table_->Add(field);
    }
  }

  void ExpectOnDisk(uint8_t bits, const Parts& parts) {
    const Result<std::string> value = Read(*table_, bits, parts);
    ASSERT_TRUE(value.ok()) << value.error().message;
    ASSERT_EQ(ContentsOf(value.value(), GetParam().values), ContentsOf(*table_));
  }

  Owned table_{FieldTable::Create(GetParam().values, GetParam().hash)};
};

TEST_P(TablePartsTest, OnDiskIsWhatItWasAtTheLastThatSucceeded) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 1500; ++i) Change(random, 3000, true);
  const auto bits = static_cast<uint8_t>(random() % 9);
  Parts disk;
  Parts next;
  table_->BeginObject(1);
  bool saved = true;
  for (int round = 0; round < 60; ++round) {
    const unsigned range = round % 20 < 10 ? 3000 : 400;
    const unsigned changes = random() % (round % 3 == 0 ? 2000u : 6u);
    for (unsigned i = 0; i < changes; ++i) Change(random, range, round % 20 < 10);
    // The table's memory moves, and says nothing.
    if (round % 7 == 0) table_->CompactSome(0, 1000);
    if (saved && round > 0) table_->NoteSaved();
    next = disk;
    Write(*table_, bits, next);
    saved = random() % 3 != 0;
    if (!saved) continue;
    disk = next;
    ASSERT_NO_FATAL_FAILURE(ExpectOnDisk(bits, disk)) << "round " << round;
  }
  // Of a table that was given away nothing is left.
  Owned rest(table_->TakeAll());
  if (saved) table_->NoteSaved();
  Write(*table_, bits, disk);
  EXPECT_TRUE(disk.empty());
}

INSTANTIATE_TEST_SUITE_P(All, TablePartsTest,
                         ::testing::Values(Case{"Hash", FieldValues::kBytes, KeyHash},
                                           Case{"Set", FieldValues::kNone, KeyHash},
                                           Case{"SortedSet", FieldValues::kDouble, KeyHash},
                                           Case{"HashOfFewHashes", FieldValues::kBytes, FewHashes},
                                           Case{"SetOfFewHashes", FieldValues::kNone, FewHashes},
                                           Case{"SkewedSortedSet", FieldValues::kDouble, Skewed}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(TablePartsTest, AChangeIsAPart) {
  const Owned table(FieldTable::Create(FieldValues::kBytes));
  for (int i = 0; i < 100'000; ++i) table->Set("field:" + std::to_string(i), "value");
  const uint8_t bits = TablePartBits(*table);
  EXPECT_TRUE(TablePartBitsFit(*table, bits));
  Parts disk;
  table->BeginObject(1);
  EXPECT_EQ(Write(*table, bits, disk), size_t{1} << bits);
  for (const auto& [part, bytes] : disk) EXPECT_LT(bytes.size(), 4 * kTablePartBytes.count);
  table->NoteSaved();
  EXPECT_EQ(Write(*table, bits, disk), 0u);
  table->NoteSaved();
  table->Set("field:7", "VALUE");
  EXPECT_LE(Write(*table, bits, disk), 4u);
  // It grows and shrinks a good deal before it is cut anew.
  for (int i = 100'000; i < 180'000; ++i) table->Set("field:" + std::to_string(i), "value");
  EXPECT_TRUE(TablePartBitsFit(*table, bits));
  for (int i = 180'000; i < 500'000; ++i) table->Set("field:" + std::to_string(i), "value");
  EXPECT_FALSE(TablePartBitsFit(*table, bits));
  for (int i = 30'000; i < 500'000; ++i) table->Erase("field:" + std::to_string(i));
  EXPECT_TRUE(TablePartBitsFit(*table, bits));
  for (int i = 3'000; i < 30'000; ++i) table->Erase("field:" + std::to_string(i));
  EXPECT_FALSE(TablePartBitsFit(*table, bits));
}

// Of pages that are chained, those go whose last field goes.
TEST(TablePartsTest, APageThatGoesIsAChange) {
  const Owned table(FieldTable::Create(FieldValues::kNone, [](std::string_view) -> uint64_t {
    return 0x123456789abcdef0;  // of every field
  }));
  std::vector<std::string> fields;
  for (int i = 0; i < 40; ++i) fields.emplace_back(900, static_cast<char>('A' + i));
  for (const std::string& field : fields) table->Add(field);
  Parts disk;
  table->BeginObject(1);
  Write(*table, 4, disk);
  std::mt19937 random(7);
  std::shuffle(fields.begin(), fields.end(), random);
  for (const std::string& field : fields) {
    table->NoteSaved();
    table->Erase(field);
    EXPECT_GE(Write(*table, 4, disk), 1u);
    if (disk.empty()) continue;
    const Result<std::string> value = Read(*table, 4, disk);
    ASSERT_TRUE(value.ok()) << value.error().message;
  }
  EXPECT_TRUE(disk.empty());
}

TEST(TablePartsTest, DamageIsSaid) {
  const Owned table(FieldTable::Create(FieldValues::kNone));
  for (int i = 0; i < 5'000; ++i) table->Add("member:" + std::to_string(i));
  Parts parts;
  table->BeginObject(1);
  Write(*table, 3, parts);
  ASSERT_TRUE(Read(*table, 3, parts).ok());
  const auto expect_damage = [&](const Parts& damaged, const std::string& what) {
    const Result<std::string> value = Read(*table, 3, damaged);
    ASSERT_FALSE(value.ok());
    EXPECT_NE(value.error().message.find(what), std::string::npos) << value.error().message;
  };
  Parts damaged = parts;
  damaged.erase(5);
  expect_damage(damaged, "fields, and not 5000");
  damaged = parts;
  damaged[5].pop_back();
  expect_damage(damaged, "too short");
  damaged = parts;
  damaged[7].pop_back();
  expect_damage(damaged, "too short");
  damaged = parts;
  damaged[5] += "x";
  expect_damage(damaged, "too long");
  damaged = parts;
  damaged[5].resize(5);
  expect_damage(damaged, "no head");
  damaged = parts;
  damaged[8] = damaged[5];
  expect_damage(damaged, "that it cannot have");
}

TEST(TablePartsTest, PiecesComeOneAfterTheOther) {
  const Owned table(FieldTable::Create(FieldValues::kBytes));
  table->Set("field", std::string(100'000, 'v'));
  std::string bytes;
  ASSERT_TRUE(EncodeTablePart(*table, 0, 0, bytes));
  const StoredObject object{
      .id = 1, .size = 1, .rdb_type = TableRdbType(*table), .by_hash = true, .part_bits = 0};
  std::string value;
  TablePartsReader whole(object, value);
  const std::string_view all = bytes;
  ASSERT_TRUE(whole.Add(0, 0, all.substr(0, 60'000)).ok());
  EXPECT_FALSE(whole.Finish().ok());
  EXPECT_FALSE(whole.Add(0, 2, all.substr(60'000)).ok());
  EXPECT_FALSE(whole.Add(1, 1, all.substr(60'000)).ok());
  EXPECT_FALSE(whole.has_pieces());
  ASSERT_TRUE(whole.Add(0, 1, all.substr(60'000)).ok());
  EXPECT_TRUE(whole.has_pieces());
  ASSERT_TRUE(whole.Finish().ok());
  EXPECT_EQ(ContentsOf(value, FieldValues::kBytes), ContentsOf(*table));
}

TEST(StoredRecordTest, NamesATableInParts) {
  const StoredObject object{.id = 5,
                            .size = 77,
                            .rdb_type = static_cast<uint8_t>(rdb::Type::kSet),
                            .by_hash = true,
                            .part_bits = 9};
  std::string record({2, 4, 0, 0, 7});
  AppendObjectReference(record, object);
  const Result<StoredRecord> parsed = ParseStoredRecord(record);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed.value().object.id, object.id);
  EXPECT_EQ(parsed.value().object.size, 77u);
  EXPECT_EQ(parsed.value().object.part_bits, 9);
  EXPECT_TRUE(parsed.value().object.by_hash);
  record[0] = 1;  // the version that has none
  EXPECT_FALSE(ParseStoredRecord(record).ok());
  record[0] = 2;
  record.pop_back();
  EXPECT_FALSE(ParseStoredRecord(record).ok());
}

}  // namespace
}  // namespace tidegate
