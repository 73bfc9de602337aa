// JsonWriter: builds one JSON text front to back; commas and escaping are its business.
// Why our own: writing needs forty lines, and a JSON library would be a dependency for the admin
// pages alone. Bytes that are no UTF-8 (a path may hold any) become U+FFFD, so that the result is
// always valid JSON. The caller balances Begin and End. Thread: a local object.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

class JsonWriter final {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  // The name of the member whose value comes next.
  JsonWriter& Key(std::string_view name);

  JsonWriter& Text(std::string_view text);
  JsonWriter& Bool(bool value);
  // NaN and infinities, which JSON has not, become null.
  JsonWriter& Real(double value);
  template <std::integral T>
  JsonWriter& Int(T value) {
    Separate();
    text_ += std::to_string(value);
    return *this;
  }

  std::string Take() { return std::move(text_); }

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  void Separate();

  std::string text_;
  bool first_ = true;  // nothing stands yet in the innermost object or array, or after a key
};

}  // namespace tidegate
