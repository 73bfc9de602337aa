#include "storage/blocking.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace tidegate {
namespace {

// Queue length from which each doubling looks for ended requests.
constexpr size_t kSweepFrom = 16;

bool IsEnded(const std::shared_ptr<BlockedRequest>& request) {
  const BlockedRequest::State state = request->state.load(std::memory_order_acquire);
  return state == BlockedRequest::kEnded || state == BlockedRequest::kServed;
}

}  // namespace

std::string BlockedQueues::Name(int db, std::string_view key) {
  std::string name(sizeof db, '\0');
  std::memcpy(name.data(), &db, sizeof db);
  return name.append(key);
}

int BlockedQueues::DbOf(const std::string& name) {
  int db = 0;
  std::memcpy(&db, name.data(), sizeof db);
  return db;
}

std::string_view BlockedQueues::KeyOf(const std::string& name) {
  return std::string_view(name).substr(sizeof(int));
}

void BlockedQueues::DropEnded(Queue& queue) {
  queue.erase(std::remove_if(queue.begin(), queue.end(), IsEnded), queue.end());
}

void BlockedQueues::Add(int db, std::string_view key, std::shared_ptr<BlockedRequest> request) {
  Queue& queue = queues_[Name(db, key)];
  const size_t n = queue.size();
  if (n >= kSweepFrom && (n & (n - 1)) == 0) DropEnded(queue);
  queue.push_back(std::move(request));
  // Clients that time out at ever new keys must not pile up either.
  const size_t keys = queues_.size();
  if (keys < kSweepFrom || (keys & (keys - 1)) != 0 || queue.size() != 1) return;
  for (auto it = queues_.begin(); it != queues_.end();) {
    DropEnded(it->second);
    it = it->second.empty() ? queues_.erase(it) : std::next(it);
  }
}

BlockedQueues::Queue* BlockedQueues::Find(int db, std::string_view key) {
  if (queues_.empty()) return nullptr;
  const auto found = queues_.find(Name(db, key));
  return found == queues_.end() ? nullptr : &found->second;
}

void BlockedQueues::DropIfEmpty(int db, std::string_view key) {
  const auto found = queues_.find(Name(db, key));
  if (found != queues_.end() && found->second.empty()) queues_.erase(found);
}

void BlockedQueues::Remove(int db, std::string_view key, const BlockedRequest* request) {
  const auto found = queues_.find(Name(db, key));
  if (found == queues_.end()) return;
  Queue& queue = found->second;
  queue.erase(std::remove_if(queue.begin(), queue.end(),
                             [&](const auto& other) { return other.get() == request; }),
              queue.end());
  if (queue.empty()) queues_.erase(found);
}

void BlockedQueues::CollectTargets(std::vector<uint16_t>& out) const {
  for (const auto& [name, queue] : queues_) {
    for (const auto& request : queue) {
      if (IsEnded(request)) continue;
      out.insert(out.end(), request->targets.begin(), request->targets.end());
    }
  }
}

bool BlockedQueues::has_targets() const {
  return std::any_of(queues_.begin(), queues_.end(), [](const auto& item) {
    return std::any_of(item.second.begin(), item.second.end(),
                       [](const auto& request) { return !request->targets.empty(); });
  });
}

}  // namespace tidegate
