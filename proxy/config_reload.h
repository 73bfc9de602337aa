// Reloading the configuration while the server runs (SIGHUP): the files and flags are read again,
// and every setting that may change at run time and now reads differently is set, all or nothing,
// through the same door as CONFIG SET; clusters, routes and listeners with them, which
// Server::Reload then puts into force. What needs a restart is said in the log and left alone, so
// no connection of a client is dropped. Thread: the main thread.
#pragma once

#include "base/result.h"
#include "config/config_store.h"
#include "config/options.h"

namespace tidegate {

// `fresh`: the settings as the files and flags say them now. An error leaves everything as it was.
Status ReloadConfig(ConfigStore& config, Options fresh);

}  // namespace tidegate
