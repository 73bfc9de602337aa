// ModelClient: random string and key commands on keys of its own, compared with a std::map.
//
// Nobody else touches its keys, but others touch the same slots: its keys carry hash tags that all
// clients share. So every reply is known exactly, while locking, parking, table growth and chunked
// values are under fire. Owner: one SimWorker.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "tests/support/sim_worker.h"

namespace tidegate::testing {

class ModelClient final : public SimClient {
 public:
  ModelClient(SimWorld& world, int id, int commands, int tags)
      : world_(world), left_(commands), id_(id), tags_(tags) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    key_ = Key(random);
    other_ = Key(random);
    number_ = static_cast<int64_t>(random() % 50);
    text_ = std::string(random() % 64 == 0 ? 20000 + random() % 20000 : random() % 40,
                        static_cast<char>('a' + random() % 26));
    const Words words = Command(random() % 20);
    // SETRANGE and SETBIT may make the value longer; a bound keeps the run short.
    return Value(key_).size() > kValueBytesMax ? Words{"DEL", key_} : words;
  }

  void OnReply(const Words& sent, const RespValue& reply) override {
    const std::string expected = Apply(sent);
    const std::string got = Show(reply);
    if (got != expected) {
      world_.Fail("client " + std::to_string(id_) + " " + sent[0] + " " + sent[1] + ": got " +
                  got.substr(0, 80) + ", expected " + expected.substr(0, 80));
    }
  }

 private:
  static constexpr size_t kValueBytesMax = 200'000;
  static constexpr int kKeys = 24;

  std::string Key(Random& random) const {
    const auto n = static_cast<int>(random() % kKeys);
    return "{tag" + std::to_string(n % tags_) + "}model:" + std::to_string(id_) + ":" +
           std::to_string(n);
  }
  std::string Value(const std::string& key) const {
    const auto it = model_.find(key);
    return it == model_.end() ? "" : it->second;
  }

  Words Command(uint64_t choice) const {
    const std::string number = std::to_string(number_);
    switch (choice) {
      case 0:
        return {"SET", key_, text_};
      case 1:
        return {"SET", key_, text_, "NX"};
      case 2:
        return {"SET", key_, text_, "XX", "GET"};
      case 3:
        return {"GET", key_};
      case 4:
        return {"APPEND", key_, text_};
      case 5:
        return {"STRLEN", key_};
      case 6:
        return {"SETRANGE", key_, number, text_};
      case 7:
        return {"GETRANGE", key_, number, "-1"};
      case 8:
        return {"INCRBY", key_, number};
      case 9:
        return {"SETBIT", key_, number, number_ % 2 == 0 ? "0" : "1"};
      case 10:
        return {"GETBIT", key_, number};
      case 11:
        return {"DEL", key_, other_};
      case 12:
        return {"UNLINK", key_};
      case 13:
        return {"EXISTS", key_, other_, key_};
      case 14:
        return {"GETDEL", key_};
      case 15:
        return {"RENAME", key_, other_};
      case 16:
        return {"MSET", key_, text_, other_, number};
      case 17:
        return {"MGET", key_, other_};
      case 18:
        return {"GETSET", key_, text_};
      default:
        return {"SET", key_, number};
    }
  }

  // What the reply must be, in the form of Show(); changes the model.
  std::string Apply(const Words& sent) {
    using Handler = std::string (ModelClient::*)(const Words&);
    static const std::map<std::string, Handler> kHandlers = {
        {"SET", &ModelClient::Set},           {"GET", &ModelClient::Get},
        {"APPEND", &ModelClient::Append},     {"STRLEN", &ModelClient::StrLen},
        {"SETRANGE", &ModelClient::SetRange}, {"GETRANGE", &ModelClient::GetRange},
        {"INCRBY", &ModelClient::IncrBy},     {"SETBIT", &ModelClient::SetBit},
        {"GETBIT", &ModelClient::GetBit},     {"DEL", &ModelClient::Del},
        {"UNLINK", &ModelClient::Del},        {"EXISTS", &ModelClient::Exists},
        {"GETDEL", &ModelClient::GetDel},     {"RENAME", &ModelClient::Rename},
        {"MSET", &ModelClient::MSet},         {"MGET", &ModelClient::MGet},
        {"GETSET", &ModelClient::GetSet},
    };
    return (this->*kHandlers.at(sent[0]))(sent);
  }

