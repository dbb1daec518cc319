#include "lib/hooks/hooks.h"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::hooks {
namespace {

constexpr int status_give_up = 62;
constexpr int status_stop = 63;
constexpr const char* unprivileged_user = "coffer";

constexpr std::array<std::string_view, 11> inherited{"PATH",
                                                     "HOME",
                                                     "USER",
                                                     "LOGNAME",
                                                     "SHELL",
                                                     "LANG",
                                                     "LANGUAGE",
                                                     "TZ",
                                                     "TMPDIR",
                                                     "DBUS_SYSTEM_BUS_ADDRESS",
                                                     "COFFER_RUNTIME_DIR"};

const char* key_of(Family family) noexcept {
    switch (family) {
        case Family::backup:
            return "backup";
        case Family::archive:
            return "archive";
        case Family::removal:
            return "delete";
        case Family::wal_removal:
            return "wal_delete";
        case Family::recovery:
            break;
    }
    return "recovery";
}

const config::HookScripts& scripts_of(const config::Server& server, Family family) noexcept {
    switch (family) {
        case Family::backup:
            return server.hooks.backup;
        case Family::archive:
            return server.hooks.archive;
        case Family::removal:
            return server.hooks.removal;
        case Family::wal_removal:
            return server.hooks.wal_removal;
        case Family::recovery:
            break;
    }
    return server.hooks.recovery;
}

// A restore is often root's; what a configuration file says must not be.
std::optional<HookUser> user_for_hooks() {
    if (::geteuid() != 0) return std::nullopt;
    std::array<char, 16384> room;
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(unprivileged_user, &entry, room.data(), room.size(), &found) != 0 || found == nullptr) {
        throw Error(ErrorCode::refused, "hooks do not run as root, and there is no such user to run them as",
                    unprivileged_user, "make it: systemd-sysusers coffer.conf");
    }
    HookUser user{entry.pw_uid, entry.pw_gid, {}, entry.pw_name, entry.pw_dir};
    int count = 64;
    user.groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
        user.groups.resize(static_cast<std::size_t>(count));
        (void)::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count);
    }
    user.groups.resize(static_cast<std::size_t>(count));
    return user;
}

bool may_pass(std::string_view name) {
    return name.starts_with("LC_") || std::find(inherited.begin(), inherited.end(), name) != inherited.end();
}

}  // namespace

std::vector<std::string> environment_of(const config::Server& server, const std::optional<HookUser>& user,
                                        const Variables& variables) {
    std::vector<std::string> result;
    bool has_path = false;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view text(*each);
        const std::string_view name = text.substr(0, text.find('='));
        const bool of_user = name == "HOME" || name == "USER" || name == "LOGNAME";
        if (!may_pass(name) || (user && of_user)) continue;
        has_path |= name == "PATH";
        result.emplace_back(text);
    }
    if (!has_path) result.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
    if (user) {
        result.push_back("HOME=" + user->home);
        result.push_back("USER=" + user->name);
        result.push_back("LOGNAME=" + user->name);
    }
    result.push_back("COFFER_CONFIG=" + server.main_file.string());  // for cofferctl
    for (const auto& [name, value] : variables) {
        for (const char* prefix : {"BARMAN_", "COFFER_"}) result.push_back(prefix + name + '=' + value);
    }
    for (std::string& each : result) std::replace(each.begin(), each.end(), '\0', ' ');
    return result;
}

Hooks::Hooks(const config::Server& server, Family family, Stop stop, Rules rules)
    : server_(server), family_(key_of(family)), scripts_(scripts_of(server, family)), stop_(stop), rules_(rules) {}

void Hooks::before(const Variables& variables) {
    run_plain(scripts_.pre, "pre", variables, {});
    if (run_until_done(scripts_.pre_retry, "pre", variables, {}) == Verdict::stop) {
        throw Error(ErrorCode::refused, key("pre", true) + " does not allow it (exit status 63)", server_.name,
                    "see what it said in the log");
    }
    if (any() && stop_.asked()) throw Error(ErrorCode::canceled, "was to end while a hook ran", server_.name);
}

