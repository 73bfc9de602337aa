// A JournalLog in memory for tests: keeps what was written, and fails or blocks when told to. Tells
// written and synced apart, so that a test can see what a power loss would leave. Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/journal/journal_group.h"
#include "storage/journal/journal_log.h"

namespace tidegate {

class MemoryLog final : public JournalLog {
 public:
  Status Write(const JournalGroup& group, bool sync) override {
    std::unique_lock lock(mutex_);
    unblocked_.wait(lock, [this] { return !blocked_; });
    if (write_time_.count() > 0) std::this_thread::sleep_for(write_time_);
    if (before_write_) before_write_();
    if (!failure_.empty()) return Error{failure_};
    groups_[group.first()] = std::string(group.bytes());
    if (sync) synced_ = group.last();
    last_ = group.last();
    return {};
  }
  Status Sync() override {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    synced_ = last_;
    return {};
  }
  Result<uint64_t> Recover() override {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    return last_;
  }
  bool IsBusy() const override {
    const std::lock_guard lock(mutex_);
    return busy_;
  }
  bool IsNearlyFull() override {
    const std::lock_guard lock(mutex_);
    return nearly_full_;
  }

  void Block(bool on) {
    const std::lock_guard lock(mutex_);
    blocked_ = on;
    unblocked_.notify_all();
  }
  // Every call fails with this; empty: none does.
  void Fail(std::string why) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(why);
  }
  // How long each write takes.
  void SetWriteTime(std::chrono::milliseconds time) {
    const std::lock_guard lock(mutex_);
    write_time_ = time;
  }
  // Called by who writes, before each.
  void OnWrite(std::function<void()> fn) {
    const std::lock_guard lock(mutex_);
    before_write_ = std::move(fn);
  }
  void SetBusy(bool on) {
    const std::lock_guard lock(mutex_);
    busy_ = on;
  }
  void SetNearlyFull(bool on) {
    const std::lock_guard lock(mutex_);
    nearly_full_ = on;
  }
  // As if the store had been opened again and had lost what was not synced.
  void LoseUnsynced() {
    const std::lock_guard lock(mutex_);
    std::erase_if(groups_, [this](const auto& group) { return group.first > synced_; });
    last_ = synced_;
  }
  uint64_t synced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }
  size_t group_count() const {
    const std::lock_guard lock(mutex_);
    return groups_.size();
  }
  // All records, in order; `first` is the number of the first one.
  std::vector<std::string> Records(uint64_t* first = nullptr) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    if (first != nullptr) *first = groups_.empty() ? 0 : groups_.begin()->first;
    for (const auto& [number, bytes] : groups_) {
      Result<JournalGroupView> view = JournalGroupView::Parse(bytes);
      TG_CHECK(view.ok());
      std::string_view record;
      while (view->Next(&record)) out.emplace_back(record);
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable unblocked_;
  std::map<uint64_t, std::string> groups_;
  uint64_t synced_ = 0;
  uint64_t last_ = 0;
  std::string failure_;
  std::chrono::milliseconds write_time_{0};
  std::function<void()> before_write_;
  bool blocked_ = false;
  bool busy_ = false;
  bool nearly_full_ = false;
};

}  // namespace tidegate
