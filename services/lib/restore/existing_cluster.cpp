#include "lib/restore/existing_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include "lib/base/error.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view identifier_line = "system-identifier: ";
constexpr std::string_view tablespace_line = "tablespace: ";
constexpr std::size_t largest_small_file = 64U << 10;

// A small file below the destination, read without following links; nullopt when it is not there.
std::optional<std::string> read_small(const Path& path) {
    UniqueFd fd;
    try {
        fd = open_target(path, O_RDONLY | O_NONBLOCK);
    } catch (const Error& error) {
        std::error_code ignored;
        if (!fs::exists(fs::symlink_status(path, ignored))) return std::nullopt;
        throw;
    }
    std::string text(largest_small_file, '\0');
    const ssize_t got = ::read(fd.get(), text.data(), text.size());
    if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
    text.resize(static_cast<std::size_t>(got));
    return text;
}

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
    for (const std::string& line : lines_of(read_small(directory / unfinished_marker).value_or(""))) {
        if (line.starts_with(prefix)) found.push_back(line.substr(prefix.size()));
    }
    return found;
}

std::optional<std::uint64_t> identifier_of(const Path& directory) {
    for (const char* name : {"global/pg_control", control_aside, "global/.pg_control.tmp"}) {
        const auto control = read_small(directory / name);
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
    const auto text = read_small(directory / "postmaster.pid");
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

}  // namespace

std::string marker_text(const std::string& server, const catalogue::BackupInfo& backup,
                        const std::vector<TablespaceTarget>& tablespaces, bool delta) {
    std::string text = fmt::format(
        "coffer is restoring backup {} of server {} to this place.\nWhile this file is here, the restore has not "
        "ended: {}.\n{}{}\n",
        backup.backup_id, server,
        delta ? "run it again with --delta-restore, or remove the whole directory and start again"
              : "remove the whole directory and start again, or go on with --delta-restore",
        identifier_line, backup.systemid);
    for (const TablespaceTarget& tablespace : tablespaces) {
        text += fmt::format("{}{}\n", tablespace_line, tablespace.target.string());
    }
    return text;
}

void require_no_server(const Path& directory) {
    struct stat here {};
    if (::stat(directory.c_str(), &here) != 0) {
        throw Error::from_errno(errno, "cannot look at the destination", directory.string());
    }
    require_dead_pid_file(directory, here.st_uid);
    std::error_code error;
    for (auto entry = fs::directory_iterator("/proc", error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
        const auto pid = number_of<pid_t>(entry->path().filename().string());
        struct stat status {};
        if (!pid || *pid == ::getpid() || ::stat((entry->path() / "cwd").c_str(), &status) != 0) continue;
        if (status.st_dev != here.st_dev || status.st_ino != here.st_ino) continue;
        std::string name;
        std::getline(std::ifstream(entry->path() / "comm"), name);
        if (name != "postgres" && name != "postmaster") continue;
        refuse_running(directory, fmt::format("process {} ({}) works in it", *pid, name));
    }
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
    require_no_server(real);
}

void require_own_tablespace(const Path& directory, const TablespaceTarget& tablespace) {
    const Path real = real_path(directory);
    const Path wanted = real_path(tablespace.target);
    std::vector<std::string> known = marker_lines(real, tablespace_line);
    std::error_code error;
    const Path link = fs::read_symlink(real / "pg_tblspc" / std::to_string(tablespace.oid), error);
    if (!error) known.push_back(link.string());
    bool own = false;
    for (const std::string& place : known) own = own || real_path(place) == wanted;
    if (!own) {
        throw Error(ErrorCode::refused, "the place of the tablespace is not empty, and not the destination's own",
                    tablespace.target.string(), {});
    }
    for (const auto& entry : fs::directory_iterator(wanted)) {
        const Path name = entry.path().filename();
        if (name == "lost+found" || fs::is_directory(fs::symlink_status(tablespace.source / name, error))) continue;
        throw Error(ErrorCode::refused, "the place of the tablespace holds something that is not of this backup",
                    entry.path().string(), "move it away, or restore to another directory");
    }
}

}  // namespace coffer::restore
