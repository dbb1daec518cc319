#include "services/job/progress.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/base/pretty_size.h"

namespace coffer::job {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto between_reports = 250ms;
constexpr int most_wait_ms = 1000;  // for the message about the end
constexpr int bar_width = 30;

UniqueFd connect_to(const Path& path) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& name = path.native();
    if (name.empty() || name.size() >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, name.data(), name.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    log_warning("nobody takes the progress of this job: {}", name);
    return {};
}

std::string dump(const json& object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

ProgressReporter::ProgressReporter(std::string job_id, const Path& socket, const Clock& clock) noexcept
    : clock_(clock), job_id_(std::move(job_id)), socket_(connect_to(socket)) {
    terminal_ = socket.empty() && ::isatty(STDERR_FILENO) == 1;
}

ProgressReporter::~ProgressReporter() {
    end_bar();
}

void ProgressReporter::phase(std::string_view name, std::string_view message, std::uint64_t total) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        end_bar();
        phase_ = name;
        message_ = message;
        done_ = 0;
        total_ = total;
        phase_began_ = clock_.monotonic();
        if (!terminal_) log_info("{}", message_);
        report();
    } catch (...) {  // out of memory: progress is not worth a job
    }
}

void ProgressReporter::advance(std::uint64_t done) noexcept {
    const std::lock_guard lock(mutex_);
    done_ = done;
    if (clock_.monotonic() - last_report_ >= between_reports) report();
}

void ProgressReporter::set_total(std::uint64_t total) noexcept {
    const std::lock_guard lock(mutex_);
    total_ = total;
}

void ProgressReporter::end_line() noexcept {
    const std::lock_guard lock(mutex_);
    end_bar();
}

void ProgressReporter::report() noexcept {
    last_report_ = clock_.monotonic();
    if (terminal_) draw_bar();
    if (!socket_) return;
    try {
        send(dump({{"job", job_id_}, {"phase", phase_}, {"done", done_}, {"total", total_}, {"message", message_}}),
             false);
    } catch (...) {
    }
}

void ProgressReporter::done(const JobResult& result) noexcept {
    const std::lock_guard lock(mutex_);
    end_bar();
    try {
        if (!result.warning.empty()) log_warning("{}", result.warning);
        json object{{"job", job_id_}, {"result", "done"}, {"backup_id", result.backup_id}};
        if (!result.warning.empty()) object["warning"] = result.warning;
        send(dump(object), true);
    } catch (...) {
    }
}

void ProgressReporter::failed(const Error& error) noexcept {
    const std::lock_guard lock(mutex_);
    end_bar();
    try {
        log_error("{}", error.full_text());
        send(dump({{"job", job_id_},
                   {"result", "failed"},
                   {"error",
                    {{"name", bus_name_of(error.code())},
                     {"what", error.fact()},
                     {"where", error.where()},
                     {"remedy", error.remedy()}}}}),
             true);
    } catch (...) {
    }
}

void ProgressReporter::send(const std::string& text, bool must_arrive) noexcept {
    if (!socket_) return;
    if (must_arrive) {
        pollfd wanted{socket_.get(), POLLOUT, 0};
        (void)::poll(&wanted, 1, most_wait_ms);
    }
    (void)::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

void ProgressReporter::draw_bar() noexcept {
    const double seconds = std::chrono::duration<double>(clock_.monotonic() - phase_began_).count();
    const double share = total_ == 0 ? 0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    try {
        std::string line = fmt::format("\r\x1b[K{}", message_);
        if (done_ > 0 && total_ > 0) {
            const auto filled = static_cast<std::size_t>(share * bar_width);
            line += fmt::format(" [{}{}] {:3.0f} % of {}", std::string(filled, '#'),
                                std::string(static_cast<std::size_t>(bar_width) - filled, '.'), share * 100,
                                pretty_size(static_cast<double>(total_)));
        } else if (done_ > 0) {
            line += fmt::format(" {}", pretty_size(static_cast<double>(done_)));
        }
        if (share > 0 && share < 1 && seconds > 2) line += fmt::format(", {:.0f} s left", seconds / share - seconds);
        (void)!::write(STDERR_FILENO, line.data(), line.size());
        bar_drawn_ = true;
    } catch (...) {
    }
}

void ProgressReporter::end_bar() noexcept {
    if (!bar_drawn_) return;
    if (done_ > 0) draw_bar();  // how far it came, however quick it was
    (void)!::write(STDERR_FILENO, "\n", 1);
    bar_drawn_ = false;
}

}  // namespace coffer::job
