#include "lib/config/resolve.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "lib/config/keys.h"
#include "lib/config/level_range.h"
#include "lib/config/retention_policy.h"
#include "lib/config/units.h"

namespace coffer::config {
namespace {

struct Value {
    std::string text;
    const Path* file;
    int line;
    bool global;
};

// Reads values of one server and collects what is wrong with them.
class Resolver {
  public:
    Resolver(const Sources& sources, Server& server, bool report_global)
        : sources_(sources), server_(server), report_global_(report_global) {}

    std::optional<Value> value(std::string_view name) const {
        if (const IniEntry* entry = sources_.server.find(name)) {
            return Value{plain(name, entry->value), &sources_.server_file, entry->line, false};
        }
        const Key* key = find_key(name);
        if (key == nullptr || key->scope == Scope::server_only) return std::nullopt;
        if (const IniEntry* entry = sources_.global.find(name)) {
            return Value{plain(name, entry->value), &sources_.global_file, entry->line, true};
        }
        return std::nullopt;
    }

    void text(std::string_view name, std::string& target) const {
        if (const auto found = value(name)) target = found->text;
    }

    // parse(text) is an optional; a value it does not take is reported and ignored, and false is returned.
    template <typename Parse, typename Target>
    bool parsed(std::string_view name, const Parse& parse, Target& target, const char* remedy) {
        const auto found = value(name);
        if (!found || found->text.empty()) return true;
        if (const auto result = parse(found->text)) {
            target = *result;
            return true;
        }
        warn(*found, "'" + std::string(name) + " = " + found->text + "' cannot be used and is ignored", remedy);
        return false;
    }

    void boolean(std::string_view name, bool& target) { parsed(name, parse_boolean, target, "use on or off"); }

    template <typename Target>
    bool number(std::string_view name, Target& target, std::uint64_t lowest, std::uint64_t highest) {
        return parsed(
            name,
            [&](const std::string& t) -> std::optional<std::uint32_t> {
                const auto number = parse_number(t, lowest, highest);
                return number ? std::optional(static_cast<std::uint32_t>(*number)) : std::nullopt;
            },
            target, "use a whole number");
    }

    void warn(const Value& at, std::string what, std::string remedy) {
        report(at, std::move(what), std::move(remedy), false);
    }
    void fail(const Value& at, std::string what, std::string remedy) {
        report(at, std::move(what), std::move(remedy), true);
    }
    void fail(std::string what, std::string remedy) {
        server_.problems.push_back(
            {sources_.server_file, sources_.server.line, std::move(what), std::move(remedy), true});
    }
    void warn(std::string what, std::string remedy) {
        server_.problems.push_back(
            {sources_.server_file, sources_.server.line, std::move(what), std::move(remedy), false});
    }

  private:
    // Barman's sample files put descriptions in quotes, which are not part of the value; those of a script are the
    // shell's.
    static std::string plain(std::string_view name, const std::string& text) {
        if (name.ends_with("_script")) return text;
        const bool quoted =
            text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
        return quoted ? text.substr(1, text.size() - 2) : text;
    }

    void report(const Value& at, std::string what, std::string remedy, bool fatal) {
        if (at.global && !report_global_) return;
        server_.problems.push_back({*at.file, at.line, std::move(what), std::move(remedy), fatal && !at.global});
    }

