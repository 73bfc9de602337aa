// BF.RESERVE, BF.ADD, BF.MADD, BF.INSERT.
#include <cmath>
#include <string>
#include <vector>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/bloom_commands.h"

namespace tidegate {
namespace {

using Added = BloomFilter::Added;

// As RedisBloom's bf-expansion-factor.
constexpr int64_t kExpansionMax = 32768;

constexpr std::string_view kTooLarge = "ERR Insufficient memory to create filter";

// Argument i as an error rate; false when the error is written. So are the next ones.
bool ErrorRateArg(CommandContext& context, size_t i, double* rate) {
  const std::optional<double> value = ParseDouble(context.arg(i));
  if (!value) {
    context.Fail("ERR bad error rate");
    return false;
  }
  if (!(*value > 0 && *value < 1)) {
    context.Fail("ERR (0 < error rate range < 1)");
    return false;
  }
  *rate = *value;
  return true;
}

bool CapacityArg(CommandContext& context, size_t i, uint64_t* capacity) {
  const auto value = context.IntegerArg(i, "ERR bad capacity");
  if (!value) return false;
  if (*value <= 0) {
    context.Fail("ERR (capacity should be larger than 0)");
    return false;
  }
  *capacity = static_cast<uint64_t>(*value);
  return true;
}

// 0 means what NONSCALING means.
bool ExpansionArg(CommandContext& context, size_t i, BloomFilter::Options* options) {
  const auto value = context.IntegerArg(i, "ERR bad expansion");
  if (!value) return false;
  if (*value < 0 || *value > kExpansionMax) {
    context.Fail("ERR bad expansion");
    return false;
  }
  options->scales = *value != 0;
  if (options->scales) options->expansion = static_cast<uint32_t>(*value);
  return true;
}

struct InsertArguments {
  BloomFilter::Options filter;
  bool create = true;
  size_t first_item = 0;
};

// Nothing after the error reply was written.
std::optional<InsertArguments> ParseInsert(CommandContext& context) {
  InsertArguments out;
  bool ok = true;
  bool expansion = false;
  bool nonscaling = false;
  for (size_t i = 2; i < context.argc() && ok && out.first_item == 0; ++i) {
    const std::string_view word = context.arg(i);
    const bool has_value = i + 1 < context.argc();
    if (EqualsIgnoreCase(word, "items")) {
      out.first_item = i + 1;
    } else if (EqualsIgnoreCase(word, "nocreate")) {
      out.create = false;
    } else if (EqualsIgnoreCase(word, "nonscaling")) {
      nonscaling = true;
    } else if (EqualsIgnoreCase(word, "capacity") && has_value) {
      ok = CapacityArg(context, ++i, &out.filter.capacity);
    } else if (EqualsIgnoreCase(word, "error") && has_value) {
      ok = ErrorRateArg(context, ++i, &out.filter.error_rate);
    } else if (EqualsIgnoreCase(word, "expansion") && has_value) {
      ok = ExpansionArg(context, ++i, &out.filter);
      expansion = true;
    } else {
      context.Fail("ERR unknown argument received");
      return std::nullopt;
    }
  }
  if (!ok) return std::nullopt;
  if (out.first_item == 0 || out.first_item == context.argc()) {
    context.Fail(errors::WrongArity("bf.insert"));
    return std::nullopt;
  }
  if (nonscaling && expansion && out.filter.scales) {
    context.Fail("ERR Nonscaling filters cannot expand");
    return std::nullopt;
  }
  if (nonscaling) out.filter.scales = false;
  return out;
}

// The key's filter, or a new one in its place; null when the error is written.
BloomFilter* FindOrCreate(CommandContext& context, const BloomFilter::Options& options,
                          bool* created) {
  BloomFilter* filter = nullptr;
  if (!FindBloom(context, true, &filter) || filter != nullptr) return filter;
  filter = BloomFilter::Create(options, context.db().epoch());
  if (filter == nullptr) {
    context.Fail(kTooLarge);
    return nullptr;
  }
  context.db().PutObject(context.key(), nullptr, ValueType::kBloom, Encoding::kBloom, filter,
                         kNoExpire);
  *created = true;
  return filter;
}

void ReplyAdded(ReplyWriter& reply, Added added) {
  switch (added) {
    case Added::kNew:
    case Added::kPresent:
      return reply.Boolean(added == Added::kNew);
    case Added::kFull:
      return reply.Error("ERR non scaling filter is full");
    case Added::kTooLarge:
      return reply.Error("ERR problem inserting into filter");
  }
}

void NoteAdded(CommandContext& context, bool changed) {
  if (!changed) return;
  context.db().Modified(context.key());
  context.db().Notify(notify::kModule, "bf.add", context.key());
}

// Adds arguments from `first` on. The reply ends with the first one that has no room.
ExecStatus AddItems(CommandContext& context, BloomFilter& filter, bool created, size_t first) {
  std::vector<Added> results;
  results.reserve(context.argc() - first);
  bool changed = created;
  for (size_t i = first; i < context.argc(); ++i) {
    results.push_back(filter.Add(context.arg(i)));
    changed |= results.back() == Added::kNew;
    if (results.back() == Added::kFull || results.back() == Added::kTooLarge) break;
  }
  NoteAdded(context, changed);
  context.reply().Array(results.size());
  for (const Added added : results) ReplyAdded(context.reply(), added);
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdBfReserve(CommandContext& context) {
  constexpr size_t kArgcMax = 7;
  if (context.argc() > kArgcMax) return context.Fail(errors::WrongArity("bf.reserve"));
  BloomFilter::Options options;
  if (!ErrorRateArg(context, 2, &options.error_rate) || !CapacityArg(context, 3, &options.capacity))
    return ExecStatus::kDone;
  bool nonscaling = false;
  bool expansion = false;
  for (size_t i = 4; i < context.argc(); ++i) {
    if (EqualsIgnoreCase(context.arg(i), "nonscaling")) {
      nonscaling = true;
    } else if (EqualsIgnoreCase(context.arg(i), "expansion")) {
      if (i + 1 == context.argc()) return context.Fail("ERR no expansion");
      if (!ExpansionArg(context, ++i, &options)) return ExecStatus::kDone;
      expansion = true;
    } else {
      return context.Fail(errors::kSyntax);
    }
  }
  if (nonscaling && expansion && options.scales)
    return context.Fail("ERR Nonscaling filters cannot expand");
  if (nonscaling) options.scales = false;

  BloomFilter* existing = nullptr;
  if (!FindBloom(context, true, &existing)) return ExecStatus::kDone;
  if (existing != nullptr) return context.Fail("ERR item exists");
  bool created = false;
  if (FindOrCreate(context, options, &created) == nullptr) return ExecStatus::kDone;
  context.db().Modified(context.key());
  context.db().Notify(notify::kModule, "bf.reserve", context.key());
  context.reply().Ok();
  return ExecStatus::kDone;
}

ExecStatus CmdBfAdd(CommandContext& context) {
  bool created = false;
  BloomFilter* filter = FindOrCreate(context, {}, &created);
  if (filter == nullptr) return ExecStatus::kDone;
  const Added added = filter->Add(context.arg(2));
  NoteAdded(context, created || added == Added::kNew);
  ReplyAdded(context.reply(), added);
  return ExecStatus::kDone;
}

ExecStatus CmdBfMAdd(CommandContext& context) {
  bool created = false;
  BloomFilter* filter = FindOrCreate(context, {}, &created);
  if (filter == nullptr) return ExecStatus::kDone;
  return AddItems(context, *filter, created, 2);
}

ExecStatus CmdBfInsert(CommandContext& context) {
  const auto arguments = ParseInsert(context);
  if (!arguments) return ExecStatus::kDone;
  BloomFilter* filter = nullptr;
  bool created = false;
  if (arguments->create) {
    filter = FindOrCreate(context, arguments->filter, &created);
    if (filter == nullptr) return ExecStatus::kDone;
  } else {
    if (!FindBloom(context, true, &filter)) return ExecStatus::kDone;
    if (filter == nullptr) return context.Fail(kBloomNotFound);
  }
  return AddItems(context, *filter, created, arguments->first_item);
}

}  // namespace tidegate
