// Reading PostgreSQL's configuration files, as far as a restore must know them. Grammar: PostgreSQL documentation,
// "Parameter Interaction via the Configuration File": key, optional equals sign, value in single quotes or bare,
// comment.
#include <fmt/format.h>

#include <cctype>

#include "lib/restore/settings.h"

namespace coffer::restore {
namespace {

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value at the front of text, which is in quotes or ends at a blank or a comment.
std::optional<std::string> read_value(std::string_view text) {
    std::string value;
    if (text.empty()) return std::nullopt;
    if (text.front() != '\'') {
        for (const char c : text) {
            if (c == ' ' || c == '\t' || c == '#') break;
            value += c;
        }
        return value.empty() ? std::nullopt : std::optional(value);
    }
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            value += text[++i];
        } else if (text[i] != '\'') {
            value += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == '\'') {
            value += text[i++];
        } else {
            return value;
        }
    }
    return std::nullopt;  // the quote is never closed
}

bool is_set(const ConfigurationReport& report, const char* key) {
    const auto found = report.main_file.find(key);
    return found != report.main_file.end() && !found->second.value.empty();
}

// Keys whose value names something that is not part of a backup unless it lies in the data directory.
constexpr const char* path_keys[] = {
    "data_directory",     "hba_file",      "ident_file",          "external_pid_file", "ssl_cert_file",
    "ssl_key_file",       "ssl_ca_file",   "ssl_crl_file",        "ssl_crl_dir",       "ssl_dh_params_file",
    "krb_server_keyfile", "log_directory", "stats_temp_directory"};

void warn_of_missing_settings(const Path& data, const std::string& original, std::vector<std::string>& warnings) {
    if (std::filesystem::exists(data / "postgresql.conf")) return;
    warnings.push_back(fmt::format(
        "postgresql.conf is not in the backup (on the original server: {}), and the restored server does not start "
        "without one: name that file at the start, together with data_directory, or copy it there without its lines "
        "data_directory, hba_file, ident_file and external_pid_file",
        original.empty() ? "it is not known where" : original));
}

void warn_of_missing_hba(const Path& data, const std::string& original, std::vector<std::string>& warnings) {
    // Where the settings are elsewhere, they say where this is.
    if (std::filesystem::exists(data / "pg_hba.conf") || !std::filesystem::exists(data / "postgresql.conf")) return;
    warnings.push_back(
        fmt::format("pg_hba.conf is not in the backup (on the original server: {}), and the restored server does not "
                    "start without one: copy it there, or start with -c hba_file=…",
                    original.empty() ? "it is not known where" : original));
}

}  // namespace

std::optional<Assignment> parse_assignment(std::string_view line) {
    const std::string_view text = trim(line);
    std::size_t length = 0;
    while (length < text.size() && (std::isalnum(static_cast<unsigned char>(text[length])) != 0 ||
                                    text[length] == '_' || text[length] == '.')) {
        ++length;
    }
    if (length == 0) return std::nullopt;
    Assignment assignment;
    for (const char c : text.substr(0, length)) {
        assignment.key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    std::string_view rest = trim(text.substr(length));
    if (!rest.empty() && rest.front() == '=') rest = trim(rest.substr(1));
    std::optional<std::string> value = read_value(rest);
    if (!value) return std::nullopt;
    assignment.value = std::move(*value);
    assignment.line = std::string(text);
    return assignment;
}

std::map<std::string, Assignment> parse_configuration(std::string_view text) {
    std::map<std::string, Assignment> found;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (auto assignment = parse_assignment(text.substr(0, end))) {
            const std::string key = assignment->key;
            found.insert_or_assign(key, std::move(*assignment));
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return found;
}

namespace {

// Where the cluster's own settings make commits wait, the restored server hangs at its first one.
void warn_of_synchronous_standby(const ConfigurationReport& report, const Path& data,
                                 std::vector<std::string>& warnings) {
    constexpr const char* key = "synchronous_standby_names";
    const auto text = read_file(data / "postgresql.auto.conf", 16ULL << 20);
    const auto automatic = parse_configuration(text.value_or(""));
    const auto found = automatic.find(key);
    std::string value = found == automatic.end() ? "" : found->second.value;
    if (found == automatic.end() && is_set(report, key)) value = report.main_file.at(key).value;
    if (value.empty()) return;
    warnings.push_back(
        fmt::format("{} is '{}': commits on the restored server wait for that standby. Until it is "
                    "there: ALTER SYSTEM SET {} = ''; SELECT pg_reload_conf();",
                    key, value, key));
}

}  // namespace

ConfigurationReport examine_configuration(const Path& data_directory, const catalogue::BackupInfo& backup) {
    ConfigurationReport report;
    if (const auto text = read_file(data_directory / "postgresql.conf", 16ULL << 20)) {
        report.main_file = parse_configuration(*text);
    }
    for (const char* key : path_keys) {
        if (!is_set(report, key)) continue;
        const std::string& value = report.main_file.at(key).value;
        if (value.front() != '/') continue;
        report.warnings.push_back(
            fmt::format("postgresql.conf sets {} = '{}', which is outside of the restored directory", key, value));
    }
    for (const char* key : {"include", "include_dir"}) {
        if (is_set(report, key) && report.main_file.at(key).value.front() == '/') {
            report.warnings.push_back(
                fmt::format("postgresql.conf includes {}, which is not in the backup: the restored "
                            "server does not start without it",
                            report.main_file.at(key).value));
        }
    }
    warn_of_missing_settings(data_directory, backup.config_file, report.warnings);
    if (!is_set(report, "hba_file")) warn_of_missing_hba(data_directory, backup.hba_file, report.warnings);
    warn_of_synchronous_standby(report, data_directory, report.warnings);
    return report;
}

}  // namespace coffer::restore
