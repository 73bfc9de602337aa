#include "policy/local_cache_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace tidegate {
namespace {

// What an entry takes beside its bytes: list, table, strings. Measured roughly, and charged.
constexpr size_t kEntryOverheadBytes = 256;
constexpr size_t kReplyOverheadBytes = 200;
constexpr uint8_t kReadsMax = 3;
// The small queue's part of the memory.
constexpr size_t kSmallPart = 10;

size_t BytesOf(const CachedRead& read, const CachedReply& reply) {
  size_t bytes = kReplyOverheadBytes + reply.resp2.size() + reply.resp3.size();
  for (const std::string_view arg : read.args) bytes += arg.size() + sizeof(std::string);
  return bytes;
}

}  // namespace

uint64_t LocalCacheStore::IdOf(size_t cluster, uint64_t hash) {
  return hash ^ (cluster + 1) * 0x9e3779b97f4a7c15ull;
}

bool LocalCacheStore::IsOf(const Reply& reply, const CachedRead& read) {
  if (reply.command != read.command || reply.database != read.database ||
      reply.args.size() + 2 != read.args.size())
    return false;
  return std::equal(reply.args.begin(), reply.args.end(), read.args.begin() + 2);
}

void LocalCacheStore::SetLimits(size_t bytes_max, size_t keys_max) {
  bytes_max_ = bytes_max;
  keys_max_ = keys_max;
  MakeRoom();
}

WriteStamp LocalCacheStore::StampOf(const CachedRead& read) const {
  return {.key = stripes_.Read(WriteStripes::OfKey(read.hash, read.cluster)),
          .cluster = stripes_.Read(WriteStripes::OfCluster(read.cluster))};
}

LocalCacheStore::Queue::iterator* LocalCacheStore::FindEntry(size_t cluster, std::string_view key,
                                                             uint64_t hash) {
  const auto found = places_.find(IdOf(cluster, hash));
  if (found == places_.end()) return nullptr;
  const Entry& entry = *found->second;
  return entry.cluster == cluster && entry.key == key ? &found->second : nullptr;
}

LocalCacheStore::Reply* LocalCacheStore::FindReply(Entry& entry, const CachedRead& read) {
  const auto found = std::find_if(entry.replies.begin(), entry.replies.end(),
                                  [&read](const Reply& reply) { return IsOf(reply, read); });
  return found == entry.replies.end() ? nullptr : &*found;
}

const CachedReply* LocalCacheStore::Find(const CachedRead& read, uint64_t source, int64_t now_ns) {
  const CachedReply* const kept = FindDespiteWrites(read, source, now_ns);
  return kept != nullptr && kept->stamp == StampOf(read) ? kept : nullptr;
}

const CachedReply* LocalCacheStore::FindDespiteWrites(const CachedRead& read, uint64_t source,
                                                      int64_t now_ns) {
  Queue::iterator* const entry = FindEntry(read.cluster, read.key, read.hash);
  if (entry == nullptr) return nullptr;
  Reply* const reply = FindReply(**entry, read);
  if (reply == nullptr) return nullptr;
  const CachedReply& kept = reply->reply;
  if (kept.source != source || now_ns >= kept.expires_ns) return nullptr;
  if ((*entry)->reads < kReadsMax) ++(*entry)->reads;
  return &kept;
}

bool LocalCacheStore::Keep(const CachedRead& read, CachedReply reply) {
  TG_DCHECK(read.args.size() >= 2);
  const size_t bytes = BytesOf(read, reply);
  const size_t least_bytes = bytes + kEntryOverheadBytes + read.key.size();
  if (!reply.stamp.quiet() || reply.stamp != StampOf(read) || least_bytes > bytes_max_ ||
      keys_max_ == 0)
    return false;
  Queue::iterator* const known = FindEntry(read.cluster, read.key, read.hash);
  const Queue::iterator place = known != nullptr ? *known : AddEntry(read);
  Entry& entry = *place;
  for (size_t i = 0; i < entry.replies.size(); ++i) {
    if (IsOf(entry.replies[i], read)) {
      DropReply(entry, i);
      break;
    }
  }
  if (entry.replies.size() >= kLocalCacheRepliesPerKeyMax) DropReply(entry, 0);
  Reply& kept = entry.replies.emplace_back();
  kept.database = read.database;
  kept.command = read.command;
  kept.args.assign(read.args.begin() + 2, read.args.end());
  kept.reply = std::move(reply);
  kept.bytes = bytes;
  entry.bytes += bytes;
  bytes_ += bytes;
  if (!entry.is_main) small_bytes_ += bytes;
  MakeRoom();
  figures_.fills.Add(1);
  return true;
}

