// Values as people write them: amounts of memory, percentages, durations, addresses, words in
// quotes. Memory, percentages and quoting follow Redis, so that a redis.conf means the same here;
// durations are our own and always carry a unit. What is printed is one canonical form, which reads
// back the same. Pure functions; views borrow for the call. Source: what Redis 7.0 accepts, found
// by trying. Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace tidegate {

// "512", "10k" (1000s), "4gb" (1024s), in any case. Unlike Redis, nothing is not a number and an
// amount that does not fit is refused instead of wrapping.
std::optional<int64_t> ParseMemory(std::string_view text);

// "10%" -> 10, no sign.
std::optional<int64_t> ParsePercent(std::string_view text);

// "250ms", "90s", "5m", "1h", "2d"; 0 needs no unit.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);

// The shortest exact form with one unit: 90000 ms is "90s".
std::string PrintDuration(std::chrono::milliseconds duration);

// "127.0.0.1:80", "[::1]:80", "*:80", "localhost:80"; the host comes back as it was written.
std::optional<HostPort> ParseHostPort(std::string_view text);

// One word of `bind`: an address, "*", "::*", "localhost", each with "-" before it when optional.
std::optional<BindAddress> ParseBindAddress(std::string_view word);

// A shorter token of the admin pages could be guessed by trying.
inline constexpr size_t kAdminTokenBytesMin = 16;
inline constexpr size_t kAdminTokenBytesMax = 1024;

inline constexpr std::string_view kAdminTokenOption = "admin-token";
inline constexpr std::string_view kAdminTokenFileOption = "admin-token-file";

// The text of a setting that is kept as such; empty: its default is.
std::string KeptText(const Options& options, std::string_view name);

// Why this is no token; nothing: it is one.
std::optional<std::string> AdminTokenFault(std::string_view token);

bool IsIpv6Literal(std::string_view text);

// The words of one line of redis.conf: quotes and backslashes as in Redis. Nothing when quotes are
// not closed, or are closed in the middle of a word.
std::optional<std::vector<std::string>> SplitWords(std::string_view line);

// At every single space, as CONFIG SET takes a list apart: two spaces make an empty word.
std::vector<std::string> SplitAtSpaces(std::string_view text);

std::string JoinWords(std::span<const std::string> words);

// A word that SplitWords reads back as `text`: quoted when it must be.
std::string QuoteWord(std::string_view text);

// Letters of notify-keyspace-events to bits of notify:: and back, in Redis's order.
std::optional<uint32_t> ParseNotifyFlags(std::string_view letters);
std::string PrintNotifyFlags(uint32_t flags);

}  // namespace tidegate