    const Sources& sources_;
    Server& server_;
    bool report_global_;
};

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
        if (c == ',' || c == ' ' || c == '\t' || c == '\n') {
            if (!words.back().empty()) words.emplace_back();
        } else {
            words.back() += c;
        }
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

void read_connections(Resolver& r, Server& s) {
    r.text("conninfo", s.conninfo);
    s.streaming_conninfo = s.conninfo;
    r.text("streaming_conninfo", s.streaming_conninfo);
    r.text("primary_conninfo", s.primary_conninfo);
    std::uint32_t seconds = 0;
    r.number("primary_checkpoint_timeout", seconds, 0, 86400 * 365);
    s.primary_checkpoint_timeout = std::chrono::seconds(seconds);
    r.text("wal_conninfo", s.wal_conninfo);
    r.text("wal_streaming_conninfo", s.wal_streaming_conninfo);
    s.other_wal_host = !s.wal_conninfo.empty() || !s.wal_streaming_conninfo.empty();
    // As with Barman, each of the two stands for the other.
    const std::string given = s.wal_conninfo;
    if (s.wal_conninfo.empty()) s.wal_conninfo = s.other_wal_host ? s.wal_streaming_conninfo : s.conninfo;
    if (s.wal_streaming_conninfo.empty()) s.wal_streaming_conninfo = s.other_wal_host ? given : s.streaming_conninfo;
    r.text("ssh_command", s.ssh_command);
}

std::optional<BackupMethod> method_named(const std::string& name) {
    if (name == "postgres") return BackupMethod::postgres;
    if (name == "rsync") return BackupMethod::rsync;
    if (name == "local-rsync") return BackupMethod::local_rsync;
    return std::nullopt;
}

// Without the key images are cloned: it is what they are for. What Barman calls link and copy is the same here.
std::optional<bool> reuse_named(const std::string& text) {
    const std::string name = to_lower(text);
    if (name == "off" || name == "none" || name == "false") return false;
    if (name == "link" || name == "copy") return true;
    return std::nullopt;
}

std::optional<std::chrono::seconds> scrub_interval_of(const std::string& text) {
    const std::string name = to_lower(text);
    if (name == "off" || name == "0" || name == "false" || name == "none") return std::chrono::seconds(0);
    return parse_interval(text);
}

constexpr const char* interval_remedy = "use a number and HOURS, DAYS, WEEKS or MONTHS";

// "tablespace:limit", several with blanks between.
std::optional<std::map<std::string, std::uint64_t>> tablespace_limits_of(const std::string& text) {
    std::map<std::string, std::uint64_t> limits;
    for (const std::string& word : words_of(text)) {
        const std::size_t colon = word.rfind(':');
        if (colon == std::string::npos || colon == 0) return std::nullopt;
        const auto limit = parse_number(word.substr(colon + 1), 0, 1ULL << 40);
        if (!limit) return std::nullopt;
        limits[word.substr(0, colon)] = *limit;
    }
    return limits;
}

void read_rsync(Resolver& r, Server& s) {
    r.parsed("tablespace_bandwidth_limit", tablespace_limits_of, s.tablespace_bandwidth_limit_kb,
             "use names of tablespaces and kilobytes per second, as in: fast:20000 slow:5000");
    r.boolean("network_compression", s.network_compression);
    r.number("basebackup_retry_times", s.basebackup_retry_times, 0, 1000);
    std::uint32_t seconds = 30;
    r.number("basebackup_retry_sleep", seconds, 0, 86400);
    s.basebackup_retry_sleep = std::chrono::seconds(seconds);
    seconds = 1;
    r.number("parallel_jobs_start_batch_period", seconds, 0, 3600);
    s.jobs_start_batch_period = std::chrono::seconds(seconds);
    r.number("parallel_jobs_start_batch_size", s.jobs_start_batch_size, 1, 1000);
    if (const auto options = r.value("backup_options")) {
        for (const std::string& word : words_of(options->text)) {
            if (word == "external_configuration") {
                s.external_configuration = true;
            } else if (word != "concurrent_backup") {
                r.warn(*options, "'backup_options = " + word + "' is not supported and is ignored",
                       "concurrent_backup and external_configuration are the options");
            }
        }
    }
}

void read_backup(Resolver& r, Server& s) {
    s.backup_method = s.ssh_command.empty() ? BackupMethod::postgres : BackupMethod::rsync;
    r.parsed("backup_method", method_named, s.backup_method, "use postgres, rsync or local-rsync");
    r.boolean("immediate_checkpoint", s.immediate_checkpoint);
    r.parsed(
        "bandwidth_limit", [](const std::string& t) { return parse_number(t, 0, 1ULL << 40); }, s.bandwidth_limit_kb,
        "use a whole number of kilobytes per second, 0 for no limit");
    r.parsed(
        "backup_politeness", [](const std::string& t) { return pace::manners_named(to_lower(t)); }, s.backup_politeness,
        "use off, low, medium or high");
    r.text("streaming_backup_name", s.streaming_backup_name);
    read_rsync(r, s);
    r.number("parallel_jobs", s.parallel_jobs, 1, 256);
    r.parsed("reuse_backup", reuse_named, s.clone_images, "use off (each backup has files of its own) or link");
    r.parsed("full_read_interval", parse_interval, s.full_read_interval, interval_remedy);
    r.parsed("scrub_interval", scrub_interval_of, s.scrub_interval,
             "use a number and HOURS, DAYS, WEEKS or MONTHS, or off");
    r.parsed("scrub_rate", parse_rate, s.scrub_rate,
             "use a number of kilobytes per second, or one with k, M, Mi, G or Gi, 0 for no limit");
}

// The codec of a value, with Barman's other names for the same formats.
std::optional<Codec> codec_of(const std::string& text) {
    const std::string name = to_lower(text);
    if (name == "off" || name == "false" || name == "none") return Codec::none;
    if (name == "pigz" || name == "pygzip") return Codec::gzip;
    if (name == "pybzip2") return Codec::bzip2;
    return codec_named(name);
}

std::optional<int> number_in(const std::string& text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<std::string> level_of(const std::string& text) {
    const std::string level = to_lower(text);
    if (level == "low" || level == "medium" || level == "high") return level;
    return number_in(level) ? std::optional(level) : std::nullopt;
}

// Which numbers there are depends on the codec. One that there is not must not keep WAL from being archived.
void fit_level(Resolver& r, Server& s) {
    const auto number = number_in(s.compression_level);
    const LevelRange range = level_range(s.compression);
    if (!number || (*number >= range.least && *number <= range.most)) return;
    s.compression_level = std::to_string(std::clamp(*number, range.least, range.most));
    auto at = r.value("compression_level");
    if (!at) return;
    // Everybody's level with a server's own codec is a matter of that server.
    const auto codec = r.value("compression");
    at->global = at->global && (!codec || codec->global);
    r.warn(
        *at,
        "'compression_level = " + at->text + "' does not exist for " + std::string(name_of(s.compression)) + "; " +
            s.compression_level + " is used",
        "use low, medium, high or a number from " + std::to_string(range.least) + " to " + std::to_string(range.most));
}

void read_wal(Resolver& r, Server& s) {
    r.boolean("archiver", s.archiver);
    r.boolean("streaming_archiver", s.streaming_archiver);
    if (!s.archiver && !s.streaming_archiver) {
        s.archiver = true;
        r.warn("neither 'archiver' nor 'streaming_archiver' is on; 'archiver = on' is assumed",
               "set streaming_archiver = on, which protects every commit, or archiver = on");
    }
    r.parsed("streaming_bandwidth_limit", parse_rate, s.streaming_bandwidth_limit,
             "use a number of kilobytes per second, or one with k, M, Mi, G or Gi, 0 for no limit");
    r.text("streaming_archiver_name", s.streaming_archiver_name);
    r.number("archiver_batch_size", s.archiver_batch_size, 0, 1000000);
    r.number("streaming_archiver_batch_size", s.streaming_archiver_batch_size, 0, 1000000);
    const auto slot = [](const std::string& t) -> std::optional<std::string> {
        const bool fits =
            t.size() < 64 && t.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
        return fits ? std::optional(t) : std::nullopt;
    };
    r.parsed("slot_name", slot, s.slot_name, "use at most 63 lower-case letters, digits and underscores");
    const auto create = [](const std::string& t) -> std::optional<bool> {
        if (t != "auto" && t != "manual") return std::nullopt;
        return t == "auto";
    };
    r.parsed("create_slot", create, s.create_slot, "use auto or manual");
    r.parsed("compression", codec_of, s.compression, "use none, gzip, bzip2, xz, zstd or lz4");
    r.parsed("compression_level", level_of, s.compression_level, "use low, medium, high or a number");
    fit_level(r, s);
}

// main: as far as the backups go.
std::optional<std::chrono::seconds> wal_window_named(const std::string& text) {
    if (to_lower(text) == "main") return std::chrono::seconds(0);
    const auto policy = RetentionPolicy::parse(text);
    return policy && policy->redundancy == 0 ? policy->window : parse_interval(text);
}

// Where something of it cannot be understood, nothing is deleted: less may be wanted gone than what is left of it says.
void read_retention(Resolver& r, Server& s) {
    r.text("retention_policy", s.retention_policy);
    std::chrono::seconds window{0};
    bool understood = r.number("minimum_redundancy", s.minimum_redundancy, 0, 1000000);
    understood &= r.parsed("wal_retention_policy", wal_window_named, window,
                           "use main, or a number and DAYS, WEEKS or MONTHS; until then nothing is deleted");
    understood &= r.parsed("retention_tiers", RetentionTiers::parse, s.retention_tiers,
                           "use for instance 7 DAILY, 5 WEEKLY, 12 MONTHLY, 3 YEARLY; until then nothing is deleted");
    if (window.count() > 0) s.wal_retention_window = window;
    const auto policy = r.value("retention_policy");
    if (policy && !policy->text.empty() && !RetentionPolicy::parse(policy->text)) {
        r.warn(*policy, "'retention_policy = " + policy->text + "' is no retention policy",
               "use REDUNDANCY n or RECOVERY WINDOW OF n DAYS (WEEKS, MONTHS); until then nothing is deleted");
        s.wal_retention_window.reset();
    }
    if (!understood) {
        s.retention_policy.clear();
        s.wal_retention_window.reset();
    }
}

// A number of seconds, 0 for no limit.
std::optional<std::chrono::seconds> seconds_of(const std::string& text) {
    const auto number = parse_number(text, 0, 7 * 86400);
    return number ? std::optional(std::chrono::seconds(*number)) : std::nullopt;
}

void read_monitoring(Resolver& r, Server& s) {
    read_retention(r, s);
    r.parsed("last_backup_maximum_age", parse_interval, s.last_backup_maximum_age, interval_remedy);
    r.parsed("last_wal_maximum_age", parse_interval, s.last_wal_maximum_age, interval_remedy);
    r.parsed("last_backup_minimum_size", parse_size, s.last_backup_minimum_size,
             "use a number with k, Ki, M, Mi, G, Gi, T or Ti");
    r.number("max_incoming_wals_queue", s.max_incoming_wals_queue, 1, 1000000);
    const auto seconds = [](const std::string& t) -> std::optional<std::chrono::seconds> {
        const auto number = parse_number(t, 0, 86400);
        return number ? std::optional(std::chrono::seconds(*number)) : std::nullopt;
    };
    r.parsed("check_timeout", seconds, s.check_timeout, "use a number of seconds, 0 for no limit");
    if (const auto options = r.value("recovery_options")) {
        for (const std::string& word : words_of(options->text)) {
            if (word == "get-wal") {
                s.get_wal_by_default = true;
            } else if (word == "delta-restore") {
                s.delta_restore_by_default = true;
            } else {
                r.warn(*options, "'recovery_options = " + word + "' is not supported yet and is ignored",
                       "get-wal and delta-restore are the options");
            }
        }
    }
}

void read_hooks(Resolver& r, Server& s) {
    const std::pair<const char*, HookScripts&> families[] = {{"backup", s.hooks.backup},
                                                             {"archive", s.hooks.archive},
                                                             {"delete", s.hooks.removal},
                                                             {"wal_delete", s.hooks.wal_removal},
                                                             {"recovery", s.hooks.recovery}};
    for (const auto& [name, scripts] : families) {
        const std::string family(name);
        r.text("pre_" + family + "_script", scripts.pre);
        r.text("pre_" + family + "_retry_script", scripts.pre_retry);
        r.text("post_" + family + "_script", scripts.post);
        r.text("post_" + family + "_retry_script", scripts.post_retry);
    }
    r.parsed("hook_timeout", seconds_of, s.hooks.timeout, "use a number of seconds, 0 for no limit");
}

// %(barman_home)s and the like, which Barman allows in directories.
std::string expanded(std::string text, const Server& s, const Path& home) {
    const std::pair<const char*, std::string> names[] = {{"%(barman_home)s", home.string()},
                                                         {"%(coffer_home)s", home.string()},
                                                         {"%(name)s", s.name},
                                                         {"%(backup_directory)s", s.backup_directory.string()},
                                                         {"%(wals_directory)s", s.wals_directory.string()}};
    for (const auto& [name, replacement] : names) {
        for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += replacement.size()) {
            text.replace(at, std::char_traits<char>::length(name), replacement);
        }
    }
    return text;
}

void read_directories(Resolver& r, Server& s, const Path& home) {
    const auto read = [&](const char* name, Path fallback, Path& target) {
        target = std::move(fallback);
        const auto found = r.value(name);
        if (!found || found->text.empty()) return;
        const Path path = expanded(found->text, s, home);
        if (path.is_absolute()) {
            target = path.lexically_normal();
            if (!target.has_filename()) target = target.parent_path();
        } else if (found->text.find("://") != std::string::npos) {
            r.fail(*found, "'" + std::string(name) + "' names an object store, which is not supported yet",
                   "use a directory");
        } else {
            r.fail(*found, "'" + std::string(name) + " = " + found->text + "' is not an absolute path",
                   "begin it with /");
        }
    };
    read("backup_directory", home / s.name, s.backup_directory);
    read("basebackups_directory", s.backup_directory / "base", s.basebackups_directory);
    read("wals_directory", s.backup_directory / "wals", s.wals_directory);
    read("incoming_wals_directory", s.backup_directory / "incoming", s.incoming_wals_directory);
    read("streaming_wals_directory", s.backup_directory / "streaming", s.streaming_wals_directory);
    read("errors_directory", s.backup_directory / "errors", s.errors_directory);
    read("xlogdb_directory", s.wals_directory, s.xlogdb_directory);
}

std::string text_of(const Server& s, std::string_view name) {
    const std::pair<std::string_view, std::string> derived[] = {
        {"streaming_conninfo", s.streaming_conninfo},
        {"wal_conninfo", s.wal_conninfo},
        {"wal_streaming_conninfo", s.wal_streaming_conninfo},
        {"backup_method", std::string(name_of(s.backup_method))},
        {"archiver", s.archiver ? "true" : "false"},
        {"compression", std::string(name_of(s.compression))},
        {"compression_level", s.compression_level},
        {"backup_directory", s.backup_directory.string()},
        {"basebackups_directory", s.basebackups_directory.string()},
        {"wals_directory", s.wals_directory.string()},
        {"incoming_wals_directory", s.incoming_wals_directory.string()},
        {"streaming_wals_directory", s.streaming_wals_directory.string()},
        {"errors_directory", s.errors_directory.string()},
        {"xlogdb_directory", s.xlogdb_directory.string()}};
    for (const auto& [key, text] : derived) {
        if (key == name) return text;
    }
    return {};
}

void fill_effective(const Resolver& r, Server& s) {
    for (const Key& key : all_keys()) {
        if (key.scope == Scope::global_only || key.name == "model") continue;
        const auto given = r.value(key.name);
        if (key.support != Support::used && !given) continue;
        std::string text = text_of(s, key.name);
        if (text.empty()) text = given ? given->text : std::string(key.fallback);
        s.effective[std::string(key.name)] =
            key.name.find("conninfo") == std::string_view::npos ? text : mask_password(text);
    }
}

}  // namespace

std::string_view name_of(BackupMethod method) noexcept {
    switch (method) {
        case BackupMethod::postgres:
            return "postgres";
        case BackupMethod::rsync:
            return "rsync";
        case BackupMethod::local_rsync:
            return "local-rsync";
    }
    return {};
}

Server resolve_server(const Sources& sources, const Path& home) {
    Server server;
    server.name = sources.server.name;
    server.defined_in = sources.server_file;
    server.main_file = std::filesystem::absolute(sources.global_file);
    server.problems = check_keys(sources.server_file, sources.server, false);
    Resolver resolver(sources, server, false);
    resolver.text("description", server.description);
    resolver.boolean("active", server.active);
    read_connections(resolver, server);
    if (server.conninfo.empty()) {
        resolver.fail("server '" + server.name + "' has no 'conninfo'",
                      "add conninfo = host=... user=... dbname=postgres");
    }
    read_backup(resolver, server);
    read_wal(resolver, server);
    read_monitoring(resolver, server);
    read_hooks(resolver, server);
    read_directories(resolver, server, home);
    fill_effective(resolver, server);
    return server;
}

std::vector<Problem> check_global(const Path& file, const IniSection& global) {
    std::vector<Problem> problems = check_keys(file, global, true);
    const IniSection nothing;
    Server probe;
    probe.name = global.name;
    const Sources sources{file, nothing, file, global};
    Resolver resolver(sources, probe, true);
    read_backup(resolver, probe);
    read_wal(resolver, probe);
    read_monitoring(resolver, probe);
    read_hooks(resolver, probe);
    for (Problem& problem : probe.problems) {
        if (problem.line != 0) problems.push_back(std::move(problem));  // line 0: about the server that is none
    }
    return problems;
}

}  // namespace coffer::config
