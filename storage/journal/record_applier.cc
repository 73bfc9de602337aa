#include "storage/journal/record_applier.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

// Of a name in an error's text.
constexpr size_t kNameBytesShown = 64;

// Times that one command is executed, before it counts as one that never ends.
constexpr int kTriesMax = 1000;

class LoadingScope final {
 public:
  LoadingScope(Engine& engine, EngineThread& thread) : engine_(engine), thread_(thread) {
    engine_.SetLoading(thread_, true);
  }
  ~LoadingScope() { engine_.SetLoading(thread_, false); }
  LoadingScope(const LoadingScope&) = delete;
  LoadingScope& operator=(const LoadingScope&) = delete;

 private:
  Engine& engine_;
  EngineThread& thread_;
};

Error NoSuchEffect(std::string_view name) {
  std::string text = "a record of effects names no command on data: ";
  AppendQuoted(text, name.substr(0, kNameBytesShown));
  return Error{std::move(text)};
}

}  // namespace

void RecordApplier::NoteSizes() {
  sizes_.clear();
  for (const DbCounters& db : thread_.dbs) sizes_.emplace_back(db.keys.value(), db.expires.value());
}

// By what the record says, for a key that was overwritten unseen looked like a new one.
void RecordApplier::SetSizes(const std::vector<EffectCounts>& counts) {
  if (counts_are_void_) return;
  for (size_t db = 0; db < sizes_.size(); ++db) {
    DbCounters& now = thread_.dbs[db];
    auto [keys, expires] = sizes_[db];
    for (const EffectCounts& count : counts) {
      if (static_cast<size_t>(count.db) != db) continue;
      keys += count.keys;
      expires += count.expires;
    }
    now.keys.Add(keys - now.keys.value());
    now.expires.Add(expires - now.expires.value());
  }
}

// Such a record has no counts to go by.
bool RecordApplier::DropsOrSwaps(std::string_view record) {
  EffectReader reader(record);
  for (;;) {
    const Result<bool> more = reader.Next(effect_);
    if (!more.ok() || !more.value()) return false;
    const Command* command = table_.Find(effect_.args[0]);
    if (command != nullptr && command->spec->scope == Scope::kWholeKeyspace) return true;
  }
}

bool RecordApplier::Overwrites(const CommandSpec& spec, std::span<const std::string_view> args) {
  const std::string_view name = spec.name;
  if (name == "SET") {
    return std::none_of(args.begin() + 3, args.end(), [](std::string_view word) {
      return EqualsIgnoreCase(word, "KEEPTTL") || EqualsIgnoreCase(word, "GET");
    });
  }
  return name == "DEL" || name == "UNLINK" || name == "MSET";
}

bool RecordApplier::SizesAgree(const std::vector<EffectCounts>& counts) {
  for (const EffectCounts& count : counts) {
    if (static_cast<size_t>(count.db) >= sizes_.size()) return false;
    sizes_[static_cast<size_t>(count.db)].first += count.keys;
    sizes_[static_cast<size_t>(count.db)].second += count.expires;
  }
  for (size_t db = 0; db < sizes_.size(); ++db) {
    const DbCounters& now = thread_.dbs[db];
    if (sizes_[db] != std::pair(now.keys.value(), now.expires.value())) return false;
  }
  return true;
}

Status RecordApplier::Apply(std::string_view record, int64_t now_ms) {
  const LoadingScope loading(engine_, thread_);
  NoteSizes();
  counts_are_void_ = false;
  was_blind_ = false;
  may_be_blind_ = engine_.IsCold() && !DropsOrSwaps(record);
  EffectReader reader(record);
  for (;;) {
    const Result<bool> more = reader.Next(effect_);
    if (!more.ok()) return more.error();
    if (!more.value()) break;
    TG_RETURN_IF_ERROR(ApplyCommand(effect_, now_ms));
  }
  if (was_blind_) {
    SetSizes(reader.counts());
    thread_.dead_objects.insert(thread_.dead_objects.end(), reader.objects().begin(),
                                reader.objects().end());
  } else if (!counts_are_void_ && !SizesAgree(reader.counts())) {
    ++miscounted_;
  }
  return {};
}

Result<const Command*> RecordApplier::Resolve(const EffectCommand& effect) const {
  const Command* command = table_.Find(effect.args[0]);
  if (command != nullptr && command->is_container() && effect.args.size() > 1)
    command = CommandTable::FindSubcommand(*command, effect.args[1]);
  if (command == nullptr || command->is_container()) return NoSuchEffect(effect.args[0]);
  // A handler of the engine, reads among them (PFCOUNT keeps its count in the value); and nothing
  // that waits, which would be for ever.
  const CommandSpec& spec = *command->spec;
  const bool on_data = spec.handler != nullptr && spec.access != Access::kNone;
  if (!on_data || (spec.flags & kBlocking) != 0) return NoSuchEffect(effect.args[0]);
  if (!command->spec->arity.Accepts(effect.args.size()))
    return Error{"a record of effects has a wrong number of arguments for " + command->full_name};
  return command;
}

Status RecordApplier::ApplyCommand(const EffectCommand& effect, int64_t now_ms) {
  const Result<const Command*> command = Resolve(effect);
  if (!command.ok()) return command.error();
  if (effect.db >= engine_.databases()) {
    return Error{"a record of effects is about database " + std::to_string(effect.db) +
                 ", and there are only " + std::to_string(engine_.databases())};
  }
  client_.db = effect.db;
  counts_are_void_ |= command.value()->spec->scope == Scope::kWholeKeyspace;
  key_arguments_.clear();
  keys_.clear();
  const CommandSpec& spec = *command.value()->spec;
  if (!FindKeyArguments(spec, effect.args, key_arguments_))
    return Error{"a record of effects names no keys for " + command.value()->full_name};
  for (const int position : key_arguments_)
    keys_.push_back(KeyRef::Of(effect.args[static_cast<size_t>(position)]));
  const Request request{.command = command.value(), .args = effect.args, .keys = keys_};
  if (may_be_blind_ && Overwrites(spec, effect.args))
    was_blind_ |= engine_.ForgoReading(thread_, effect.db, keys_);
  return Execute(request, now_ms);
}

Status RecordApplier::Execute(const Request& request, int64_t now_ms) {
  ExecStatus status = ExecStatus::kSuspended;
  for (int tries = 0; status == ExecStatus::kSuspended; ++tries) {
    if (tries == kTriesMax) {
      engine_.Cancel(thread_, client_);
      return Error{"an effect cannot be carried out: " + request.command->full_name};
    }
    engine_.BeginBatch(thread_, now_ms);
    status = engine_.Execute(thread_, request, client_, reply_);
    engine_.EndBatch(thread_);
  }
  OutputBuffer::Piece piece{};
  const bool failed = out_.Peek(&piece, 1) == 1 && piece.data[0] == '-';
  std::string text = failed ? std::string(piece.data, piece.size) : std::string();
  out_.Clear();
  if (!failed) return {};
  text.erase(std::min(text.find('\r'), text.size()));
  return Error{"an effect does not fit the data: " + request.command->full_name + ": " + text};
}

}  // namespace tidegate
