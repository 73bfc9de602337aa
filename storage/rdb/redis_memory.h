// What Redis 7.0 takes for the parts of values, as its MEMORY USAGE with SAMPLES 0 adds them up:
// for reports about files of a redis-server, whose reader wants to know about that server and not
// about ours.
//
// The sizes of its structures, and of its allocator's classes: jemalloc's, four to each doubling.
// What a file does not tell is left out: room that a string keeps for its growth, tables that are
// just being rehashed. So a report is within a few percent of the server's own figures, most of
// them to the byte. Pure functions. Source: Redis's object.c (objectComputeSize), sds.c, dict.h,
// quicklist.h, server.h, stream.h; jemalloc's size classes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tidegate::rdb::redis_memory {

inline constexpr size_t kObject = 16;  // robj
inline constexpr size_t kDict = 56;
inline constexpr size_t kDictEntry = 24;
inline constexpr size_t kDictSlotsMin = 4;
inline constexpr size_t kQuicklist = 40;
inline constexpr size_t kQuicklistNode = 32;
inline constexpr size_t kSortedSet = 16;
inline constexpr size_t kSkiplist = 32;
inline constexpr size_t kSkiplistHeader = 640;  // of 32 levels
// Of the mean number of levels, 4/3; what is rounded up by the allocator with it.
inline constexpr size_t kSkiplistNode = 53;
inline constexpr size_t kStream = 80;
inline constexpr size_t kStreamGroup = 40;
inline constexpr size_t kStreamConsumer = 24;
inline constexpr size_t kStreamPending = 24;
inline constexpr size_t kStreamId = 16;
inline constexpr size_t kRadixNode = 4 + 30 * sizeof(long);  // as streamRadixTreeMemoryUsage
// A stream's last page is allocated for all that it may hold. As STREAM_LISTPACK_MAX_PRE_ALLOCATE.
inline constexpr size_t kStreamLastPage = 4096;
inline constexpr size_t kEmbstrBytesMax = 44;
inline constexpr size_t kListpackFrame = 7;  // of header and end

// As the allocator rounds up.
constexpr size_t Allocated(size_t bytes) {
  constexpr size_t kQuantum = 16;
  constexpr size_t kEvenUpTo = 128;
  if (bytes <= 8) return 8;
  if (bytes <= kEvenUpTo) return (bytes + kQuantum - 1) / kQuantum * kQuantum;
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

// An sds string: header, text, and the zero behind it.
constexpr size_t Sds(size_t bytes) {
  if (bytes > 0 && bytes < 32) return Allocated(bytes + 2);
  if (bytes < 256) return Allocated(bytes + 4);
  if (bytes < 65536) return Allocated(bytes + 6);
  if (bytes < (uint64_t{1} << 32)) return Allocated(bytes + 10);
  return Allocated(bytes + 18);
}

// A table of so many entries, without them.
constexpr size_t Dict(size_t entries) {
  return kDict + sizeof(void*) * std::bit_ceil(std::max(entries, kDictSlotsMin));
}

// The name of a key, and its place in the database.
constexpr size_t Key(size_t name_bytes) { return Sds(name_bytes) + kDictEntry; }

static_assert(Allocated(128) == 128 && Allocated(129) == 160 && Allocated(160) == 160 &&
              Allocated(257) == 320 && Allocated(4097) == 5120);

}  // namespace tidegate::rdb::redis_memory
