// CLIENT: connections looking at themselves and at each other. Those of other workers are asked for
// with a gathering (session_command.h), so that no connection is ever touched by a foreign thread.
#include <algorithm>
#include <limits>
#include <numeric>

#include "proxy/commands/authentication.h"
#include "proxy/commands/client_filter.h"
#include "proxy/commands/client_info.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kClientHelp[] = {
    "GETNAME",
    "    The name of this connection.",
    "GETREDIR",
    "    The connection that gets this one's invalidation messages; -1: none.",
    "ID",
    "    The number of this connection.",
    "INFO",
    "    What is known about this connection.",
    "KILL <ip:port>",
    "    Close the connection from that address.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close all connections that fit. Options:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "    * USER <username>",
    "    * ID <client-id>",
    "    * SKIPME (YES|NO)",
    "      Spare this connection (default: yes).",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|ID <client-id> ...]",
    "    What is known about the connections.",
    "NO-EVICT (ON|OFF)",
    "    Do not close this connection to save memory.",
    "NO-TOUCH (ON|OFF)",
    "    Let commands of this connection leave LRU and LFU alone.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold back commands, or writes alone, for a number of milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Which commands of this connection get a reply.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Tell which library the client uses.",
    "SETNAME <name>",
    "    Name this connection.",
    "TRACKINGINFO",
    "    Whether and how this connection tracks keys.",
    "UNBLOCK <client-id> [TIMEOUT|ERROR]",
    "    End the wait of a connection in a blocking command.",
    "UNPAUSE",
    "    End a pause.",
};

ExecStatus CmdClientHelp(SessionCommand& c) { return ReplyHelp(c, kClientHelp); }

ExecStatus CmdClientGetName(SessionCommand& c) {
  if (c.session().name().empty()) {
    c.reply().Null();
  } else {
    c.reply().Bulk(c.session().name());
  }
  return ExecStatus::kDone;
}

ExecStatus CmdClientSetName(SessionCommand& c) {
  return SetClientName(c, c.arg(2)) ? c.Ok() : ExecStatus::kDone;
}

ExecStatus CmdClientSetInfo(SessionCommand& c) {
  const bool is_name = EqualsIgnoreCase(c.arg(2), "lib-name");
  if (!is_name && !EqualsIgnoreCase(c.arg(2), "lib-ver")) {
    return c.Fail("ERR Unrecognized option '" + std::string(c.arg(2)) + "'");
  }
  if (!IsPrintableWord(c.arg(3))) {
    return c.Fail("ERR " + ToLowerAscii(c.arg(2)) +
                  " cannot contain spaces, newlines or special characters.");
  }
  if (is_name) {
    c.session().set_library_name(c.arg(3));
  } else {
    c.session().set_library_version(c.arg(3));
  }
  return c.Ok();
}

ExecStatus CmdClientId(SessionCommand& c) {
  c.reply().Integer(static_cast<int64_t>(c.session().id()));
  return ExecStatus::kDone;
}

// Bytes of the command as RESP.
size_t RequestBytes(const SessionCommand& c) {
  constexpr size_t kFrame = sizeof("$\r\n\r\n") - 1;
  size_t bytes = sizeof("*\r\n") - 1 + ToText(static_cast<int64_t>(c.argc())).size();
  for (const std::string_view arg : c.args()) {
    bytes += kFrame + ToText(static_cast<int64_t>(arg.size())).size() + arg.size();
  }
  return bytes;
}

ExecStatus CmdClientInfo(SessionCommand& c) {
  return ReplyText(c, ClientInfoLine(c.session(), c.now_ms(), RequestBytes(c)) + "\n");
}

// No connection tracks keys.
ExecStatus CmdClientGetRedir(SessionCommand& c) {
  c.reply().Integer(-1);
  return ExecStatus::kDone;
}

ExecStatus CmdClientTrackingInfo(SessionCommand& c) {
  ReplyWriter& reply = c.reply();
  reply.Map(3);
  reply.Bulk("flags");
  reply.Set(1);
  reply.Bulk("off");
  reply.Bulk("redirect");
  reply.Integer(-1);
  reply.Bulk("prefixes");
  reply.Array(0);
  return ExecStatus::kDone;
}

struct IdAndLine {
  uint64_t id;
  std::string line;
};
using ClientLines = std::vector<IdAndLine>;

// Those that CLIENT LIST shows, out of all that fit, which are sorted. Clients asked for by their
// ids come in the order of asking, and as often.
std::vector<const IdAndLine*> AskedFor(const SessionCommand& c, const ClientLines& sorted) {
  std::vector<const IdAndLine*> asked;
  if (c.argc() <= 3 || !EqualsIgnoreCase(c.arg(2), "id")) {
    for (const IdAndLine& entry : sorted) asked.push_back(&entry);
    return asked;
  }
  for (const std::string_view word : c.args().subspan(3)) {
    const auto id = static_cast<uint64_t>(ParseInt64(word).value_or(0));
    const auto found =
        std::lower_bound(sorted.begin(), sorted.end(), id,
                         [](const IdAndLine& entry, uint64_t wanted) { return entry.id < wanted; });
    if (found != sorted.end() && found->id == id) asked.push_back(&*found);
  }
  return asked;
}

