#include "storage/rdb/rdb_file_reader.h"

#include <cstdio>
#include <utility>

#include "base/text.h"
#include "storage/rdb/rdb_value_reader.h"

namespace tidegate::rdb {
namespace {

// Parts after which somebody may look at the clock.
constexpr uint64_t kPartsPerProgress = 1024;
// Of a key, in an error.
constexpr size_t kKeyBytesShownMax = 128;

std::string Hex(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

std::string ModuleName(uint64_t id) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name;
  for (int shift = 58; shift >= 10; shift -= 6) name.push_back(kAlphabet[(id >> shift) & 63]);
  return name;
}

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kString:
      return "string";
    case Type::kList:
    case Type::kListZiplist:
    case Type::kListQuicklist:
    case Type::kListQuicklist2:
      return "list";
    case Type::kSet:
    case Type::kSetIntset:
    case Type::kSetListpack:
      return "set";
    case Type::kSortedSet:
    case Type::kSortedSet2:
    case Type::kSortedSetZiplist:
    case Type::kSortedSetListpack:
      return "sorted set";
    case Type::kHash:
    case Type::kHashZipmap:
    case Type::kHashZiplist:
    case Type::kHashListpack:
    case Type::kHashMetadata:
    case Type::kHashListpackExpiring:
      return "hash";
    case Type::kStreamListpacks:
    case Type::kStreamListpacks2:
    case Type::kStreamListpacks3:
      return "stream";
    case Type::kModule:
    case Type::kModule2:
      return "module";
  }
  return "";
}

RdbFileReader::RdbFileReader(const InputFile& file, FileVisitor& visitor, const Options& options)
    : file_(file),
      visitor_(visitor),
      options_(options),
      source_(file, options.check_sum),
      in_(source_) {}

Error RdbFileReader::Fail(std::string_view what) const {
  if (!source_.status().ok()) return source_.status().error();
  return Error{file_.path() + ": offset " + std::to_string(offset()) + ": " + std::string(what)};
}

Result<RdbFileReader::Summary> RdbFileReader::Read() {
  TG_RETURN_IF_ERROR(ReadHeader());
  TG_RETURN_IF_ERROR(ReadParts());
  if (summary_.version >= kVersionOfChecksum) TG_RETURN_IF_ERROR(ReadChecksum());
  summary_.end_offset = offset();
  visitor_.OnProgress(summary_.end_offset);
  return summary_;
}

Status RdbFileReader::ReadHeader() {
  const std::string_view header = in_.Raw(kHeaderBytes);
  if (!in_.ok() || header.substr(0, kMagic.size()) != kMagic)
    return Fail("this is no RDB file: it does not begin with REDIS");
  int version = 0;
  for (const char digit : header.substr(kMagic.size())) {
    if (digit < '0' || digit > '9') return Fail("this is no RDB file: it has no version");
    version = version * 10 + (digit - '0');
  }
  if (version < 1) return Fail("this is no RDB file: it has no version");
  if (version > kVersionMax) {
    return Fail("RDB version " + std::to_string(version) + " is newer than " +
                std::to_string(kVersionMax) + ", the newest that can be read");
  }
  summary_.version = static_cast<uint16_t>(version);
  return {};
}

Status RdbFileReader::ReadParts() {
  for (;;) {
    if (++parts_ % kPartsPerProgress == 0) visitor_.OnProgress(offset());
    const uint8_t first = in_.Byte();
    if (!in_.ok()) return Fail("the file ends early: there is no end mark");
    Result<bool> end = ReadPart(first);
    if (!end.ok()) return std::move(end).error();
    if (!in_.ok()) return Fail("the file ends early, or is broken");
    if (*end) return {};
  }
}

Result<bool> RdbFileReader::ReadPart(uint8_t first) {
  switch (static_cast<Opcode>(first)) {
    case Opcode::kEnd:
      return true;
    case Opcode::kExpireMillis:
      key_.expire_at_ms = static_cast<int64_t>(in_.Fixed64());
      return false;
    case Opcode::kExpireSeconds:
      key_.expire_at_ms = int64_t{static_cast<int32_t>(in_.Fixed32())} * 1000;
      return false;
    case Opcode::kIdle:
      key_.idle_seconds = static_cast<int64_t>(in_.Length());
      return false;
    case Opcode::kFrequency:
      key_.frequency = in_.Byte();
      return false;
    case Opcode::kSelectDb:
      TG_RETURN_IF_ERROR(SelectDb());
      return false;
    case Opcode::kResizeDb: {
      const uint64_t keys = in_.Length();
      const uint64_t expiring = in_.Length();
      if (in_.ok()) visitor_.OnSizes(key_.db, keys, expiring);
      return false;
    }
    case Opcode::kAux: {
      const std::string_view name = in_.String(key_scratch_);
      const std::string_view text = in_.String(scratch_);
      if (in_.ok()) visitor_.OnAux(name, text);
      return false;
    }
    case Opcode::kFunction: {
      const std::string_view code = in_.String(scratch_);
      if (in_.ok()) visitor_.OnFunctions(code);
      return false;
    }
    case Opcode::kFunctionPreview:
      return Fail("functions of a release candidate of Redis 7.0, whose form was never released");
    case Opcode::kModuleAux:
      TG_RETURN_IF_ERROR(ReadModuleAux());
      return false;
    case Opcode::kSlotInfo:
      for (int i = 0; i < 3; ++i) (void)in_.Length();
      return false;
  }
  TG_RETURN_IF_ERROR(ReadKey(static_cast<Type>(first)));
  return false;
}

Status RdbFileReader::SelectDb() {
  const uint64_t db = in_.Length();
  if (!in_.ok()) return {};
  if (db >= static_cast<uint64_t>(options_.databases)) {
    return Fail("database " + std::to_string(db) + ", where there are " +
                std::to_string(options_.databases) + "; `databases` says how many");
  }
  key_.db = static_cast<int>(db);
  return {};
}

Status RdbFileReader::ReadModuleAux() {
  const uint64_t id = in_.Length();
  (void)in_.Length();  // what kind of number follows
  (void)in_.Length();  // before or behind the keys
  if (!SkipModuleParts(in_)) return Fail("broken data of the module " + ModuleName(id));
  visitor_.OnModuleAux(ModuleName(id));
  return {};
}

Status RdbFileReader::ReadKey(Type type) {
  if (TypeName(type).empty()) {
    return Fail("a value of the unknown type " + std::to_string(static_cast<int>(type)));
  }
  key_.name = in_.String(key_scratch_);
  if (!in_.ok()) return {};
  Status status = visitor_.OnKey(key_, type, in_);
  if (!status.ok()) {
    std::string context = "key ";
    AppendQuoted(context, key_.name.substr(0, kKeyBytesShownMax));
    // Bytes that are not there make it broken too.
    const std::string_view end = in_.ok() ? "" : ", or the file ends early";
    return Fail(std::move(status).error().WithContext(context).message.append(end));
  }
  key_ = {.db = key_.db, .name = {}};
  return {};
}

Status RdbFileReader::ReadChecksum() {
  const uint64_t computed = source_.Checksum(in_.unread());
  const uint64_t told = in_.Fixed64();
  if (!in_.ok()) return Fail("the file ends early: there is no checksum");
  if (told == 0 || !options_.check_sum) return {};
  if (told != computed) {
    return Fail("wrong checksum: the file says " + Hex(told) + ", its bytes have " + Hex(computed));
  }
  summary_.sum_checked = true;
  return {};
}

}  // namespace tidegate::rdb
