#include "lib/wal/xlogdb_tally.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "lib/base/error.h"

namespace coffer::wal {
namespace {

constexpr std::size_t piece = 256 * 1024;
constexpr std::size_t longest_line = 4096;
constexpr std::size_t segment_digits = 24;

std::string_view next_field(std::string_view& line) {
    const auto is_space = [](char c) { return c == '\t' || c == ' ' || c == '\r'; };
    std::size_t begin = 0;
    while (begin < line.size() && is_space(line[begin])) ++begin;
    std::size_t end = begin;
    while (end < line.size() && !is_space(line[end])) ++end;
    const std::string_view field = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return field;
}

void handle(std::string_view line, const std::function<void(const XlogEntry&)>& handler) {
    XlogEntry entry;
    entry.name = next_field(line);
    const std::string_view size = next_field(line);
    entry.modified = next_field(line);
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), entry.size);
    if (error != std::errc() || end != size.data() + size.size() || entry.modified.empty()) return;
    handler(entry);
}

bool is_segment(std::string_view name) {
    return name.size() == segment_digits && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
           });
}

// "1767225600.1234567"; what is none is 0.
std::int64_t microseconds(std::string_view text) {
    std::int64_t whole = 0;
    const char* const end = text.data() + text.size();
    auto [at, error] = std::from_chars(text.data(), end, whole);
    if (error != std::errc() || whole < 0 || whole > 1'000'000'000'000) return 0;
    std::int64_t result = whole * 1'000'000;
    if (at != end && *at == '.') ++at;
    for (std::int64_t unit = 100'000; at != end && *at >= '0' && *at <= '9' && unit > 0; ++at, unit /= 10)
        result += (*at - '0') * unit;
    return result;
}

WallTime time_of(std::int64_t value) {
    return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::microseconds(value)));
}

}  // namespace

void scan_xlogdb(const Path& path, const std::function<void(const XlogEntry&)>& handler) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT) return;
        throw Error::from_errno(errno, "cannot open file", path.string());
    }
    std::string buffer(piece + longest_line, '\0');
    std::size_t kept = 0;  // the begin of a line
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data() + kept, piece);
        if (got < 0) {
            if (errno == EINTR) continue;
            throw Error::from_errno(errno, "cannot read file", path.string());
        }
        if (got == 0) break;  // a last line without its end is being written, or torn
        std::string_view rest(buffer.data(), kept + static_cast<std::size_t>(got));
        for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
            handle(rest.substr(0, end), handler);
            rest.remove_prefix(end + 1);
        }
        kept = std::min(rest.size(), longest_line);
        std::memmove(buffer.data(), rest.data(), kept);
    }
}

XlogTally::XlogTally(const Path& path, std::vector<std::string> names) : names_(std::move(names)) {
    std::sort(names_.begin(), names_.end());
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
    classes_.resize(2 * names_.size() + 1);
    scan_xlogdb(path, [this](const XlogEntry& entry) { add(entry); });
}

void XlogTally::add(const XlogEntry& entry) {
    if (!is_segment(entry.name)) return;
    // Lines are in order, or nearly: the place is where the last one was, or a little further on.
    if (next_ > 0 && entry.name <= names_[next_ - 1]) {
        next_ = place_of(entry.name);
    } else {
        while (next_ < names_.size() && names_[next_] < entry.name) ++next_;
    }
    const bool exact = next_ < names_.size() && names_[next_] == entry.name;
    Class& found = classes_[2 * next_ + (exact ? 1 : 0)];
    if (exact && found.files > 0) return;  // told twice
    const std::int64_t modified = microseconds(entry.modified);
    if (found.files == 0 || entry.name < std::string_view(found.first, segment_digits)) {
        std::memcpy(found.first, entry.name.data(), segment_digits);
        found.first_modified = modified;
    }
    if (found.files == 0 || entry.name > std::string_view(found.last, segment_digits)) {
        std::memcpy(found.last, entry.name.data(), segment_digits);
        found.last_modified = modified;
    }
    ++found.files;
    found.bytes += entry.size;
}

std::size_t XlogTally::place_of(std::string_view name) const {
    return static_cast<std::size_t>(std::lower_bound(names_.begin(), names_.end(), name) - names_.begin());
}

XlogTally::Sum XlogTally::sum(std::size_t from_class, std::size_t to_class) const {
    Sum sum;
    for (std::size_t i = from_class; i <= to_class && i < classes_.size(); ++i) {
        const Class& each = classes_[i];
        if (each.files == 0) continue;
        if (sum.files == 0) {
            sum.first.assign(each.first, segment_digits);
            sum.first_modified = time_of(each.first_modified);
        }
        sum.last.assign(each.last, segment_digits);
        sum.last_modified = time_of(each.last_modified);
        sum.files += each.files;
        sum.bytes += each.bytes;
    }
    return sum;
}

XlogTally::Sum XlogTally::all() const {
    return sum(0, classes_.size());
}
XlogTally::Sum XlogTally::within(std::string_view from, std::string_view to) const {
    return sum(2 * place_of(from) + 1, 2 * place_of(to) + 1);
}
XlogTally::Sum XlogTally::after(std::string_view from, std::string_view to) const {
    return sum(2 * place_of(from) + 2, 2 * place_of(to) + 1);
}
bool XlogTally::has(std::string_view name) const {
    const std::size_t place = place_of(name);
    return place < names_.size() && names_[place] == name && classes_[2 * place + 1].files > 0;
}

}  // namespace coffer::wal
