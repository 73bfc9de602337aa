#include "storage/script/script_values.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/text.h"
#include "storage/script_interpreter.h"

namespace tidegate {
namespace {

// Walks over an encoded reply. Replies are our own, so they are whole and well-formed.
class ReplyReader final {
 public:
  ReplyReader(lua_State* lua, std::string_view encoded) : lua_(lua), rest_(encoded) {}

  void PushNext() {
    luaL_checkstack(lua_, 6, "a reply is nested too deeply");
    const char type = rest_[0];
    const std::string_view line = TakeLine();
    switch (type) {
      case '+':
        return PushField("ok", line);
      case '-':
        return PushErrorReply(line);
      case ':':
        return lua_pushnumber(lua_, static_cast<lua_Number>(Number(line)));
      case '$':
        return PushBulk(line);
      case '*':
      case '>':
        return PushArray(line);
      case '%':
        return PushMap(line);
      case '~':
        return PushSet(line);
      default:
        return PushScalar(type, line);
    }
  }

 private:
  static int64_t Number(std::string_view text) { return ParseInt64(text).value_or(0); }

  std::string_view TakeLine() {
    const size_t end = rest_.find("\r\n");
    const std::string_view line = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 2);
    return line;
  }
  std::string_view TakeBytes(size_t size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size + 2);
    return bytes;
  }
  void PushField(const char* name, std::string_view text) {
    lua_createtable(lua_, 0, 1);
    PushText(lua_, text);
    lua_setfield(lua_, -2, name);
  }
  void PushErrorReply(std::string_view line) {
    // As it was encoded: the '-' says that it has a code.
    PushError(lua_, std::string_view(line.data() - 1, line.size() + 1));
    lua_pushboolean(lua_, 1);
    lua_setfield(lua_, -2, "ignore_error_stats_update");
  }
  void PushBulk(std::string_view line) {
    const int64_t size = Number(line);
    if (size < 0) return lua_pushboolean(lua_, 0);
    PushText(lua_, TakeBytes(static_cast<size_t>(size)));
  }
  void PushArray(std::string_view line) {
    const int64_t count = Number(line);
    if (count < 0) return lua_pushboolean(lua_, 0);
    lua_createtable(lua_, static_cast<int>(count), 0);
    for (int64_t i = 1; i <= count; ++i) {
      PushNext();
      lua_rawseti(lua_, -2, static_cast<int>(i));
    }
  }
  void PushMap(std::string_view line) {
    lua_createtable(lua_, 0, 1);
    lua_newtable(lua_);
    for (int64_t pairs = Number(line); pairs > 0; --pairs) {
      PushNext();
      PushNext();
      lua_rawset(lua_, -3);
    }
    lua_setfield(lua_, -2, "map");
  }
  void PushSet(std::string_view line) {
    lua_createtable(lua_, 0, 1);
    lua_newtable(lua_);
    for (int64_t members = Number(line); members > 0; --members) {
      PushNext();
      lua_pushboolean(lua_, 1);
      lua_rawset(lua_, -3);
    }
    lua_setfield(lua_, -2, "set");
  }
  void PushVerbatim(std::string_view line) {
    const std::string_view bytes = TakeBytes(static_cast<size_t>(Number(line)));
    lua_createtable(lua_, 0, 1);
    PushField("string", bytes.substr(4));
    PushText(lua_, bytes.substr(0, 3));
    lua_setfield(lua_, -2, "format");
    lua_setfield(lua_, -2, "verbatim_string");
  }
  // Attributes are not shown to scripts.
  void SkipAttribute(std::string_view line) {
    for (int64_t parts = Number(line) * 2; parts > 0; --parts) {
      PushNext();
      lua_pop(lua_, 1);
    }
    PushNext();
  }
  void PushDouble(std::string_view line) {
    lua_createtable(lua_, 0, 1);
    lua_pushnumber(lua_, ParseDouble(line).value_or(std::numeric_limits<double>::quiet_NaN()));
    lua_setfield(lua_, -2, "double");
  }
  void PushScalar(char type, std::string_view line) {
    switch (type) {
      case '#':
        return lua_pushboolean(lua_, line == "t");
      case ',':
        return PushDouble(line);
      case '(':
        return PushField("big_number", line);
      case '=':
        return PushVerbatim(line);
      case '|':
        return SkipAttribute(line);
      default:
        return lua_pushnil(lua_);  // '_'
    }
  }

  lua_State* lua_;
  std::string_view rest_;
};

