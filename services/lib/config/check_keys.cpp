// Judges the keys of a section, without their values' meaning.
#include <algorithm>
#include <set>

#include "lib/config/keys.h"
#include "lib/config/resolve.h"
#include "lib/config/units.h"

namespace coffer::config {
namespace {

bool harmless(const Key& key, const std::string& value) {
    const std::string wanted = to_lower(trim(value));
    if (wanted.empty()) return true;
    std::string_view rest = key.fallback;
    while (!rest.empty()) {
        const auto bar = std::min(rest.find('|'), rest.size());
        if (rest.substr(0, bar) == wanted) return true;
        rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    return false;
}

// What was given, without a password; nobody knows what an unknown key is about.
std::string shown(const IniEntry& entry) {
    const bool secret = entry.key.find("pass") != std::string::npos;
    return "'" + entry.key + " = " + (secret ? "REDACTED" : mask_password(entry.value)) + "'";
}

Problem unknown(const Path& file, const IniEntry& entry) {
    const auto nearest = nearest_key(entry.key);
    return {file, entry.line, shown(entry) + " is ignored: there is no such key",
            nearest ? "did you mean '" + *nearest + "'?" : "docs/configuration.md lists all keys", false};
}

}  // namespace

std::vector<Problem> check_keys(const Path& file, const IniSection& section, bool is_global) {
    std::vector<Problem> problems;
    std::set<std::string> seen;
    for (const IniEntry& entry : section.entries) {
        const Key* key = find_key(entry.key);
        if (!seen.insert(entry.key).second) {
            problems.push_back({file, entry.line, "'" + entry.key + "' is given again; the last value counts",
                                "keep one of the lines", false});
        }
        if (key == nullptr) {
            problems.push_back(unknown(file, entry));
        } else if (is_global && key->scope == Scope::server_only) {
            problems.push_back({file, entry.line, shown(entry) + " has no meaning in [" + section.name + "]",
                                "put it into the section of each server", false});
        } else if (!is_global && key->scope == Scope::global_only) {
            problems.push_back({file, entry.line, shown(entry) + " has no meaning in the section of a server",
                                "put it into [coffer]", false});
        } else if (key->support == Support::later && !harmless(*key, entry.value)) {
            problems.push_back({file, entry.line,
                                "'" + entry.key + " = " + entry.value + "' is not supported yet and is ignored",
                                "remove the key if the server may do without it", false});
        }
    }
    return problems;
}

std::string fault_of_name(const std::string& name) {
    for (const char* reserved : {"barman", "coffer", "all"}) {
        if (to_lower(name) == reserved) return "'" + name + "' is a reserved name";
    }
    if (name.front() == '.' || name.front() == '-') return "the name of a server must not begin with '.' or '-'";
    const auto bad = [](char c) {
        return c == '/' || c == '\\' || static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    };
    if (std::any_of(name.begin(), name.end(), bad)) return "the name of a server must not hold '/', '\\' or blanks";
    return {};
}

}  // namespace coffer::config
