#include "storage/rdb/lzf.h"

#include <liblzf/lzf.h>

#include <limits>

namespace tidegate::rdb {
namespace {

constexpr size_t kBytesMax = std::numeric_limits<unsigned>::max();
// A reference of three bytes stands for 264 at most: more than so much larger is a forgery, for
// which no memory is taken.
constexpr size_t kRatioMax = 264;

}  // namespace

bool LzfCompress(std::string_view bytes, std::string& out) {
  // As Redis: four bytes must be gained.
  constexpr size_t kGainMin = 4;
  if (bytes.size() <= kGainMin || bytes.size() > kBytesMax) return false;
  out.resize(bytes.size() - kGainMin);
  const unsigned size = lzf_compress(bytes.data(), static_cast<unsigned>(bytes.size()), out.data(),
                                     static_cast<unsigned>(out.size()));
  out.resize(size);
  return size != 0;
}

bool LzfExpand(std::string_view packed, size_t bytes, std::string& out) {
  if (packed.size() > kBytesMax || bytes > kBytesMax || bytes == 0) return false;
  if (bytes / kRatioMax > packed.size()) return false;
  out.resize(bytes);
  return lzf_decompress(packed.data(), static_cast<unsigned>(packed.size()), out.data(),
                        static_cast<unsigned>(bytes)) == bytes;
}

}  // namespace tidegate::rdb
