#include "lib/base/log.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/chrono.h>

namespace coffer {
namespace {

std::atomic<LogLevel> least{LogLevel::info};

// systemd tells device and inode of the journal's stream in JOURNAL_STREAM (systemd.exec(5)).
bool stderr_is_journal() noexcept {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    unsigned long long device = 0;
    unsigned long long inode = 0;
    return stream != nullptr && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void send_to_journal(LogLevel level, std::string_view message, LogFields fields) {
    std::vector<std::string> entries;
    entries.push_back("MESSAGE=" + std::string(message));
    entries.push_back("PRIORITY=" + std::to_string(static_cast<int>(level)));
    for (const auto& [name, value] : fields) {
        entries.push_back((name == "MESSAGE_ID" ? "" : "COFFER_") + std::string(name) + "=" + std::string(value));
    }
    std::vector<iovec> vectors;
    for (std::string& entry : entries) vectors.push_back({entry.data(), entry.size()});
    ::sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size()));
}

constexpr std::string_view name_of(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::error:
            return "ERROR";
        case LogLevel::warning:
            return "WARNING";
        case LogLevel::notice:
            return "NOTICE";
        case LogLevel::info:
            return "INFO";
        case LogLevel::debug:
            return "DEBUG";
    }
    return "INFO";
}

}  // namespace

void set_log_level(LogLevel least_important) noexcept {
    least = least_important;
}
LogLevel log_level() noexcept {
    return least;
}

void log_message(LogLevel level, std::string_view message, LogFields fields) noexcept {
    if (level > least) return;
    try {
        static const bool journal = stderr_is_journal();
        if (journal) {
            send_to_journal(level, message, fields);
            return;
        }
        const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
        const std::string line = fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03} UTC {}: {}\n", fmt::gmtime(now),
                                             now.time_since_epoch().count() % 1000, name_of(level), message);
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (...) {  // out of memory: a lost log line must not end a service
    }
}

}  // namespace coffer
