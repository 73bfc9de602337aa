// How a reply that a node gave in RESP3 looks in RESP2.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "policy/local_cache_store.h"

namespace tidegate {
namespace {

// Of one frame that is known to be whole. No recursion: the headers of aggregates are all there is
// to change, but for the first one's count when others inside it become flat.
class Resp2Form final {
 public:
  explicit Resp2Form(std::string_view from) : from_(from) {}

  std::string Make() {
    const std::string_view first = TakeLine();
    const bool is_aggregate =
        !first.empty() && (first[0] == '*' || first[0] == '~' || first[0] == '%');
    if (!is_aggregate) {
      Scalar(first);
      return std::move(out_);
    }
    const std::optional<int64_t> count = ParseInt64(first.substr(1));
    int64_t elements = count.value_or(0) * (first[0] == '%' ? 2 : 1);
    while (!from_.empty()) {
      const std::string_view line = TakeLine();
      if (line.starts_with('*')) {
        elements += ParseInt64(line.substr(1)).value_or(0) - 1;
      } else {
        Scalar(line);
      }
    }
    return "*" + std::to_string(elements) + "\r\n" + out_;
  }

 private:
  std::string_view TakeLine() {
    const size_t end = from_.find("\r\n");
    const std::string_view line = from_.substr(0, end);
    from_.remove_prefix(end == std::string_view::npos ? from_.size() : end + 2);
    return line;
  }

  void Scalar(std::string_view line) {
    if (line == "_") {
      out_ += "$-1\r\n";
    } else if (line.starts_with(',')) {
      out_ += "$" + std::to_string(line.size() - 1) + "\r\n";
      out_.append(line.substr(1));
      out_ += "\r\n";
    } else {
      out_.append(line);
      out_ += "\r\n";
      if (line.starts_with('$')) Body(line);
    }
  }

  void Body(std::string_view header) {
    const int64_t length = ParseInt64(header.substr(1)).value_or(0);
    if (length < 0) return;  // a null as in RESP2, from a node that is no Redis
    const size_t size = static_cast<size_t>(length) + 2;
    out_.append(from_.substr(0, size));
    from_.remove_prefix(std::min(size, from_.size()));
  }

  std::string_view from_;
  std::string out_;
};

}  // namespace

std::string Resp2Of(std::string_view resp3) {
  std::string resp2 = Resp2Form(resp3).Make();
  return resp2 == resp3 ? std::string() : resp2;
}

}  // namespace tidegate
