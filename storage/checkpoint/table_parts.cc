#include "storage/checkpoint/table_parts.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "storage/checkpoint/big_endian.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate {
namespace {

uint32_t PartOf(uint64_t hash, uint8_t bits) {
  return bits == 0 ? 0 : static_cast<uint32_t>(hash >> (64 - bits));
}

int Log2(uint64_t n) { return n == 0 ? 0 : std::bit_width(n) - 1; }

void WriteField(const FieldView& field, FieldValues values, rdb::RdbWriter& out) {
  if (values == FieldValues::kBytes) {
    const std::optional<int64_t> expiry_ms = field.expiry_ms();
    out.Length(expiry_ms ? static_cast<uint64_t>(*expiry_ms) + 1 : 0);
  }
  out.String(field.field());
  if (values == FieldValues::kDouble) out.Double(field.number());
  if (values != FieldValues::kBytes) return;
  if (field.chunks() == nullptr) return out.String(field.value());
  out.Length(field.value_size());
  field.VisitValue([&out](std::string_view piece) { out.Raw(piece); });
}

}  // namespace

uint8_t TablePartBits(const FieldTable& table) {
  const int by_bytes = Log2(table.allocated_bytes() / kTablePartBytes.count);
  return static_cast<uint8_t>(std::min({by_bytes, Log2(table.size()), kTablePartBitsMax}));
}

bool TablePartBitsFit(const FieldTable& table, uint8_t bits) {
  const int best = TablePartBits(table);
  return best < bits + 2 && bits < best + 3;
}

uint8_t TableRdbType(const FieldTable& table) {
  switch (table.values()) {
    case FieldValues::kNone:
      return static_cast<uint8_t>(rdb::Type::kSet);
    case FieldValues::kBytes:
      return static_cast<uint8_t>(rdb::Type::kHashMetadata);
    case FieldValues::kDouble:
      return static_cast<uint8_t>(rdb::Type::kSortedSet2);
  }
  CheckFailed(__FILE__, __LINE__, "no such kind of field");
}

void ForEachChangedPart(const FieldTable& table, uint8_t bits,
                        const std::function<void(uint32_t)>& fn) {
  uint64_t next = 0;
  table.ForEachUnsaved([&](uint64_t first, uint64_t last) {
    const uint64_t end = uint64_t{PartOf(last, bits)} + 1;
    for (next = std::max<uint64_t>(next, PartOf(first, bits)); next < end; ++next)
      fn(static_cast<uint32_t>(next));
  });
}

bool EncodeTablePart(const FieldTable& table, uint8_t bits, uint32_t part, std::string& out) {
  out.assign(kTablePartHeadBytes, '\0');
  rdb::RdbWriter writer(out, /*compress=*/false);
  uint64_t fields = 0;
  const uint64_t first = bits == 0 ? 0 : uint64_t{part} << (64 - bits);
  const uint64_t last = NextPrefix(first, bits) - 1;
  table.VisitStretch(first, last, [&](const FieldView& field) {
    ++fields;
    WriteField(field, table.values(), writer);
  });
  WriteBigEndian(&out[0], fields, 4);
  WriteBigEndian(&out[4], out.size() - kTablePartHeadBytes, 8);
  return fields > 0;
}

TablePartsReader::TablePartsReader(const StoredObject& object, std::string& out)
    : object_(object), out_(out) {
  out_.assign(1, static_cast<char>(object.rdb_type));
  rdb::RdbWriter writer(out_, /*compress=*/false);
  // The earliest time, from which on others are told.
  if (object.rdb_type == static_cast<uint8_t>(rdb::Type::kHashMetadata)) writer.Fixed64(0);
  writer.Length(object.size);
}

Status TablePartsReader::Begin(std::string_view bytes) {
  BigEndianReader in(bytes);
  fields_ += in.Number(4);
  awaited_ = in.Number(8);
  if (!in.ok()) return Error{"a part of it has no head"};
  return {};
}

Status TablePartsReader::Add(uint32_t part, uint32_t piece, std::string_view bytes) {
  if (piece == 0) {
    if (awaited_ != 0) return Error{"a part of it is too short"};
    if (part >> object_.part_bits != 0) return Error{"it has a part that it cannot have"};
    TG_RETURN_IF_ERROR(Begin(bytes));
    part_ = uint64_t{part} + 1;
    bytes.remove_prefix(kTablePartHeadBytes);
  } else {
    if (part_ != uint64_t{part} + 1 || piece != next_piece_)
      return Error{"a piece of a part of it is missing"};
    has_pieces_ = true;
  }
  next_piece_ = piece + 1;
  if (bytes.size() > awaited_) return Error{"a part of it is too long"};
  awaited_ -= bytes.size();
  out_.append(bytes);
  return {};
}

Status TablePartsReader::Finish() const {
  if (awaited_ != 0) return Error{"a part of it is too short"};
  if (fields_ != object_.size) {
    return Error{"its parts have " + std::to_string(fields_) + " fields, and not " +
                 std::to_string(object_.size)};
  }
  return {};
}

}  // namespace tidegate
