#include "tools/cofferctl/command.h"

#include <algorithm>
#include <set>

#include "lib/config/units.h"
#include "tools/cofferctl/directories.h"

namespace coffer::cofferctl {
namespace {

// Why a server cannot be served; nullopt when it can.
std::optional<Error> fault_of(const config::Server& server, Only only) {
    if (server.disabled && only != Only::any) {
        for (const config::Problem& problem : server.problems) {
            if (problem.fatal) return Error(ErrorCode::invalid_configuration, problem.to_string(), {}, problem.remedy);
        }
    }
    if (!server.active && only == Only::active) {
        return Error(ErrorCode::refused, "server '" + server.name + "' is inactive", {},
                     "set active = true in " + server.defined_in.string());
    }
    return std::nullopt;
}

}  // namespace

std::string OptionSpec::key() const {
    const auto dashes = names.rfind("--");
    std::string key(dashes == std::string_view::npos ? names.substr(1) : names.substr(dashes + 2));
    std::replace(key.begin(), key.end(), '-', '_');
    return key;
}

std::optional<std::string> Arguments::text(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second.back());
}

std::vector<std::string> Arguments::all(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::uint64_t> Arguments::number(const std::string& key, std::uint64_t highest) const {
    const auto given = text(key);
    if (!given) return std::nullopt;
    const auto number = config::parse_number(*given, 0, highest);
    if (!number) {
        throw Error(ErrorCode::invalid_argument, "'" + *given + "' is not a number that fits", "--" + key,
                    "give a whole number up to " + std::to_string(highest));
    }
    return number;
}

const config::Server& one_server(const Context& context, const std::string& name, Only only) {
    const auto found = context.config.servers.find(name);
    if (found == context.config.servers.end()) {
        const Error unknown = [&] {
            try {
                (void)context.config.server(name);
            } catch (const Error& error) {
                return error;
            }
            return Error(ErrorCode::no_such_server, "no such server", name);
        }();
        throw Error(unknown.code(), "Unknown server '" + name + "'", {}, unknown.remedy());
    }
    if (auto fault = fault_of(found->second, only)) throw *fault;
    if (only == Only::readable) {
        refuse_unreadable(found->second);
        if (const auto absent = absent_archive(found->second)) context.out.warning(absent->full_text());
    }
    return found->second;
}

Error error_of(const std::filesystem::filesystem_error& error) {
    return Error::from_errno(error.code().value(), "cannot look at", error.path1().string());
}

std::string full_text(const config::Problem& problem) {
    return problem.to_string() + (problem.remedy.empty() ? "" : "\nHINT: " + problem.remedy);
}

void tell_problems(Context& context, const std::vector<const config::Server*>& servers,
                   const std::function<bool(const config::Problem&, bool)>& wanted) {
    std::set<std::string> told;
    const auto tell = [&](const std::vector<config::Problem>& problems, bool of_server) {
        for (const config::Problem& problem : problems) {
            if (wanted(problem, of_server) && told.insert(full_text(problem)).second)
                context.out.warning(full_text(problem));
        }
    };
    for (const config::Server* server : servers) tell(server->problems, true);
    tell(context.config.problems, false);
}

void warn_of_no_server(Context& context) {
    context.out.warning("no server is configured: " + context.config.main_file.string() +
                        "\nHINT: add a file for it to " + context.config.configuration_files_directory.string());
}

void for_each_server(Context& context, const std::vector<std::string>& names, Only only,
                     const std::function<void(const config::Server&)>& work) {
    std::vector<std::string> wanted;
    bool all = false;
    for (const std::string& name : names) {
        if (name == "all") all = true;
        if (name != "all" && std::find(wanted.begin(), wanted.end(), name) == wanted.end()) wanted.push_back(name);
    }
    if (all) {
        wanted.clear();
        for (const auto& [name, server] : context.config.servers) wanted.push_back(name);
        if (wanted.empty() && !context.out.json_wanted()) warn_of_no_server(context);
    }
    for (const std::string& name : wanted) {
        try {
            if (all && only == Only::active && !context.config.servers.at(name).active) {
                context.out.info("Skipping inactive server '" + name + "'");
                continue;
            }
            work(one_server(context, name, only));
        } catch (const Error& error) {
            context.out.error(error, names.size() > 1 || all ? "server '" + name + "'" : "");
        } catch (const std::filesystem::filesystem_error& error) {
            context.out.error(error_of(error), "server '" + name + "'");
        }
    }
}

}  // namespace coffer::cofferctl
