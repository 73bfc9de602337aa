#include "storage/watch.h"

#include <algorithm>
#include <utility>

namespace tidegate {

void WatchList::Add(int db, std::string_view key, bool expired, std::shared_ptr<WatchState> state) {
  // Clients that watch and go without the key ever changing must not pile up.
  if (lines_.size() > 2 * dropped_at_ + 8) DropOver();
  lines_.push_back({db, expired, std::string(key), std::move(state)});
}

void WatchList::Touch(int db, std::string_view key, bool gone) {
  for (Line& line : lines_) {
    if (line.db != db || line.key != key) continue;
    if (line.expired && gone) {
      line.expired = false;  // it was as good as absent; from now on it is absent
    } else {
      line.state->dirty.store(true);
    }
  }
  DropOver();
}

void WatchList::DropOver() {
  std::erase_if(lines_, [](const Line& line) { return line.state->over.load(); });
  dropped_at_ = lines_.size();
}

bool ClientWatches::Watches(int db, std::string_view key) const {
  return std::any_of(keys_.begin(), keys_.end(),
                     [&](const Key& watched) { return watched.db == db && watched.name == key; });
}

const std::shared_ptr<WatchState>& ClientWatches::state() {
  if (state_ == nullptr) state_ = std::make_shared<WatchState>();
  return state_;
}

void ClientWatches::Clear() {
  if (state_ != nullptr) state_->over.store(true);
  state_.reset();
  keys_.clear();
}

}  // namespace tidegate
