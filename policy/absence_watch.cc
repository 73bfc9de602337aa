#include "policy/absence_watch.h"

#include <utility>

namespace tidegate {

AbsenceWatch::~AbsenceWatch() {
  for (const Write& write : writes_) {
    if (write.hashes.empty()) {
      write.keys->EndWriteOfAny();
    } else {
      write.keys->EndWrite(write.hashes);
    }
  }
}

void AbsenceWatch::AddRead(std::shared_ptr<AbsentKeys> keys, const AbsentKeys::Read& read) {
  read_keys_ = std::move(keys);
  read_ = read;
  read_name_ = read.key.name;
  read_.key.name = read_name_;
}

void AbsenceWatch::AddWrite(std::shared_ptr<AbsentKeys> keys, std::span<const KeyRef> names,
                            bool deletes) {
  Write& write = writes_.emplace_back();
  write.keys = std::move(keys);
  write.hashes.reserve(names.size());
  for (const KeyRef& name : names) write.hashes.push_back(name.hash);
  write.keys->BeginWrite(write.hashes, deletes);
}

void AbsenceWatch::AddWriteOfAny(std::shared_ptr<AbsentKeys> keys) {
  keys->BeginWriteOfAny();
  writes_.push_back({.keys = std::move(keys), .hashes = {}});
}

AbsentRuling AbsenceWatch::OnReply(std::string_view reply, int64_t now_ns) {
  if (read_keys_ == nullptr) return {};
  return read_keys_->Found(read_, reply, now_ns);
}

}  // namespace tidegate
