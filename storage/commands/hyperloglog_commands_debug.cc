// PFDEBUG and PFSELFTEST: what Redis's own tests look at.
#include <cmath>
#include <cstring>
#include <string>

#include "base/text.h"
#include "storage/commands/hyperloglog_commands.h"
#include "storage/value/hyperloglog.h"
#include "storage/value/hyperloglog_buffer.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// The opcodes of the sparse form as text, as far as they can be read.
std::string Decode(std::string_view bytes) {
  std::string text;
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint8_t* end = p + bytes.size();
  p += HyperLogLogLayout::kHeaderBytes;
  while (p < end) {
    const SparseRun run = SparseRun::Read(p, static_cast<size_t>(end - p));
    if (run.opcode_bytes == 0) break;
    if (!text.empty()) text += ' ';
    if (run.value == 0) {
      text += run.opcode_bytes == 1 ? "z:" : "Z:";
      text += ToText(run.registers);
    } else {
      text += "v:" + ToText(run.value) + "," + ToText(run.registers);
    }
    p += run.opcode_bytes;
  }
  return text;
}

// Makes the value dense; null when it is corrupted.
Entry* MakeDense(CommandContext& context, Entry* entry) {
  const size_t size = StringLength(*entry);
  if (size > HyperLogLogBuffer::kBytesMax) return nullptr;
  HyperLogLogBuffer buffer(0);
  ReadStringRange(*entry, 0, size, buffer.Load(size));
  if (!buffer.ToDense()) return nullptr;
  entry = context.db().SetString(context.key(), entry, buffer.bytes(), entry->expire_at_ms());
  entry->set_raw(true);
  return entry;
}

ExecStatus ReplyRegisters(CommandContext& context, Entry* entry, bool dense) {
  if (!dense) entry = MakeDense(context, entry);
  if (entry == nullptr) return context.Fail(kHyperLogLogCorrupted);
  std::string scratch;
  const HyperLogLogView view(HyperLogLogBytes(*entry, scratch));
  context.reply().Array(HyperLogLogLayout::kRegisters);
  (void)view.ForEachRun(
      [&context](uint32_t, uint32_t, uint8_t value) { context.reply().Integer(value); });
  return ExecStatus::kDone;
}

// Dense registers against plain bytes: each write changes its register and no other.
bool RegistersHold() {
  constexpr uint32_t kStep = 7919;  // odd, so that every register has its turn
  uint8_t dense[HyperLogLogLayout::kDenseBytes] = {};
  uint8_t plain[HyperLogLogLayout::kRegisters] = {};
  uint8_t* registers = dense + HyperLogLogLayout::kHeaderBytes;
  uint32_t index = 0;
  for (uint32_t i = 0; i < 4 * HyperLogLogLayout::kRegisters; ++i) {
    index = (index + kStep) % HyperLogLogLayout::kRegisters;
    const auto value = static_cast<uint8_t>((i * kStep >> 5) & HyperLogLogLayout::kRegisterMax);
    SetDenseRegister(registers, index, value);
    plain[index] = value;
  }
  for (uint32_t i = 0; i < HyperLogLogLayout::kRegisters; ++i) {
    if (DenseRegister(registers, i) != plain[i]) return false;
  }
  return true;
}

// The estimates of the sparse and the dense form: the same, and near the truth.
bool EstimatesHold(uint64_t sparse_bytes_max) {
  constexpr uint64_t kElements = 100'000;
  // Standard error of 16384 registers, times 6.
  const double error_max = 1.04 / std::sqrt(HyperLogLogLayout::kRegisters) * 6;
  HyperLogLogBuffer sparse(sparse_bytes_max);
  HyperLogLogBuffer dense(sparse_bytes_max);
  sparse.LoadEmpty();
  dense.LoadEmpty();
  if (!dense.ToDense()) return false;
  uint64_t check_at = 1;
  for (uint64_t i = 1; i <= kElements; ++i) {
    char element[sizeof i];
    std::memcpy(element, &i, sizeof i);
    const HyperLogLogUpdate update = HyperLogLogUpdateOf({element, sizeof element});
    if (sparse.Raise(update) != dense.Raise(update)) return false;
    if (i != check_at) continue;
    check_at *= 10;
    uint64_t a = 0;
    uint64_t b = 0;
    if (!sparse.view().Count(&a) || !dense.view().Count(&b) || a != b) return false;
    const double off = std::abs(static_cast<double>(a) - static_cast<double>(i));
    if (off > std::ceil(error_max * static_cast<double>(i))) return false;
  }
  return true;
}

}  // namespace

ExecStatus CmdPfDebug(CommandContext& context) {
  Entry* entry = context.db().FindForWrite(context.key());
  if (entry == nullptr) return context.Fail("ERR The specified key does not exist");
  if (!FindHyperLogLog(context, context.key(), true, &entry)) return ExecStatus::kDone;
  entry->set_raw(true);
  std::string scratch;
  const std::string_view bytes = HyperLogLogBytes(*entry, scratch);
  const bool dense = HyperLogLogView(bytes).dense();
  const std::string_view what = context.arg(1);
  if (EqualsIgnoreCase(what, "getreg")) return ReplyRegisters(context, entry, dense);
  if (EqualsIgnoreCase(what, "decode")) {
    if (dense) return context.Fail("ERR HLL encoding is not sparse");
    context.reply().Bulk(Decode(bytes));
  } else if (EqualsIgnoreCase(what, "encoding")) {
    context.reply().SimpleString(dense ? "dense" : "sparse");
  } else if (EqualsIgnoreCase(what, "todense")) {
    if (!dense && MakeDense(context, entry) == nullptr) return context.Fail(kHyperLogLogCorrupted);
    context.reply().Integer(dense ? 0 : 1);
  } else {
    return context.Fail("ERR Unknown PFDEBUG subcommand '" + std::string(what) + "'");
  }
  return ExecStatus::kDone;
}

ExecStatus CmdPfSelfTest(CommandContext& context) {
  if (!RegistersHold()) return context.Fail("ERR TESTFAILED dense registers do not hold");
  const uint64_t sparse_bytes_max =
      context.engine().settings().hll_sparse_bytes_max.load(std::memory_order_relaxed);
  if (!EstimatesHold(sparse_bytes_max))
    return context.Fail("ERR TESTFAILED estimates are too far off");
  context.reply().Ok();
  return ExecStatus::kDone;
}

}  // namespace tidegate
