// Result<T>: a value, or an Error with a message for people. The way failures of the environment
// (files, sockets, configuration) travel; callers add context on the way up, so that the text reads
// from the outside in: "open store ./data: IO error: No space left". Mistakes of a Redis client are
// not Results but error replies, and bugs are TG_CHECKs. No exceptions: those of third-party
// libraries are caught at that library's door.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tidegate {

struct Error {
  std::string message;

  // The same error seen from one level up: "context: message".
  Error WithContext(std::string_view context) && {
    std::string text(context);
    text += ": ";
    text += message;
    return Error{std::move(text)};
  }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit by design: `return value;` and `return Error{…};` are how functions end.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Only when ok().
  T& value() & {
    TG_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    TG_CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    TG_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  // Only when !ok().
  const Error& error() const& {
    TG_CHECK(!ok());
    return std::get<1>(state_);
  }
  Error&& error() && {
    TG_CHECK(!ok());
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  // Implicit by design, as above.
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  // Only when !ok().
  const Error& error() const& {
    TG_CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    TG_CHECK(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace tidegate

// Returns the error of an expression that gives a Status or a Result, when it has one.
#define TG_RETURN_IF_ERROR(expression)                          \
  do {                                                          \
    auto tg_result_ = (expression);                             \
    if (!tg_result_.ok()) return std::move(tg_result_).error(); \
  } while (false)
