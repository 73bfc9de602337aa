// BACKUP [name]: a copy of the data directory while everything goes on. What it does is in
// proxy/background_backup.h; here a client waits for it.
#include "proxy/commands/backup_command.h"

#include <memory>
#include <string>

#include "proxy/background_backup.h"
#include "proxy/session/session_command.h"

namespace tidegate {
namespace {

struct BackupState final : ClientState::Continuation {
  std::shared_ptr<const BackgroundBackup::Job> job;
};

}  // namespace

ExecStatus CmdBackup(SessionCommand& c) {
  if (c.server().persistence() == nullptr) {
    return c.Fail("ERR BACKUP copies the data directory, which there is only with appendonly yes");
  }
  auto* state = static_cast<BackupState*>(c.continuation());
  if (state == nullptr) {
    if (c.argc() > 2) return c.Fail(errors::kSyntax);
    auto fresh = std::make_unique<BackupState>();
    const SessionTicket ticket = c.session().ticket();
    fresh->job = c.server().background_backup().Start(
        c.argc() == 2 ? c.arg(1) : std::string_view(),
        [&server = c.server(), ticket] { server.Wake(ticket); });
    if (fresh->job == nullptr) return c.Fail("ERR Backup already in progress");
    c.set_continuation(std::move(fresh));
    return c.Suspend();
  }
  const BackgroundBackup::Job& job = *state->job;
  if (!job.done.load(std::memory_order_acquire)) return c.Suspend();
  if (!job.report.ok()) return c.Fail("ERR Backup failed: " + job.report.error().message);
  c.reply().Map(3);
  c.reply().Bulk("path");
  c.reply().Bulk(job.report.value().path);
  c.reply().Bulk("sequence");
  c.reply().Integer(static_cast<int64_t>(job.report.value().sequence));
  c.reply().Bulk("bytes");
  c.reply().Integer(static_cast<int64_t>(job.report.value().bytes));
  return ExecStatus::kDone;
}

}  // namespace tidegate
