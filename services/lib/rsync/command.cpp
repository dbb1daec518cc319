#include "lib/rsync/command.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/rsync/ssh_words.h"

namespace coffer::rsync {
namespace {

// Partial transfer, and files that vanished before they could be sent.
constexpr int partial = 23, vanished = 24;

std::vector<std::string> begin_command(const Source& source) {
    std::vector<std::string> words{"rsync", "--no-human-readable", "--protect-args", "--timeout=900"};
    if (!source.ssh.empty()) words.insert(words.end(), {"--rsh", rsh_text(source.ssh)});
    return words;
}

// The host is among the words of ssh, so there is none before the colon.
std::string source_argument(const Source& source) {
    return (source.ssh.empty() ? "" : ":") + source.directory + "/";
}

template <typename Judge>
bool each_line(std::string_view text, const Judge& judge) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (!judge(text.substr(0, end))) return false;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

// The first line that says what went wrong, and not only that something did.
std::string first_line(const std::string& errors) {
    std::string found;
    each_line(errors, [&](std::string_view line) {
        if (found.empty() && !line.empty() && !line.starts_with("Warning: Permanently added")) found = line;
        return true;
    });
    return found.empty() ? "it said nothing" : found.substr(0, 400);
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

struct Cause {
    std::string_view sign;  // in what rsync or ssh wrote
    ErrorCode code;
    std::string_view remedy;
    bool retry;
};
constexpr Cause causes[] = {
    {"Host key verification failed", ErrorCode::permission_denied,
     "compare the host's key with the one that it should have, and put it into known_hosts of the user that the box "
     "runs "
     "as",
     false},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", ErrorCode::permission_denied,
     "find out why the host has another key before anything else; then correct known_hosts", false},
    {"Permission denied (publickey", ErrorCode::permission_denied,
     "put the public key of the user that the box runs as into authorized_keys on the other host", false},
    {"is your shell clean", ErrorCode::protocol,
     "see that nothing is written at login by the shell of the other host's user", false},
    {"rsync: command not found", ErrorCode::not_supported, "install rsync on the other host", false},
    {"rsync: not found", ErrorCode::not_supported, "install rsync on the other host", false},
    {"No space left on device", ErrorCode::no_space, "make room on this box", false},
    {"Disk quota exceeded", ErrorCode::no_space, "make room on this box", false},
};

bool is_of_network(int status) {
    // Socket, protocol stream, timeouts, and ssh itself.
    return status == 5 || status == 10 || status == 12 || status == 30 || status == 35 || status == 255;
}

}  // namespace

std::vector<std::string> list_command(const Source& source, const std::vector<std::string>& leave_out) {
    std::vector<std::string> words = begin_command(source);
    words.insert(words.end(), {"--recursive", "--copy-links", "--list-only"});
    for (const std::string& pattern : leave_out) words.push_back("--exclude=" + pattern);
    words.push_back(source_argument(source));
    return words;
}

std::vector<std::string> copy_command(const Source& source, const std::string& to, const CopyOptions& options) {
    std::vector<std::string> words = begin_command(source);
    words.insert(words.end(),
                 {"--times", "--omit-dir-times", "--copy-links", "--no-implied-dirs", "--from0", "--files-from=-",
                  "--ignore-missing-args", "--itemize-changes", "--itemize-changes", "--out-format=%i %b %n"});
    // Pages are what the server writes, so they are what differs. In place only these are written.
    words.insert(words.end(), {"--no-whole-file", "--block-size=8192"});
    // Elsewhere what came of a file is kept under its name, which then nobody else shares.
    words.emplace_back(options.in_place ? "--inplace" : "--partial");
    if (options.compare_content) words.emplace_back("--ignore-times");
    if (options.compress) words.emplace_back("--compress");
    if (options.limit_kb != 0) words.push_back(fmt::format("--bwlimit={}", options.limit_kb));
    words.push_back(source_argument(source));
    words.push_back(to + "/");
    return words;
}

std::vector<std::string> environment() {
    return {"LC_ALL=C", "TZ=UTC", "RSYNC_RSH=ssh"};
}

std::optional<Failure> failure_of(const ProgramEnd& end, const std::string& where) {
    if (end.status == 0 || end.status == vanished) return std::nullopt;
    const std::string said = first_line(end.errors);
    const std::string fact = fmt::format("rsync ended with exit status {}: {}", end.status, said);
    for (const Cause& cause : causes) {
        if (has(end.errors, cause.sign)) {
            return Failure{Error(cause.code, fact, where, std::string(cause.remedy)), cause.retry};
        }
    }
    if (is_of_network(end.status)) {
        return Failure{Error(ErrorCode::server_unreachable, fact, where,
                             "see that the other host can be reached as ssh_command says, and has rsync"),
                       true};
    }
    if (end.status == partial) {
        const bool only_missing = each_line(end.errors, [](std::string_view line) {
            const bool gone =
                line.find("link_stat ") != line.npos && line.find("No such file or directory") != line.npos;
            return line.empty() || gone || line.starts_with("symlink has no referent:") ||
                   line.starts_with("file has vanished:") || line.find("(code 23)") != line.npos;
        });
        if (only_missing && !end.errors.empty()) return std::nullopt;
        // The file was written to while it was read; its pages are mended by WAL, if it only comes as a whole.
        const bool read_again = has(end.errors, "failed verification");
        return Failure{Error(ErrorCode::io, fact, where, "see that the other host's user can read all of its files"),
                       read_again};
    }
    return Failure{Error(ErrorCode::io, fact, where, "see rsync(1), EXIT VALUES"), false};
}

}  // namespace coffer::rsync