LocalCacheStore::Queue::iterator LocalCacheStore::AddEntry(const CachedRead& read) {
  const uint64_t id = IdOf(read.cluster, read.hash);
  // Another key with the same id: by chance, once in a universe.
  if (const auto other = places_.find(id); other != places_.end()) Drop(other->second);
  const bool was_here = is_ghost_.erase(id) > 0;
  Queue& queue = was_here ? main_ : small_;
  queue.push_front({.cluster = read.cluster,
                    .key = std::string(read.key),
                    .id = id,
                    .replies = {},
                    .bytes = kEntryOverheadBytes + read.key.size(),
                    .is_main = was_here});
  places_.emplace(id, queue.begin());
  bytes_ += queue.front().bytes;
  if (!was_here) small_bytes_ += queue.front().bytes;
  return queue.begin();
}

void LocalCacheStore::DropReply(Entry& entry, size_t index) {
  const size_t bytes = entry.replies[index].bytes;
  entry.replies.erase(entry.replies.begin() + static_cast<ptrdiff_t>(index));
  entry.bytes -= bytes;
  bytes_ -= bytes;
  if (!entry.is_main) small_bytes_ -= bytes;
}

void LocalCacheStore::Drop(Queue::iterator entry) {
  bytes_ -= entry->bytes;
  if (!entry->is_main) small_bytes_ -= entry->bytes;
  places_.erase(entry->id);
  (entry->is_main ? main_ : small_).erase(entry);
  figures_.entries.Set(places_.size());
  figures_.bytes.Set(bytes_);
}

void LocalCacheStore::DropKey(size_t cluster, std::string_view key) {
  Queue::iterator* const entry = FindEntry(cluster, key, KeyHash(key));
  if (entry == nullptr) return;
  figures_.invalidations.Add(1);
  Drop(*entry);
}

void LocalCacheStore::DropCluster(size_t cluster) {
  figures_.flushes.Add(1);
  for (Queue* queue : {&small_, &main_}) {
    for (auto entry = queue->begin(); entry != queue->end();) {
      const auto next = std::next(entry);
      if (entry->cluster == cluster) Drop(entry);
      entry = next;
    }
  }
}

// --- room ---

void LocalCacheStore::MakeRoom() {
  while (!places_.empty() && (bytes_ > bytes_max_ || places_.size() > keys_max_)) {
    const bool from_small = main_.empty() ||
                            (!small_.empty() && small_bytes_ * kSmallPart >= bytes_max_) ||
                            (!small_.empty() && small_.size() * kSmallPart >= keys_max_);
    if (from_small) {
      PushOutOfSmall();
    } else {
      PushOutOfMain();
    }
  }
  figures_.entries.Set(places_.size());
  figures_.bytes.Set(bytes_);
}

void LocalCacheStore::PushOutOfSmall() {
  const Queue::iterator oldest = std::prev(small_.end());
  if (oldest->reads == 0) {
    Remember(oldest->id);
    figures_.evictions.Add(1);
    return Drop(oldest);
  }
  oldest->reads = 0;
  oldest->is_main = true;
  small_bytes_ -= oldest->bytes;
  main_.splice(main_.begin(), small_, oldest);
}

void LocalCacheStore::PushOutOfMain() {
  const Queue::iterator oldest = std::prev(main_.end());
  if (oldest->reads == 0) {
    figures_.evictions.Add(1);
    return Drop(oldest);
  }
  --oldest->reads;
  main_.splice(main_.begin(), main_, oldest);
}

void LocalCacheStore::Remember(uint64_t id) {
  if (!is_ghost_.insert(id).second) return;
  ghosts_.push_back(id);
  while (ghosts_.size() > keys_max_) {
    is_ghost_.erase(ghosts_.front());
    ghosts_.pop_front();
  }
}

}  // namespace tidegate
