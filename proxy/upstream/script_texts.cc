#include "proxy/upstream/script_texts.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/sha1.h"
#include "base/text.h"
#include "proxy/script/scripting.h"

namespace tidegate {
namespace {

std::string Encoded(std::string_view bulk) {
  std::string encoded = "$" + std::to_string(bulk.size()) + "\r\n";
  encoded.append(bulk);
  return encoded += "\r\n";
}

// "*3\r\n$7\r\nEVALSHA\r\n$40\r\n…\r\n" and further arguments, taken apart.
struct Call {
  std::string_view count;  // "*3"
  std::string_view name;
  std::string_view script;
  std::string_view rest;  // behind the script
};

std::string_view TakeLine(std::string_view& bytes) {
  const size_t end = std::min(bytes.find("\r\n"), bytes.size());
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(std::min(end + 2, bytes.size()));
  return line;
}

std::string_view TakeBulk(std::string_view& bytes) {
  const std::string_view header = TakeLine(bytes);
  const auto size = header.starts_with('$') ? ParseUint64(header.substr(1)) : std::nullopt;
  if (!size || *size + 2 > bytes.size()) return {};
  const std::string_view bulk = bytes.substr(0, *size);
  bytes.remove_prefix(*size + 2);
  return bulk;
}

std::optional<Call> TakeApart(std::string_view encoded) {
  Call call;
  call.count = TakeLine(encoded);
  call.name = TakeBulk(encoded);
  call.script = TakeBulk(encoded);
  call.rest = encoded;
  const bool calls =
      EqualsIgnoreCase(call.name, "evalsha") || EqualsIgnoreCase(call.name, "evalsha_ro");
  return calls ? std::optional(call) : std::nullopt;
}

}  // namespace

bool ScriptTexts::Touch(uint64_t hash, std::string_view text) {
  const auto known = by_hash_.find(hash);
  if (known == by_hash_.end() || *known->second->text != text) return false;
  scripts_.splice(scripts_.begin(), scripts_, known->second);
  return true;
}

ScriptTexts::ScriptTexts() : scripting_(std::make_unique<Scripting>()) {}

ScriptTexts::~ScriptTexts() = default;

void ScriptTexts::Keep(std::string_view text) {
  if (text.size() > kScriptTextBytesMax.count) return;
  const uint64_t hash = KeyHash(text);
  {
    MutexLock lock(mutex_);
    if (Touch(hash, text)) return;
  }
  // Outside of the lock: this is what takes time.
  Script script{Sha1Hex(text), hash, std::make_shared<const std::string>(text)};
  MutexLock lock(mutex_);
  // Another thread was quicker, or two texts have one hash: the first stays.
  if (Touch(hash, text) || by_hash_.contains(hash)) return;
  bytes_ += text.size();
  scripts_.push_front(std::move(script));
  by_sha_[scripts_.front().sha] = scripts_.begin();
  by_hash_[hash] = scripts_.begin();
  while (scripts_.size() > kScriptTextsMax || bytes_ > kScriptTextsBytesMax.count) DropOldest();
}

void ScriptTexts::DropOldest() {
  const Script& oldest = scripts_.back();
  bytes_ -= oldest.text->size();
  by_sha_.erase(oldest.sha);
  by_hash_.erase(oldest.hash);
  scripts_.pop_back();
}

std::shared_ptr<const std::string> ScriptTexts::Find(std::string_view sha) {
  MutexLock lock(mutex_);
  const auto known = by_sha_.find(ToLowerAscii(sha));
  if (known == by_sha_.end()) return nullptr;
  scripts_.splice(scripts_.begin(), scripts_, known->second);
  return known->second->text;
}

void ScriptTexts::Clear() {
  MutexLock lock(mutex_);
  by_sha_.clear();
  by_hash_.clear();
  scripts_.clear();
  bytes_ = 0;
}

size_t ScriptTexts::count() const {
  MutexLock lock(mutex_);
  return scripts_.size();
}

size_t ScriptTexts::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

std::string_view CalledScript(std::string_view encoded) {
  const std::optional<Call> call = TakeApart(encoded);
  return call ? call->script : std::string_view();
}

std::string WithScriptText(std::string_view encoded, std::string_view text) {
  const Call call = TakeApart(encoded).value();
  const bool reads = EqualsIgnoreCase(call.name, "evalsha_ro");
  std::string whole(call.count);
  whole += "\r\n" + Encoded(reads ? "EVAL_RO" : "EVAL") + Encoded(text);
  return whole.append(call.rest);
}

}  // namespace tidegate
