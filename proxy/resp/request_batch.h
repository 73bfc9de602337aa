// RequestBatch: the complete commands of one read, parsed together so that their lookups can be
// prefetched together.
//
//   requests_  [ GET a ][ SET b 1 ][ MGET c d ] …        at most kBatchRequestsMax
//   args_      [ GET a | SET b 1 | MGET c d … ]          flat; views into the input
//   keys_      [ a | b | c d … ]                         flat; hashed
//
// Flat arrays that stay allocated: parsing allocates nothing once warm. When one grows, the spans
// of the requests before are moved over (rare). One per worker, used by one session at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

// Commands parsed before they are executed. More hides no more latency and delays the first reply.
inline constexpr size_t kBatchRequestsMax = 128;

// Entries of the flat arrays that are kept between batches; a batch that needed more gives the rest
// back.
inline constexpr size_t kBatchArgumentsKept = 16384;

class RequestBatch final {
 public:
  RequestBatch();
  RequestBatch(const RequestBatch&) = delete;
  RequestBatch& operator=(const RequestBatch&) = delete;

  std::span<const Request> requests() const { return {requests_.data(), count_}; }
  size_t size() const { return count_; }
  bool full() const { return count_ == kBatchRequestsMax; }
  // Bytes of input up to the end of request i.
  size_t end_of(size_t i) const { return ends_[i]; }
  // Bytes of input that complete commands (and empty lines) took.
  size_t consumed() const { return consumed_; }

  void Clear();

  // --- for the parser ---
  void AddArg(std::string_view arg) {
    if (__builtin_expect(args_used_ == args_.size(), 0)) GrowArgs();
    args_[args_used_++] = arg;
  }
  size_t open_args() const { return args_used_ - open_first_; }
  std::span<std::string_view> open() { return {args_.data() + open_first_, open_args()}; }
  void DropOpenArgs() { args_used_ = open_first_; }
  // Makes the open arguments a request: finds its command and hashes its keys.
  void Close(const CommandTable& commands, size_t end);
  // The same for arguments of which the command is known already.
  void CloseAs(const Command* command, size_t end);
  void SetConsumed(size_t bytes) { consumed_ = bytes; }
  // A copy that lives as long as the batch, for arguments that are not in the input as they are
  // meant (quoted inline ones).
  std::string_view Keep(std::string text) { return kept_.emplace_back(std::move(text)); }

 private:
  void AddKey(std::string_view name) {
    if (__builtin_expect(keys_used_ == keys_.size(), 0)) GrowKeys();
    // Member by member: a copy of the whole would wait for the stores of its parts.
    KeyRef& key = keys_[keys_used_];
    key.name = name;
    // Requests for one key often come together: hot keys, and pipelines about one object.
    if (keys_used_ > 0 && SameName(keys_[keys_used_ - 1].name, name)) {
      key.hash = keys_[keys_used_ - 1].hash;
      key.slot = keys_[keys_used_ - 1].slot;
    } else {
      key.hash = KeyHash(name);
      key.slot = KeySlot(name);
    }
    ++keys_used_;
  }
  // Where keys differ, they mostly differ in the end.
  static bool SameName(std::string_view a, std::string_view b) {
    return a.size() == b.size() && !a.empty() && a.back() == b.back() && a == b;
  }
  void FindKeys(const CommandSpec& spec, std::span<const std::string_view> args);
  void GrowArgs();
  void GrowKeys();

  std::vector<Request> requests_;
  std::vector<size_t> ends_;
  size_t count_ = 0;
  std::vector<std::string_view> args_;
  size_t args_used_ = 0;
  size_t open_first_ = 0;
  std::vector<KeyRef> keys_;
  size_t keys_used_ = 0;
  std::vector<int> key_indexes_;
  std::deque<std::string> kept_;
  size_t consumed_ = 0;
};

}  // namespace tidegate
