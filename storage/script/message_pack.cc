// cmsgpack: values as MessagePack and back, with the choices of Redis's lua-cmsgpack (which numbers
// are written as integers, what is an array, where nesting ends) so that both read and write the
// same bytes. Source: the MessagePack specification; lua-cmsgpack 0.4.0 for the choices.
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "storage/script/lua.h"

namespace tidegate {
namespace {

constexpr int kNestingMax = 16;

// Bytes that grow, in memory of Lua's: an error leaves nothing behind. Its place on the stack is
// taken once; it moves with what is written.
class PackBuffer final {
 public:
  explicit PackBuffer(lua_State* lua) : lua_(lua) {
    bytes_ = static_cast<char*>(lua_newuserdata(lua_, kFirstBytes));
    index_ = lua_gettop(lua_);
  }
  void Add(const void* bytes, size_t size) {
    if (capacity_ - size_ < size) Grow(size);
    if (size != 0) std::memcpy(bytes_ + size_, bytes, size);
    size_ += size;
  }
  void AddByte(unsigned value) {
    const char byte = static_cast<char>(value);
    Add(&byte, 1);
  }
  // The lowest `size` bytes, the highest of them first.
  void AddBigEndian(uint64_t value, int size) {
    char bytes[8];
    for (int i = 0; i < size; ++i) bytes[i] = static_cast<char>(value >> (8 * (size - 1 - i)));
    Add(bytes, static_cast<size_t>(size));
  }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  static constexpr size_t kFirstBytes = 256;

  void Grow(size_t more) {
    const size_t capacity = (size_ + more) * 2;
    luaL_checkstack(lua_, 1, "in function mp_pack");
    auto* bytes = static_cast<char*>(lua_newuserdata(lua_, capacity));
    std::memcpy(bytes, bytes_, size_);
    lua_replace(lua_, index_);
    bytes_ = bytes;
    capacity_ = capacity;
  }

  lua_State* lua_;
  int index_ = 0;
  char* bytes_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = kFirstBytes;
};

// A type's byte and its count or size: in the byte itself when it is small.
struct LengthForms {
  unsigned fixed;  // with the length in its low bits
  uint64_t fixed_max;
  unsigned one_byte;  // 0: there is no such form
  unsigned two_bytes;
  unsigned four_bytes;
};
constexpr LengthForms kStringForms{0xa0, 31, 0xd9, 0xda, 0xdb};
constexpr LengthForms kArrayForms{0x90, 15, 0, 0xdc, 0xdd};
constexpr LengthForms kMapForms{0x80, 15, 0, 0xde, 0xdf};

void PackLength(PackBuffer& out, const LengthForms& forms, uint64_t length) {
  if (length <= forms.fixed_max) return out.AddByte(forms.fixed | static_cast<unsigned>(length));
  if (forms.one_byte != 0 && length <= 0xff) {
    out.AddByte(forms.one_byte);
    return out.AddBigEndian(length, 1);
  }
  const bool two = length <= 0xffff;
  out.AddByte(two ? forms.two_bytes : forms.four_bytes);
  out.AddBigEndian(length, two ? 2 : 4);
}

void PackUnsigned(PackBuffer& out, uint64_t value) {
  if (value <= 127) return out.AddByte(static_cast<unsigned>(value));
  const int size = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  out.AddByte(size == 1 ? 0xcc : size == 2 ? 0xcd : size == 4 ? 0xce : 0xcf);
  out.AddBigEndian(value, size);
}

void PackInteger(PackBuffer& out, int64_t value) {
  if (value >= 0) return PackUnsigned(out, static_cast<uint64_t>(value));
  if (value >= -32) return out.AddByte(static_cast<unsigned>(value) & 0xff);
  const int size = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : value >= INT32_MIN ? 4 : 8;
  out.AddByte(size == 1 ? 0xd0 : size == 2 ? 0xd1 : size == 4 ? 0xd2 : 0xd3);
  out.AddBigEndian(static_cast<uint64_t>(value), size);
}

// Whether the cast to an integer loses nothing.
bool IsInteger(lua_Number number) {
  constexpr double kLimit = 9223372036854775808.0;
  return number >= -kLimit && number < kLimit && std::trunc(number) == number;
}

void PackNumber(PackBuffer& out, lua_Number number) {
  if (IsInteger(number)) return PackInteger(out, static_cast<int64_t>(number));
  const auto single = static_cast<float>(number);
  if (static_cast<double>(single) == number) {
    uint32_t bits = 0;
    std::memcpy(&bits, &single, sizeof bits);
    out.AddByte(0xca);
    return out.AddBigEndian(bits, 4);
  }
  uint64_t bits = 0;
  std::memcpy(&bits, &number, sizeof bits);
  out.AddByte(0xcb);
  out.AddBigEndian(bits, 8);
}

// Whether the keys of the table on top are 1 … n; how many there are, whatever they are.
bool IsArray(lua_State* lua, size_t& keys) {
  luaL_checkstack(lua, 2, "in function table_is_an_array");
  keys = 0;
  lua_Number largest = 0;
  bool indexes = true;
  for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
    ++keys;
    const lua_Number key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
    indexes = indexes && key > 0 && key <= INT_MAX && std::trunc(key) == key;
    if (key > largest) largest = key;
  }
  return indexes && largest == static_cast<lua_Number>(keys);
}

// Packs the value on top, and pops it.
void PackValue(lua_State* lua, PackBuffer& out, int level);

// The table stays.
void PackTable(lua_State* lua, PackBuffer& out, int level) {
  size_t keys = 0;
  luaL_checkstack(lua, 3, "in function mp_encode_lua_table_as_map");
  if (IsArray(lua, keys)) {
    PackLength(out, kArrayForms, keys);
    for (size_t i = 1; i <= keys; ++i) {
      lua_pushnumber(lua, static_cast<lua_Number>(i));
      lua_gettable(lua, -2);
      PackValue(lua, out, level + 1);
    }
    return;
  }
  PackLength(out, kMapForms, keys);
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    lua_pushvalue(lua, -2);
    PackValue(lua, out, level + 1);
    PackValue(lua, out, level + 1);
  }
}

