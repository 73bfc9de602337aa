// struct: numbers and strings as the fields of a C structure and back, format by format as the
// library of that name that Redis has: same letters, sizes, alignment and error texts.
// Source: R. Ierusalimschy's struct library for Lua 5.1, its documentation.
#include <algorithm>
#include <bit>
#include <cctype>
#include <climits>
#include <cstdint>
#include <cstring>

#include "storage/script/lua.h"

namespace tidegate {
namespace {

constexpr int kIntegerBytesMax = 32;
constexpr int kAlignmentDefault = 8;  // of '!' alone
constexpr std::string_view kTooShort = "data string too short";

// Walks over a format: its letters, and what they have set so far.
class Format final {
 public:
  Format(lua_State* lua, const char* text) : lua_(lua), at_(text) {}

  // The next letter; 0: the end.
  char Next() { return *at_ == '\0' ? '\0' : *at_++; }
  bool little_endian() const { return little_endian_; }

  // What the letter's field takes; 0: it has none, or it says so itself ("c0", "s").
  size_t SizeOf(char option) {
    switch (option) {
      case 'B':
      case 'b':
      case 'x':
        return 1;
      case 'H':
      case 'h':
        return sizeof(short);
      case 'L':
      case 'l':
      case 'T':
      case 'd':
        return 8;
      case 'f':
        return sizeof(float);
      case 'c':
        return static_cast<size_t>(Number(1));
      case 'i':
      case 'I':
        return IntegerSize();
      default:
        return 0;
    }
  }
  // Bytes between the field and what is before it.
  size_t Padding(size_t position, char option, size_t size) const {
    if (size == 0 || option == 'c') return 0;
    const size_t step = std::min(size, static_cast<size_t>(alignment_));
    return (step - (position & (step - 1))) & (step - 1);
  }
  // A letter without a field.
  void Control(char option) {
    switch (option) {
      case ' ':
        return;
      case '>':
        little_endian_ = false;
        return;
      case '<':
        little_endian_ = true;
        return;
      case '!': {
        const int alignment = Number(kAlignmentDefault);
        if (alignment <= 0 || !std::has_single_bit(static_cast<unsigned>(alignment)))
          luaL_error(lua_, "alignment %d is not a power of 2", alignment);
        alignment_ = alignment;
        return;
      }
      default:
        luaL_argerror(lua_, 1, lua_pushfstring(lua_, "invalid format option '%c'", option));
    }
  }

 private:
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }

  int Number(int otherwise) {
    if (!IsDigit(*at_)) return otherwise;
    int number = 0;
    do {
      const int digit = *at_++ - '0';
      if (number > INT_MAX / 10 || number * 10 > INT_MAX - digit)
        luaL_error(lua_, "integral size overflow");
      number = number * 10 + digit;
    } while (IsDigit(*at_));
    return number;
  }
  size_t IntegerSize() {
    const int size = Number(sizeof(int));
    if (size > kIntegerBytesMax) {
      luaL_error(lua_, "integral size %d is larger than limit of %d", size, kIntegerBytesMax);
    }
    return static_cast<size_t>(size);
  }

