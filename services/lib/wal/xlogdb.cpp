#include "lib/wal/xlogdb.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/page_header.h"
#include "lib/wal/segment_name.h"

namespace coffer::wal {
namespace {

constexpr std::string_view no_value = "None";
constexpr std::uint64_t largest_index = 4ULL << 30;  // 75 million lines

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

bool is_archive_name(std::string_view name) {
    const FileKind kind = kind_of(name);
    return kind == FileKind::segment || kind == FileKind::partial || kind == FileKind::history ||
           kind == FileKind::backup_label;
}

std::string_view barman_name_of(Codec codec) noexcept {
    switch (codec) {
        case Codec::none:
            return {};
        case Codec::gzip:
            return "gzip";
        case Codec::bzip2:
            return "bzip2";
        case Codec::xz:
            return "xz";
        case Codec::zstd:
            return "zstd";
        case Codec::lz4:
            return "lz4";
    }
    return {};
}

// The fields of a line, at most 6 (one more than there can be); white space of any length separates them.
std::size_t split(std::string_view line, std::array<std::string_view, 6>& fields) {
    std::size_t count = 0;
    while (count < fields.size()) {
        const std::size_t begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) break;
        line.remove_prefix(begin);
        const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
        fields[count++] = line.substr(0, end);
        line.remove_prefix(end);
    }
    return count;
}

std::string value_or_empty(std::string_view field) {
    return field == no_value ? std::string() : std::string(field);
}

std::string text_of(std::span<const XlogLine> lines) {
    std::string text;
    for (const XlogLine& line : lines) text += line.format();
    return text;
}

bool ends_within_a_line(int fd, std::uint64_t size, const Path& path) {
    char last = '\n';
    if (size != 0 && ::pread(fd, &last, 1, static_cast<off_t>(size - 1)) != 1) {
        throw Error::from_errno(errno, "cannot read file", path.string());
    }
    return last != '\n';
}

std::string_view name_in(std::string_view line) {
    return line.substr(0, line.find_first_of(" \t\r\n"));
}

// Takes the first line, with its newline, off the text.
std::string_view take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n') + 1);
    text.remove_prefix(line.size());
    return line;
}

// Text only, since there may be a million lines. A last one that is torn is left out, and of those with one name all
// but the last.
std::vector<std::string_view> ordered(std::string_view text) {
    std::vector<std::string_view> lines;
    while (text.find('\n') != std::string_view::npos) lines.push_back(take_line(text));
    const auto by_name = [](std::string_view a, std::string_view b) { return name_in(a) < name_in(b); };
    const auto same_name = [](std::string_view a, std::string_view b) { return name_in(a) == name_in(b); };
    std::stable_sort(lines.begin(), lines.end(), by_name);
    const auto first_kept = std::unique(lines.rbegin(), lines.rend(), same_name);
    lines.erase(lines.begin(), first_kept.base());
    return lines;
}

}  // namespace

std::optional<XlogLine> XlogLine::parse(std::string_view line) {
    std::array<std::string_view, 6> fields;
    const std::size_t count = split(line, fields);
    XlogLine result;
    double seconds = 0;
    if (count < 4 || count > 5 || !is_archive_name(fields[0]) || !parse_number(fields[1], result.size) ||
        !parse_number(fields[2], seconds) || !std::isfinite(seconds) || std::abs(seconds) > 1e11) {
        return std::nullopt;
    }
    result.name = fields[0];
    result.modified = WallTime(std::chrono::microseconds(std::llround(seconds * 1e6)));
    result.compression = value_or_empty(fields[3]);
    if (count == 5) result.encryption = value_or_empty(fields[4]);
    return result;
}

std::string XlogLine::format() const {
    const auto microseconds = modified.time_since_epoch().count();
    std::string text = fmt::format("{}\t{}\t{}.{:06}\t{}", name, size, microseconds / 1000000,
                                   std::abs(microseconds % 1000000), compression.empty() ? no_value : compression);
    if (!encryption.empty()) text += "\t" + encryption;
    return text + "\n";
}

