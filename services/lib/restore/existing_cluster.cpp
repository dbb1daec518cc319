#include "lib/restore/existing_cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <sstream>

#include "lib/base/error.h"
#include "lib/restore/backup_chain.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view identifier_line = "system-identifier: ";
constexpr std::string_view tablespace_line = "tablespace: ";
constexpr std::size_t largest_small_file = 64U << 10;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    Number number{};
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) return std::nullopt;
    return number;
}

// What follows prefix in the lines of the marker that begin with it.
std::vector<std::string> marker_lines(const Path& directory, std::string_view prefix) {
    std::vector<std::string> found;
    for (const std::string& line :
         lines_of(read_target(directory / unfinished_marker, largest_small_file).value_or(""))) {
        if (line.starts_with(prefix)) found.push_back(line.substr(prefix.size()));
    }
    return found;
}

std::optional<std::uint64_t> identifier_of(const Path& directory) {
    for (const char* name : {"global/pg_control", control_aside, "global/.pg_control.tmp"}) {
        const auto control = read_target(directory / name, largest_small_file);
        if (control && control->size() >= 8) return wal::load64(as_byte_span(*control), 0);
    }
    for (const std::string& line : marker_lines(directory, identifier_line)) {
        if (const auto number = number_of<std::uint64_t>(line)) return number;
    }
    return std::nullopt;
}

[[noreturn]] void refuse_running(const Path& directory, const std::string& what) {
    throw Error(ErrorCode::refused, "a server runs on the destination: " + what, directory.string(),
                "stop it (pg_ctl stop, systemctl stop), or restore to another directory");
}

// Is there a process of this number that belongs to the owner of the directory, or to nobody we may look at?
bool lives(pid_t pid, uid_t owner) {
    struct stat status {};
    if (pid <= 1 || pid == ::getpid()) return false;
    if (::stat(fmt::format("/proc/{}", pid).c_str(), &status) == 0) return status.st_uid == owner;
    return ::kill(pid, 0) == 0;
}

// Format: PostgreSQL src/include/utils/pidfile.h: the process, …, and on line 7 key and number of the shared memory.
void require_dead_pid_file(const Path& directory, uid_t owner) {
    const auto text = read_target(directory / "postmaster.pid", largest_small_file);
    if (!text) return;
    const std::vector<std::string> lines = lines_of(*text);
    const auto pid = lines.empty() ? std::nullopt : number_of<int>(lines[0]);
    // A single-user server writes its number with a minus.
    if (pid && lives(std::abs(*pid), owner)) {
        refuse_running(directory, fmt::format("postmaster.pid names process {}, which lives", std::abs(*pid)));
    }
    if (lines.size() < 7) return;
    const std::size_t space = lines[6].find_last_of(' ');
    const auto memory = space == std::string::npos ? std::nullopt : number_of<int>(lines[6].substr(space));
    shmid_ds segment{};
    if (memory && ::shmctl(*memory, IPC_STAT, &segment) == 0 && segment.shm_nattch > 0 &&
        segment.shm_perm.uid == owner) {
        refuse_running(directory, fmt::format("processes of it are left that use its shared memory {}", *memory));
    }
}

// A process of PostgreSQL, which works in its data directory.
struct ServerProcess {
    pid_t pid;
    std::string name;
    Path proc;  // /proc/PID
};

void for_each_server_process(const std::function<void(const ServerProcess&)>& handle) {
    std::error_code error;
    for (auto entry = fs::directory_iterator("/proc", error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
        const auto pid = number_of<pid_t>(entry->path().filename().string());
        if (!pid || *pid == ::getpid()) continue;
        std::string name;
        std::getline(std::ifstream(entry->path() / "comm"), name);
        if (name == "postgres" || name == "postmaster") handle({*pid, name, entry->path()});
    }
}

bool is_same(const Path& path, const struct stat& other) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && status.st_dev == other.st_dev && status.st_ino == other.st_ino;
}

// Does one of the links in the process' data directory, as the process sees them, lead to the place?
bool uses_tablespace(const ServerProcess& process, const struct stat& place) {
    std::error_code error;
    for (auto link = fs::directory_iterator(process.proc / "cwd/pg_tblspc", error);
         !error && link != fs::directory_iterator(); link.increment(error)) {
        std::error_code no_link;
        const Path to = fs::read_symlink(link->path(), no_link);
        if (no_link) continue;
        if (is_same(process.proc / "root" / to.relative_path(), place) || is_same(to, place)) return true;
    }
    return false;
}

