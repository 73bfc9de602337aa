// AbsenceWatch: what one request on its way means for the keys that are known to be absent.
//
// Made when the policies are asked, before the request is sent; told of its reply, if it is a read;
// gone before its client hears of the reply, or when nobody waits for it any more and nothing is in
// flight: its end is the end of the writes. A transaction has one for all that it will execute.
// Owner: the session's worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/absent_keys.h"

namespace tidegate {

class AbsenceWatch final {
 public:
  AbsenceWatch() = default;
  ~AbsenceWatch();
  AbsenceWatch(const AbsenceWatch&) = delete;
  AbsenceWatch& operator=(const AbsenceWatch&) = delete;

  void AddRead(std::shared_ptr<AbsentKeys> keys, const AbsentKeys::Read& read);
  // Those of one route.
  void AddWrite(std::shared_ptr<AbsentKeys> keys, std::span<const KeyRef> names, bool deletes);
  void AddWriteOfAny(std::shared_ptr<AbsentKeys> keys);

  // The reply has come; what its client gets instead, if anything.
  AbsentRuling OnReply(std::string_view reply, int64_t now_ns);

 private:
  struct Write {
    std::shared_ptr<AbsentKeys> keys;
    std::vector<uint64_t> hashes;  // empty: any key
  };

  std::shared_ptr<AbsentKeys> read_keys_;  // null: it is no read, or its reply has come
  AbsentKeys::Read read_;
  std::string read_name_;  // of the key: the request's own is gone by then
  std::vector<Write> writes_;
};

}  // namespace tidegate
