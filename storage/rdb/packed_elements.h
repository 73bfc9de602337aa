// The elements of a collection in the RDB format, however they are packed, one after the other: for
// who makes a value of them and for who only measures it.
//
// fn(std::string_view element) answers false to stop. All functions answer false when they were
// stopped, or when the bytes are broken: packed forms are checked entry by entry before the first
// element is given. An element is valid until fn returns. Owner: the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"
#include "storage/rdb/ziplist.h"
#include "storage/value/listpack.h"

namespace tidegate::rdb {

template <typename Fn>
bool ForEachPlain(RdbReader& in, uint64_t count, Fn&& fn) {
  std::string scratch;
  for (; count > 0 && in.ok(); --count) {
    const std::string_view element = in.BorrowString(scratch);
    if (!in.ok() || !fn(element)) return false;
  }
  return in.ok();
}

template <typename Fn>
bool ForEachOfListpack(std::string_view bytes, Fn&& fn) {
  if (!ListpackView::Validate(bytes, /*deep=*/true)) return false;
  const ListpackView list(bytes);
  char digits[kListpackDigitsBytes];
  for (size_t at = list.First(); at != list.End(); at = list.Next(at)) {
    if (!fn(list.Get(at).Render(digits))) return false;
  }
  return true;
}

template <typename Fn>
bool ForEachOfZiplist(std::string_view bytes, Fn&& fn) {
  ZiplistReader list(bytes);
  char digits[kListpackDigitsBytes];
  ListpackValue value(0);
  while (list.Next(value)) {
    if (!fn(value.Render(digits))) return false;
  }
  return !list.broken();
}

// Fields and values one after the other, of the packed form of hashes before Redis 2.6:
//
//   | count (1B) | field size | field | value size | unused (1B) | value | unused … | 0xff |
//   size: one byte below 254, or 254 and four bytes
//
// Source: Redis's zipmap.c.
template <typename Fn>
bool ForEachOfZipmap(std::string_view bytes, Fn&& fn) {
  constexpr uint8_t kLongSize = 254;
  constexpr uint8_t kEnd = 255;
  RdbReader in(bytes);
  (void)in.Byte();
  for (bool is_value = false;; is_value = !is_value) {
    const uint8_t first = in.Byte();
    if (!in.ok()) return false;
    if (first == kEnd) return !is_value && in.at_end();
    const uint64_t size = first == kLongSize ? in.Fixed32() : first;
    const size_t unused = is_value ? in.Byte() : 0;
    const std::string_view element = in.Raw(size);
    (void)in.Raw(unused);
    if (!in.ok() || !fn(element)) return false;
  }
}

template <typename Fn>
bool ForEachInPacked(std::string_view bytes, bool ziplist, Fn&& fn) {
  return ziplist ? ForEachOfZiplist(bytes, fn) : ForEachOfListpack(bytes, fn);
}

// All elements of one string that is a listpack or a ziplist.
template <typename Fn>
bool ForEachPacked(RdbReader& in, bool ziplist, Fn&& fn) {
  std::string scratch;
  const std::string_view bytes = in.BorrowString(scratch);
  return in.ok() && ForEachInPacked(bytes, ziplist, fn);
}

// Makes pairs of single elements: fn(first, second).
template <typename Fn>
class Pairs final {
 public:
  explicit Pairs(Fn fn) : fn_(fn) {}
  bool operator()(std::string_view element) {
    if (!half_) {
      first_ = element;
      half_ = true;
      return true;
    }
    half_ = false;
    return fn_(std::string_view(first_), element);
  }
  bool complete() const { return !half_; }

 private:
  Fn fn_;
  std::string first_;
  bool half_ = false;
};

}  // namespace tidegate::rdb
