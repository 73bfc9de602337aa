// The page for people at /: plain HTML, one style and one script, nothing loaded from elsewhere.
// The script reads /stats every two seconds, makes rates of the differences and writes text nodes
// only, so that nothing a server says can become markup.
#pragma once

#include <string_view>

namespace tidegate {

extern const std::string_view kIndexHtml;
extern const std::string_view kIndexStyle;
extern const std::string_view kIndexScript;

}  // namespace tidegate
