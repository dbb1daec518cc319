#include "services/job/start_advice.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

namespace coffer::job {
namespace {

bool has_settings(const restore::Plan& plan) {
    return plan.backup.config_file.empty() || !plan.configuration.main_file.empty();
}

// "17 main" of /etc/postgresql/17/main/postgresql.conf.
std::optional<std::string> debian_cluster(const std::string& config_file) {
    constexpr std::string_view front = "/etc/postgresql/", back = "/postgresql.conf";
    if (!config_file.starts_with(front) || !config_file.ends_with(back)) return std::nullopt;
    std::string cluster = config_file.substr(front.size(), config_file.size() - front.size() - back.size());
    const std::size_t slash = cluster.find('/');
    if (slash == cluster.npos || cluster.find('/', slash + 1) != cluster.npos) return std::nullopt;
    cluster[slash] = ' ';
    return cluster;
}

}  // namespace

std::string quoted_for_shell(const std::string& plain) {
    const bool simple = std::all_of(plain.begin(), plain.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '/' || c == '.' || c == '_' || c == '-';
    });
    if (simple && !plain.empty()) return plain;
    std::string text = "'";
    for (const char c : plain) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

std::string start_command(const restore::Plan& plan, const Path& bin_root) {
    const std::string& config_file = plan.backup.config_file;
    const std::string place = plan.destination.string();
    if (!has_settings(plan) && place == plan.backup.pgdata) {
        if (const auto cluster = debian_cluster(config_file)) return "pg_ctlcluster " + *cluster + " start";
    }
    const Path installed = bin_root / std::to_string(plan.identity.major_version) / "bin/pg_ctl";
    const bool there = ::access(installed.c_str(), X_OK) == 0;
    std::string command = (there ? quoted_for_shell(installed.string()) : "pg_ctl") + " -D " + quoted_for_shell(place);
    if (!has_settings(plan)) {
        command += " -o " + quoted_for_shell("-c config_file=" + quoted_for_shell(config_file) +
                                             " -c data_directory=" + quoted_for_shell(place));
    }
    return command + " start";
}

std::string settings_to_look_through(const restore::Plan& plan) {
    if (has_settings(plan)) return "Look through postgresql.conf and pg_hba.conf there (port, paths, memory).";
    return fmt::format(
        "postgresql.conf and pg_hba.conf are not part of this backup. They were {} and {}:\n"
        "     look whether they are there, and through them (port, paths, memory).",
        plan.backup.config_file, plan.backup.hba_file.empty() ? "beside it" : plan.backup.hba_file);
}

}  // namespace coffer::job
