#pragma once
// One log call: a sentence for people first, structured fields for machines.
//
// Under systemd (stderr is the journal) fields arrive as journal fields; elsewhere the sentence goes to stderr with a
// time in front. Thread-safe. Never throws.
#include <initializer_list>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace coffer {

enum class LogLevel { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };  // syslog's numbers

// Name of a field: upper case, without the prefix COFFER_ which is added ("SERVER" becomes COFFER_SERVER); MESSAGE_ID
// is kept.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

void set_log_level(LogLevel least_important) noexcept;
LogLevel log_level() noexcept;
void log_message(LogLevel level, std::string_view message, LogFields fields = {}) noexcept;

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) noexcept {
    try {
        log_message(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
    } catch (...) {  // out of memory: nothing better can be done here
    }
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) noexcept {
    try {
        log_message(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
    } catch (...) {
    }
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) noexcept {
    try {
        log_message(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
    } catch (...) {
    }
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) noexcept {
    if (log_level() < LogLevel::debug) return;
    try {
        log_message(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
    } catch (...) {
    }
}

}  // namespace coffer
