#include "tools/cofferctl/arguments.h"

#include <CLI/CLI.hpp>

#include "lib/config/units.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;

bool takes_value(Kind kind) {
    return kind == Kind::text || kind == Kind::repeated || kind == Kind::refused_text;
}

void add_option(CLI::App& app, const OptionSpec& spec, Arguments& arguments) {
    const std::string names(spec.names);
    const std::string key = spec.key();
    const auto take = [&arguments, spec, key](const std::string& value) {
        if (spec.kind == Kind::refused_flag || spec.kind == Kind::refused_text) {
            throw Error(ErrorCode::not_supported, "option '--" + key + "' is not supported yet", {}, "leave it out");
        }
        if (spec.kind != Kind::ignored) arguments.add(key, value);
    };
    CLI::Option* option = nullptr;
    if (takes_value(spec.kind)) {
        option = app.add_option_function<std::vector<std::string>>(
            names,
            [take](const std::vector<std::string>& values) { std::for_each(values.begin(), values.end(), take); },
            std::string(spec.help));
        option->expected(1)->allow_extra_args(false)->take_all()->type_name("VALUE");
    } else {
        option = app.add_flag_callback(
            names, [take] { take("true"); }, std::string(spec.help));
    }
    const bool hidden =
        spec.kind == Kind::ignored || spec.kind == Kind::refused_flag || spec.kind == Kind::refused_text;
    if (hidden) option->group("");
}

void add_command(CLI::App& app, const Command& command, Invocation& invocation) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.description));
    for (const std::string_view alias : command.aliases) sub->alias(std::string(alias));
    for (const OptionSpec& option : command.options) add_option(*sub, option, invocation.arguments);
    if (!command.positionals.empty()) {
        CLI::Option* positionals =
            sub->add_option("arguments", invocation.arguments.positionals, std::string(command.positionals));
        positionals->type_name(std::string(command.positionals));
        positionals->expected(static_cast<int>(command.fewest), command.most == 0
                                                                    ? CLI::detail::expected_max_vector_size
                                                                    : static_cast<int>(command.most));
        if (command.fewest > 0) positionals->required();
    }
    sub->callback([&invocation, &command] { invocation.command = &command; });
}

// The word that stands where a command should; the parser only says that there is none.
std::optional<std::string> unknown_command(const CLI::App& app) {
    if (!app.get_subcommands().empty()) return std::nullopt;
    for (const std::string& word : app.remaining()) {
        if (!word.starts_with('-')) return word;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Invocation> parse_command_line(int argc, const char* const* argv, const std::vector<Command>& commands,
                                             int& exit_status) {
    Invocation invocation;
    CLI::App app("Coffer: backup and recovery of PostgreSQL", "cofferctl");
    app.set_version_flag("-v,--version", COFFER_VERSION);
    std::string config;
    std::string format = "console";
    app.add_option("-c,--config", config, "configuration file");
    app.add_option("-f,--format", format, "console or json")->check(CLI::IsMember({"console", "json"}));
    app.add_flag("-q,--quiet", invocation.quiet, "say only what was asked for, and errors");
    app.add_flag("-d,--debug", invocation.debug, "say more");
    app.add_option("--color,--colour", invocation.colour, "never, always or auto")
        ->check(CLI::IsMember({"never", "always", "auto"}));
    std::string ignored;
    app.add_option("--log-level", ignored)->group("");
    app.require_subcommand(1);
    for (const Command& command : commands) add_command(app, command, invocation);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const auto unknown = unknown_command(app);
        exit_status = error.get_exit_code() == 0 ? 0 : 2;
        if (exit_status != 0 && unknown)
            std::fprintf(stderr, "ERROR: unknown command '%s'\nHINT: cofferctl --help lists all\n", unknown->c_str());
        else
            (void)app.exit(error);
        return std::nullopt;
    }
    if (!config.empty()) invocation.config = config;
    invocation.format = format == "json" ? Format::json : Format::console;
    return invocation;
}

}  // namespace coffer::cofferctl
