#include "proxy/admin/backup_page.h"

#include <algorithm>
#include <charconv>

#include "proxy/admin/json_writer.h"

namespace tidegate {
namespace {

using Outcome = BackupAnswer::Outcome;

// "%2F" and "+"; what is no code stays as it is.
std::string Decoded(std::string_view text) {
  constexpr size_t kCodeBytes = 3;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + kCodeBytes <= text.size() &&
        std::from_chars(&text[i] + 1, &text[i] + kCodeBytes, byte, 16).ptr ==
            &text[i] + kCodeBytes) {
      out.push_back(static_cast<char>(byte));
      i += kCodeBytes - 1;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string ErrorOf(const BackupAnswer& answer) {
  switch (answer.outcome) {
    case Outcome::kOff:
      return "there is no data directory: appendonly is off";
    case Outcome::kBusy:
      return "a backup is being made already, or the server is starting or ending";
    default:
      return answer.error;
  }
}

}  // namespace

std::string NameInQuery(std::string_view query) {
  constexpr std::string_view kName = "name=";
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    if (part.starts_with(kName)) return Decoded(part.substr(kName.size()));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
  }
  return "";
}

int StatusOf(const BackupAnswer& answer) {
  switch (answer.outcome) {
    case Outcome::kMade:
      return 200;
    case Outcome::kBadName:
      return 400;
    case Outcome::kBusy:
      return 409;
    case Outcome::kFailed:
      return 500;
    case Outcome::kOff:
      break;
  }
  return 503;
}

std::string BackupJson(const BackupAnswer& answer) {
  JsonWriter json;
  json.BeginObject();
  if (answer.outcome == Outcome::kMade) {
    json.Key("path").Text(answer.report.path);
    json.Key("sequence").Int(answer.report.sequence);
    json.Key("bytes").Int(answer.report.bytes);
    json.Key("seconds").Real(answer.seconds);
  } else {
    json.Key("error").Text(ErrorOf(answer));
  }
  json.EndObject();
  return json.Take() + "\n";
}

}  // namespace tidegate
