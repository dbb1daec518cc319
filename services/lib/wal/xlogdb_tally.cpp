#include "lib/wal/xlogdb_tally.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace coffer::wal {
namespace {

constexpr std::size_t piece = 256 * 1024;
constexpr std::size_t longest_line = 4096;
constexpr std::size_t segment_digits = 24;
constexpr std::uint64_t least_part = 4ULL << 20;  // of a file, for one thread
constexpr std::uint64_t no_end = std::numeric_limits<std::uint64_t>::max();

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

// Invalid where there is no index.
UniqueFd open_index(const Path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno != ENOENT) throw Error::from_errno(errno, "cannot open file", path.string());
    return fd;
}

// The lines that begin at offsets from begin to before end. piece_done: what handler was given goes away.
template <typename Handler, typename PieceDone>
void each_line(int fd, const Path& path, std::uint64_t begin, std::uint64_t end, const Handler& handler,
               const PieceDone& piece_done) {
    std::string buffer(piece + longest_line, '\0');
    std::size_t kept = 0;                       // the begin of a line
    bool within = begin > 0;                    // in a line that is not ours
    std::uint64_t at = within ? begin - 1 : 0;  // where to read
    for (;;) {
        const ssize_t got = ::pread(fd, buffer.data() + kept, piece, static_cast<off_t>(at));
        if (got < 0) {
            if (errno == EINTR) continue;
            throw Error::from_errno(errno, "cannot read file", path.string());
        }
        if (got == 0) break;  // a last line without its end is being written, or torn
        at += static_cast<std::uint64_t>(got);
        std::string_view rest(buffer.data(), kept + static_cast<std::size_t>(got));
        for (std::size_t length = rest.find('\n'); length != rest.npos; length = rest.find('\n')) {
            if (at - rest.size() >= end) return piece_done();
            if (!within) handler(rest.substr(0, length));
            within = false;
            rest.remove_prefix(length + 1);
        }
        piece_done();
        kept = std::min(rest.size(), longest_line);
        std::memmove(buffer.data(), rest.data(), kept);
    }
}

