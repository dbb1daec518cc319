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

constexpr bool is_space(char c) {
    return c == '\t' || c == ' ' || c == '\r';
}

std::string_view next_field(std::string_view& line) {
    std::size_t begin = 0;
    while (begin < line.size() && is_space(line[begin])) ++begin;
    std::size_t end = begin;
    while (end < line.size() && !is_space(line[end])) ++end;
    const std::string_view field = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return field;
}

// False: it is no line of an index.
bool parse(std::string_view line, XlogEntry& entry) {
    entry.name = next_field(line);
    const std::string_view size = next_field(line);
    entry.modified = next_field(line);
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), entry.size);
    return error == std::errc() && end == size.data() + size.size() && !entry.modified.empty();
}

template <typename Handler>
void each_line(const Path& path, const Handler& handler) {
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
            handler(rest.substr(0, end));
            rest.remove_prefix(end + 1);
        }
        kept = std::min(rest.size(), longest_line);
        std::memmove(buffer.data(), rest.data(), kept);
    }
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
    each_line(path, [&handler](std::string_view line) {
        XlogEntry entry;
        if (parse(line, entry)) handler(entry);
    });
}

XlogTally::XlogTally(const Path& path, std::vector<std::string> names) : names_(std::move(names)) {
    std::sort(names_.begin(), names_.end());
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
    classes_.resize(2 * names_.size() + 1);
    each_line(path, [this](std::string_view line) {
        XlogEntry entry;
        if (parse(line, entry) && is_segment(entry.name)) add(entry);
    });
    sum_up();
}

void XlogTally::sum_up() {
    before_.reserve(classes_.size() + 1);
    before_.push_back({});
    for (const Class& each : classes_) {
        const Before& last = before_.back();
        before_.push_back({last.files + each.files, last.bytes + each.bytes});
    }
}

void XlogTally::add(const XlogEntry& entry) {
    // Lines are in order, or nearly: the place is where the last one was, or a little further on.
    if (next_ > 0 && entry.name <= names_[next_ - 1]) {
        next_ = place_of(entry.name);
    } else {
        while (next_ < names_.size() && names_[next_] < entry.name) ++next_;
    }
    const bool exact = next_ < names_.size() && names_[next_] == entry.name;
    Class& found = classes_[2 * next_ + (exact ? 1 : 0)];
    if (exact && found.files > 0) return;  // told twice
    if (found.files == 0 || entry.name < found.first.name_text()) found.first.set(entry);
    if (found.files == 0 || entry.name > found.last.name_text()) found.last.set(entry);
    ++found.files;
    found.bytes += entry.size;
}

void XlogTally::Mark::set(const XlogEntry& entry) {
    std::memcpy(name, entry.name.data(), segment_digits);
    modified_size = static_cast<std::uint8_t>(std::min(entry.modified.size(), sizeof modified));
    std::memcpy(modified, entry.modified.data(), modified_size);
}

std::size_t XlogTally::place_of(std::string_view name) const {
    return static_cast<std::size_t>(std::lower_bound(names_.begin(), names_.end(), name) - names_.begin());
}

XlogTally::Sum XlogTally::sum(std::size_t from_class, std::size_t to_class) const {
    Sum sum;
    const std::size_t end = std::min(to_class + 1, classes_.size());
    if (from_class >= end || before_[end].files == before_[from_class].files) return sum;
    sum.files = before_[end].files - before_[from_class].files;
    sum.bytes = before_[end].bytes - before_[from_class].bytes;
    // The classes in which the first and the last of these lie.
    const auto fewer = [](const Before& each, std::uint64_t files) { return each.files < files; };
    const auto class_of = [&](std::uint64_t number) -> const Class& {
        const auto found = std::lower_bound(before_.begin(), before_.end(), number, fewer);
        return classes_[static_cast<std::size_t>(found - before_.begin()) - 1];
    };
    const Mark& first = class_of(before_[from_class].files + 1).first;
    const Mark& last = class_of(before_[end].files).last;
    sum.first = first.name_text();
    sum.last = last.name_text();
    sum.first_modified = time_of(microseconds(first.modified_text()));
    sum.last_modified = time_of(microseconds(last.modified_text()));
    return sum;
}

XlogTally::Sum XlogTally::all() const {
    return sum(0, classes_.size() - 1);
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
