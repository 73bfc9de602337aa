// A stream as the commands that make it, for CommandWriter: its entries, what it knows of those
// that are gone, its groups, their consumers and what is pending. Source: Redis's aof.c,
// rewriteStreamObject.
#pragma once

#include <string_view>

#include "storage/aof/resp_writer.h"
#include "storage/value/stream.h"

namespace tidegate {

void WriteStreamCommands(std::string_view key, const StreamValue& stream, RespWriter& out);

}  // namespace tidegate
