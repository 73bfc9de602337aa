// What the words of SORT and SORT_RO ask for. Read before anything is locked, because BY and GET
// say what has to be: the keys that their patterns name are known only once the elements are.
// Views borrow from the arguments. Stateless; any thread. Behaviour: Redis's sortCommandGeneric.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// A pattern of BY or GET: "#" is the element itself, weight_* the string in the key with the
// element in place of the star, object_*->field a field of the hash in that key, and anything
// without a star finds nothing. As in Redis, a NUL ends the part in which star and arrow are
// looked for.
class SortPattern final {
 public:
  explicit SortPattern(std::string_view text);

  bool is_element() const { return is_element_; }
  bool names_keys() const { return names_keys_; }
  // Of a hash; nothing: the key holds a string.
  const std::optional<std::string_view>& field() const { return field_; }
  // The key for this element.
  void Key(std::string_view element, std::string& key) const;

 private:
  bool is_element_ = false;
  bool names_keys_ = false;
  std::string_view before_star_;
  std::string_view behind_star_;
  std::optional<std::string_view> field_;
};

struct SortArguments {
  bool descending = false;
  bool alpha = false;
  bool keep_order = false;  // BY a pattern without a star
  int64_t limit_start = 0;
  int64_t limit_count = -1;  // negative: all
  std::optional<SortPattern> by;
  std::vector<SortPattern> gets;
  size_t store = 0;  // argument of STORE's key; 0: none

  // Whether it has to look at keys beside those that the arguments name.
  bool names_keys() const;
};

// Which words the command knows.
enum class SortWords : uint8_t { kAll, kReadOnly };

// Empty: all is well. Else the error reply.
std::string_view ParseSortArguments(std::span<const std::string_view> args, SortWords words,
                                    SortArguments& out);

}  // namespace tidegate