void require_unused_tablespace(const TablespaceTarget& tablespace) {
    struct stat place {};
    if (::stat(tablespace.target.c_str(), &place) != 0) return;
    for_each_server_process([&](const ServerProcess& process) {
        if (!uses_tablespace(process, place)) return;
        std::error_code ignored;
        throw Error(
            ErrorCode::refused,
            fmt::format("a server that runs uses the place of tablespace '{}': process {} ({}) of {}", tablespace.name,
                        process.pid, process.name, fs::read_symlink(process.proc / "cwd", ignored).string()),
            tablespace.target.string(), fmt::format("give it an empty place: --tablespace {}:/PATH", tablespace.name));
    });
}

}  // namespace

std::string marker_text(const std::string& server, const catalogue::BackupInfo& backup,
                        const std::vector<TablespaceTarget>& tablespaces, bool delta) {
    std::string text = fmt::format(
        "coffer is restoring backup {} of server {} to this place.\nWhile this file is here, the restore has not "
        "ended: {}.\n{}{}\n",
        backup.backup_id, server,
        delta                     ? "run it again with --delta-restore, or remove the whole directory and start again"
        : needs_unpacking(backup) ? "remove the whole directory and start again"
                                  : "remove the whole directory and start again, or go on with --delta-restore",
        identifier_line, backup.systemid);
    for (const TablespaceTarget& tablespace : tablespaces) {
        text += fmt::format("{}{}\n", tablespace_line, tablespace.target.string());
    }
    return text;
}

void require_no_server(const Path& directory, const std::vector<TablespaceTarget>& tablespaces) {
    struct stat here {};
    if (::stat(directory.c_str(), &here) != 0) {
        throw Error::from_errno(errno, "cannot look at the destination", directory.string());
    }
    require_dead_pid_file(directory, here.st_uid);
    for_each_server_process([&](const ServerProcess& process) {
        if (!is_same(process.proc / "cwd", here)) return;
        refuse_running(directory, fmt::format("process {} ({}) works in it", process.pid, process.name));
    });
    for (const TablespaceTarget& tablespace : tablespaces) require_unused_tablespace(tablespace);
}

void require_same_cluster(const Path& directory, std::uint64_t system_identifier) {
    const Path real = real_path(directory);
    const auto found = identifier_of(real);
    if (!found) {
        throw Error(ErrorCode::refused, "the destination is not empty, and no data directory of PostgreSQL",
                    directory.string(),
                    "a delta restore goes to a data directory of the same cluster, or an empty one");
    }
    if (*found != system_identifier) {
        throw Error(ErrorCode::refused,
                    fmt::format("the destination is the data directory of another cluster: its system identifier is "
                                "{}, that of the backup {}",
                                *found, system_identifier),
                    directory.string(), "choose another directory; to give this one up, empty it yourself");
    }
    require_no_server(real, {});
}

void require_own_tablespace(const Path& directory, const TablespaceTarget& tablespace, const Path& pgdata) {
    const Path real = real_path(directory);
    const Path wanted = real_path(tablespace.target);
    const std::vector<std::string> begun = marker_lines(real, tablespace_line);
    std::error_code error;
    const Path link = fs::read_symlink(real / "pg_tblspc" / std::to_string(tablespace.oid), error);
    const bool linked = !error && real_path(link) == wanted;
    const bool original = !pgdata.empty() && real == real_path(pgdata);
    const bool own =
        std::any_of(begun.begin(), begun.end(), [&](const Path& place) { return real_path(place) == wanted; });
    if (!own && !linked) {
        throw Error(ErrorCode::refused, "the place of the tablespace is not empty, and not the destination's own",
                    tablespace.target.string(),
                    fmt::format("give it an empty place: --tablespace {}:/PATH", tablespace.name));
    }
    if (!own && !tablespace.mapped && !original && !is_within(wanted, real)) {
        throw Error(ErrorCode::refused,
                    "the destination is not where the backup was taken, and leads to a tablespace outside of it: that "
                    "of another server if the destination is a copy",
                    tablespace.target.string(),
                    fmt::format("give it an empty place: --tablespace {}:/PATH; or name this one if no other data "
                                "directory needs it",
                                tablespace.name));
    }
    for (const auto& entry : fs::directory_iterator(wanted)) {
        const Path name = entry.path().filename();
        if (name == "lost+found" || fs::is_directory(fs::symlink_status(tablespace.source / name, error))) continue;
        throw Error(
            ErrorCode::refused, "the place of the tablespace holds something that is not of this backup",
            entry.path().string(),
            fmt::format("move it away, or give the tablespace an empty place: --tablespace {}:/PATH", tablespace.name));
    }
}

}  // namespace coffer::restore