  lua_State* lua_;
  const char* at_;
  bool little_endian_ = std::endian::native == std::endian::little;
  int alignment_ = 1;
};

bool IsInteger(char option) {
  return std::string_view("bBhHlLTiI").find(option) != std::string_view::npos;
}

// As C's cast on the machines that Redis runs on, which is undefined where the number does not fit.
uint64_t ToUint64(lua_Number number) {
  constexpr double kTop = 9223372036854775808.0;
  if (number < 0)
    return number >= -kTop ? static_cast<uint64_t>(static_cast<int64_t>(number))
                           : uint64_t{1} << 63;
  if (number < 2 * kTop) return static_cast<uint64_t>(number);
  return 0;
}

void PackInteger(lua_State* lua, luaL_Buffer& out, int argument, const Format& format,
                 size_t size) {
  uint64_t value = ToUint64(luaL_checknumber(lua, argument));
  char bytes[kIntegerBytesMax];
  for (size_t i = 0; i < size; ++i) {
    bytes[format.little_endian() ? i : size - 1 - i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  luaL_addlstring(&out, bytes, size);
}

template <typename Float>
void PackFloat(luaL_Buffer& out, Float value, const Format& format) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  if (format.little_endian() != (std::endian::native == std::endian::little))
    std::reverse(bytes, bytes + sizeof bytes);
  luaL_addlstring(&out, bytes, sizeof bytes);
}

// `size`: what the letter says. What was written.
size_t PackText(lua_State* lua, luaL_Buffer& out, int argument, char option, size_t size) {
  size_t length = 0;
  const char* text = luaL_checklstring(lua, argument, &length);
  if (size == 0) size = length;
  luaL_argcheck(lua, length >= size, argument + 1, "string too short");
  luaL_addlstring(&out, text, size);
  if (option != 's') return size;
  luaL_addchar(&out, '\0');
  return size + 1;
}

int Pack(lua_State* lua) {
  Format format(lua, luaL_checkstring(lua, 1));
  luaL_Buffer out;
  int argument = 2;
  size_t total = 0;
  lua_pushnil(lua);  // between the arguments and what the buffer keeps on the stack
  luaL_buffinit(lua, &out);
  while (const char option = format.Next()) {
    size_t size = format.SizeOf(option);
    const size_t padding = format.Padding(total, option, size);
    total += padding;
    for (size_t i = 0; i < padding; ++i) luaL_addchar(&out, '\0');
    if (IsInteger(option)) {
      PackInteger(lua, out, argument++, format, size);
    } else if (option == 'x') {
      luaL_addchar(&out, '\0');
    } else if (option == 'f') {
      PackFloat(out, static_cast<float>(luaL_checknumber(lua, argument++)), format);
    } else if (option == 'd') {
      PackFloat(out, static_cast<double>(luaL_checknumber(lua, argument++)), format);
    } else if (option == 'c' || option == 's') {
      size = PackText(lua, out, argument++, option, size);
    } else {
      format.Control(option);
    }
    total += size;
  }
  luaL_pushresult(&out);
  return 1;
}

lua_Number ReadInteger(const char* bytes, const Format& format, bool is_signed, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    const char byte = bytes[format.little_endian() ? size - 1 - i : i];
    value = value << 8 | static_cast<uint8_t>(byte);
  }
  if (!is_signed) return static_cast<lua_Number>(value);
  if (size > 0 && size < sizeof value) {
    const size_t unused = 8 * (sizeof value - size);
    return static_cast<lua_Number>(static_cast<int64_t>(value << unused) >> unused);
  }
  return static_cast<lua_Number>(static_cast<int64_t>(value));
}

template <typename Float>
lua_Number ReadFloat(const char* from, const Format& format) {
  char bytes[sizeof(Float)];
  std::memcpy(bytes, from, sizeof bytes);
  if (format.little_endian() != (std::endian::native == std::endian::little))
    std::reverse(bytes, bytes + sizeof bytes);
  Float value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<lua_Number>(value);
}

// "c": so many bytes; "c0": as many as the number before it says, which it takes the place of.
size_t UnpackText(lua_State* lua, std::string_view data, size_t position, size_t size,
                  int& results) {
  if (size == 0) {
    if (results == 0 || lua_isnumber(lua, -1) == 0)
      luaL_error(lua, "format 'c0' needs a previous size");
    size = static_cast<size_t>(ToUint64(lua_tonumber(lua, -1)));
    lua_pop(lua, 1);
    --results;
    luaL_argcheck(lua, size <= data.size() && position <= data.size() - size, 2, kTooShort.data());
  }
  PushText(lua, data.substr(position, size));
  ++results;
  return size;
}

size_t UnpackUntilZero(lua_State* lua, std::string_view data, size_t position, int& results) {
  const size_t end = data.find('\0', position);
  if (end == std::string_view::npos) luaL_error(lua, "unfinished string in data");
  PushText(lua, data.substr(position, end - position));
  ++results;
  return end - position + 1;
}

int Unpack(lua_State* lua) {
  Format format(lua, luaL_checkstring(lua, 1));
  size_t data_size = 0;
  const char* bytes = luaL_checklstring(lua, 2, &data_size);
  const std::string_view data(bytes, data_size);
  auto position = static_cast<size_t>(luaL_optinteger(lua, 3, 1));
  luaL_argcheck(lua, position > 0, 3, "offset must be 1 or greater");
  --position;
  int results = 0;
  while (const char option = format.Next()) {
    size_t size = format.SizeOf(option);
    position += format.Padding(position, option, size);
    luaL_argcheck(lua, size <= data_size && position <= data_size - size, 2, kTooShort.data());
    luaL_checkstack(lua, 2, "too many results");
    if (IsInteger(option)) {
      const bool is_signed = std::islower(static_cast<unsigned char>(option)) != 0;
      lua_pushnumber(lua, ReadInteger(bytes + position, format, is_signed, size));
      ++results;
    } else if (option == 'f') {
      lua_pushnumber(lua, ReadFloat<float>(bytes + position, format));
      ++results;
    } else if (option == 'd') {
      lua_pushnumber(lua, ReadFloat<double>(bytes + position, format));
      ++results;
    } else if (option == 'c') {
      size = UnpackText(lua, data, position, size, results);
    } else if (option == 's') {
      size = UnpackUntilZero(lua, data, position, results);
    } else if (option != 'x') {
      format.Control(option);
    }
    position += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position + 1));
  return results + 1;
}

int Size(lua_State* lua) {
  Format format(lua, luaL_checkstring(lua, 1));
  size_t position = 0;
  while (const char option = format.Next()) {
    const size_t size = format.SizeOf(option);
    position += format.Padding(position, option, size);
    if (option == 's') luaL_argerror(lua, 1, "option 's' has no fixed size");
    if (option == 'c' && size == 0) luaL_argerror(lua, 1, "option 'c0' has no fixed size");
    if (std::isalnum(static_cast<unsigned char>(option)) == 0) format.Control(option);
    position += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position));
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"pack", Pack}, {"unpack", Unpack}, {"size", Size}};

}  // namespace

int OpenStruct(lua_State* lua) {
  lua_newtable(lua);
  for (const luaL_Reg& row : kFunctions) {
    lua_pushcfunction(lua, row.func);
    lua_setfield(lua, -2, row.name);
  }
  return 1;
}

}  // namespace tidegate
