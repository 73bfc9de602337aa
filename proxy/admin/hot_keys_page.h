// The page /hotkeys: the hot keys of now, as JSON. `key` is text to show, `key_base64` has the
// bytes: both as far as the name is kept (hotkey::kNameBytesMax).
#pragma once

#include <string>
#include <string_view>

#include "hotkey/hot_key_detector.h"
#include "proxy/admin/json_writer.h"
#include "proxy/observe/hot_key_facts.h"

namespace tidegate {

std::string HotKeysJson(const HotKeyFacts& facts);

// The members of one key, into an object that is open.
void WriteHotKey(JsonWriter& json, const hotkey::HotKey& key, const HotKeyFacts& facts);

// "read-hot" …
std::string_view PublicNameOf(hotkey::HotClass hot_class);

}  // namespace tidegate
