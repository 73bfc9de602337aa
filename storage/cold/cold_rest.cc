#include "storage/cold/cold_rest.h"

#include <algorithm>

#include "base/hash.h"
#include "storage/cold/entry_builder.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/table.h"

namespace tidegate {

void ColdRest::Note(const Table& table) {
  if (table.count() == 0) return;
  table.ForEach([this](const Entry& entry) {
    const std::string_view key = entry.key();
    const uint64_t hash = KeyHash(key);
    if (hash < from_hash_) return;
    noted_.push_back({hash, keys_.size(), key.size()});
    keys_ += key;
  });
}

bool ColdRest::IsNoted(uint64_t hash, std::string_view key) const {
  auto at =
      std::lower_bound(noted_.begin(), noted_.end(), hash,
                       [](const Noted& noted, uint64_t wanted) { return noted.hash < wanted; });
  for (; at != noted_.end() && at->hash == hash; ++at) {
    if (std::string_view(keys_).substr(at->begin, at->bytes) == key) return true;
  }
  return false;
}

Status ColdRest::ForEach(ColdSource& source, EntryBuilder& builder,
                         const std::function<bool(const Entry&)>& fn) {
  std::sort(noted_.begin(), noted_.end(),
            [](const Noted& a, const Noted& b) { return a.hash < b.hash; });
  Status built;
  Status read = source.ReadSlot(database_, slot_, from_hash_, [&](const StoredEntry& stored) {
    if (IsNoted(stored.hash, stored.key)) return true;
    Result<Entry*> entry = builder.Build(stored);
    if (!entry.ok()) {
      built = std::move(entry).error();
      return false;
    }
    const bool goes_on = fn(**entry);
    DestroyEntry(*entry);
    return goes_on;
  });
  Status& status = built.ok() ? read : built;
  if (status.ok()) return {};
  return std::move(status).error().WithContext("read keys that are not in memory");
}

}  // namespace tidegate
