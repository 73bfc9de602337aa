// Commands that a connection begins and ends with: HELLO, AUTH, SELECT, PING, ECHO, RESET, QUIT.
#include <limits>

#include "base/constant_time.h"
#include "proxy/commands/authentication.h"
#include "proxy/commands/families.h"
#include "proxy/commands/version.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"
#include "storage/persistence.h"

namespace tidegate {

bool IsPrintableWord(std::string_view text) {
  for (const char c : text) {
    if (c < '!' || c > '~') return false;
  }
  return true;
}

bool SetClientName(SessionCommand& c, std::string_view name) {
  if (!IsPrintableWord(name)) {
    c.Fail("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  c.session().set_name(name);
  return true;
}

namespace {

constexpr std::string_view kDefaultUser = "default";

}  // namespace

bool Authenticate(SessionCommand& c, std::string_view user, std::string_view password) {
  const std::string& secret = c.options().requirepass;
  const bool right =
      user == kDefaultUser && (secret.empty() || EqualsInConstantTime(secret, password));
  if (right) {
    c.session().set_authenticated(true);
  } else {
    c.worker().mutable_counters().auth_failures.Add(1);
  }
  return right;
}

namespace {

ExecStatus CmdAuth(SessionCommand& c) {
  if (c.argc() > 3) return c.Fail(errors::kSyntax);
  if (c.argc() == 2 && c.options().requirepass.empty()) {
    return c.Fail(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  const std::string_view user = c.argc() == 2 ? kDefaultUser : c.arg(1);
  return Authenticate(c, user, c.arg(c.argc() - 1)) ? c.Ok() : c.Fail(kWrongPassword);
}

ExecStatus CmdEcho(SessionCommand& c) {
  c.reply().Bulk(c.arg(1));
  return ExecStatus::kDone;
}

// Reads the options behind the protocol version; false after an error reply.
bool ApplyHelloOptions(SessionCommand& c) {
  for (size_t i = 2; i < c.argc(); ++i) {
    const size_t more = c.argc() - 1 - i;
    if (EqualsIgnoreCase(c.arg(i), "auth") && more >= 2) {
      if (!Authenticate(c, c.arg(i + 1), c.arg(i + 2))) {
        c.Fail(kWrongPassword);
        return false;
      }
      i += 2;
    } else if (EqualsIgnoreCase(c.arg(i), "setname") && more >= 1) {
      if (!SetClientName(c, c.arg(i + 1))) return false;
      ++i;
    } else {
      c.Fail("ERR Syntax error in HELLO option '" + std::string(c.arg(i)) + "'");
      return false;
    }
  }
  return true;
}

void ReplyGreeting(SessionCommand& c) {
  ReplyWriter& reply = c.reply();
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(static_cast<int64_t>(c.session().protocol()));
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(c.session().id()));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
}

// Hides user and password before anything can fail, so that no mistake elsewhere in the command
// shows them.
void RedactHello(SessionCommand& c) {
  for (size_t i = 1; i < c.argc(); ++i) {
    if (!EqualsIgnoreCase(c.arg(i), "auth")) continue;
    for (size_t secret = i + 1; secret < c.argc() && secret <= i + 2; ++secret) c.Redact(secret);
    i += 2;
  }
}

ExecStatus CmdHello(SessionCommand& c) {
  RedactHello(c);
  std::optional<int64_t> version;
  if (c.argc() >= 2) {
    version = c.IntegerArg(1, "ERR Protocol version is not an integer or out of range");
    if (!version) return ExecStatus::kDone;
    if (*version != 2 && *version != 3) return c.Fail("NOPROTO unsupported protocol version");
  }
  if (!ApplyHelloOptions(c)) return ExecStatus::kDone;
  if (c.session().AuthRequired()) {
    return c.Fail(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time");
  }
  if (version) c.session().set_protocol(static_cast<Protocol>(*version));
  ReplyGreeting(c);
  return ExecStatus::kDone;
}

ExecStatus CmdPing(SessionCommand& c) {
  if (c.argc() > 2) return c.Fail(errors::WrongArity("ping"));
  // As Redis: whoever watches a server by PING learns that it takes no writes.
  if (const Persistence* persistence = c.server().persistence();
      persistence != nullptr && persistence->refuses_writes())
    return c.Fail(persistence->refusal());
  if (c.session().subscribed() && c.session().protocol() == Protocol::kResp2) {
    // In the shape of a message, since that is all such a client expects.
    c.reply().Push(2);
    c.reply().Bulk("pong");
    c.reply().Bulk(c.argc() == 1 ? std::string_view() : c.arg(1));
  } else if (c.argc() == 1) {
    c.reply().SimpleString("PONG");
  } else {
    c.reply().Bulk(c.arg(1));
  }
  return ExecStatus::kDone;
}

ExecStatus CmdQuit(SessionCommand& c) {
  c.session().CloseAfterReply();
  return c.Ok();
}

ExecStatus CmdReset(SessionCommand& c) {
  c.session().Reset();
  c.reply().SimpleString("RESET");
  return ExecStatus::kDone;
}

ExecStatus CmdSelect(SessionCommand& c) {
  const std::optional<int64_t> index = c.IntegerArg(1);
  if (!index) return ExecStatus::kDone;
  constexpr int64_t kMin = std::numeric_limits<int>::min();
  constexpr int64_t kMax = std::numeric_limits<int>::max();
  if (*index < kMin || *index > kMax) {
    return c.Fail("ERR value is out of range, value must between " + ToText(kMin) + " and " +
                  ToText(kMax));
  }
  if (*index != 0 && c.session().IsInFrontOfCluster())
    return c.Fail("ERR SELECT is not allowed in cluster mode");
  if (*index < 0 || *index >= c.engine().databases()) return c.Fail(errors::kDbIndexOutOfRange);
  c.session().client().db = static_cast<int>(*index);
  return c.Ok();
}

constexpr uint32_t kBeforeAuth = kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy;

constexpr CommandSpec kConnectionCommands[] = {
    {.name = "AUTH",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kBeforeAuth | kSecretArguments,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Authenticates the connection.",
     .session_handler = CmdAuth},
    {.name = "ECHO",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answers with the text it was given.",
     .session_handler = CmdEcho},
    {.name = "HELLO",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kBeforeAuth,
     .group = Group::kConnection,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Begins a connection: protocol version, password and name.",
     .session_handler = CmdHello},
    {.name = "PING",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFast | kRunsSubscribed,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answers with PONG or the text it was given.",
     .session_handler = CmdPing,
     .tips = "request_policy:all_shards response_policy:all_succeeded"},
    {.name = "QUIT",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kBeforeAuth | kRunsInMulti | kRunsSubscribed,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Closes the connection.",
     .session_handler = CmdQuit},
    {.name = "RESET",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kBeforeAuth | kRunsInMulti | kRunsSubscribed,
     .group = Group::kConnection,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Puts the connection into the state of a new one.",
     .session_handler = CmdReset},
    {.name = "SELECT",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Chooses the database of the connection.",
     .session_handler = CmdSelect},
};
}  // namespace

static_assert(IsValidFamily(kConnectionCommands));
const std::span<const CommandSpec> kConnectionFamily = kConnectionCommands;

}  // namespace tidegate
