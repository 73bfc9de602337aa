// The part of Session that moves bytes: reading, keeping the rest, flushing, limits.
#include <algorithm>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/observe/big_keys.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_upstream.h"
#include "proxy/worker.h"

namespace tidegate {

std::span<char> Session::ReadBuffer() {
  const std::span<char> shared = worker_.read_buffer();
  shared_prefix_bytes_ = 0;
  if (input_.empty()) return shared;
  const size_t rest = input_.size();
  if (stops_ == 0 && rest <= kCopiedRestBytesMax.count &&
      parser_.bytes_wanted() <= shared.size() / 2) {
    std::memcpy(shared.data(), input_.data(), rest);
    shared_prefix_bytes_ = rest;
    return shared.subspan(rest);
  }
  return input_.Room(parser_.bytes_wanted());
}

void Session::OnRead(size_t size) {
  worker_.loop().TurnBegins();
  WorkerCounters& counters = worker_.mutable_counters();
  counters.net_input_bytes.Add(size);
  counters.reads_processed.Add(1);
  const int64_t now_ms = UnixMillis();
  last_interaction_ms_ = now_ms;
  std::string_view bytes;
  bool own = false;
  if (shared_prefix_bytes_ > 0) {
    bytes = {worker_.read_buffer().data(), shared_prefix_bytes_ + size};
    input_.Clear();
  } else if (!input_.empty()) {
    input_.Added(size);
    bytes = input_.bytes();
    own = true;
    if (!InputWithinLimit()) return Close();
  } else {
    bytes = {worker_.read_buffer().data(), size};
  }
  if (__builtin_expect(stops_ != 0, 0)) {
    if (!own) input_.Append(bytes, 0);
    if (stops_ == kStopProxyHeader) return RunKept();
    if (stops_ == kStopParked) HastenReads();
    if (input_.size() > kSuspendedInputBytesMax.count) stream_.StopReading();
    return;
  }
  Run(bytes, own, now_ms);
}

void Session::Run(std::string_view bytes, bool own, int64_t now_ms) {
  size_t at = 0;
  while (RunBatch(bytes.substr(at), now_ms, at)) continue;
  if (stream_.closing()) return;
  KeepRest(bytes.substr(at), at, own);
  Flush();
}

inline bool Session::RunBatch(std::string_view bytes, int64_t now_ms, size_t& at) {
  RequestBatch& batch = worker_.batch();
  worker_.FollowOptions();
  parsed_as_authenticated_ = !AuthRequired();
  const ParseLimits limits{worker_.options().proto_max_bulk_len.count, parsed_as_authenticated_};
  const ParseStop stop = parser_.Parse(bytes, limits, worker_.server().commands(), batch);
  const size_t done = __builtin_expect(worker_.holds_replies(), 0)
                          ? ExecuteHeld(batch.requests(), now_ms)
                          : Execute(batch.requests(), now_ms);
  size_t begin = 0;
  for (size_t i = 0; i < done; ++i) {
    const size_t request_bytes = batch.end_of(i) - begin;
    worker_.mutable_counters().request_bytes.Record(request_bytes);
    if (__builtin_expect(request_bytes >= kMovedBytesMin, 0))
      NoteMovedHere(batch.requests()[i], request_bytes);
    begin = batch.end_of(i);
  }
  const bool reset = parsed_as_authenticated_ && AuthRequired();  // by RESET
  const bool whole = done == batch.size() && !reset;
  if (whole) {
    at += batch.consumed();
  } else {
    if (done > 0) at += batch.end_of(done - 1);
    parser_.Restart();
  }
  if (__builtin_expect(stops_ != 0 || closing(), 0)) return false;
  if (whole && stop == ParseStop::kNeedInput) return false;
  if (whole && stop == ParseStop::kProtocolError) {
    if (awaits_upstream() && WaitsForUpstream(0)) return false;
    FailProtocol(parser_.error());
    return false;
  }
  if (!limits.authenticated && !OutputWithinLimits(now_ms)) {
    Close();
    return false;
  }
  return OutputHasRoom();
}

bool Session::OutputHasRoom() {
  if (output_.size() <= kUnsentOutputBytesMax.count) return true;
  if (!worker_.holds_replies()) SendOutput();
  if (stream_.closing()) return false;
  if (output_.size() <= kUnsentOutputBytesMax.count) return true;
  StopFor(kStopOutput);
  return false;
}

void Session::KeepRest(std::string_view rest, size_t executed, bool own) {
  if (__builtin_expect(close_after_reply_ || kill_, 0)) {
    input_.Clear();
    parser_.Restart();
    stream_.StopReading();
    return;
  }
  if (stops_ != 0) parser_.Restart();
  if (own) {
    input_.Consume(executed);
  } else if (!rest.empty()) {
    input_.Append(rest, parser_.bytes_wanted());
  }
  // Many that wait for memory must not take it for what they would say next; and room for more
  // behind a large argument would mean to copy it.
  if (stops_ != 0 && input_.size() > kSuspendedInputBytesMax.count) stream_.StopReading();
}

void Session::RunKept() {
  if (kill_ || stream_.closing()) return;
  if (stops_ == kStopProxyHeader) {
    size_t consumed = 0;
    if (!ReadProxyHeader(input_.bytes(), &consumed)) return;
    stops_ = 0;
    input_.Consume(consumed);
  }
  if (stops_ != 0) return;
  stream_.StartReading();
  if (input_.empty()) return Flush();
  // Its own copy may be small by now; Run() works on what input_ has.
  Run(input_.bytes(), true, UnixMillis());
}

void Session::FailProtocol(std::string_view text) {
  worker_.mutable_counters().protocol_errors.Add(1);
  if (log::Enabled(LogSeverity::kVerbose)) LogClosing(LogSeverity::kVerbose, text);
  reply_.Error(std::string("ERR ").append(text));
  AfterReply();
  close_after_reply_ = true;
}

void Session::OnReadEnd() { Close(); }

void Session::Flush() {
  if (__builtin_expect(worker_.holds_replies() && !output_.empty() && !kill_, 0))
    return worker_.MarkDirty(*this);
  FlushNow();
}

void Session::FlushNow() {
  if (stream_.closing()) return;
  if (kill_) return Close();
  SendOutput();
  if (stream_.closing()) return;
  if (output_.empty()) {
    soft_limit_since_ms_ = 0;
    if (close_after_reply_ || (draining_ && Idle())) return Close();
    if (last_interaction_ms_ > age_deadline_ms_ && Idle()) {
      worker_.mutable_counters().age_closings.Add(1);
      Close();
    }
    return;
  }
  if (!OutputWithinLimits(last_interaction_ms_)) Close();
}

void Session::SendOutput() {
  // Before anything is sent, as Redis: one reply beyond the limit ends the client.
  if (output_.blocks() > 1 && !OutputWithinLimits(last_interaction_ms_)) return Close();
  size_t sent_bytes = 0;
  while (!stream_.write_pending() && !output_.empty()) {
    OutputBuffer::Piece pieces[kWritePiecesMax];
    size_t count = output_.Peek(pieces, kWritePiecesMax);
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) total += pieces[i].size;
    const ptrdiff_t sent = stream_.TryWrite({pieces, count});
    if (__builtin_expect(sent < 0, 0)) return Close();
    worker_.mutable_counters().writes_processed.Add(1);
    worker_.mutable_counters().net_output_bytes.Add(static_cast<uint64_t>(sent));
    output_.Consume(static_cast<size_t>(sent));
    sent_bytes += static_cast<size_t>(sent);
    if (static_cast<size_t>(sent) == total && sent_bytes < kFlushedAtOnceMax.count) continue;
    if (output_.empty()) return;
    count = output_.Peek(pieces, kWritePiecesMax);
    pending_write_bytes_ = 0;
    for (size_t i = 0; i < count; ++i) pending_write_bytes_ += pieces[i].size;
    stream_.Write({pieces, count});
  }
}

