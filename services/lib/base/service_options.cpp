#include "lib/base/service_options.h"

#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer {
namespace {

using Action = ServiceOptions::Action;

// Reads "--name value" or "--name=value" at index; index then stands on the last word it took.
std::optional<std::string> value_of(const std::string& name, const std::vector<std::string>& words,
                                    std::size_t& index) {
    const std::string& word = words[index];
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
    if (word != name) return std::nullopt;
    if (index + 1 >= words.size()) throw Error(ErrorCode::invalid_argument, "option needs a value", name);
    return words[++index];
}

Path default_runtime_dir() {
    for (const char* variable : {"RUNTIME_DIRECTORY", "COFFER_RUNTIME_DIR"}) {
        const char* value = std::getenv(variable);
        if (value == nullptr || *value == '\0') continue;
        const std::string text(value);
        return text.substr(0, text.find(':'));  // systemd separates several by colons
    }
    return "/run/coffer";
}

LogLevel parse_log_level(const std::string& text) {
    if (const auto level = log_level_named(text)) return *level;
    throw Error(ErrorCode::invalid_argument, "unknown log level", text, "use debug, info, notice, warning or err");
}

}  // namespace

std::optional<LogLevel> log_level_named(std::string_view name) noexcept {
    std::string lower;
    for (const char c : name.substr(0, 16))
        lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    if (lower == "debug") return LogLevel::debug;
    if (lower == "info") return LogLevel::info;
    if (lower == "notice") return LogLevel::notice;
    if (lower == "warning") return LogLevel::warning;
    if (lower == "err" || lower == "error" || lower == "critical") return LogLevel::error;
    return std::nullopt;
}

std::string_view name_of(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::error:
            return "err";
        case LogLevel::warning:
            return "warning";
        case LogLevel::notice:
            return "notice";
        case LogLevel::info:
            return "info";
        case LogLevel::debug:
            return "debug";
    }
    return "info";
}

ServiceOptions parse_service_options(int argc, const char* const* argv) {
    ServiceOptions options;
    options.runtime_dir = default_runtime_dir();
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (const auto config = value_of("--config", words, i)) {
            options.config = *config;
        } else if (const auto directory = value_of("--runtime-dir", words, i)) {
            options.runtime_dir = *directory;
        } else if (const auto level = value_of("--log-level", words, i)) {
            options.log_level = parse_log_level(*level);
        } else if (words[i] == "--bus-introspect") {
            options.action = Action::introspect;
        } else if (words[i] == "--version") {
            options.action = Action::version;
        } else if (words[i] == "--help" || words[i] == "-h") {
            options.action = Action::help;
        } else {
            throw Error(ErrorCode::invalid_argument, "unknown argument", words[i], "see --help");
        }
    }
    return options;
}

std::string service_help(const std::string& program, const std::string& purpose) {
    return fmt::format(
        "{0}: {1}\n\nUsage: {0} [options]\n\n"
        "  --config FILE       configuration (else $COFFER_CONFIG, else /etc/coffer/coffer.conf)\n"
        "  --runtime-dir DIR   sockets and job files (else $RUNTIME_DIRECTORY, $COFFER_RUNTIME_DIR, /run/coffer)\n"
        "  --log-level LEVEL   debug, info, notice, warning or err\n"
        "  --bus-introspect    print the interfaces on the bus as XML and exit\n"
        "  --version           print the version and exit\n"
        "  --help              print this and exit\n",
        program, purpose);
}

}  // namespace coffer
