#include "proxy/resp/request_batch.h"

namespace tidegate {
namespace {

// Entries to begin with: 128 commands of 8 arguments.
constexpr size_t kArgumentsInitial = 1024;
constexpr size_t kKeysInitial = 256;

// Moves views of an array that grew to the array's new place.
template <typename T>
std::span<const T> Rebase(std::span<const T> view, const T* from, const T* to) {
  if (view.empty()) return view;
  return {to + (view.data() - from), view.size()};
}

// The sub-command that is meant; a container alone is a command only when it has a handler
// (COMMAND).
const Command* Resolve(const Command& container, std::span<const std::string_view> args) {
  if (args.size() > 1) return CommandTable::FindSubcommand(container, args[1]);
  const bool callable =
      container.spec->session_handler != nullptr || container.spec->handler != nullptr;
  return callable ? &container : nullptr;
}

}  // namespace

RequestBatch::RequestBatch()
    : requests_(kBatchRequestsMax),
      ends_(kBatchRequestsMax),
      args_(kArgumentsInitial),
      keys_(kKeysInitial) {}

void RequestBatch::Clear() {
  count_ = 0;
  args_used_ = 0;
  open_first_ = 0;
  keys_used_ = 0;
  consumed_ = 0;
  if (!kept_.empty()) kept_.clear();
  if (args_.size() > kBatchArgumentsKept)
    std::vector<std::string_view>(kArgumentsInitial).swap(args_);
  if (keys_.size() > kBatchArgumentsKept) std::vector<KeyRef>(kKeysInitial).swap(keys_);
}

void RequestBatch::Close(const CommandTable& commands, size_t end) {
  const std::span<const std::string_view> args = open();
  const Command* command = commands.Find(args[0]);
  if (command != nullptr && command->is_container()) command = Resolve(*command, args);
  CloseAs(command, end);
}

void RequestBatch::CloseAs(const Command* command, size_t end) {
  Request& request = requests_[count_];
  ends_[count_] = end;
  ++count_;
  const std::span<const std::string_view> args = open();
  open_first_ = args_used_;
  request.args = args;
  request.keys = {};
  request.command = command;
  if (command == nullptr || !command->spec->arity.Accepts(args.size())) return;
  const CommandSpec& spec = *command->spec;
  const size_t first = keys_used_;
  if (spec.find_keys == nullptr && spec.keys.first == spec.keys.last) {
    if (spec.keys.first <= 0) return;
    AddKey(args[static_cast<size_t>(spec.keys.first)]);
  } else {
    FindKeys(spec, args);
  }
  request.keys = {keys_.data() + first, keys_used_ - first};
}

void RequestBatch::FindKeys(const CommandSpec& spec, std::span<const std::string_view> args) {
  key_indexes_.clear();
  if (!FindKeyArguments(spec, args, key_indexes_)) return;  // the handler has its own error
  for (const int index : key_indexes_) AddKey(args[static_cast<size_t>(index)]);
}

void RequestBatch::GrowArgs() {
  std::vector<std::string_view> bigger(args_.size() * 2);
  std::copy(args_.begin(), args_.end(), bigger.begin());
  for (size_t i = 0; i < count_; ++i) {
    requests_[i].args = Rebase<std::string_view>(requests_[i].args, args_.data(), bigger.data());
  }
  args_.swap(bigger);
}

void RequestBatch::GrowKeys() {
  std::vector<KeyRef> bigger(keys_.size() * 2);
  std::copy(keys_.begin(), keys_.end(), bigger.begin());
  for (size_t i = 0; i < count_; ++i) {
    requests_[i].keys = Rebase<KeyRef>(requests_[i].keys, keys_.data(), bigger.data());
  }
  keys_.swap(bigger);
}

}  // namespace tidegate
