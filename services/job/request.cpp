#include "services/job/request.h"

#include <poll.h>

#include <algorithm>
#include <iostream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace coffer::job {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(std::string what, std::string_view where) {
    throw Error(ErrorCode::invalid_argument, std::move(what), std::string(where));
}

std::string text_of(const json& value, std::string_view name, std::string_view where) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number()) return value.dump();
    refuse(fmt::format("option {} of the job is no text", name), where);
}

void add_option(const OptionSpec& spec, const json& value, Options& options, std::string_view where) {
    if (value.is_null()) return;
    if (spec.kind == OptionSpec::Kind::flag) {
        if (!value.is_boolean())
            refuse(fmt::format("option {} of the job is neither true nor false", spec.name), where);
        if (value.get<bool>()) options.add(spec.name, "true");
    } else if (spec.kind == OptionSpec::Kind::repeated && value.is_array()) {
        for (const json& one : value) options.add(spec.name, text_of(one, spec.name, where));
    } else {
        options.add(spec.name, text_of(value, spec.name, where));
    }
}

std::string member(const json& object, const char* name, std::string_view where) {
    const auto entry = object.find(name);
    return entry == object.end() || entry->is_null() ? std::string() : text_of(*entry, name, where);
}

std::string dashed(std::string_view name) {
    std::string text = "--" + std::string(name);
    std::replace(text.begin(), text.end(), '_', '-');
    return text;
}

// Values while CLI11 parses; moved into the request's options afterwards.
struct Parsed {
    const OptionSpec* spec;
    bool flag = false;
    std::vector<std::string> texts;
};

void declare(CLI::App& app, Parsed& parsed) {
    const OptionSpec& spec = *parsed.spec;
    const std::string help(spec.help);
    switch (spec.kind) {
        case OptionSpec::Kind::flag:
            app.add_flag(dashed(spec.name), parsed.flag, help);
            break;
        case OptionSpec::Kind::positional:
            app.add_option(std::string(spec.name), parsed.texts, help)
                ->required()
                ->expected(1)
                ->allow_extra_args(false);
            break;
        case OptionSpec::Kind::text:
            app.add_option(dashed(spec.name), parsed.texts, help)->expected(1)->allow_extra_args(false);
            break;
        case OptionSpec::Kind::repeated:
            app.add_option(dashed(spec.name), parsed.texts, help)->allow_extra_args(false);
            break;
    }
}

void add_common(CLI::App& app, JobRequest& request) {
    app.add_option("server", request.server, "name of the server")->required();
    app.add_option("-c,--config", request.config, "configuration file");
    app.add_option("--job-id", request.job_id, "number of the job, for its progress messages");
    app.add_option("--progress-socket", request.progress_socket, "datagram socket that takes progress messages");
}

}  // namespace

std::optional<std::string> Options::text(std::string_view name) const {
    const auto entry = values_.find(std::string(name));
    return entry == values_.end() ? std::nullopt : std::optional<std::string>(entry->second.back());
}

std::vector<std::string> Options::all(std::string_view name) const {
    const auto entry = values_.find(std::string(name));
    return entry == values_.end() ? std::vector<std::string>() : entry->second;
}

const Command& command_named(std::string_view name, std::span<const Command> commands) {
    for (const Command& one : commands) {
        if (one.name == name) return one;
    }
    refuse(fmt::format("there is no kind of job named \"{}\"", name), {});
}

JobRequest parse_spec(std::string_view text, std::span<const Command> commands, std::string_view where) {
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object()) refuse("the description of the job is no JSON object", where);
    JobRequest request;
    request.job_id = member(object, "job_id", where);
    request.kind = member(object, "kind", where);
    request.server = member(object, "server", where);
    request.progress_socket = member(object, "progress_socket", where);
    if (const std::string config = member(object, "config", where); !config.empty()) request.config = config;
    if (request.server.empty()) refuse("the description of the job names no server", where);
    const Command& command = command_named(request.kind, commands);
    const auto options = object.find("options");
    if (options == object.end() || options->is_null()) return request;
    if (!options->is_object()) refuse("the options of the job are no JSON object", where);
    for (const auto& [name, value] : options->items()) {
        const auto spec =
            std::find_if(command.options.begin(), command.options.end(),
                         [&, key = std::string_view(name)](const OptionSpec& one) { return one.name == key; });
        if (spec == command.options.end()) refuse(fmt::format("a {} has no option {}", command.name, name), where);
        add_option(*spec, value, request.options, where);
    }
    return request;
}

JobRequest read_spec(const Path& file, std::span<const Command> commands) {
    const auto text = read_file(file, 1 << 20);
    if (!text) refuse("there is no description of the job", file.string());
    return parse_spec(*text, commands, file.string());
}

std::optional<JobRequest> parse_arguments(int argc, char** argv, std::span<const Command> commands, int& exit_status) {
    CLI::App app("Runs one job of Coffer: a backup or a restore", "coffer-job");
    JobRequest request;
    std::optional<Path> spec;
    app.set_version_flag("--version", "coffer-job " COFFER_VERSION);
    app.add_option("--spec", spec, "file that describes the job");
    app.require_subcommand(0, 1);
    std::map<std::string, std::vector<Parsed>> parsed;
    for (const Command& command : commands) {
        CLI::App& sub = *app.add_subcommand(std::string(command.name), std::string(command.description));
        add_common(sub, request);
        auto& values = parsed[std::string(command.name)];
        values.reserve(command.options.size());  // CLI11 keeps references
        for (const OptionSpec& one : command.options) declare(sub, values.emplace_back(Parsed{&one, false, {}}));
    }
    try {
        app.parse(argc, argv);
        if (spec.has_value() != app.get_subcommands().empty()) throw CLI::RequiredError("a command, or --spec,");
    } catch (const CLI::ParseError& error) {
        exit_status = app.exit(error) == 0 ? 0 : 1;
        return std::nullopt;
    }
    if (spec) return read_spec(*spec, commands);
    request.kind = app.get_subcommands().front()->get_name();
    for (Parsed& one : parsed[request.kind]) {
        if (one.flag) request.options.add(one.spec->name, "true");
        for (std::string& text : one.texts) request.options.add(one.spec->name, std::move(text));
    }
    return request;
}

void check_stop(int stop_fd) {
    if (stop_fd < 0) return;
    pollfd wanted{stop_fd, POLLIN, 0};
    if (::poll(&wanted, 1, 0) > 0) throw Error(ErrorCode::canceled, "the job was canceled");
}

}  // namespace coffer::job
