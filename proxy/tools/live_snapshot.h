// A snapshot of a server that runs, for `tidegate rdb-report --live`: BGSAVE, the wait for it, and
// where its file is.
//
// Why through a file and not by a walk over the server's keys: BGSAVE is of one moment, holds
// nobody up and takes no memory, in a redis-server as in Tidegate; SCAN with MEMORY USAGE asks the
// server once more for each key, and walks its collections under everybody's feet. The file is read
// where it lies, so the server must be on this machine. It stays: it is the server's own snapshot.
// Blocks, for as long as the server takes. Owner: one thread.
#pragma once

#include <string>

#include "base/result.h"
#include "storage/key_report.h"

namespace tidegate {

struct LiveServer {
  std::string address;  // host:port
  std::string user;     // empty: the default one
  std::string password_file;
};

struct LiveSnapshot {
  std::string path;
  SizesOf kind = SizesOf::kRedis;  // which server it is
};

Result<LiveSnapshot> SaveLiveServer(const LiveServer& server);

}  // namespace tidegate
