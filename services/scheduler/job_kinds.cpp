#include "services/scheduler/job_kinds.h"

#include <span>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace coffer::scheduler {
namespace {

using nlohmann::json;

enum class Type { flag, text, list };

struct Option {
    std::string_view name;
    Type type = Type::text;
    bool required = false;
};

constexpr Option backup_options[] = {
    {"name"}, {"fast", Type::flag}, {"spread", Type::flag}, {"full", Type::flag}, {"incremental"}, {"wait_timeout"},
};

constexpr Option restore_options[] = {
    {"backup", Type::text, true},
    {"destination", Type::text, true},
    {"target_time"},
    {"target_xid"},
    {"target_lsn"},
    {"target_name"},
    {"target_immediate", Type::flag},
    {"target_tli"},
    {"exclusive", Type::flag},
    {"target_action"},
    {"standby_mode", Type::flag},
    {"tablespace", Type::list},
    {"get_wal", Type::flag},
    {"no_get_wal", Type::flag},
    {"jobs"},
};

constexpr Option scrub_options[] = {{"all", Type::flag}, {"rate"}};

struct Kind {
    std::string_view name;
    bool exclusive = false;
    std::span<const Option> options;
};

constexpr Kind kinds[] = {
    {"backup", true, backup_options}, {"restore", false, restore_options}, {"scrub", true, scrub_options}};

const Kind* find_kind(const std::string& name) noexcept {
    for (const Kind& kind : kinds) {
        if (kind.name == name) return &kind;
    }
    return nullptr;
}

json json_of(const bus::Variant& value) {
    return std::visit(
        [](const auto& held) -> json {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(held)>, bus::ObjectPath>) {
                return held.value;
            } else {
                return held;
            }
        },
        value);
}

bool fits(const bus::Variant& value, Type type) {
    const json form = json_of(value);
    switch (type) {
        case Type::flag:
            return form.is_boolean();
        case Type::text:
            return form.is_string() || form.is_number();
        case Type::list:
            return form.is_array() || form.is_string();
    }
    return false;
}

const Option& option_of(const Kind& kind, const std::string& name) {
    std::string known;
    for (const Option& option : kind.options) {
        if (option.name == name) return option;
        known += (known.empty() ? "" : ", ") + std::string(option.name);
    }
    throw Error(ErrorCode::invalid_argument, fmt::format("a {} has no option \"{}\"", kind.name, name), {},
                "the options are: " + known);
}

}  // namespace

void check_request(const std::string& name, const bus::Options& options) {
    const Kind* kind = find_kind(name);
    if (kind == nullptr) {
        throw Error(ErrorCode::not_supported, "unknown kind of job", name, "the kinds are: backup, restore, scrub");
    }
    for (const auto& [key, value] : options) {
        if (fits(value, option_of(*kind, key).type)) continue;
        throw Error(ErrorCode::invalid_argument, fmt::format("option \"{}\" of a {} is of another type", key, name), {},
                    "see docs/bus.md for the types");
    }
    for (const Option& option : kind->options) {
        if (!option.required || options.contains(std::string(option.name))) continue;
        throw Error(ErrorCode::invalid_argument, fmt::format("a {} needs option \"{}\"", name, option.name));
    }
}

bool is_exclusive(const std::string& name) noexcept {
    const Kind* kind = find_kind(name);
    return kind != nullptr && kind->exclusive;
}

std::string spec_json(const std::string& kind, const std::string& server, const bus::Options& options,
                      const SpecPlace& place) {
    json values = json::object();
    for (const auto& [name, value] : options) values[name] = json_of(value);
    const json spec = {{"job_id", place.job_id},
                       {"kind", kind},
                       {"server", server},
                       {"config", place.config},
                       {"progress_socket", place.progress_socket},
                       {"options", values}};
    return spec.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace coffer::scheduler
