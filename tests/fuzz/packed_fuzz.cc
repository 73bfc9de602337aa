// Packed encodings from outside: any bytes are refused, or can be read, searched and edited.
//
// The first byte of the input says what it is: a listpack as it stands, the entries of one whose
// header is made to agree (so that the entries are what is tried), or an intset. The second says
// where it ends and the script of edits begins. What is valid is read both ways, then edited by the
// script against a plain model. Payloads and buffers are as large as their bytes, so that the
// address sanitizer sees the first byte beyond.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "storage/value/intset.h"
#include "storage/value/listpack.h"
#include "tests/support/moving_buffer.h"

namespace tidegate {
namespace {

using Strings = std::vector<std::string>;

// Hands out the input's bytes; zeros when there are none left.
class Script final {
 public:
  explicit Script(std::string_view bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }
  uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  size_t Below(size_t n) { return (size_t{Byte()} << 8 | Byte()) % n; }
  std::string Text() {
    const uint8_t kind = Byte();
    if (kind < 64) return std::to_string(Integer());
    if (kind < 80) return std::string(size_t{Byte()} << 5, 'l');
    const std::string text(bytes_.substr(0, kind % 32));
    bytes_.remove_prefix(text.size());
    return text;
  }
  // Of any width.
  int64_t Integer() {
    uint64_t value = 0;
    for (size_t n = Byte() % 9; n > 0; --n) value = value << 8 | Byte();
    return Byte() % 2 == 0 ? static_cast<int64_t>(value) : static_cast<int64_t>(-value);
  }

 private:
  std::string_view bytes_;
};

Strings Read(ListpackView view) {
  Strings texts;
  char digits[kListpackDigitsBytes];
  for (size_t at = view.First(); at != view.End(); at = view.Next(at)) {
    texts.emplace_back(view.Get(at).Render(digits));
    TG_CHECK(view.Get(at).Equals(texts.back()));
  }
  return texts;
}

void CheckSame(ListpackView view, const Strings& model) {
  TG_CHECK(ListpackView::Validate(view.bytes(), true));
  TG_CHECK(view.count() == model.size());
  TG_CHECK(Read(view) == model);
  char digits[kListpackDigitsBytes];
  size_t at = view.End();
  for (size_t i = model.size(); i > 0; --i) {
    at = view.Prev(at);
    TG_CHECK(view.Get(at).Render(digits) == model[i - 1]);
  }
  TG_CHECK(view.Prev(at) == view.End());
}

void CheckFind(ListpackView view, const Strings& model, Script& script) {
  const std::string text =
      model.empty() || script.Byte() % 2 == 0 ? script.Text() : model[script.Below(model.size())];
  const size_t skip = script.Byte() % 3;
  size_t expected = 0;
  while (expected < model.size() && model[expected] != text) expected += skip + 1;
  TG_CHECK(view.Find(text, skip) == view.Seek(static_cast<int64_t>(expected)));
}

void Edit(Listpack& list, Strings& model, Script& script) {
  const size_t index = script.Below(model.size() + 1);
  const size_t at = list.view().Seek(static_cast<int64_t>(index));
  const auto place = model.begin() + static_cast<std::ptrdiff_t>(index);
  const uint8_t what = script.Byte() % 4;
  if (what == 0) {
    const size_t erased = std::min<size_t>(script.Byte() % 8, model.size() - index);
    TG_CHECK(list.Erase(at, erased) == erased);
    model.erase(place, place + static_cast<std::ptrdiff_t>(erased));
    return;
  }
  const std::string text = script.Text();
  if (what == 1 && index < model.size()) {
    list.Replace(at, text);
    *place = text;
    return;
  }
  const std::string_view texts[] = {text, text};
  list.InsertTexts(at, std::span(texts).first(what == 3 ? 2 : 1));
  model.insert(place, what == 3 ? 2 : 1, text);
}

void TryListpack(std::string_view bytes, Script script) {
  MovingBuffer buffer(bytes);
  if (!ListpackView::Validate(buffer.bytes(), true)) return;
  Listpack list(buffer);
  Strings model = Read(list.view());
  for (int step = 0; step < 30; ++step) {
    CheckSame(list.view(), model);
    CheckFind(list.view(), model, script);
    if (script.done()) return;
    Edit(list, model, script);
  }
}

void TryIntset(std::string_view bytes, Script script) {
  MovingBuffer buffer(bytes);
  if (!IntsetView::Validate(buffer.bytes())) return;
  Intset set(buffer);
  std::set<int64_t> model;
  for (size_t i = 0; i < set.view().count(); ++i) model.insert(set.view().At(i));
  while (!script.done()) {
    const IntsetView view = set.view();
    TG_CHECK(IntsetView::Validate(view.bytes()) == !model.empty());
    TG_CHECK(view.count() == model.size());
    size_t i = 0;
    for (const int64_t value : model) TG_CHECK(view.At(i++) == value);
    const int64_t value = script.Integer();
    TG_CHECK(view.Contains(value) == model.contains(value));
    if (script.Byte() % 3 != 0) {
      TG_CHECK(set.Insert(value) == model.insert(value).second);
    } else {
      TG_CHECK(set.Erase(value) == (model.erase(value) == 1));
    }
  }
}

// A listpack of these entries, whatever they are.
std::string WithHeader(std::string_view entries, bool counted) {
  std::string bytes(6, '\xff');
  bytes += entries;
  bytes += '\xff';
  StoreLittle(reinterpret_cast<uint8_t*>(bytes.data()), static_cast<uint32_t>(bytes.size()));
  if (counted && ListpackView::Validate(bytes, true)) {
    const size_t count = ListpackView(bytes).count();
    StoreLittle(reinterpret_cast<uint8_t*>(bytes.data()) + 4, static_cast<uint16_t>(count));
  }
  return bytes;
}

}  // namespace
}  // namespace tidegate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidegate;
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  // What part of the input is the payload; the rest is the script.
  const size_t payload = input.size() * data[1] / 255;
  const Script script(input.substr(payload));
  switch (data[0] % 4) {
    case 0:
      TryListpack(input.substr(0, payload), script);
      break;
    case 1:
    case 2:
      TryListpack(WithHeader(input.substr(0, payload), data[0] % 4 == 1), script);
      break;
    default:
      TryIntset(input.substr(0, payload), script);
  }
  return 0;
}
