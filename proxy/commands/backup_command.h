// The handler of BACKUP, whose row stands among those of persistence. It suspends until the thread
// that makes backups is done, so the loop goes on meanwhile; a client that leaves changes nothing
// about the backup.
#pragma once

#include "storage/command.h"

namespace tidegate {

ExecStatus CmdBackup(SessionCommand& c);

}  // namespace tidegate
