#include "lib/pg/conninfo.h"

#include <libpq-fe.h>

#include <charconv>
#include <map>
#include <memory>

#include "lib/base/error.h"

namespace coffer::pg {
namespace {

using Settings = std::map<std::string, std::string>;

Settings parse(const std::string& conninfo) {
    char* complaint = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(conninfo.c_str(), &complaint), &PQconninfoFree);
    const std::unique_ptr<char, decltype(&PQfreemem)> complaint_owner(complaint, &PQfreemem);
    if (!options) {
        throw Error(ErrorCode::invalid_configuration, "connection string cannot be read", {},
                    "write it as \"host=… user=… dbname=…\" or as a postgresql:// address");
    }
    Settings settings;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val != nullptr) settings[option->keyword] = option->val;
    }
    return settings;
}

std::string format(const Settings& settings) {
    std::string text;
    for (const auto& [key, value] : settings) {
        if (!text.empty()) text += ' ';
        text += key + "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\') text += '\\';
            text += c;
        }
        text += '\'';
    }
    return text;
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    for (;;) {
        const std::size_t comma = list.find(',', begin);
        parts.push_back(list.substr(begin, comma - begin));
        if (comma == std::string::npos) return parts;
        begin = comma + 1;
    }
}

std::vector<std::string> list_of(const Settings& settings, const char* key) {
    const auto found = settings.find(key);
    return found == settings.end() ? std::vector<std::string>{} : split(found->second);
}

// The nth of a list; a list of one stands for all, as in libpq.
void put_nth(Settings& settings, const char* key, const std::vector<std::string>& list, std::size_t n,
             std::size_t count) {
    if (list.empty()) return;
    if (list.size() != 1 && list.size() != count) {
        throw Error(ErrorCode::invalid_configuration,
                    std::string("connection string has a different number of hosts and of ") + key);
    }
    settings[key] = list[list.size() == 1 ? 0 : n];
}

}  // namespace

std::vector<std::string> attempts_of(const std::string& conninfo, const ConninfoAdditions& additions) {
    Settings settings = parse(conninfo);
    settings.try_emplace("connect_timeout", "10");
    settings.try_emplace("keepalives_idle", "10");
    settings.try_emplace("keepalives_interval", "5");
    settings.try_emplace("keepalives_count", "4");
    settings.try_emplace("tcp_user_timeout", "30000");
    if (!additions.application_name.empty()) settings.try_emplace("application_name", additions.application_name);
    if (additions.replication) {
        settings["replication"] = "true";
        settings.try_emplace("dbname", "replication");  // what pgpass entries for replication are looked up under
    }

    if (!additions.options.empty()) {
        std::string& options = settings["options"];  // of two for the same setting the last one counts
        options = options.empty() ? additions.options : additions.options + ' ' + options;
    }

    const std::vector<std::string> hosts = list_of(settings, "host");
    const std::vector<std::string> addresses = list_of(settings, "hostaddr");
    const std::vector<std::string> ports = list_of(settings, "port");
    const std::size_t count = std::max(hosts.size(), addresses.size());
    const auto wanted = settings.find("target_session_attrs");
    if (count > 1 && wanted == settings.end()) settings["target_session_attrs"] = "read-write";
    if (count <= 1 || (wanted != settings.end() && wanted->second == "prefer-standby")) return {format(settings)};

    std::vector<std::string> attempts;
    for (std::size_t n = 0; n < count; ++n) {
        Settings one = settings;
        put_nth(one, "host", hosts, n, count);
        put_nth(one, "hostaddr", addresses, n, count);
        put_nth(one, "port", ports, n, count);
        attempts.push_back(format(one));
    }
    return attempts;
}

std::chrono::seconds connect_timeout_of(const std::string& conninfo, std::chrono::seconds fallback) {
    const Settings settings = parse(conninfo);
    const auto found = settings.find("connect_timeout");
    if (found == settings.end()) return fallback;
    int seconds = 0;
    const std::string& text = found->second;
    if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc{} || seconds <= 0)
        return fallback;
    return std::chrono::seconds(seconds);
}

std::string without_secrets(const std::string& conninfo) {
    Settings settings = parse(conninfo);
    for (const char* key : {"password", "sslpassword"}) {
        const auto found = settings.find(key);
        if (found != settings.end()) found->second = "*****";
    }
    return format(settings);
}

}  // namespace coffer::pg
