// The first line of a script: "#!lua flags=no-writes,allow-oom".
#include <string>
#include <vector>

#include "storage/script_interpreter.h"

namespace tidegate {
namespace {

bool SetFlag(std::string_view name, ScriptFlags& flags) {
  if (name == "no-writes") return flags.no_writes = true;
  if (name == "allow-oom") return flags.allow_oom = true;
  if (name == "allow-stale") return flags.allow_stale = true;
  if (name == "no-cluster") return flags.no_cluster = true;
  if (name == "allow-cross-slot-keys") return flags.allow_cross_slot = true;
  return false;
}

// The words of the line.
std::vector<std::string_view> Words(std::string_view line) {
  constexpr std::string_view kSpaces = " \t\r\v\f";
  std::vector<std::string_view> words;
  for (;;) {
    const size_t begin = line.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = line.find_first_of(kSpaces);
    words.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end);
  }
}

std::string SetFlags(std::string_view list, ScriptFlags& flags) {
  while (!list.empty()) {
    const size_t end = list.find(',');
    const std::string_view name = list.substr(0, end);
    if (!SetFlag(name, flags)) return "Unexpected flag in script shebang: " + std::string(name);
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
    if (list.empty()) return "Unexpected flag in script shebang: ";
  }
  return "";
}

}  // namespace

std::string ParseScriptFlags(std::string_view text, ScriptFlags& flags, size_t& body_begin) {
  body_begin = 0;
  if (!text.starts_with("#!")) return "";
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return "Invalid script shebang";
  body_begin = end;
  const std::vector<std::string_view> words = Words(text.substr(0, end));
  if (words.empty()) return "Invalid engine in script shebang";
  if (words[0] != "#!lua") return "Unexpected engine in script shebang: " + std::string(words[0]);
  flags.declared = true;
  constexpr std::string_view kFlags = "flags=";
  for (size_t i = 1; i < words.size(); ++i) {
    if (!words[i].starts_with(kFlags))
      return "Unknown lua shebang option: " + std::string(words[i]);
    std::string error = SetFlags(words[i].substr(kFlags.size()), flags);
    if (!error.empty()) return error;
  }
  return "";
}

}  // namespace tidegate
