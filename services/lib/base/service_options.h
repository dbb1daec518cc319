#pragma once
// The command line that all services share.
#include <optional>
#include <string>

#include "lib/base/files.h"
#include "lib/base/log.h"

namespace coffer {

struct ServiceOptions {
    enum class Action { run, help, version, introspect };
    Action action = Action::run;
    std::optional<Path> config;         // --config; config::find_config_file() knows the rest
    Path runtime_dir;                   // --runtime-dir, $RUNTIME_DIRECTORY, $COFFER_RUNTIME_DIR, /run/coffer
    std::optional<LogLevel> log_level;  // --log-level
};

// Throws invalid_argument for anything it does not know.
ServiceOptions parse_service_options(int argc, const char* const* argv);
// What --help prints.
std::string service_help(const std::string& program, const std::string& purpose);

// "debug", "info", "notice", "warning", "err" (as systemd calls them; "error" too), upper or lower case.
std::optional<LogLevel> log_level_named(std::string_view name) noexcept;
std::string_view name_of(LogLevel level) noexcept;

}  // namespace coffer
