#include "config/redis_conf.h"

#include <glob.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "config/loader.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

// Directives of Redis that are not settings and that Tidegate cannot honour.
struct RefusedDirective {
  std::string_view name;
  std::string_view why;
};

constexpr RefusedDirective kRefused[] = {
    {"rename-command", "commands cannot be renamed; put a firewall or a password before them"},
    {"user", "this version of Tidegate has no ACL users beyond the default one (requirepass)"},
    {"loadmodule", "Tidegate loads no modules"},
    {"sentinel", "Tidegate is not a Sentinel"},
};

// Of Redis versions long gone; Redis reads over them, and they never meant anything here.
constexpr std::string_view kForgotten[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                           "lua-replicate-commands"};

// What some editors put before UTF-8 text.
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// One file and what it includes.
class RedisConfReader {
 public:
  RedisConfReader(Includes includes, OptionsBuilder& builder)
      : includes_(includes), builder_(builder) {}

  void Read(std::string_view text, std::string_view name) {
    int line = 0;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (!text.empty()) {
      const size_t end = text.find('\n');
      ReadLine(text.substr(0, end), {name, ++line});
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

 private:
  void ReadLine(std::string_view line, ConfigPlace place) {
    const size_t first = line.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || line[first] == '#') return;
    const std::optional<std::vector<std::string>> words = SplitWords(line);
    if (!words) {
      builder_.Fail(place, "Unbalanced quotes in configuration line");
      return;
    }
    if (!words->empty()) {
      const std::span<const std::string> all = *words;
      ReadDirective(ToLowerAscii(all[0]), all.subspan(1), place);
    }
  }

  void ReadDirective(const std::string& name, std::span<const std::string> values,
                     ConfigPlace place) {
    for (const RefusedDirective& refused : kRefused) {
      if (refused.name == name) {
        builder_.Fail(place, name + ": " + std::string(refused.why));
        return;
      }
    }
    for (const std::string_view forgotten : kForgotten) {
      if (forgotten == name) return;
    }
    if (name == "include") {
      Include(values, place);
    } else {
      builder_.Assign(name, values, place);
    }
  }

  void Include(std::span<const std::string> values, ConfigPlace place) {
    if (values.size() != 1) {
      builder_.Fail(place, "include: wrong number of arguments");
    } else if (includes_ == Includes::kRefuse) {
      builder_.Fail(place, "include: not possible here");
    } else if (depth_ == kIncludeDepthMax) {
      builder_.Fail(place, "include: files include each other too deeply");
    } else if (values[0].find_first_of("*?[") == std::string::npos) {
      IncludeFile(values[0], place);
    } else {
      IncludePattern(values[0], place);
    }
  }

  void IncludePattern(const std::string& pattern, ConfigPlace place) {
    glob_t found{};
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) IncludeFile(found.gl_pathv[i], place);
    }
    globfree(&found);
  }

  void IncludeFile(const std::string& path, ConfigPlace place) {
    const Result<std::string> text = ReadConfigFile(path);
    if (!text.ok()) {
      builder_.Fail(place, "include: " + text.error().message);
      return;
    }
    ++depth_;
    Read(text.value(), path);
    --depth_;
  }

  const Includes includes_;
  OptionsBuilder& builder_;
  int depth_ = 0;
};

struct FileCloser {
  void operator()(FILE* file) const { std::fclose(file); }
};

}  // namespace

void ReadRedisConf(std::string_view text, std::string_view name, Includes includes,
                   OptionsBuilder& builder) {
  RedisConfReader(includes, builder).Read(text, name);
}

Result<std::string> ReadConfigFile(const std::string& path) {
  const bool is_stdin = path == "-";
  std::unique_ptr<FILE, FileCloser> opened;
  if (!is_stdin) {
    opened.reset(std::fopen(path.c_str(), "re"));
    if (opened == nullptr) return Error{path + ": " + std::strerror(errno)};
  }
  FILE* file = is_stdin ? stdin : opened.get();
  std::string text;
  char part[16 * 1024];
  while (true) {
    const size_t count = std::fread(part, 1, sizeof(part), file);
    text.append(part, count);
    if (text.size() > kConfigFileBytesMax.count) {
      return Error{path + ": longer than a configuration file may be (4 MiB)"};
    }
    if (count < sizeof(part)) break;
  }
  if (std::ferror(file)) return Error{path + ": " + std::strerror(errno)};
  return text;
}

}  // namespace tidegate
