// Error replies that more than one command gives. Texts are Redis's, byte for byte: clients match
// on them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tidegate::errors {

inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kSyntax = "ERR syntax error";
inline constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotFloat = "ERR value is not a valid float";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
inline constexpr std::string_view kIndexOutOfRange = "ERR index out of range";
inline constexpr std::string_view kSameObject = "ERR source and destination objects are the same";
inline constexpr std::string_view kOutOfRange = "ERR value is out of range";
inline constexpr std::string_view kStringTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
inline constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view kNanOrInfinity = "ERR increment would produce NaN or Infinity";
inline constexpr std::string_view kDbIndexOutOfRange = "ERR DB index is out of range";
inline constexpr std::string_view kInvalidDbIndex = "ERR invalid DB index";
inline constexpr std::string_view kOutOfMemory =
    "OOM command not allowed when used memory > 'maxmemory'.";
// A client in MONITOR mode asks for a key. Redis counts monitors among its replicas.
inline constexpr std::string_view kMonitorNoKeyspace =
    "ERR Replica can't interact with the keyspace";
// With save points, while the last snapshot in the background has failed.
inline constexpr std::string_view kSnapshotFailed =
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error "
    "option). "
    "Please check the Redis logs for details about the RDB error.";
// After a restart: what the command needs is still on disk.
inline constexpr std::string_view kCannotLoad =
    "MISCONF Data that this command needs is not in memory yet and could not be read from disk. "
    "Nothing was changed and nothing is lost; try again. Please check the logs for details about "
    "the error.";
inline constexpr std::string_view kNoAuth = "NOAUTH Authentication required.";

// "ERR wrong number of arguments for 'get' command". `full_name` in lower case, sub-commands as
// config|get.
inline std::string WrongArity(std::string_view full_name) {
  return "ERR wrong number of arguments for '" + std::string(full_name) + "' command";
}
// Bytes of a client's own words in the two below. As Redis.
inline constexpr size_t kEchoedBytesMax = 128;
// "ERR unknown command 'x', with args beginning with: 'a' 'b' ".
std::string UnknownCommand(std::span<const std::string_view> args);
// "ERR unknown subcommand 'x'. Try CONFIG HELP.".
std::string UnknownSubcommand(std::string_view upper_name, std::string_view subcommand);
// "ERR invalid expire time in 'set' command".
inline std::string InvalidExpire(std::string_view command) {
  return "ERR invalid expire time in '" + std::string(command) + "' command";
}

}  // namespace tidegate::errors