bool is_hexadecimal(std::string_view text) {
    unsigned wrong = 0;
    for (const char c : text) wrong |= static_cast<unsigned>(!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')));
    return wrong == 0;
}

bool is_segment(std::string_view name) {
    return name.size() == segment_digits && is_hexadecimal(name);
}

// As parse(), for the usual line, fast: 24 characters of a name, a tab, the size, a tab. The modification time goes on
// to the end of the line. False: it may be another kind of line.
bool parse_usual(std::string_view line, XlogEntry& entry) {
    constexpr std::size_t most_digits = 18;
    if (line.size() < segment_digits + 4 || line[segment_digits] != '\t') return false;
    std::size_t at = segment_digits + 1;
    const std::size_t last = std::min(line.size(), at + most_digits);
    entry.size = 0;
    for (; at < last && line[at] >= '0' && line[at] <= '9'; ++at)
        entry.size = entry.size * 10 + static_cast<unsigned>(line[at] - '0');
    if (at == segment_digits + 1 || at + 1 >= line.size() || line[at] != '\t' || is_space(line[at + 1])) return false;
    entry.name = line.substr(0, segment_digits);
    entry.modified = line.substr(at + 1);
    return true;
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
    const UniqueFd fd = open_index(path);
    if (!fd) return;
    const auto take = [&handler](std::string_view line) {
        XlogEntry entry;
        if (parse(line, entry)) handler(entry);
    };
    each_line(fd.get(), path, 0, no_end, take, [] {});
}

// What the lines of a part of the file add up to.
class XlogTally::Part {
  public:
    explicit Part(const std::vector<std::string>& names) : names_(names), classes_(2 * names.size() + 1) {}

    void read(int fd, const Path& path, std::uint64_t begin, std::uint64_t end) {
        each_line(
            fd, path, begin, end, [this](std::string_view line) { take(line); }, [this] { settle(); });
    }

    std::vector<Class> take_classes() { return std::move(classes_); }
    // before: those of what stands before it in the file.
    void add_to(std::vector<Class>& before) const {
        for (std::size_t i = 0; i < classes_.size(); ++i) {
            const Class& own = classes_[i];
            Class& all = before[i];
            if (own.files == 0 || (is_name(i) && all.files > 0)) continue;  // told twice
            if (all.files == 0 || own.first.name_text() < all.first.name_text()) all.first = own.first;
            if (all.files == 0 || own.last.name_text() > all.last.name_text()) all.last = own.last;
            all.files += own.files;
            all.bytes += own.bytes;
        }
    }

  private:
    static bool is_name(std::size_t number) { return number % 2 == 1; }
    [[nodiscard]] bool before_next(std::string_view name) const {
        return next_ == names_.size() || name < names_[next_];
    }

    void take(std::string_view line) {
        XlogEntry entry;
        if (!parse_usual(line, entry) && !parse(line, entry)) return;
        // Neighbours have most of their digits in common.
        constexpr std::size_t common = 16;
        const std::string_view last(last_, segment_digits);
        const bool segment =
            entry.name.size() == segment_digits && entry.name.substr(0, common) == last.substr(0, common)
                ? is_hexadecimal(entry.name.substr(common))
                : is_segment(entry.name);
        if (!segment) return;
        // Lines are in order, or nearly: most are of the same class as the one before.
        if (current_ != nullptr && entry.name > last && before_next(entry.name)) {
            ++current_->files;
            current_->bytes += entry.size;
            newest_ = entry;
        } else {
            settle();
            add(entry);
        }
        std::memcpy(last_, entry.name.data(), segment_digits);
    }

    void add(const XlogEntry& entry) {
        if (next_ > 0 && entry.name <= names_[next_ - 1])
            next_ =
                static_cast<std::size_t>(std::lower_bound(names_.begin(), names_.end(), entry.name) - names_.begin());
        while (!before_next(entry.name) && names_[next_] != entry.name) ++next_;
        const std::size_t number = 2 * next_ + (before_next(entry.name) ? 0 : 1);
        Class& found = classes_[number];
        current_ = is_name(number) ? nullptr : &found;
        if (is_name(number) && found.files > 0) return;  // told twice
        if (found.files == 0 || entry.name < found.first.name_text()) found.first.set(entry);
        if (found.files == 0 || entry.name > found.last.name_text()) found.last.set(entry);
        ++found.files;
        found.bytes += entry.size;
    }

    // Notes what is only pointed to as yet.
    void settle() {
        if (newest_.name.empty()) return;
        if (newest_.name > current_->last.name_text()) current_->last.set(newest_);
        newest_ = {};
    }

    const std::vector<std::string>& names_;
    std::vector<Class> classes_;
    std::size_t next_ = 0;            // the name that the last line was before, or was
    Class* current_ = nullptr;        // of the last line; nullptr: the next one is of another
    XlogEntry newest_;                // the last one of it, not noted there yet
    char last_[segment_digits] = {};  // name of the last line
};

XlogTally::XlogTally(const Path& path, std::vector<std::string> names) : names_(std::move(names)) {
    std::sort(names_.begin(), names_.end());
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
    if (const UniqueFd fd = open_index(path); !fd) {
        classes_.resize(2 * names_.size() + 1);
    } else {
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at", path.string());
        const auto size = static_cast<std::uint64_t>(status.st_size);
        const std::uint64_t count = std::clamp<std::uint64_t>(size / least_part, 1, default_jobs());
        std::vector<std::optional<Part>> parts(count);
        run_parallel(count, default_jobs(), [&](std::size_t i) {
            // What is appended meanwhile belongs to the last one.
            parts[i].emplace(names_).read(fd.get(), path, size * i / count,
                                          i + 1 == count ? no_end : size * (i + 1) / count);
        });
        classes_ = parts.front()->take_classes();
        for (std::size_t i = 1; i < count; ++i) parts[i]->add_to(classes_);
    }
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

void XlogTally::Mark::set(const XlogEntry& entry) {
    std::memcpy(name, entry.name.data(), segment_digits);
    const auto end = std::find_if(entry.modified.begin(), entry.modified.end(), is_space);
    const auto size = static_cast<std::size_t>(end - entry.modified.begin());
    modified_size = static_cast<std::uint8_t>(std::min(size, sizeof modified));
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
