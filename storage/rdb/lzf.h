// LZF compression of strings in RDB data: the door to liblzf. Stateless; any thread. Cost: some
// 300 MB/s to compress, more than twice that to expand.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate::rdb {

// False, and `out` is anything, when it would not get smaller.
bool LzfCompress(std::string_view bytes, std::string& out);

// False when `packed` is not LZF of exactly so many bytes.
bool LzfExpand(std::string_view packed, size_t bytes, std::string& out);

}  // namespace tidegate::rdb