Path xlogdb_path(const config::Server& server) {
    const Path newer = server.xlogdb_directory / (server.name + "-xlog.db");
    std::error_code error;  // a directory that cannot be searched is told by who reads the file
    if (server.xlogdb_directory != server.wals_directory || std::filesystem::exists(newer, error)) return newer;
    return server.wals_directory / "xlog.db";
}

XlogContent read_xlogdb(const Path& path) {
    XlogContent content;
    const std::optional<std::string> text = read_file(path, largest_index);
    if (!text) return content;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        std::optional<XlogLine> line;
        // A last line without its end may be cut anywhere, so that even its name cannot be trusted.
        if (end != std::string_view::npos) line = XlogLine::parse(rest.substr(0, end));
        if (line) {
            content.lines.push_back(std::move(*line));
        } else {
            ++content.unreadable;
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return content;
}

void append_xlogdb(const Path& path, std::span<const XlogLine> lines) {
    if (lines.empty()) return;
    const bool is_new = !std::filesystem::exists(path);
    const UniqueFd fd = files().open(path, O_RDWR | O_APPEND | O_CREAT);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot read file", path.string());
    const auto size = static_cast<std::uint64_t>(status.st_size);
    std::string text = text_of(lines);
    if (ends_within_a_line(fd.get(), size, path)) text.insert(0, "\n");
    try {
        files().append(fd.get(), as_byte_span(text), path);
        files().sync_data(fd.get(), path);
    } catch (...) {
        // A line cut short would make the next one unreadable too; if even this fails, the next start mends it.
        if (::ftruncate(fd.get(), status.st_size) != 0) static_cast<void>(0);
        throw;
    }
    if (is_new) files().sync_directory(path.parent_path());
}

bool ends_before(const Path& path, std::string_view name) {
    if (!std::filesystem::exists(path)) return true;
    const UniqueFd fd = files().open(path, O_RDONLY);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot read file", path.string());
    std::array<char, 512> end{};  // longer than any line
    const auto size = static_cast<std::size_t>(std::min<off_t>(status.st_size, end.size()));
    if (size == 0) return true;
    if (::pread(fd.get(), end.data(), size, status.st_size - static_cast<off_t>(size)) != static_cast<ssize_t>(size)) {
        throw Error::from_errno(errno, "cannot read file", path.string());
    }
    std::string_view text(end.data(), size);
    if (text.back() != '\n') return false;  // torn
    text.remove_suffix(1);
    const std::size_t before = text.rfind('\n');
    if (before == std::string_view::npos && size == end.size()) return false;
    if (before != std::string_view::npos) text.remove_prefix(before + 1);
    return name_in(text) < name;
}

void order_xlogdb(const Path& path) {
    const std::optional<std::string> old = read_file(path, largest_index);
    if (!old) return;
    std::string text;
    text.reserve(old->size());
    for (const std::string_view line : ordered(*old)) text += line;
    if (text != *old) write_file_durably(path, text);
}

void write_xlogdb(const Path& path, std::span<const XlogLine> lines) {
    write_file_durably(path, text_of(lines));
}

std::optional<XlogLine> describe_archived(const Path& file, std::vector<std::byte>* beginning) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return std::nullopt;
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot read file", file.string());
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    std::array<std::byte, long_header_size> first{};
    const ssize_t got = ::pread(fd.get(), first.data(), first.size(), 0);
    if (got < 0) throw Error::from_errno(errno, "cannot read file", file.string());
    const ByteSpan bytes = ByteSpan(first).first(static_cast<std::size_t>(got));
    if (beginning != nullptr) beginning->assign(bytes.begin(), bytes.end());
    const Codec codec = detect_codec(bytes);
    XlogLine line;
    line.name = file.filename().string();
    line.size = static_cast<std::uint64_t>(status.st_size);
    line.modified = WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                             std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
    line.compression = barman_name_of(codec);
    return line;
}

}  // namespace coffer::wal