void Session::OnWritten(bool ok) {
  if (!ok) return Close();
  last_interaction_ms_ = UnixMillis();  // as Redis: who takes a long reply in is not idle
  worker_.mutable_counters().net_output_bytes.Add(pending_write_bytes_);
  output_.Consume(pending_write_bytes_);
  pending_write_bytes_ = 0;
  if (output_.empty() || !worker_.loop().TurnIsLong()) return GoOnWriting();
  // A write that the kernel takes at once comes back here at once: to a client that reads as fast
  // as we write, megabytes would go out in one turn.
  worker_.Post([id = id_](Worker& worker) {
    if (Session* session = worker.FindSession(id)) session->GoOnWriting();
  });
}

void Session::GoOnWriting() {
  if (stream_.closing()) return;
  Flush();
  EndOutputStop();
}

void Session::EndOutputStop() {
  if ((stops_ & kStopOutput) == 0 || output_.size() >= kUnsentOutputBytesMax.count / 2) return;
  stops_ = static_cast<uint8_t>(stops_ & ~kStopOutput);
  RunKept();
}

void Session::OnClosed() { worker_.Forget(*this); }

void Session::Push(std::string_view bytes) {
  if (stream_.closing() || closing() || reply_mode_ != ReplyMode::kOn) return;
  if (__builtin_expect(held_pushes_ != nullptr, 0)) return HoldPush(bytes);
  output_.AppendLarge(bytes);
  worker_.MarkDirty(*this);
}

