// Backups: copies of a data directory, each of one moment, made while everything goes on.
//
//   backup-dir/NAME/          a data directory like any other: FORMAT, store/, journal/
//   backup-dir/.NAME.partial  one that is being made, or was when the process ended
//
// The files of the store never change once they are written, so a copy is links to them, and costs
// neither time nor room until the store drops what the copy still holds; only the last file
// of the journal is copied. On another file system everything is. The copy is opened once before it
// gets its name: what is there under a plain name is whole, on the disk, and can be started on. An
// error leaves nothing behind, and what a crash left is swept by the next one: the directory
// belongs to one server. Old backups are the user's to delete. Threads: one at a time, which blocks
// on the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate {

class Store;

struct BackupReport {
  std::string path;
  uint64_t sequence = 0;  // the last record of the journal that it holds
  uint64_t bytes = 0;     // of its files, most of which it shares with the store
};

// What follows the directory in `path`: `wanted`, which must be a plain file name that nothing has
// there, or, when that is empty, one made of date and time (UTC): 20260131-235959.
Result<std::string> NameOfBackup(const std::string& directory, std::string_view wanted,
                                 int64_t now_unix_ms);

// Of what the store has at some moment of the call. Makes `directory` when it is not there.
Result<BackupReport> MakeBackup(Store& store, const std::string& directory,
                                const std::string& name);

}  // namespace tidegate