// As C's cast on the machines that Redis runs on, which is undefined where the number does not fit.
int64_t ToInteger(lua_Number number) {
  constexpr double kLimit = 9223372036854775808.0;
  if (!(number >= -kLimit && number < kLimit)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(number);
}

char WithoutBreak(char c) { return c == '\r' || c == '\n' ? ' ' : c; }

// Writes a value and those in it.
class ValueWriter final {
 public:
  ValueWriter(lua_State* lua, ReplyWriter& reply, Protocol script_protocol, size_t& elements_left)
      : lua_(lua),
        reply_(reply),
        script_protocol_(script_protocol),
        elements_left_(elements_left) {}

  // Pops the value on top.
  bool Write() {
    if (elements_left_ == 0) return false;
    --elements_left_;
    if (depth_ == kScriptReplyDepthMax || lua_checkstack(lua_, 4) == 0) {
      reply_.Error("ERR reached lua stack limit");
      lua_pop(lua_, 1);
      return true;
    }
    ++depth_;
    const bool written = WriteTop();
    --depth_;
    if (written) lua_pop(lua_, 1);
    return written;
  }

 private:
  // The value on top, which stays.
  bool WriteTop() {
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING:
        reply_.Bulk(TextAt(lua_, -1));
        break;
      case LUA_TBOOLEAN:
        WriteBoolean(lua_toboolean(lua_, -1) != 0);
        break;
      case LUA_TNUMBER:
        reply_.Integer(ToInteger(lua_tonumber(lua_, -1)));
        break;
      case LUA_TTABLE:
        return WriteTable();
      default:
        reply_.Null();
    }
    return true;
  }
  void WriteBoolean(bool value) {
    if (script_protocol_ == Protocol::kResp3) return reply_.Boolean(value);
    if (value) return reply_.Integer(1);
    reply_.Null();
  }

  // Pushes a field of the table on top; whether it is of that type. It stays, whatever it is.
  bool Field(const char* name, int type) {
    lua_pushstring(lua_, name);
    lua_rawget(lua_, -2);
    return lua_type(lua_, -1) == type;
  }
  std::string_view Line() const {
    const std::string_view text = TextAt(lua_, -1);
    return text.substr(0, text.find('\0'));
  }

  // Line breaks become spaces, so that a text cannot forge a second reply.
  void WriteLine(char type, std::string_view text) {
    char* at = reply_.out().Reserve(text.size() + 3);
    *at++ = type;
    at = std::transform(text.begin(), text.end(), at, WithoutBreak);
    *at++ = '\r';
    *at = '\n';
    reply_.out().Commit(text.size() + 3);
  }
  void WriteBigNumber(std::string_view digits) {
    if (reply_.resp3()) return WriteLine('(', digits);
    reply_.BeginBulk(digits.size());
    char* at = reply_.out().Reserve(digits.size());
    std::transform(digits.begin(), digits.end(), at, WithoutBreak);
    reply_.out().Commit(digits.size());
    reply_.EndBulk();
  }

  // The table stays.
  bool WriteTable() {
    bool written = true;
    if (Field("err", LUA_TSTRING)) {
      reply_.Error(Line());
    } else if (lua_pop(lua_, 1); Field("ok", LUA_TSTRING)) {
      WriteLine('+', Line());
    } else if (lua_pop(lua_, 1); Field("double", LUA_TNUMBER)) {
      reply_.Double(lua_tonumber(lua_, -1));
    } else if (lua_pop(lua_, 1); Field("big_number", LUA_TSTRING)) {
      WriteBigNumber(TextAt(lua_, -1));
    } else if (lua_pop(lua_, 1); Field("verbatim_string", LUA_TTABLE) && WriteVerbatim()) {
    } else if (lua_pop(lua_, 1); Field("map", LUA_TTABLE)) {
      written = WritePairs(true);
    } else if (lua_pop(lua_, 1); Field("set", LUA_TTABLE)) {
      written = WritePairs(false);
    } else {
      lua_pop(lua_, 1);
      return WriteArray();
    }
    lua_pop(lua_, 1);
    return written;
  }

  // Of the table on top, which stays.
  bool WriteVerbatim() {
    const int top = lua_gettop(lua_);
    bool written = false;
    if (Field("format", LUA_TSTRING)) {
      lua_pushvalue(lua_, top);
      if (Field("string", LUA_TSTRING)) {
        char format[] = {' ', ' ', ' '};
        const std::string_view said = TextAt(lua_, top + 1).substr(0, sizeof format);
        std::copy(said.begin(), said.end(), format);
        reply_.Verbatim({format, sizeof format}, TextAt(lua_, -1));
        written = true;
      }
    }
    lua_settop(lua_, top);
    return written;
  }

  // Of the map or set on top: its keys, and with `values` what they stand for.
  bool WritePairs(bool values) {
    size_t count = 0;
    for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) ++count;
    values ? reply_.Map(count) : reply_.Set(count);
    lua_pushnil(lua_);
    while (lua_next(lua_, -2) != 0) {
      if (!values) lua_pop(lua_, 1);
      lua_pushvalue(lua_, values ? -2 : -1);
      if (!Write()) return false;
      if (values && !Write()) return false;
    }
    return true;
  }

  // Up to the first nil.
  bool WriteArray() {
    int count = 0;
    for (;; ++count) {
      lua_rawgeti(lua_, -1, count + 1);
      const bool end = lua_isnil(lua_, -1);
      lua_pop(lua_, 1);
      if (end) break;
    }
    reply_.Array(static_cast<size_t>(count));
    for (int i = 1; i <= count; ++i) {
      lua_rawgeti(lua_, -1, i);
      if (!Write()) return false;
    }
    return true;
  }

  lua_State* lua_;
  ReplyWriter& reply_;
  const Protocol script_protocol_;
  size_t& elements_left_;
  size_t depth_ = 0;
};

}  // namespace

void PushReply(lua_State* lua, std::string_view encoded) { ReplyReader(lua, encoded).PushNext(); }

bool WriteValue(lua_State* lua, ReplyWriter& reply, Protocol script_protocol,
                size_t& elements_left) {
  return ValueWriter(lua, reply, script_protocol, elements_left).Write();
}

}  // namespace tidegate
