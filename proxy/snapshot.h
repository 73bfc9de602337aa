// The server's own snapshot, `dir`/`dbfilename`: written by SAVE, SHUTDOWN SAVE and DEBUG RELOAD,
// read at start and by DEBUG RELOAD; and Redis's append-only file, which DEBUG LOADAOF reads.
//
// All of these want the engine for themselves (an atomic section over the whole keyspace), so the
// file is of one point in time and clients wait meanwhile, as for Redis's SAVE. What comes of it is
// said in the log and kept in Server::save_status(). Thread: whose engine thread is given.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "config/options.h"
#include "storage/data_files.h"

namespace tidegate {

class EngineThread;
class Server;

std::string SnapshotPath(const Options& options);

// Makes `dir` when it is not there.
Status SaveSnapshot(Server& server, EngineThread& thread, const Options& options);

// `replace`: keys of the file take the place of those that are there.
Status LoadSnapshot(Server& server, EngineThread& thread, const Options& options, bool replace);

// The append-only file of Redis in `dir`, by `appenddirname` and `appendfilename`: its manifest, or
// the single file of before Redis 7. Nothing: there is none.
std::optional<std::string> AppendOnlyFilePath(const Options& options);
Status LoadAppendOnlyFile(Server& server, EngineThread& thread, const Options& options,
                          const std::string& path);

// At the start, before there are clients. Nothing happens when there is no file.
Status LoadSnapshotAtStart(Server& server);

}  // namespace tidegate
