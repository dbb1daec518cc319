// cofferctl check: judges servers, for people, for programs (-f json) and for Nagios (--nagios: exit status 0 or 2).
// All servers are asked at the same time, each within its check_timeout: one that hangs delays no other.
#include <fmt/format.h>
#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>

#include "tools/cofferctl/checks.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using nlohmann::json;

struct Checked {
    const config::Server* server;
    ServerChecks checks;
};

constexpr std::size_t at_once = 32;

std::vector<Checked> check_all(const std::vector<const config::Server*>& servers, std::optional<std::uint64_t> limit) {
    LiveState live;
    const WallTime now = Clock().now();
    std::vector<Checked> results;
    for (std::size_t begin = 0; begin < servers.size(); begin += at_once) {
        std::vector<std::future<ServerChecks>> running;
        const std::size_t end = std::min(begin + at_once, servers.size());
        for (std::size_t i = begin; i < end; ++i) {
            const config::Server& server = *servers[i];
            const auto seconds = limit ? std::chrono::seconds(*limit) : server.check_timeout;
            running.push_back(std::async(std::launch::async, check_server, std::cref(server),
                                         live.receiver(server.name), seconds, now));
        }
        for (std::size_t i = begin; i < end; ++i) results.push_back({servers[i], running[i - begin].get()});
    }
    return results;
}

std::string in_brackets(const std::string& hint) {
    return hint.empty() ? "" : " (" + in_one_line(hint) + ")";
}

std::string verdict(const Output& out, const CheckItem& item) {
    const std::string hint = in_brackets(item.hint);
    if (!out.colour()) return (item.passed ? "OK" : "FAILED") + hint;
    return (item.passed ? "\033[32mOK\033[0m" : "\033[31mFAILED\033[0m") + hint;
}

void print(Output& out, const Checked& checked) {
    out.line("Server " + checked.server->name + (checked.server->disabled ? " (WARNING: disabled):" : ":"));
    json items = json::object();
    for (const CheckItem& item : checked.checks.items) {
        out.line("\t" + item.name + ": " + verdict(out, item));
        items[item.key()] = {{"status", item.passed ? "OK" : "FAILED"}, {"hint", in_one_line(item.hint)}};
    }
    out.data()[checked.server->name] = std::move(items);
    if (!checked.checks.passed()) out.set_exit_status(1);
}

std::string failed_items(const ServerChecks& checks) {
    std::string names;
    for (const CheckItem& item : checks.items) {
        if (!item.passed) names += (names.empty() ? "" : ", ") + item.name;
    }
    return names;
}

// One line of summary with the figures behind '|', then one for each failure.
void print_nagios(Output& out, const std::vector<Checked>& all, const std::vector<std::string>& inactive,
                  const std::vector<std::string>& unknown) {
    std::string figures, names, failures, details;
    std::size_t bad = unknown.size();
    for (const std::string& name : unknown) failures += " * unknown server " + name;
    for (const Checked& checked : all) {
        const std::string& name = checked.server->name;
        names += (names.empty() ? "" : " ") + name;
        figures += fmt::format("{}{}={}B {}_wals={}B", figures.empty() ? "" : " ", name, checked.checks.backup_bytes,
                               name, checked.checks.wal_bytes);
        if (checked.checks.passed()) continue;
        ++bad;
        failures += " * " + name + " FAILED: " + failed_items(checked.checks);
        for (const CheckItem& item : checked.checks.items) {
            if (!item.passed) details += "\n" + name + "." + item.name + ": FAILED" + in_brackets(item.hint);
        }
    }
    std::string ignored;
    for (const std::string& name : inactive) ignored += " * IGNORING: " + name + " (inactive)";
    std::string summary;
    if (bad == 0) {
        summary = "BARMAN OK - all checks passed for " + (names.empty() ? "no server" : names) + ignored;
    } else if (all.size() + unknown.size() == 1) {
        summary = "BARMAN CRITICAL - server " + (all.empty() ? unknown[0] : names) + " has issues" + failures + ignored;
    } else {
        summary = fmt::format("BARMAN CRITICAL - {} server out of {} have issues{}{}", bad, all.size() + unknown.size(),
                              failures, ignored);
    }
    const std::string text = summary + (figures.empty() ? "" : "|" + figures) + details + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    out.set_exit_status(bad == 0 ? 0 : 2);
}

void run(Context& context, const Arguments& arguments) {
    const auto limit = arguments.number("check_timeout", 86400);
    const bool nagios = arguments.flag("nagios");
    std::vector<const config::Server*> servers;
    std::vector<std::string> inactive, unknown;
    const auto& names = arguments.positionals;
    if (nagios) {
        for (const std::string& name : names) {
            if (name != "all" && context.config.servers.count(name) == 0) unknown.push_back(name);
        }
    }
    std::vector<std::string> known = names;
    if (nagios)
        std::erase_if(
            known, [&](const auto& name) { return std::find(unknown.begin(), unknown.end(), name) != unknown.end(); });
    for_each_server(context, known, Only::any, [&](const config::Server& server) {
        if (server.active)
            servers.push_back(&server);
        else if (nagios)
            inactive.push_back(server.name);
        else
            context.out.info("Skipping inactive server '" + server.name + "'");
    });
    if (!nagios && !context.out.json_wanted()) {  // what disables a server is an item of it
        tell_problems(context, servers, [](const config::Problem& problem, bool) { return !problem.fatal; });
    }
    const std::vector<Checked> results = check_all(servers, limit);
    if (nagios) return print_nagios(context.out, results, inactive, unknown);
    for (const Checked& checked : results) print(context.out, checked);
}

}  // namespace

Command check_command() {
    return {"check",
            {},
            "judge whether servers are protected",
            "SERVER...",
            1,
            0,
            {{"--nagios", OptionSpec::Kind::flag, "one line for Nagios, exit status 0 or 2"},
             {"--check-timeout", OptionSpec::Kind::text, "seconds for each server, 0 for no limit"}},
            run};
}

}  // namespace coffer::cofferctl