ExecStatus CmdClientList(SessionCommand& c) {
  auto* gathered = c.Gathered<ClientLines>();
  if (gathered == nullptr) {
    if (c.resumed()) return c.Suspend();
    std::optional<ClientFilter> filter = ParseListFilter(c);
    if (!filter) return ExecStatus::kDone;
    return c.Gather<ClientLines>([filter = *filter, now_ms = c.now_ms()](Worker& worker) {
      ClientLines lines;
      worker.ForEachSession([&](Session& session) {
        if (filter.Accepts(session)) {
          lines.push_back({session.id(), ClientInfoLine(session, now_ms)});
        }
      });
      return lines;
    });
  }
  ClientLines all;
  for (ClientLines& lines : *gathered)
    std::move(lines.begin(), lines.end(), std::back_inserter(all));
  std::sort(all.begin(), all.end(),
            [](const IdAndLine& a, const IdAndLine& b) { return a.id < b.id; });
  std::string text;
  for (const IdAndLine* entry : AskedFor(c, all)) text += entry->line + "\n";
  return ReplyText(c, text);
}

struct Killed {
  int64_t others = 0;
  bool own = false;
};

ExecStatus CmdClientKill(SessionCommand& c) {
  auto* gathered = c.Gathered<Killed>();
  if (gathered == nullptr) {
    if (c.resumed()) return c.Suspend();
    std::optional<ClientFilter> filter = ParseKillFilter(c);
    if (!filter) return ExecStatus::kDone;
    return c.Gather<Killed>([filter = *filter, own = c.session().id()](Worker& worker) {
      Killed killed;
      worker.ForEachSession([&](Session& session) {
        if (!filter.Accepts(session)) return;
        if (session.id() == own) {
          killed.own = true;
        } else {
          session.Kill();
          ++killed.others;
        }
      });
      return killed;
    });
  }
  int64_t count = 0;
  bool own = false;
  for (const Killed& killed : *gathered) {
    count += killed.others + (killed.own ? 1 : 0);
    own |= killed.own;
  }
  if (own) c.session().CloseAfterReply();
  if (c.argc() == 3) return count == 0 ? c.Fail("ERR No such client") : c.Ok();
  c.reply().Integer(count);
  return ExecStatus::kDone;
}

// ON or OFF at argument 2; nothing after the error reply.
std::optional<bool> SwitchArg(SessionCommand& c) {
  if (EqualsIgnoreCase(c.arg(2), "on")) return true;
  if (EqualsIgnoreCase(c.arg(2), "off")) return false;
  c.Fail(errors::kSyntax);
  return std::nullopt;
}

ExecStatus CmdClientNoEvict(SessionCommand& c) {
  const std::optional<bool> on = SwitchArg(c);
  if (!on) return ExecStatus::kDone;
  c.session().set_no_evict(*on);
  return c.Ok();
}

ExecStatus CmdClientNoTouch(SessionCommand& c) {
  const std::optional<bool> on = SwitchArg(c);
  if (!on) return ExecStatus::kDone;
  c.session().client().no_touch = *on;
  return c.Ok();
}

