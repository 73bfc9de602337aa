#include "proxy/commands/client_info.h"

#include "base/text.h"
#include "storage/command.h"

namespace tidegate {
namespace {

class FieldWriter final {
 public:
  FieldWriter& Text(std::string_view name, std::string_view value) {
    if (!line_.empty()) line_ += ' ';
    line_ += name;
    line_ += '=';
    line_ += value;
    return *this;
  }
  FieldWriter& Number(std::string_view name, int64_t value) { return Text(name, ToText(value)); }
  FieldWriter& Size(std::string_view name, size_t value) {
    return Number(name, static_cast<int64_t>(value));
  }
  std::string Take() { return std::move(line_); }

 private:
  std::string line_;
};

}  // namespace

std::string ClientInfoLine(const Session& session, int64_t now_ms, size_t request_bytes) {
  const SessionSizes sizes = session.Sizes();
  const Command* last = session.last_command();
  FieldWriter line;
  line.Number("id", static_cast<int64_t>(session.id()))
      .Text("addr", session.peer_address())
      .Text("laddr", session.local_address())
      .Number("fd", session.fd())
      .Text("name", session.name())
      .Number("age", (now_ms - session.created_ms()) / 1000)
      .Number("idle", (now_ms - session.last_interaction_ms()) / 1000)
      .Text("flags", session.FlagLetters())
      .Number("db", session.client().db)
      .Size("sub", session.SubscriptionsOfKind(SubscriptionKind::kChannel))
      .Size("psub", session.SubscriptionsOfKind(SubscriptionKind::kPattern))
      .Size("ssub", session.SubscriptionsOfKind(SubscriptionKind::kShardChannel))
      .Number("multi", session.transaction().open()
                           ? static_cast<int64_t>(session.transaction().size())
                           : -1)
      .Size("qbuf", sizes.input_bytes + request_bytes)
      .Size("qbuf-free", sizes.input_free_bytes)
      .Size("argv-mem", sizes.arguments_bytes)
      .Size("multi-mem", session.transaction().memory_bytes())
      .Number("rbs", 0)
      .Number("rbp", 0)
      .Number("obl", 0)
      .Size("oll", sizes.output_blocks)
      .Size("omem", sizes.output_memory_bytes)
      .Size("tot-mem", sizes.total_bytes)
      .Text("events", sizes.output_bytes > 0 ? "rw" : "r")
      .Text("cmd", last == nullptr ? std::string_view("NULL") : last->full_name)
      .Text("user", session.user())
      .Number("redir", -1)
      .Number("resp", static_cast<int64_t>(session.protocol()))
      .Text("lib-name", session.library_name())
      .Text("lib-ver", session.library_version());
  return line.Take();
}

}  // namespace tidegate
