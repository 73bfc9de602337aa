// SAVE, BGSAVE and LASTSAVE, BGREWRITEAOF, which is a checkpoint, and the row of BACKUP.
#include "proxy/background_save.h"
#include "proxy/commands/backup_command.h"
#include "proxy/commands/families.h"
#include "proxy/session/session_command.h"
#include "proxy/snapshot.h"
#include "storage/persistence.h"

namespace tidegate {
namespace {

constexpr std::string_view kInProgress = "ERR Background save already in progress";
constexpr std::string_view kRewriteInProgress =
    "ERR Background append only file rewriting already in progress";

// What is recorded is shortened, as far as there is any: with appendonly no there is nothing to do,
// and it is done at once. While a snapshot is made it waits for that.
ExecStatus CmdBgRewriteAof(SessionCommand& c) {
  Persistence* persistence = c.server().persistence();
  if (persistence != nullptr && !persistence->StartCheckpoint()) return c.Fail(kRewriteInProgress);
  const bool waits = persistence != nullptr && c.server().background_save().in_progress();
  c.reply().SimpleString(waits ? "Background append only file rewriting scheduled"
                               : "Background append only file rewriting started");
  return ExecStatus::kDone;
}

// SCHEDULE makes a difference in Redis while it rewrites an append-only file.
ExecStatus CmdBgSave(SessionCommand& c) {
  const bool schedule = c.argc() == 2 && EqualsIgnoreCase(c.arg(1), "schedule");
  if (c.argc() != 1 && !schedule) return c.Fail(errors::kSyntax);
  if (!c.server().background_save().Start()) return c.Fail(kInProgress);
  c.reply().SimpleString("Background saving started");
  return ExecStatus::kDone;
}

ExecStatus CmdLastSave(SessionCommand& c) {
  c.reply().Integer(c.server().save_status().last_save_unix_s());
  return ExecStatus::kDone;
}

// As Redis: everybody waits, and why it did not work is in the log.
ExecStatus CmdSave(SessionCommand& c) {
  if (c.server().background_save().in_progress()) return c.Fail(kInProgress);
  EngineThread& thread = c.worker().engine_thread();
  const ExecStatus entered =
      c.engine().BeginAtomic(thread, {}, /*whole=*/true, c.session().client());
  if (entered == ExecStatus::kSuspended) return entered;
  if (entered == ExecStatus::kRefused) return c.Fail(errors::kCannotLoad);
  c.server().save_status().Began();
  const Status saved = SaveSnapshot(c.server(), thread, c.options());
  c.engine().EndAtomic(thread);
  return saved.ok() ? c.Ok() : c.Fail("ERR");
}

constexpr CommandSpec kPersistenceCommands[] = {
    {.name = "BACKUP",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kNoMulti,
     .group = Group::kServer,
     .since = "0.1.0",
     .complexity = "O(N) in the number of files of the data directory",
     .summary = "Copies the data directory while everything goes on.",
     .session_handler = CmdBackup},
    {.name = "BGREWRITEAOF",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kNoAsyncLoading,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Rewrites the append-only file.",
     .session_handler = CmdBgRewriteAof},
    {.name = "BGSAVE",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kNoAsyncLoading,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Saves the data in the background.",
     .session_handler = CmdBgSave},
    {.name = "LASTSAVE",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast | kAclAdmin,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "The Unix time of the last save.",
     .session_handler = CmdLastSave,
     .tips = "nondeterministic_output"},
    {.name = "SAVE",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kNoMulti,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys",
     .summary = "Saves the data.",
     .session_handler = CmdSave},
};

}  // namespace

static_assert(IsValidFamily(kPersistenceCommands));
const std::span<const CommandSpec> kPersistenceFamily = kPersistenceCommands;

}  // namespace tidegate
