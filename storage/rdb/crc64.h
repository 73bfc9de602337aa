// CRC-64 as Redis has it: the Jones polynomial 0xad93d23594c935a9, bits reflected, begun with 0 and
// not inverted at the end. Eight bytes at a time by tables that are made at compile time.
// Source: "The A Painless Guide to CRC Error Detection Algorithms", R. Williams, for the tables.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate::rdb {

// Goes on from the sum so far.
uint64_t Crc64(uint64_t crc, std::string_view bytes);

// Goes on over so many zero bytes, in a moment.
uint64_t Crc64OfZeros(uint64_t crc, uint64_t bytes);

// Of all bytes, which may be many: breathes (storage/breathe.h).
uint64_t Crc64InPieces(std::string_view bytes);

}  // namespace tidegate::rdb