  std::string Set(const Words& w) {
    const bool exists = model_.count(w[1]) != 0;
    const std::string condition = w.size() > 3 ? w[3] : "";
    std::string old = ShowValue(w[1]);
    const bool sets = condition.empty() || (condition == "NX") != exists;
    if (sets) model_[w[1]] = w[2];
    if (w.size() > 4) return old;
    return sets ? "+OK" : "_";
  }
  std::string Get(const Words& w) { return ShowValue(w[1]); }
  std::string Append(const Words& w) { return ":" + Length(model_[w[1]] += w[2]); }
  std::string StrLen(const Words& w) { return ":" + Length(Value(w[1])); }
  std::string SetRange(const Words& w) {
    if (w[3].empty()) return ":" + Length(Value(w[1]));
    std::string& value = model_[w[1]];
    const auto offset = static_cast<size_t>(std::stoll(w[2]));
    if (value.size() < offset + w[3].size()) value.resize(offset + w[3].size());
    value.replace(offset, w[3].size(), w[3]);
    return ":" + Length(value);
  }
  std::string GetRange(const Words& w) {
    const std::string value = Value(w[1]);
    const auto offset = static_cast<size_t>(std::stoll(w[2]));
    return "$" + (offset < value.size() ? value.substr(offset) : "");
  }
  std::string IncrBy(const Words& w) {
    const std::string value = model_.count(w[1]) != 0 ? Value(w[1]) : "0";
    // Values that this client writes are numbers below 2^63, or no numbers at all.
    const bool digits =
        !value.empty() && value.size() < 18 &&
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || (value.size() > 1 && value[0] == '0'))
      return "-ERR value is not an integer or out of range";
    model_[w[1]] = std::to_string(std::stoll(value) + std::stoll(w[2]));
    return ":" + model_[w[1]];
  }
  std::string SetBit(const Words& w) {
    std::string& value = model_[w[1]];
    const auto bit = static_cast<size_t>(std::stoll(w[2]));
    if (value.size() <= bit / 8) value.resize(bit / 8 + 1);
    const auto mask = static_cast<char>(0x80 >> (bit % 8));
    const bool old = (value[bit / 8] & mask) != 0;
    value[bit / 8] =
        static_cast<char>(w[3] == "1" ? value[bit / 8] | mask : value[bit / 8] & ~mask);
    return old ? ":1" : ":0";
  }
  std::string GetBit(const Words& w) {
    const std::string value = Value(w[1]);
    const auto bit = static_cast<size_t>(std::stoll(w[2]));
    return bit / 8 < value.size() && (value[bit / 8] & (0x80 >> (bit % 8))) != 0 ? ":1" : ":0";
  }
  std::string Del(const Words& w) {
    size_t gone = 0;
    for (size_t i = 1; i < w.size(); ++i) gone += model_.erase(w[i]);
    return ":" + std::to_string(gone);
  }
  std::string Exists(const Words& w) {
    size_t count = 0;
    for (size_t i = 1; i < w.size(); ++i) count += model_.count(w[i]);
    return ":" + std::to_string(count);
  }
  std::string GetDel(const Words& w) {
    std::string old = ShowValue(w[1]);
    model_.erase(w[1]);
    return old;
  }
  std::string Rename(const Words& w) {
    if (model_.count(w[1]) == 0) return "-ERR no such key";
    if (w[1] != w[2]) {
      model_[w[2]] = model_[w[1]];
      model_.erase(w[1]);
    }
    return "+OK";
  }
  std::string MSet(const Words& w) {
    for (size_t i = 1; i < w.size(); i += 2) model_[w[i]] = w[i + 1];
    return "+OK";
  }
  std::string MGet(const Words& w) {
    std::string shown = "*";
    for (size_t i = 1; i < w.size(); ++i) shown += ShowValue(w[i]) + ",";
    return shown;
  }
  std::string GetSet(const Words& w) {
    std::string old = ShowValue(w[1]);
    model_[w[1]] = w[2];
    return old;
  }

  std::string ShowValue(const std::string& key) const {
    return model_.count(key) != 0 ? "$" + model_.at(key) : "_";
  }
  static std::string Length(const std::string& text) { return std::to_string(text.size()); }
  static std::string Show(const RespValue& value) {
    if (value.type != '*') return value.type + value.text;
    std::string shown = "*";
    for (const RespValue& item : value.items) shown += Show(item) + ",";
    return shown;
  }

  SimWorld& world_;
  int left_;
  int id_;
  int tags_;
  std::map<std::string, std::string> model_;
  std::string key_;
  std::string other_;
  std::string text_;
  int64_t number_ = 0;
};

}  // namespace tidegate::testing
