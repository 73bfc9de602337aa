// BF.EXISTS, BF.MEXISTS, BF.CARD, BF.INFO.
#include "base/text.h"
#include "storage/commands/bloom_commands.h"

namespace tidegate {
namespace {

// The key's filter, or null: also when the key holds something else, as RedisBloom has it.
const BloomFilter* FindAny(CommandContext& context) {
  const Entry* entry = context.db().FindForRead(context.key());
  if (entry == nullptr || entry->type() != ValueType::kBloom) return nullptr;
  return entry->object<BloomFilter>();
}

// A filter's memory in RedisBloom's way of counting: the bits, a head and a link for each layer.
int64_t SizeOf(const BloomFilter& filter) {
  constexpr uint64_t kHeadBytes = 32;
  constexpr uint64_t kLayerBytes = 64;
  return static_cast<int64_t>(kHeadBytes + kLayerBytes * filter.layer_count() + filter.bit_bytes());
}

using InfoWriter = void (*)(ReplyWriter& reply, const BloomFilter& filter);
struct InfoRow {
  std::string_view argument;
  std::string_view name;
  InfoWriter write;
};

constexpr InfoRow kInfoRows[] = {
    {"capacity", "Capacity",
     [](ReplyWriter& reply, const BloomFilter& filter) {
       reply.Integer(static_cast<int64_t>(filter.capacity()));
     }},
    {"size", "Size",
     [](ReplyWriter& reply, const BloomFilter& filter) { reply.Integer(SizeOf(filter)); }},
    {"filters", "Number of filters",
     [](ReplyWriter& reply, const BloomFilter& filter) {
       reply.Integer(static_cast<int64_t>(filter.layer_count()));
     }},
    {"items", "Number of items inserted",
     [](ReplyWriter& reply, const BloomFilter& filter) {
       reply.Integer(static_cast<int64_t>(filter.size()));
     }},
    {"expansion", "Expansion rate",
     [](ReplyWriter& reply, const BloomFilter& filter) {
       filter.scales() ? reply.Integer(filter.expansion()) : reply.Null();
     }},
};

}  // namespace

ExecStatus CmdBfExists(CommandContext& context) {
  const BloomFilter* filter = FindAny(context);
  context.reply().Boolean(filter != nullptr && filter->Contains(context.arg(2)));
  return ExecStatus::kDone;
}

ExecStatus CmdBfMExists(CommandContext& context) {
  const BloomFilter* filter = FindAny(context);
  context.reply().Array(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); ++i)
    context.reply().Boolean(filter != nullptr && filter->Contains(context.arg(i)));
  return ExecStatus::kDone;
}

ExecStatus CmdBfCard(CommandContext& context) {
  BloomFilter* filter = nullptr;
  if (!FindBloom(context, false, &filter)) return ExecStatus::kDone;
  context.reply().Integer(filter == nullptr ? 0 : static_cast<int64_t>(filter->size()));
  return ExecStatus::kDone;
}

ExecStatus CmdBfInfo(CommandContext& context) {
  constexpr size_t kArgcMax = 3;
  if (context.argc() > kArgcMax) return context.Fail(errors::WrongArity("bf.info"));
  BloomFilter* filter = nullptr;
  if (!FindBloom(context, false, &filter)) return ExecStatus::kDone;
  if (filter == nullptr) return context.Fail(kBloomNotFound);
  ReplyWriter& reply = context.reply();
  if (context.argc() == 2) {
    reply.Map(std::size(kInfoRows));
    for (const InfoRow& row : kInfoRows) {
      reply.SimpleString(row.name);
      row.write(reply, *filter);
    }
    return ExecStatus::kDone;
  }
  for (const InfoRow& row : kInfoRows) {
    if (!EqualsIgnoreCase(context.arg(2), row.argument)) continue;
    reply.Array(1);
    row.write(reply, *filter);
    return ExecStatus::kDone;
  }
  return context.Fail("ERR Invalid information value");
}

}  // namespace tidegate
