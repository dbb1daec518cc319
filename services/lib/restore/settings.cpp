#include "lib/restore/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coffer::restore {
namespace {

// What an old life of the cluster may have left, and what must not act again: every one of them is set anew or emptied.
struct Neutral {
    std::string_view key;
    std::string_view value;
    std::uint32_t since = 13;
    std::uint32_t until = 99;
};
constexpr std::array neutral_settings{
    Neutral{"archive_command", "false"},
    Neutral{"archive_library", "", 15},
    Neutral{"archive_cleanup_command", ""},
    Neutral{"recovery_end_command", ""},
    Neutral{"recovery_min_apply_delay", "0"},
    Neutral{"promote_trigger_file", "", 13, 15},
    Neutral{"primary_conninfo", ""},
    Neutral{"primary_slot_name", ""},
    Neutral{"recovery_target", ""},
    Neutral{"recovery_target_time", ""},
    Neutral{"recovery_target_xid", ""},
    Neutral{"recovery_target_lsn", ""},
    Neutral{"recovery_target_name", ""},
    Neutral{"recovery_target_timeline", "latest"},
    Neutral{"recovery_target_inclusive", "on"},
    Neutral{"recovery_target_action", "pause"},
    Neutral{"restore_command", ""},
};

bool is_neutralised(std::string_view key) {
    return std::any_of(neutral_settings.begin(), neutral_settings.end(),
                       [&](const Neutral& n) { return n.key == key; });
}

void set_target(std::map<std::string, std::string, std::less<>>& values, const RecoverySettings& settings) {
    const RestoreTarget& target = settings.target;
    if (settings.last_transaction) {
        values["recovery_target_lsn"] = settings.last_transaction->to_string();
        values["recovery_target_inclusive"] = "on";
        if (target.action) values["recovery_target_action"] = name_of(*target.action);
        return;
    }
    switch (target.kind) {
        case TargetKind::end:
            return;
        case TargetKind::immediate:
            values["recovery_target"] = "immediate";
            break;
        case TargetKind::time:
            values["recovery_target_time"] = format_utc(target.time);
            break;
        case TargetKind::xid:
            values["recovery_target_xid"] = std::to_string(target.xid);
            break;
        case TargetKind::lsn:
            values["recovery_target_lsn"] = target.lsn.to_string();
            break;
        case TargetKind::name:
            values["recovery_target_name"] = target.name;
            break;
    }
    values["recovery_target_inclusive"] = target.inclusive ? "on" : "off";
    if (target.action) values["recovery_target_action"] = name_of(*target.action);
}

// Keeps what is there; what is replaced becomes a comment.
std::string keep(std::string_view existing) {
    std::string kept;
    while (!existing.empty()) {
        const std::size_t end = existing.find('\n');
        const std::string_view line = existing.substr(0, end);
        existing.remove_prefix(end == std::string_view::npos ? existing.size() : end + 1);
        const std::optional<Assignment> assignment = parse_assignment(line);
        if (assignment && is_neutralised(assignment->key)) kept += "# replaced by coffer restore: ";
        kept.append(line).append("\n");
    }
    return kept;
}

}  // namespace

std::string quote_value(std::string_view value) {
    std::string text = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') text += c;
        text += c;
    }
    return text + "'";
}

std::string auto_conf(const RecoverySettings& settings, std::string_view existing,
                      const std::map<std::string, Assignment>& elsewhere) {
    std::map<std::string, std::string, std::less<>> values;
    for (const Neutral& n : neutral_settings) {
        if (settings.major_version >= n.since && settings.major_version <= n.until)
            values[std::string(n.key)] = n.value;
    }
    set_target(values, settings);
    values["recovery_target_timeline"] = settings.timeline;
    values["restore_command"] = settings.restore_command;

    std::string text = keep(existing);
    text += "\n# Written by coffer restore: " + settings.target.describe() + "\n";
    // The empty ones first: PostgreSQL takes an emptied recovery_target_* behind a set one for a second target.
    for (const bool empty : {true, false}) {
        for (const auto& [key, value] : values) {
            if (value.empty() != empty) continue;
            if (const auto old = elsewhere.find(key); old != elsewhere.end()) {
                text += "# in postgresql.conf: " + old->second.line + "\n";
            }
            text += fmt::format("{} = {}\n", key, quote_value(value));
        }
    }
    return text;
}

std::string get_wal_command(const Path& cofferctl, const Path& config_file, std::string_view server,
                            const RestoreTarget& target) {
    // Quoted for the shell, then '%' doubled for PostgreSQL, which replaces %f and %p itself.
    const auto word = [](std::string_view plain) {
        std::string text = "'";
        for (const char c : plain) {
            if (c == '\'') text += "'\\'";
            if (c == '%') text += '%';
            text += c;
        }
        return text + "'";
    };
    const bool to_the_end = target.kind == TargetKind::end && !target.standby_mode;
    return fmt::format("{} --config {} get-wal -P{} {} %f --to %p", word(cofferctl.string()),
                       word(config_file.string()), to_the_end ? " --stop-at-hole" : "", word(server));
}

}  // namespace coffer::restore
