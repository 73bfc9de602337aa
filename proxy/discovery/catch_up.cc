#include "proxy/discovery/catch_up.h"

namespace tidegate::discovery {

void CatchUp::Clear() {
  stream_.clear();
  samples_.clear();
  places_.clear();
}

void CatchUp::NotePrimary(int64_t asked_ns, const topology::ReplicationState& state) {
  const bool is_new_stream = state.replication_id != stream_ ||
                             (!samples_.empty() && state.offset < samples_.back().offset);
  if (is_new_stream) Clear();
  stream_ = state.replication_id;
  samples_.push_back({asked_ns, state.offset});
  if (samples_.size() > kCatchUpSamplesMax) samples_.pop_front();
}

const std::shared_ptr<CaughtUp>& CatchUp::PlaceOf(const topology::NodeAddress& address) {
  std::shared_ptr<CaughtUp>& place = places_[address];
  if (place == nullptr) place = std::make_shared<CaughtUp>(0);
  return place;
}

void CatchUp::NoteReplica(const topology::NodeAddress& address,
                          const topology::ReplicationState* state, bool follows) {
  const std::shared_ptr<CaughtUp>& place = PlaceOf(address);
  if (state == nullptr) return;
  const bool is_of_stream = follows && state->is_link_up && !state->is_syncing &&
                            !stream_.empty() && state->replication_id == stream_;
  if (!is_of_stream) return place->store(0);
  int64_t until_ns = 0;
  for (const Sample& sample : samples_) {
    if (sample.offset <= state->offset) until_ns = sample.asked_ns;
  }
  if (until_ns > place->load()) place->store(until_ns);
}

}  // namespace tidegate::discovery