void PackValue(lua_State* lua, PackBuffer& out, int level) {
  int type = lua_type(lua, -1);
  if (type == LUA_TTABLE && level == kNestingMax) type = LUA_TNIL;
  switch (type) {
    case LUA_TSTRING: {
      const std::string_view text = TextAt(lua, -1);
      PackLength(out, kStringForms, text.size());
      out.Add(text.data(), text.size());
      break;
    }
    case LUA_TBOOLEAN:
      out.AddByte(lua_toboolean(lua, -1) != 0 ? 0xc3 : 0xc2);
      break;
    case LUA_TNUMBER:
      PackNumber(out, lua_tonumber(lua, -1));
      break;
    case LUA_TTABLE:
      PackTable(lua, out, level);
      break;
    default:
      out.AddByte(0xc0);
  }
  lua_pop(lua, 1);
}

int Pack(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count == 0) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
  if (lua_checkstack(lua, 4) == 0)
    return luaL_argerror(lua, 0, "Too many arguments for MessagePack pack.");
  PackBuffer out(lua);
  for (int i = 1; i <= count; ++i) {
    lua_pushvalue(lua, i);
    PackValue(lua, out, 0);
  }
  PushText(lua, out.view());
  return 1;
}

enum class UnpackError : uint8_t { kNone, kEnd, kFormat };

// Reads values; what is read is pushed.
class Unpacker final {
 public:
  Unpacker(lua_State* lua, std::string_view rest) : lua_(lua), rest_(rest) {}

  size_t left() const { return rest_.size(); }
  UnpackError error() const { return error_; }

  // One value. With an error what is on the stack means nothing.
  void Next() {
    luaL_checkstack(lua_, 4,
                    "too many return values at once; use unpack_one or unpack_limit instead.");
    if (!Need(1)) return;
    const auto type = static_cast<uint8_t>(rest_[0]);
    if (type < 0x80 || type >= 0xe0) {
      rest_.remove_prefix(1);
      return lua_pushinteger(lua_, static_cast<int8_t>(type));
    }
    if (type < 0x90) return FixedLength(type & 0xf, &Unpacker::Map);
    if (type < 0xa0) return FixedLength(type & 0xf, &Unpacker::Array);
    if (type < 0xc0) return FixedLength(type & 0x1f, &Unpacker::Text);
    OfType(type);
  }

 private:
  using Part = void (Unpacker::*)(size_t length);

