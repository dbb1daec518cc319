#pragma once
// Every key that Barman or Coffer knows: where it may stand, whether this version obeys it, and its default.
// Source: documentation of Barman 3.17 (barman(5)) and release notes up to 3.21.
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace coffer::config {

enum class Scope { global_only, server_only, inherited };  // inherited: server, then global, then default
enum class Support {
    used,
    quiet,  // nothing of it applies to Coffer, and nothing is lost by not obeying it
    later,  // would change what happens: a warning, unless its value is one of the harmless ones
};

struct Key {
    std::string_view name;
    Scope scope = Scope::inherited;
    Support support = Support::used;
    std::string_view fallback = {};  // default, or for `later` the harmless values separated by '|'
};

std::span<const Key> all_keys() noexcept;
const Key* find_key(std::string_view name) noexcept;
// The known key that is most like an unknown one; nullopt when none is.
std::optional<std::string> nearest_key(std::string_view name);

// A conninfo (keywords or URI) with the value of its password replaced by REDACTED.
std::string mask_password(std::string_view conninfo);

}  // namespace coffer::config
