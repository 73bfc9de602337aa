#include "storage/long_command.h"

#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/command_context.h"

namespace tidegate {
namespace {

std::unique_ptr<FiberStack> TakeStack(EngineThread& thread) {
  if (thread.stacks.empty()) return std::make_unique<FiberStack>();
  std::unique_ptr<FiberStack> stack = std::move(thread.stacks.back());
  thread.stacks.pop_back();
  return stack;
}

}  // namespace

void internal::BreatheLong() { t_long_command->LeaveIfDue(); }

LongCommand::LongCommand(Engine& engine, EngineThread& thread, OwnedRequest request,
                         ClientState& client, ReplyWriter& reply, std::vector<uint16_t> slots)
    : engine_(engine),
      thread_(thread),
      request_(std::move(request)),
      slots_(std::move(slots)),
      out_(reply.out().pool()),
      reply_(out_),
      fiber_(TakeStack(thread), &LongCommand::Main, this) {
  client_.db = client.db;
  client_.no_touch = client.no_touch;
  client_.ticket = client.ticket;
  client_.rounds = client.rounds;
  client_.is_cut_off = client.is_cut_off;
  client_.cut_off_context = client.cut_off_context;
  client_.continuation = std::move(client.continuation);
  client_.cold_wait = std::move(client.cold_wait);
  reply_.set_protocol(reply.protocol());
  reply_.ObserveErrors(
      [](void* self, std::string_view text) {
        static_cast<LongCommand*>(self)->error_.assign(text);
      },
      this);
}

void LongCommand::ClientLeft() {
  client_.is_cut_off = [](void*, const OutputBuffer&) { return true; };
}

void LongCommand::Main(void* self) {
  auto& command = *static_cast<LongCommand*>(self);
  const EngineCounters& counters = command.thread_.counters;
  command.lookups_ = {counters.keyspace_hits.value(), counters.keyspace_misses.value()};
  const Request request = command.request_.view();
  CommandContext context(command.engine_, command.thread_, request, command.client_,
                         command.reply_);
  command.status_ = context.Run();
}

bool LongCommand::Turn() {
  turn_began_ticks_ = Ticks();
  ResumeOnce();
  return fiber_.through();
}

void LongCommand::Finish() {
  to_the_end_ = true;
  while (!fiber_.through()) ResumeOnce();
}

// Somebody else's command may deliver its effects while ours has to wait for the unlock.
void LongCommand::ResumeOnce() {
  TG_DCHECK(internal::t_long_command == nullptr);
  SwapEffects();
  internal::t_long_command = this;
  const bool through = fiber_.Resume();
  internal::t_long_command = nullptr;
  if (!through) return SwapEffects();
  if (thread_.stacks.size() < kFiberStacksKept) thread_.stacks.push_back(fiber_.TakeStack());
}

void LongCommand::SwapEffects() {
  thread_.ready.swap(ready_);
  thread_.frees.swap(frees_);
  thread_.wakes.swap(wakes_);
  thread_.events.swap(events_);
  std::swap(thread_.effects, effects_);
}

void LongCommand::LeaveIfDue() {
  if (to_the_end_) return;
  if (TicksToNanos(Ticks() - turn_began_ticks_) >= engine_.options().long_command_turn_nanos)
    fiber_.Leave();
}

void LongCommand::ForgetFirstLookups() {
  if (!lookups_) return;
  EngineCounters& counters = thread_.counters;
  counters.keyspace_hits.Add(lookups_->hits - counters.keyspace_hits.value());
  counters.keyspace_misses.Add(lookups_->misses - counters.keyspace_misses.value());
  std::erase_if(thread_.events,
                [](const KeyEvent& event) { return event.event_class == notify::kKeyMiss; });
  lookups_.reset();
}

void LongCommand::ReplyTo(ReplyWriter& reply) {
  // Written again, so that it is counted where errors are.
  if (!error_.empty()) return reply.Error(error_);
  reply.out().TakeAll(out_);
}

}  // namespace tidegate