  bool Need(size_t size) {
    if (rest_.size() >= size) return true;
    error_ = UnpackError::kEnd;
    return false;
  }
  uint64_t BigEndian(int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(rest_[1 + i]);
    rest_.remove_prefix(static_cast<size_t>(size) + 1);
    return value;
  }
  void FixedLength(size_t length, Part part) {
    rest_.remove_prefix(1);
    (this->*part)(length);
  }
  void Length(int size, Part part) {
    if (Need(static_cast<size_t>(size) + 1)) (this->*part)(static_cast<size_t>(BigEndian(size)));
  }
  void Unsigned(int size) {
    if (Need(static_cast<size_t>(size) + 1))
      lua_pushinteger(lua_, static_cast<lua_Integer>(BigEndian(size)));
  }
  void Signed(int size) {
    if (!Need(static_cast<size_t>(size) + 1)) return;
    const int unused = 64 - 8 * size;
    lua_pushnumber(
        lua_, static_cast<lua_Number>(static_cast<int64_t>(BigEndian(size) << unused) >> unused));
  }
  void Single() {
    if (!Need(5)) return;
    const auto bits = static_cast<uint32_t>(BigEndian(4));
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    lua_pushnumber(lua_, value);
  }
  void Double() {
    if (!Need(9)) return;
    const uint64_t bits = BigEndian(8);
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    lua_pushnumber(lua_, value);
  }
  void Text(size_t length) {
    if (!Need(length)) return;
    PushText(lua_, rest_.substr(0, length));
    rest_.remove_prefix(length);
  }
  void Array(size_t length) {
    lua_newtable(lua_);
    for (size_t i = 1; i <= length; ++i) {
      lua_pushnumber(lua_, static_cast<lua_Number>(i));
      Next();
      if (error_ != UnpackError::kNone) return;
      lua_settable(lua_, -3);
    }
  }
  void Map(size_t length) {
    lua_newtable(lua_);
    for (size_t i = 0; i < length; ++i) {
      Next();
      if (error_ != UnpackError::kNone) return;
      Next();
      if (error_ != UnpackError::kNone) return;
      lua_settable(lua_, -3);
    }
  }
  void Constant(uint8_t type) {
    rest_.remove_prefix(1);
    type == 0xc0 ? lua_pushnil(lua_) : lua_pushboolean(lua_, type == 0xc3 ? 1 : 0);
  }
  void OfType(uint8_t type) {
    switch (type) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return Constant(type);
      case 0xca:
        return Single();
      case 0xcb:
        return Double();
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return Unsigned(1 << (type - 0xcc));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return Signed(1 << (type - 0xd0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return Length(1 << (type - 0xd9), &Unpacker::Text);
      case 0xdc:
      case 0xdd:
        return Length(2 << (type - 0xdc), &Unpacker::Array);
      case 0xde:
      case 0xdf:
        return Length(2 << (type - 0xde), &Unpacker::Map);
      default:
        error_ = UnpackError::kFormat;
    }
  }

  lua_State* lua_;
  std::string_view rest_;
  UnpackError error_ = UnpackError::kNone;
};

// Of the text at 1, the only thing on the stack. Both 0: everything, and no offset is given back.
int UnpackSome(lua_State* lua, lua_Integer limit, lua_Integer offset) {
  size_t size = 0;
  const char* text = luaL_checklstring(lua, 1, &size);
  if (offset < 0 || limit < 0) {
    return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(size));
  }
  if (static_cast<size_t>(offset) > size) {
    return luaL_error(lua, "Start offset %d greater than input length %d.",
                      static_cast<int>(offset), static_cast<int>(size));
  }
  const bool all = limit == 0 && offset == 0;
  if (all) limit = INT_MAX;
  Unpacker in(lua, std::string_view(text, size).substr(static_cast<size_t>(offset)));
  int count = 0;
  for (; in.left() > 0 && count < limit; ++count) {
    in.Next();
    if (in.error() == UnpackError::kEnd) return luaL_error(lua, "Missing bytes in input.");
    if (in.error() == UnpackError::kFormat) return luaL_error(lua, "Bad data format in input.");
  }
  if (all) return count;
  lua_pushinteger(lua, in.left() == 0 ? -1 : static_cast<lua_Integer>(size - in.left()));
  lua_insert(lua, 2);
  return count + 1;
}

int Unpack(lua_State* lua) {
  // More than one argument would be in the way of the results.
  luaL_checkstring(lua, 1);
  lua_settop(lua, 1);
  return UnpackSome(lua, 0, 0);
}

int UnpackOne(lua_State* lua) {
  const lua_Integer offset = luaL_optinteger(lua, 2, 0);
  lua_settop(lua, 1);
  return UnpackSome(lua, 1, offset);
}

int UnpackLimit(lua_State* lua) {
  const lua_Integer limit = luaL_checkinteger(lua, 2);
  const lua_Integer offset = luaL_optinteger(lua, 3, 0);
  lua_settop(lua, 1);
  return UnpackSome(lua, limit, offset);
}

constexpr luaL_Reg kFunctions[] = {
    {"pack", Pack}, {"unpack", Unpack}, {"unpack_one", UnpackOne}, {"unpack_limit", UnpackLimit}};

}  // namespace

int OpenMessagePack(lua_State* lua) {
  lua_newtable(lua);
  for (const luaL_Reg& row : kFunctions) {
    lua_pushcfunction(lua, row.func);
    lua_setfield(lua, -2, row.name);
  }
  lua_pushliteral(lua, "cmsgpack");
  lua_setfield(lua, -2, "_NAME");
  lua_pushliteral(lua, "lua-cmsgpack 0.4.0");
  lua_setfield(lua, -2, "_VERSION");
  return 1;
}

}  // namespace tidegate
