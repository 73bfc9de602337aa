// RespValue: one reply parsed into a tree, for tests that look inside it.
// Not a client's parser: it knows what the tests ask for and takes whole replies. A plain value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::testing {

struct RespValue {
  // '+', '-', ':', '$' or '*'; '_' for the null bulk string, the null array and the RESP3 null;
  // 0 when the bytes were no reply.
  char type = 0;
  std::string text;              // of '+', '-', ':' and '$'
  std::vector<RespValue> items;  // of '*'

  bool is_null() const { return type == '_'; }
  int64_t integer() const;  // of ':' and of digits in a bulk string; aborts on anything else
};

// The first reply in `bytes`. Knows RESP2 and the RESP3 null.
RespValue ParseResp(std::string_view bytes);

}  // namespace tidegate::testing
