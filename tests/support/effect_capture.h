// EffectCapture: an effect sink that keeps every record, for tests of what is recorded and of
// whether it does the same again.
//
// Records are in the order of their sequence numbers, whichever threads append. Text() gives a
// record as a person would write it: "SET a 1 | 1:DEL b", with the database in front where it is
// not 0. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "storage/engine_thread.h"
#include "storage/journal/effect_record.h"
#include "storage/journal/effect_sink.h"
#include "storage/waiter.h"

namespace tidegate::testing {

class EffectCapture final : public EffectSink {
 public:
  Admission Admit(EngineThread& /*thread*/, const Waiter& waiter) override {
    const std::lock_guard lock(mutex_);
    if (admission_ == Admission::kYes && later_every_ != 0 && ++asked_ % later_every_ == 0) {
      waiter.thread->Wake(waiter.ticket);
      return Admission::kLater;
    }
    if (admission_ == Admission::kLater) waiting_.push_back(waiter);
    return admission_;
  }
  std::string refusal() const override { return "MISCONF no more of this"; }
  uint64_t Append(EngineThread& /*thread*/, std::string_view record) override {
    const std::lock_guard lock(mutex_);
    records_.emplace_back(record);
    return records_.size();
  }
  uint64_t last_sequence() const override {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }
  void SetRest(std::atomic<bool>& /*rest*/) override {}
  void Forget(const Waiter& waiter) override {
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, waiter);
  }

  // What is answered from now on; those that wait are woken when it is kYes.
  void Answer(Admission admission) {
    const std::lock_guard lock(mutex_);
    admission_ = admission;
    if (admission != Admission::kYes) return;
    for (const Waiter& waiter : std::exchange(waiting_, {})) waiter.thread->Wake(waiter.ticket);
  }
  // Every n-th time: later, and woken at once.
  void AnswerLaterEvery(uint64_t n) { later_every_ = n; }
  size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

  std::vector<std::string> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  // The records since the last call, as text: "" for none, " // " between two.
  std::string TakeText() {
    std::string text;
    const std::lock_guard lock(mutex_);
    for (; taken_ < records_.size(); ++taken_) {
      if (!text.empty()) text += " // ";
      text += Text(records_[taken_]);
    }
    return text;
  }

  static std::string Text(std::string_view record) {
    std::string text;
    EffectReader reader(record);
    EffectCommand command;
    while (reader.Next(command).value()) {
      if (!text.empty()) text += " | ";
      if (command.db != 0) text += std::to_string(command.db) + ":";
      for (size_t i = 0; i < command.args.size(); ++i) {
        if (i > 0) text += ' ';
        text += command.args[i];
      }
    }
    return text;
  }
  // The last records that name the key, or drop or swap databases: for the message of a failure.
  static std::string History(const std::vector<std::string>& records, std::string_view key) {
    std::string text;
    int left = 40;
    for (size_t i = records.size(); i > 0 && left > 0; --i) {
      const std::string record = Text(records[i - 1]);
      if (record.find(key) == std::string::npos && record.find("DB") == std::string::npos) continue;
      text.insert(0, "\n" + record.substr(0, 300));
      --left;
    }
    return text;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> records_;
  size_t taken_ = 0;
  Admission admission_ = Admission::kYes;
  uint64_t later_every_ = 0;
  uint64_t asked_ = 0;
  std::vector<Waiter> waiting_;
};

}  // namespace tidegate::testing