void Hooks::after(const Variables& variables, const std::string& error) noexcept {
    try {
        if (run_until_done(scripts_.post_retry, "post", variables, error) == Verdict::stop)
            say(LogLevel::warning, key("post", true), "ended with exit status 63: it is too late to stop anything");
        run_plain(scripts_.post, "post", variables, error);
    } catch (const std::exception& failure) {
        say(LogLevel::warning, key("post", false), failure.what());
    }
}

void Hooks::run_plain(const std::string& script, const char* phase, const Variables& variables,
                      const std::string& error) {
    if (script.empty()) return;
    const HookEnd end = run_once(script, phase, false, variables, error);
    if (!end.exited_with(0)) say(LogLevel::warning, key(phase, false), end.text());
}

Hooks::Verdict Hooks::run_until_done(const std::string& script, const char* phase, const Variables& variables,
                                     const std::string& error) {
    if (script.empty()) return Verdict::go_on;
    for (unsigned failures = 1;; ++failures) {
        const HookEnd end = run_once(script, phase, true, variables, error);
        if (end.exited_with(0)) return Verdict::go_on;
        if (end.exited_with(status_give_up)) {
            say(LogLevel::warning, key(phase, true), "gave up (exit status 62)");
            return Verdict::go_on;
        }
        if (end.exited_with(status_stop)) return Verdict::stop;
        const auto wait = failures % rules_.failures_before_long == 0 ? rules_.long_pause : rules_.short_pause;
        say(LogLevel::warning, key(phase, true),
            fmt::format("{}, and runs again in {} s", end.text(),
                        std::chrono::ceil<std::chrono::seconds>(wait).count()));
        // before() tells of it.
        if (!pause(wait)) return Verdict::go_on;
    }
}

// A process that cannot be made is a script that failed: which of the two must not be a reason to stay without a
// backup.
HookEnd Hooks::run_once(const std::string& script, const char* phase, bool retry, const Variables& variables,
                        const std::string& error) {
    const std::string name = key(phase, retry);
    HookProcess process;
    try {
        if (!rules_.root_may) process.user = user_for_hooks();
    } catch (const Error& failure) {
        say(LogLevel::warning, name, failure.full_text());
        return {HookEnd::Kind::exited, status_give_up};
    }
    Variables all{{"VERSION", COFFER_VERSION},
                  {"SERVER", server_.name},
                  {"CONFIGURATION", server_.main_file.string()},
                  {"HOOK", family_ + (retry ? "_retry_script" : "_script")},
                  {"PHASE", phase},
                  {"RETRY", retry ? "1" : "0"},
                  {"ERROR", error}};
    all.insert(all.end(), variables.begin(), variables.end());
    process.script = script;
    process.environment = environment_of(server_, process.user, all);
    process.limit = server_.hooks.timeout;
    process.stop = stop_;
    process.output = [&](std::string_view line, bool) { say(LogLevel::info, name, std::string(line)); };
    try {
        return run_hook_process(process);
    } catch (const Error& failure) {
        say(LogLevel::warning, name, failure.full_text());
        return {HookEnd::Kind::exited, 127};
    }
}

bool Hooks::pause(std::chrono::milliseconds time) const {
    pollfd wait{stop_.fd, POLLIN, 0};
    return ::poll(&wait, stop_.fd < 0 ? 0 : 1, static_cast<int>(time.count())) <= 0;
}

std::string Hooks::key(const char* phase, bool retry) const {
    return fmt::format("{}_{}{}", phase, family_, retry ? "_retry_script" : "_script");
}

void Hooks::say(LogLevel level, const std::string& key, const std::string& text) const noexcept {
    try {
        log_message(level, fmt::format("server {}: {}: {}", server_.name, key, text),
                    {{"SERVER", server_.name}, {"HOOK", key}});
    } catch (...) {  // out of memory: nothing better can be done here
    }
}

}  // namespace coffer::hooks
