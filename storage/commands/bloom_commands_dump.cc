// BF.SCANDUMP and BF.LOADCHUNK: a filter in pieces. The iterator of a piece is one more than the
// bytes of bits up to its end; 1 is that of the header, which comes first.
#include "config/notify.h"
#include "storage/commands/bloom_commands.h"

namespace tidegate {
namespace {

constexpr std::string_view kIteratorNotNumeric = "ERR Second argument must be numeric";
constexpr int64_t kHeaderIterator = 1;

bool Fail(CommandContext& context, std::string_view error) {
  context.Fail(error);
  return false;
}

// False when the error is written. So is the next one.
bool LoadHeader(CommandContext& context) {
  BloomFilter* filter = BloomFilter::FromHeader(context.arg(3), context.db().epoch());
  if (filter == nullptr) return Fail(context, "ERR received bad data");
  context.db().PutObject(context.key(), nullptr, ValueType::kBloom, Encoding::kBloom, filter,
                         kNoExpire);
  return true;
}

bool LoadBits(CommandContext& context, BloomFilter& filter, int64_t iterator) {
  constexpr std::string_view kNoLayer = "ERR invalid offset - no link found";
  const std::string_view bits = context.arg(3);
  const auto size = static_cast<int64_t>(bits.size());
  if (iterator <= size) return Fail(context, kNoLayer);
  switch (filter.Load(static_cast<uint64_t>(iterator - size - 1), bits)) {
    case BloomFilter::Loaded::kNoLayer:
      return Fail(context, kNoLayer);
    case BloomFilter::Loaded::kTooLong:
      return Fail(context, "ERR invalid chunk - Too big for current filter");
    case BloomFilter::Loaded::kOk:
      break;
  }
  return true;
}

}  // namespace

ExecStatus CmdBfScanDump(CommandContext& context) {
  const auto iterator = context.IntegerArg(2, kIteratorNotNumeric);
  if (!iterator) return ExecStatus::kDone;
  BloomFilter* filter = nullptr;
  if (!FindBloom(context, false, &filter)) return ExecStatus::kDone;
  if (filter == nullptr) return context.Fail(kBloomNotFound);
  ReplyWriter& reply = context.reply();
  reply.Array(2);
  if (*iterator == 0) {
    reply.Integer(kHeaderIterator);
    reply.Bulk(filter->DumpHeader());
    return ExecStatus::kDone;
  }
  BloomFilter::Stretch stretch;
  if (*iterator > 0) stretch = filter->StretchAt(static_cast<uint64_t>(*iterator - 1));
  if (stretch.bits == nullptr) {
    reply.Integer(0);
    reply.Bulk("");
    return ExecStatus::kDone;
  }
  reply.Integer(*iterator + static_cast<int64_t>(stretch.size));
  reply.BeginBulk(stretch.size);
  stretch.bits->Visit(stretch.offset, stretch.size,
                      [&reply](size_t, std::string_view piece) { reply.BulkPart(piece); });
  reply.EndBulk();
  return ExecStatus::kDone;
}

ExecStatus CmdBfLoadChunk(CommandContext& context) {
  const auto iterator = context.IntegerArg(2, kIteratorNotNumeric);
  if (!iterator) return ExecStatus::kDone;
  BloomFilter* filter = nullptr;
  if (!FindBloom(context, true, &filter)) return ExecStatus::kDone;
  if (filter == nullptr && *iterator != kHeaderIterator) return context.Fail(kBloomNotFound);
  if (filter == nullptr ? !LoadHeader(context) : !LoadBits(context, *filter, *iterator))
    return ExecStatus::kDone;
  context.db().Modified(context.key());
  context.db().Notify(notify::kModule, "bf.loadchunk", context.key());
  context.reply().Ok();
  return ExecStatus::kDone;
}

}  // namespace tidegate
