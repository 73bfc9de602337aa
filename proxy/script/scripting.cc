#include "proxy/script/scripting.h"

#include "base/sha1.h"

namespace tidegate {

const std::string& WorkerScripts::ShaOf(std::string_view text) {
  const auto known = shas.find(text);
  if (known != shas.end()) return known->second;
  if (shas.size() >= kRememberedShasMax || text.size() > kRememberedTextBytesMax.count)
    shas.clear();
  return shas.emplace(std::string(text), Sha1Hex(text)).first->second;
}

Scripting::Scripting() {
  for (size_t i = 0; i < kWorkersMax; ++i) workers_.push_back(std::make_unique<WorkerScripts>());
}

Scripting::~Scripting() = default;

void Scripting::Keep(std::string_view sha, std::string_view text) {
  if (text.size() > kCachedScriptsBytesMax.count) return;
  MutexLock lock(mutex_);
  std::string name(sha);
  if (texts_.contains(name)) return;
  while (texts_.size() >= kCachedScriptsMax ||
         text_bytes_ + text.size() > kCachedScriptsBytesMax.count) {
    Drop(order_.front());
    order_.pop_front();
  }
  order_.push_back(name);
  text_bytes_ += text.size();
  texts_.emplace(std::move(name), std::make_shared<const std::string>(text));
}

void Scripting::Drop(const std::string& sha) {
  const auto found = texts_.find(sha);
  text_bytes_ -= found->second->size();
  texts_.erase(found);
}

std::shared_ptr<const std::string> Scripting::Find(std::string_view sha) const {
  MutexLock lock(mutex_);
  const auto found = texts_.find(std::string(sha));
  return found == texts_.end() ? nullptr : found->second;
}

void Scripting::Flush() {
  MutexLock lock(mutex_);
  texts_.clear();
  order_.clear();
  text_bytes_ = 0;
  generation_.fetch_add(1, std::memory_order_release);
}

ScriptingFigures Scripting::Figures() const {
  ScriptingFigures figures;
  for (const auto& worker : workers_)
    figures.lua_bytes += worker->memory_bytes.load(std::memory_order_relaxed);
  MutexLock lock(mutex_);
  figures.scripts = texts_.size();
  figures.text_bytes = text_bytes_;
  return figures;
}

WorkerScripts& Scripting::OfWorker(int index) {
  WorkerScripts& own = *workers_[static_cast<size_t>(index)];
  if (own.in_use) return own;
  const uint64_t generation = generation_.load(std::memory_order_acquire);
  // Compiled scripts stay as long as their interpreter: one that has too many begins anew.
  const bool is_full =
      own.interpreter != nullptr && own.interpreter->compiled() > 2 * kCachedScriptsMax;
  if (own.interpreter == nullptr || own.generation != generation || is_full) {
    own.interpreter = std::make_unique<ScriptInterpreter>(own.blocks);
    own.generation = generation;
  }
  return own;
}

}  // namespace tidegate
