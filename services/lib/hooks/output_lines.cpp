#include "lib/hooks/output_lines.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/hooks/hook_process.h"

namespace coffer::hooks {
namespace {

constexpr int most_reads = 16;  // of 64 kB, which is what a pipe holds

// Nothing that moves the cursor of a terminal.
char printable(char c) noexcept {
    const auto code = static_cast<unsigned char>(c);
    return (code < 0x20 && c != '\t') || code == 0x7F ? '?' : c;
}

}  // namespace

OutputLines::OutputLines(UniqueFd fd, std::function<void(std::string_view)> take)
    : fd_(std::move(fd)), take_(std::move(take)) {}

void OutputLines::read() {
    std::array<char, 65536> buffer;
    for (int i = 0; i < most_reads && fd_; ++i) {
        const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return fd_.reset();
        add({buffer.data(), static_cast<std::size_t>(got)});
    }
}

void OutputLines::finish() {
    if (any_) end_line();
}

void OutputLines::add(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::size_t room = longest_line - std::min(longest_line, line_.size());
        for (const char c : text.substr(0, std::min(end, room))) line_ += printable(c);
        any_ = true;
        if (end == text.size()) return;
        end_line();
        text.remove_prefix(end + 1);
    }
}

void OutputLines::end_line() {
    if (lines_ < most_lines) {
        take_(line_);
    } else if (lines_ == most_lines) {
        take_("(what it says further is left out)");
    }
    ++lines_;
    line_.clear();
    any_ = false;
}

}  // namespace coffer::hooks