ExecStatus CmdClientReply(SessionCommand& c) {
  Session& session = c.session();
  if (EqualsIgnoreCase(c.arg(2), "on")) {
    session.set_reply_mode(ReplyMode::kOn);
    return c.Ok();
  }
  if (EqualsIgnoreCase(c.arg(2), "off")) {
    session.set_reply_mode(ReplyMode::kOff);
  } else if (!EqualsIgnoreCase(c.arg(2), "skip")) {
    return c.Fail(errors::kSyntax);
  } else if (session.reply_mode() != ReplyMode::kOff) {
    session.set_reply_mode(ReplyMode::kSkipNext);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdClientPause(SessionCommand& c) {
  PauseMode mode = PauseMode::kAll;
  if (c.argc() > 4) return FailSubcommand(c);
  if (c.argc() == 4 && EqualsIgnoreCase(c.arg(3), "write")) {
    mode = PauseMode::kWrite;
  } else if (c.argc() == 4 && !EqualsIgnoreCase(c.arg(3), "all")) {
    return c.Fail("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  const auto timeout_ms = c.IntegerArg(2, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return ExecStatus::kDone;
  if (*timeout_ms < 0) return c.Fail("ERR timeout is negative");
  if (*timeout_ms > std::numeric_limits<int64_t>::max() - c.now_ms()) {
    return c.Fail("ERR timeout is out of range");
  }
  c.server().BeginPause(mode, c.now_ms(), c.now_ms() + *timeout_ms);
  return c.Ok();
}

ExecStatus CmdClientUnpause(SessionCommand& c) {
  c.server().EndPause();
  return c.Ok();
}

ExecStatus CmdClientUnblock(SessionCommand& c) {
  auto* gathered = c.Gathered<int64_t>();
  if (gathered == nullptr) {
    if (c.resumed()) return c.Suspend();
    ClientState::Unblock how = ClientState::Unblock::kTimeout;
    if (c.argc() > 4) return FailSubcommand(c);
    if (c.argc() == 4 && EqualsIgnoreCase(c.arg(3), "error")) {
      how = ClientState::Unblock::kError;
    } else if (c.argc() == 4 && !EqualsIgnoreCase(c.arg(3), "timeout")) {
      return c.Fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    }
    const auto id = c.IntegerArg(2);
    if (!id) return ExecStatus::kDone;
    return c.Gather<int64_t>([id = static_cast<uint64_t>(*id), how](Worker& worker) {
      Session* session = worker.FindSession(id);
      return session != nullptr && session->Unblock(how) ? 1 : 0;
    });
  }
  c.reply().Integer(std::accumulate(gathered->begin(), gathered->end(), int64_t{0}));
  return ExecStatus::kDone;
}

constexpr uint32_t kAnyClient = kNoScript | kLoading | kStale;
constexpr uint32_t kAdminClient = kAdmin | kNoScript | kLoading | kStale;

constexpr CommandSpec kClientSubcommands[] = {
    {.name = "GETNAME",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "2.6.9",
     .complexity = "O(1)",
     .summary = "The name of the connection.",
     .session_handler = CmdClientGetName},
    {.name = "GETREDIR",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "The connection that gets invalidation messages.",
     .session_handler = CmdClientGetRedir},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kConnection,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of CLIENT.",
     .session_handler = CmdClientHelp},
    {.name = "ID",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The number of the connection.",
     .session_handler = CmdClientId},
    {.name = "INFO",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "What is known about the connection.",
     .session_handler = CmdClientInfo,
     .tips = "nondeterministic_output"},
    {.name = "KILL",
     .arity = AtLeast(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient | kMaySuspend,
     .group = Group::kConnection,
     .since = "2.4.0",
     .complexity = "O(N) in the number of connections",
     .summary = "Closes connections.",
     .session_handler = CmdClientKill},
    {.name = "LIST",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient | kMaySuspend,
     .group = Group::kConnection,
     .since = "2.4.0",
     .complexity = "O(N) in the number of connections",
     .summary = "What is known about the connections.",
     .session_handler = CmdClientList,
     .tips = "nondeterministic_output"},
    {.name = "NO-EVICT",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient,
     .group = Group::kConnection,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Spares the connection when memory for clients runs out.",
     .session_handler = CmdClientNoEvict},
    {.name = "NO-TOUCH",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Lets commands leave LRU and LFU alone.",
     .session_handler = CmdClientNoTouch},
    {.name = "PAUSE",
     .arity = AtLeast(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient,
     .group = Group::kConnection,
     .since = "2.9.50",
     .complexity = "O(1)",
     .summary = "Holds back the commands of all clients for a time.",
     .session_handler = CmdClientPause},
    {.name = "REPLY",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "3.2.0",
     .complexity = "O(1)",
     .summary = "Which commands get a reply.",
     .session_handler = CmdClientReply},
    {.name = "SETINFO",
     .arity = Exactly(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Tells which library the client uses.",
     .session_handler = CmdClientSetInfo},
    {.name = "SETNAME",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "2.6.9",
     .complexity = "O(1)",
     .summary = "Names the connection.",
     .session_handler = CmdClientSetName},
    {.name = "TRACKINGINFO",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAnyClient,
     .group = Group::kConnection,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Whether and how the connection tracks keys.",
     .session_handler = CmdClientTrackingInfo},
    {.name = "UNBLOCK",
     .arity = AtLeast(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient | kMaySuspend,
     .group = Group::kConnection,
     .since = "5.0.0",
     .complexity = "O(log N) in the number of connections",
     .summary = "Ends the wait of a blocked connection.",
     .session_handler = CmdClientUnblock},
    {.name = "UNPAUSE",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminClient,
     .group = Group::kConnection,
     .since = "6.2.0",
     .complexity = "O(N) in the number of paused connections",
     .summary = "Ends a pause.",
     .session_handler = CmdClientUnpause},
};

constexpr CommandSpec kClientCommands[] = {
    {.name = "CLIENT",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kConnection,
     .since = "2.4.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about connections.",
     .subcommands = kClientSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kClientCommands));
const std::span<const CommandSpec> kClientFamily = kClientCommands;

}  // namespace tidegate
