#include "config/yaml_tls.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "config/near_miss.h"

namespace tidegate {
namespace {

bool ReadFlag(YamlContext& context, const ConfigNode& entry, bool initial) {
  const std::string text = context.ScalarOf(entry);
  if (text == "true" || text == "yes") return true;
  if (text == "false" || text == "no") return false;
  if (entry.is_scalar()) {
    context.Fail(entry, "'" + entry.key + "' must be true or false, not '" + Excerpt(text) + "'");
  }
  return initial;
}

void ReadText(YamlContext& context, const ConfigNode& entry, std::string& text) {
  text = context.ScalarOf(entry);
  if (entry.is_scalar() && text.empty())
    context.Fail(entry, "'" + entry.key + "' is empty; leave it away instead");
}

struct TextKey {
  std::string_view name;
  std::string TlsOptions::*member;
};

constexpr TextKey kTextKeys[] = {
    {"ca-file", &TlsOptions::ca_file},           {"ca-dir", &TlsOptions::ca_directory},
    {"cert-file", &TlsOptions::cert_file},       {"key-file", &TlsOptions::key_file},
    {"server-name", &TlsOptions::server_name},   {"ciphers", &TlsOptions::ciphers},
    {"ciphersuites", &TlsOptions::ciphersuites},
};

void ReadVersion(YamlContext& context, const ConfigNode& entry, TlsOptions& tls) {
  const std::string text = context.ScalarOf(entry);
  const auto found = std::find(kTlsVersionNames.begin(), kTlsVersionNames.end(), text);
  if (found != kTlsVersionNames.end()) {
    tls.version_min = static_cast<TlsVersion>(found - kTlsVersionNames.begin());
  } else if (entry.is_scalar()) {
    context.Fail(entry, "'min-version' must be 1.2 or 1.3, not '" + Excerpt(text) + "'");
  }
}

// `where`: the key that this is below.
void ReadEntry(YamlContext& context, const ConfigNode& entry, std::string_view where,
               TlsOptions& tls) {
  std::vector<std::string_view> names = {"verify", "min-version"};
  if (entry.key == "verify") {
    tls.verify = ReadFlag(context, entry, true);
    return;
  }
  if (entry.key == "min-version") return ReadVersion(context, entry, tls);
  for (const TextKey& key : kTextKeys) {
    if (entry.key == key.name) return ReadText(context, entry, tls.*key.member);
    names.push_back(key.name);
  }
  context.Fail(entry, "unknown key '" + Excerpt(entry.key) + "' in " + std::string(where) +
                          DidYouMean(NearestName(entry.key, names)));
}

}  // namespace

TlsOptions ReadTlsOptions(YamlContext& context, const ConfigNode& entry) {
  TlsOptions tls;
  if (!entry.is_map()) {
    tls.enabled = ReadFlag(context, entry, false);
    return tls;
  }
  tls.enabled = true;
  for (const ConfigNode& item : entry.items) ReadEntry(context, item, entry.key, tls);
  if (tls.cert_file.empty() != tls.key_file.empty())
    context.Fail(entry, entry.key + " needs both of cert-file and key-file, or none");
  if (!tls.verify && !(tls.ca_file.empty() && tls.ca_directory.empty()))
    context.Fail(entry, entry.key + " with verify: false looks at no ca-file and no ca-dir");
  return tls;
}

}  // namespace tidegate
