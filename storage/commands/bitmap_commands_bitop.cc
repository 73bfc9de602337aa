// BITOP: combines strings bit by bit. Goes through the strings in windows of one chunk: the windows
// of all sources are combined in a buffer on the stack, then written to the destination. So no
// whole value is copied, windows of zeros stay holes, and the destination may be one of the
// sources, since its window is read before it is written.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/text.h"
#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/commands/bitmap_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

enum class Operation : uint8_t { kAnd, kOr, kXor, kNot };

// What of the result counts as an element of a long command.
constexpr size_t kBytesPerElement = 512;

constexpr size_t kWindowBytes = ChunkedString::kChunkBytes;

std::optional<Operation> OperationOf(std::string_view word) {
  if (EqualsIgnoreCase(word, "AND")) return Operation::kAnd;
  if (EqualsIgnoreCase(word, "OR")) return Operation::kOr;
  if (EqualsIgnoreCase(word, "XOR")) return Operation::kXor;
  if (EqualsIgnoreCase(word, "NOT")) return Operation::kNot;
  return std::nullopt;
}

// into[i] = combine(into[i], from[i]), eight bytes at a time: at -O2 gcc does not do that by itself
// for a length it does not know.
template <typename Combine>
void CombineBytes(char* into, const char* from, size_t size, Combine combine) {
  size_t i = 0;
  for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
    uint64_t a = 0;
    uint64_t b = 0;
    std::memcpy(&a, into + i, sizeof a);
    std::memcpy(&b, from + i, sizeof b);
    a = combine(a, b);
    std::memcpy(into + i, &a, sizeof a);
  }
  for (; i < size; ++i) {
    into[i] =
        static_cast<char>(combine(static_cast<uint8_t>(into[i]), static_cast<uint8_t>(from[i])));
  }
}

class BitOperation final {
 public:
  BitOperation(Operation operation, std::vector<const Entry*> sources)
      : operation_(operation), sources_(std::move(sources)) {}

  // Bytes of the longest source.
  size_t ResultBytes() const {
    size_t bytes = 0;
    for (const Entry* source : sources_) {
      if (source != nullptr) bytes = std::max(bytes, StringLength(*source));
    }
    return bytes;
  }

  // Bytes [offset, offset+size) of the result; size is at most kWindowBytes. The view is valid
  // until the next call.
  std::string_view Window(size_t offset, size_t size) {
    ReadPadded(sources_[0], offset, size, result_);
    if (operation_ == Operation::kNot) {
      CombineBytes(result_, result_, size, [](uint64_t a, uint64_t) { return ~a; });
    }
    for (size_t i = 1; i < sources_.size(); ++i) Combine(sources_[i], offset, size);
    return {result_, size};
  }

  // The destination got a new entry, and was one of the sources.
  void ReplaceSource(const Entry* old_entry, const Entry* new_entry) {
    for (const Entry*& source : sources_) {
      if (source == old_entry) source = new_entry;
    }
  }
  bool HasSource(const Entry* entry) const {
    for (const Entry* source : sources_) {
      if (source == entry) return true;
    }
    return false;
  }

 private:
  // Copies what the source has of a window; beyond its end are zeros.
  static void ReadPadded(const Entry* source, size_t offset, size_t size, char* out) {
    const size_t length = source == nullptr ? 0 : StringLength(*source);
    const size_t present = offset < length ? std::min(size, length - offset) : 0;
    if (present > 0) ReadStringRange(*source, offset, present, out);
    std::memset(out + present, 0, size - present);
  }

  void Combine(const Entry* source, size_t offset, size_t size) {
    ReadPadded(source, offset, size, operand_);
    switch (operation_) {
      case Operation::kAnd:
        return CombineBytes(result_, operand_, size, [](uint64_t a, uint64_t b) { return a & b; });
      case Operation::kOr:
        return CombineBytes(result_, operand_, size, [](uint64_t a, uint64_t b) { return a | b; });
      case Operation::kXor:
        return CombineBytes(result_, operand_, size, [](uint64_t a, uint64_t b) { return a ^ b; });
      case Operation::kNot:
        break;
    }
  }

  Operation operation_;
  std::vector<const Entry*> sources_;
  char result_[kWindowBytes];
  char operand_[kWindowBytes];
};

// Writes a result of more than one window.
void StoreWindows(Database& db, const KeyRef& key, Entry* existing, BitOperation& operation,
                  size_t result_bytes) {
  const bool in_place = existing != nullptr && operation.HasSource(existing);
  Entry* entry = in_place ? existing : db.SetString(key, existing, "", kNoExpire);
  entry = GrowString(db, key, entry, result_bytes);
  if (in_place) {
    operation.ReplaceSource(existing, entry);
    if (entry->has_expire()) {
      Entry* persistent = db.SetExpire(key, entry, kNoExpire);
      operation.ReplaceSource(entry, persistent);
      entry = persistent;
    }
    entry->set_plain_text(false);
  }
  // More than a window is more than an entry holds.
  auto& string = *entry->object<ChunkedString>();
  static const char kZeros[kWindowBytes] = {};
  for (size_t offset = 0; offset < result_bytes; offset += kWindowBytes) {
    Breathe();
    const size_t size = std::min(kWindowBytes, result_bytes - offset);
    const std::string_view window = operation.Window(offset, size);
    const bool zeros = std::memcmp(window.data(), kZeros, size) == 0;
    if (!zeros || !string.is_hole(offset / kWindowBytes)) string.Write(offset, window);
  }
  db.Modified(key);
}

}  // namespace

ExecStatus CmdBitOp(CommandContext& context) {
  const auto operation_word = OperationOf(context.arg(1));
  if (!operation_word) return context.Fail(errors::kSyntax);
  if (*operation_word == Operation::kNot && context.argc() != 4) {
    return context.Fail("ERR BITOP NOT must be called with a single source key.");
  }
  std::vector<const Entry*> sources;
  sources.reserve(context.keys().size() - 1);
  for (size_t i = 1; i < context.keys().size(); ++i) {
    Entry* source = nullptr;
    if (!context.FindString(context.key(i), false, &source)) return ExecStatus::kDone;
    sources.push_back(source);
  }

  const KeyRef& destination = context.key(0);
  Database& db = context.db();
  BitOperation operation(*operation_word, std::move(sources));
  const size_t result_bytes = operation.ResultBytes();
  if (context.IsLong(result_bytes / kBytesPerElement * context.keys().size()))
    return context.RunLong();
  Entry* existing = db.FindForWrite(destination);
  if (result_bytes == 0) {
    if (db.Delete(destination)) db.Notify(notify::kGeneric, "del", destination);
  } else if (result_bytes <= kWindowBytes) {
    db.SetString(destination, existing, operation.Window(0, result_bytes), kNoExpire)
        ->set_raw(true);
  } else {
    StoreWindows(db, destination, existing, operation, result_bytes);
  }
  if (result_bytes != 0) db.Notify(notify::kString, "set", destination);
  context.reply().Integer(static_cast<int64_t>(result_bytes));
  return ExecStatus::kDone;
}

}  // namespace tidegate
