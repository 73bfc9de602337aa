// OwnedRequest: a copy of a request that outlives the input it came in. For requests that wait:
// blocked ones, and those queued by MULTI.
// May be moved: the views stay right. Cost: one copy of the bytes, two small arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "storage/request.h"

namespace tidegate {

class OwnedRequest final {
 public:
  OwnedRequest() = default;
  explicit OwnedRequest(const Request& from) : OwnedRequest(from, Pieces::kBegin) {
    (void)CopySome(from, bytes_);
  }
  // In pieces, for requests of many megabytes: nothing is copied yet.
  enum class Pieces : uint8_t { kBegin };
  OwnedRequest(const Request& from, Pieces /*begin*/) : command_(from.command) {
    for (const std::string_view arg : from.args) bytes_ += arg.size();
    text_.reset(new char[bytes_ + 1]);
    const char* at = text_.get();
    args_.reserve(from.args.size());
    for (const std::string_view arg : from.args) {
      args_.emplace_back(at, arg.size());
      at += arg.size();
    }
    keys_.reserve(from.keys.size());
    size_t i = 0;
    for (const KeyRef& key : from.keys) {
      // Keys are arguments, mostly in their order.
      for (size_t tries = 0; tries < args_.size(); ++tries, i = (i + 1) % args_.size()) {
        if (from.args[i].data() == key.name.data() && from.args[i].size() == key.name.size()) break;
      }
      keys_.push_back({args_[i], key.hash, key.slot});
    }
  }
  // Copies the next `bytes`, or what is left; true when all is there. `from`: the same request,
  // wherever it is now.
  bool CopySome(const Request& from, size_t bytes) {
    while (next_arg_ < args_.size()) {
      const std::string_view left = from.args[next_arg_].substr(next_offset_);
      const std::string_view piece = left.substr(0, bytes);
      if (!piece.empty()) std::memcpy(text_.get() + copied_, piece.data(), piece.size());
      copied_ += piece.size();
      bytes -= piece.size();
      if (piece.size() < left.size()) {
        next_offset_ += piece.size();
        return false;
      }
      ++next_arg_;
      next_offset_ = 0;
    }
    return true;
  }

  // Valid as long as this object.
  Request view() const { return {command_, args_, keys_}; }
  const Command* command() const { return command_; }
  // Memory that the copy takes, about.
  size_t memory_bytes() const {
    return bytes_ + args_.size() * sizeof(std::string_view) + keys_.size() * sizeof(KeyRef);
  }

 private:
  const Command* command_ = nullptr;
  size_t bytes_ = 0;
  size_t copied_ = 0;
  size_t next_arg_ = 0;  // that is copied next, from this offset on
  size_t next_offset_ = 0;
  std::unique_ptr<char[]> text_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
};

}  // namespace tidegate
