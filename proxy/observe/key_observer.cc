#include "proxy/observe/key_observer.h"

#include <algorithm>

#include "proxy/observe/key_costs.h"

namespace tidegate {

// Several keys, or costs are added up as well.
void KeyObserver::AnsweredOtherwise(const Request& request, const Asked& asked,
                                    const Answer& answer) {
  const size_t count = CountedKeys(request);
  if (count == 0) return;
  if (costs_ != nullptr) {
    costs_->Add(request, count, asked.keyspace,
                {.nanos = static_cast<uint64_t>(std::max<int64_t>(answer.nanos, 0)),
                 .bytes = EncodedBytes(request) + answer.bytes});
  }
  if (!finds_hot_) return;
  const uint64_t bytes = answer.bytes / request.keys.size();
  for (const KeyRef& key : request.keys.first(count))
    recorder_.NoteAnswered(AccessOf(request, key, asked), bytes, answer.missed);
}

// The time of what is forwarded passes elsewhere.
void KeyObserver::NoteRequestCosts(const Request& request, const Asked& asked) {
  costs_->Add(request, CountedKeys(request), asked.keyspace,
              {.nanos = 0, .bytes = EncodedBytes(request)});
}

void KeyObserver::Replied(const Command& command, std::span<const hotkey::KeyId> keys,
                          std::string_view name, const Asked& asked, const Answer& answer) {
  if (keys.empty()) return;
  const uint64_t bytes = keys.size() == 1 ? answer.bytes : answer.bytes / keys.size();
  for (const hotkey::KeyId id : keys) {
    if (costs_ != nullptr) costs_->AddReply(id, {.nanos = 0, .bytes = bytes});
    if (!finds_hot_) continue;
    recorder_.NoteReply({.id = id,
                         .keyspace = asked.keyspace,
                         .name = name,
                         .is_write = IsWrite(command),
                         .client = asked.client},
                        bytes, answer.missed);
  }
}

bool SaysNothingIsThere(std::string_view reply) {
  if (reply.size() > 1 && reply[0] == '$' && reply[1] != '-') return false;
  constexpr std::string_view kNulls[] = {"$-1\r\n", "_\r\n", "*-1\r\n"};
  if (reply.starts_with('*') && !reply.starts_with("*-1") && !reply.starts_with("*0"))
    reply.remove_prefix(std::min(reply.find('\n'), reply.size() - 1) + 1);
  if (reply.empty()) return false;
  while (!reply.empty()) {
    bool is_null = false;
    for (const std::string_view null : kNulls) {
      if (!reply.starts_with(null)) continue;
      reply.remove_prefix(null.size());
      is_null = true;
      break;
    }
    if (!is_null) return false;
  }
  return true;
}

}  // namespace tidegate