void Session::PushMessage(std::string_view bytes) {
  if (stream_.closing() || closing()) return;
  if (__builtin_expect(held_pushes_ != nullptr, 0)) return HoldPush(bytes);
  output_.AppendLarge(bytes);
  worker_.MarkDirty(*this);
  if (output_.blocks() > 1 && !OutputWithinLimits(UnixMillis())) Kill();
}

bool Session::InputWithinLimit() {
  if (input_.size() <= worker_.options().client_query_buffer_limit.count) return true;
  worker_.mutable_counters().input_buffer_closings.Add(1);
  LogClosing(LogSeverity::kWarning, "reached the max query buffer length");
  return false;
}

// A monitor gets what it did not ask for piece by piece, as a subscriber does. Redis has it under
// the limits for normal clients, which are none: one that reads slowly takes all memory there.
const OutputBufferLimit& Session::OutputLimit() const {
  return worker_.options().output_buffer_limit(monitor_ ? ClientClass::kPubsub : client_class());
}

bool Session::IsCutOff(void* session, const OutputBuffer& reply) {
  auto& self = *static_cast<Session*>(session);
  const uint64_t hard = self.OutputLimit().hard.count;
  // As SendOutput, which lets one block pass.
  return hard != 0 && reply.blocks() > 1 && reply.memory_bytes() >= hard;
}

bool Session::OutputWithinLimits(int64_t now_ms) {
  const OutputBufferLimit& limit = OutputLimit();
  const size_t held_bytes = held_pushes_ == nullptr ? 0 : held_pushes_->size();
  const size_t bytes = output_.memory_bytes() + early_reply_bytes() + held_bytes;
  const bool over_early = AuthRequired() && bytes > kUnauthenticatedOutputBytesMax.count;
  if (limit.hard.count == 0 && limit.soft.count == 0 && !over_early) return true;
  const bool over_soft = limit.soft.count != 0 && bytes >= limit.soft.count;
  if (!over_soft) {
    soft_limit_since_ms_ = 0;
  } else if (soft_limit_since_ms_ == 0) {
    soft_limit_since_ms_ = now_ms;
  }
  const bool over_hard = limit.hard.count != 0 && bytes >= limit.hard.count;
  const bool soft_for_too_long =
      over_soft && now_ms - soft_limit_since_ms_ > limit.soft_time / std::chrono::milliseconds(1);
  if (!over_hard && !soft_for_too_long && !over_early) return true;
  worker_.mutable_counters().output_limit_closings.Add(1);
  LogClosing(LogSeverity::kWarning, "closed for overcoming of output buffer limits");
  return false;
}

bool Session::Idle() const {
  return stops_ == 0 && input_.empty() && output_.empty() && !stream_.write_pending() &&
         !awaits_upstream() && !stream_.HasUnread();
}

size_t Session::UnsentBytes() const {
  return output_.size() - pending_write_bytes_ + stream_.unsent_bytes();
}

bool Session::IsIdleForTooLong(int64_t now_ms) {
  // One write can take long: that it goes on counts as a sign of life too.
  const size_t unsent = UnsentBytes();
  if (unsent != unsent_bytes_seen_) last_interaction_ms_ = std::max(last_interaction_ms_, now_ms);
  unsent_bytes_seen_ = unsent;
  const int64_t timeout_ms = worker_.options().timeout / std::chrono::milliseconds(1);
  const bool waits_for_us =
      (stops_ & (kStopSuspended | kStopPostponed | kStopSync | kStopPrivate)) != 0 ||
      awaits_upstream();
  return timeout_ms > 0 && !waits_for_us && !monitor_ && !subscribed() &&
         now_ms - last_interaction_ms_ > timeout_ms;
}

void Session::Drain() {
  draining_ = true;
  // What a blocked client waits for may never come.
  if (Idle() || blocked()) Close();
}

void Session::Housekeeping(int64_t now_ms) {
  if (stream_.closing()) return;
  if (!output_.empty() && !OutputWithinLimits(now_ms)) return Close();
  if (IsIdleForTooLong(now_ms)) {
    worker_.mutable_counters().idle_closings.Add(1);
    LogClosing(LogSeverity::kVerbose, "is idle for too long");
    return Close();
  }
  if (now_ms > age_deadline_ms_ && Idle()) {
    worker_.mutable_counters().age_closings.Add(1);
    Close();
  }
}

}  // namespace tidegate
