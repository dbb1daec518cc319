#include "tools/clients/read_ahead.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "lib/base/error.h"
#include "tools/clients/connection.h"
#include "tools/clients/names.h"
#include "tools/clients/received_file.h"
#include "tools/clients/recovering_server.h"

namespace coffer::clients {
namespace {

using Clock = std::chrono::steady_clock;
using wal::wire::Reply;
using wal::wire::Request;

constexpr auto idle_time = std::chrono::seconds(60);
constexpr auto look_time = std::chrono::seconds(2);      // between looks whether the recovery goes on
constexpr auto after_failure = std::chrono::seconds(5);  // until the box is tried again
constexpr std::size_t most_callers = 32;
constexpr std::size_t asked_at_once = 2;  // the box always knows what is next, and little is in vain

class ReadAhead : Replies {
  public:
    ReadAhead(const Spool& spool, const Box& box, unsigned ahead, int listener, Path data)
        : spool_(spool), box_(box), ahead_(ahead), listener_(listener), server_(std::move(data)) {}

    void run();

  private:
    struct Caller {
        UniqueFd fd;
        std::string line;
        std::optional<Request> request;  // not answered yet
        std::string handed;              // the file that it is moving away
    };
    struct Asked {
        std::string name;
        bool for_caller = false;
    };
    struct Ready {
        HandOver told;
        bool may_wait = false;  // it stays what it is: a whole segment of the log
        bool handed = false;
    };

    void on_reply(const Reply& reply) override;
    void on_data(std::span<const std::byte> piece) override {
        if (file_) file_->add(piece);
    }

    bool should_end(Clock::time_point now);
    void wait();
    void accept_all();
    bool hear(Caller& caller);  // false when it has gone
    void question(Caller& caller);
    void answer(const std::string& name, const std::string& line, const HandOver* told);
    void went(const Caller& caller);
    void hear_box();
    bool connect();
    void give_up(const Error& error);
    void ask(const Request& request, bool for_caller);
    void settle_absence(const std::string& line);
    void keep(const std::string& name);
    void move_to(const std::string& name);
    void read_on();
    [[nodiscard]] std::vector<std::string> following() const;
    [[nodiscard]] bool is_asked(const std::string& name) const;

    const Spool& spool_;
    const Box& box_;
    const unsigned ahead_;
    const int listener_;
    const RecoveringServer server_;
    std::list<Caller> callers_;
    std::unique_ptr<Connection> connection_;
    std::deque<Asked> asked_;  // the first is being answered
    std::unique_ptr<ReceivedFile> file_;
    std::map<std::string, Ready> ready_;
    std::string place_;  // the segment that was asked for last
    std::uint64_t segment_size_ = 0;
    bool at_end_ = false;  // nothing more is held behind it, as of the last question
    bool is_barman_ = false;
    bool has_ended_ = false;  // the server
    bool may_retry_ = false;
    Clock::time_point last_question_ = Clock::now(), last_look_ = last_question_, failed_{};
};

void ReadAhead::run() {
    while (!is_barman_ && !should_end(Clock::now())) {
        wait();
        read_on();
    }
}

bool ReadAhead::should_end(Clock::time_point now) {
    if (has_ended_ || (callers_.empty() && now - last_question_ > idle_time)) return true;
    if (now - last_look_ < look_time) return false;
    last_look_ = now;
    return server_.has_left_recovery();
}

void ReadAhead::wait() {
    std::vector<pollfd> waiting{
        {listener_, POLLIN, 0}, {server_.ended_fd(), POLLIN, 0}, {connection_ ? connection_->fd() : -1, POLLIN, 0}};
    const std::size_t first_caller = waiting.size();
    for (const Caller& caller : callers_) waiting.push_back({caller.fd.get(), POLLIN, 0});
    const auto tick = std::chrono::duration_cast<std::chrono::milliseconds>(look_time).count();
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(tick)) <= 0) return;
    has_ended_ = waiting[1].revents != 0;
    auto caller = callers_.begin();
    for (std::size_t at = first_caller; at < waiting.size() && caller != callers_.end(); ++at) {
        caller = waiting[at].revents == 0 || hear(*caller) ? std::next(caller) : callers_.erase(caller);
    }
    if (waiting[0].revents != 0) accept_all();
    if (waiting[2].revents != 0) hear_box();
}

void ReadAhead::accept_all() {
    for (;;) {
        UniqueFd fd(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) return;
        if (callers_.size() < most_callers) callers_.push_back({std::move(fd), {}, {}, {}});
    }
}

bool ReadAhead::hear(Caller& caller) {
    char buffer[wal::wire::max_line];
    const ssize_t got = ::read(caller.fd.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) {
        went(caller);
        return false;
    }
    caller.line.append(buffer, static_cast<std::size_t>(got));
    if (!caller.line.ends_with('\n')) return caller.line.size() < wal::wire::max_line;
    if (caller.request || !caller.handed.empty()) return false;  // one question each
    try {
        caller.request = wal::wire::parse_request(std::string_view(caller.line).substr(0, caller.line.size() - 1));
    } catch (const Error&) {
        return false;
    }
    if (caller.request->kind != Request::Kind::get || !is_wal_name(caller.request->name)) return false;
    question(caller);
    return true;
}

// What it was handed over is its own now; unless it did not take it.
void ReadAhead::went(const Caller& caller) {
    const auto ready = ready_.find(caller.handed);
    if (ready == ready_.end()) return;
    const bool taken = ::access(spool_.file(caller.handed).c_str(), F_OK) != 0;
    if (!taken && ready->second.may_wait) {
        ready->second.handed = false;
        return;
    }
    if (!taken) ::unlink(spool_.file(caller.handed).c_str());
    ready_.erase(ready);
}

void ReadAhead::question(Caller& caller) {
    last_question_ = Clock::now();
    may_retry_ = true;
    const Request request = *caller.request;
    if (is_segment(request.name)) move_to(request.name);
    const auto ready = ready_.find(request.name);
    if (ready != ready_.end()) return answer(request.name, format(ready->second.told), &ready->second.told);
    if (!is_asked(request.name)) ask(request, true);
}

// To everyone who waits for it. A caller whose socket does not take a line at once has gone.
void ReadAhead::answer(const std::string& name, const std::string& line, const HandOver* told) {
    for (Caller& caller : callers_) {
        if (!caller.request || caller.request->name != name) continue;
        caller.request.reset();
        if (::send(caller.fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0 || told == nullptr) continue;
        caller.handed = name;
        ready_[name].handed = true;
        told = nullptr;  // only one can have it
    }
}

bool ReadAhead::connect() {
    if (connection_) return true;
    if (Clock::now() - failed_ < after_failure) return false;
    try {
        connection_ = std::make_unique<Connection>(box_, false);
        return true;
    } catch (const Error& error) {
        give_up(error);
        return false;
    }
}

void ReadAhead::hear_box() {
    try {
        connection_->read_some(*this);
    } catch (const Error& error) {
        is_barman_ = error.code() == ErrorCode::not_supported;
        if (is_barman_) spool_.note_barman();
        give_up(error);
    }
}

// All that was asked for is lost; who waits is told to see for himself.
void ReadAhead::give_up(const Error& error) {
    std::fprintf(stderr, "%s\n", error.full_text().c_str());
    // One that worked may be made anew at once, for each question once.
    const bool may_retry = std::exchange(may_retry_, false) && connection_ && connection_->greeted();
    failed_ = may_retry ? Clock::time_point{} : Clock::now();
    connection_.reset();
    file_.reset();
    asked_.clear();
    for (Caller& caller : callers_) {
        if (!caller.request) continue;
        const std::string name = caller.request->name;
        answer(name, "error " + name + " failed no connection\n", nullptr);
    }
}

void ReadAhead::ask(const Request& request, bool for_caller) {
    if (!connect()) {
        answer(request.name, "error " + request.name + " failed no connection\n", nullptr);
        return;
    }
    Request packed = request;
    packed.zstd = true;
    connection_->ask(packed);
    asked_.push_back({request.name, for_caller});
}

void ReadAhead::on_reply(const Reply& reply) {
    if (asked_.empty()) throw Error(ErrorCode::protocol, "an answer that was not asked for came from the box");
    const std::string name = asked_.front().name;
    switch (reply.kind) {
        case Reply::Kind::wal:
            if (reply.name != name)
                throw Error(ErrorCode::protocol, "another file than was asked for came from the box");
            file_ = std::make_unique<ReceivedFile>(spool_.path() / ("." + name), name);
            return file_->begin(reply.zstd);
        case Reply::Kind::data:
            if (!file_) throw Error(ErrorCode::protocol, "bytes of no file came from the box");
            return;
        case Reply::Kind::end:
            if (!file_) throw Error(ErrorCode::protocol, "the end of no file came from the box");
            file_->finish(reply.size, reply.crc);
            return keep(name);
        case Reply::Kind::absent:
            return settle_absence("absent " + name + "\n");
        case Reply::Kind::error:
            return settle_absence(wal::wire::format(reply));
        default:
            throw Error(ErrorCode::protocol, "an answer that makes no sense came from the box");
    }
}

void ReadAhead::keep(const std::string& name) {
    // PostgreSQL syncs every file that was restored before it reads it: let the disk begin now, which nobody waits for.
    (void)::sync_file_range(file_->fd(), 0, 0, SYNC_FILE_RANGE_WRITE);
    file_->move_to(spool_.file(name));
    const HandOver told = hand_over_of(file_->fd());  // as it is under its name
    if (is_segment(name)) segment_size_ = file_->size();
    file_.reset();
    const bool for_caller = asked_.front().for_caller;
    asked_.pop_front();
    // What was fetched for a caller may be an unfinished segment, which is another one when it is asked for again.
    ready_[name] = {told, !for_caller, false};
    answer(name, format(told), &told);
    if (for_caller && !ready_[name].handed) {
        ::unlink(spool_.file(name).c_str());
        ready_.erase(name);
    }
}

// The box gave nothing. What was read ahead may be there by now for the one who waits for it.
void ReadAhead::settle_absence(const std::string& line) {
    file_.reset();
    const Asked asked = asked_.front();
    asked_.pop_front();
    if (asked.for_caller) return answer(asked.name, line, nullptr);
    at_end_ = true;
    for (const Caller& caller : callers_) {
        if (caller.request && caller.request->name == asked.name) {
            return ask(Request(*caller.request), true);
        }
    }
}

std::vector<std::string> ReadAhead::following() const {
    std::vector<std::string> names;
    std::optional<std::string> name = place_;
    while (names.size() < ahead_ && (name = next_name(*name, segment_size_))) names.push_back(*name);
    return names;
}

bool ReadAhead::is_asked(const std::string& name) const {
    return std::any_of(asked_.begin(), asked_.end(), [&](const Asked& asked) { return asked.name == name; });
}

// What lies elsewhere in the log is not kept.
void ReadAhead::move_to(const std::string& name) {
    place_ = name;
    at_end_ = false;
    const auto near = following();
    for (auto each = ready_.begin(); each != ready_.end();) {
        const bool wanted = each->first == name || std::find(near.begin(), near.end(), each->first) != near.end();
        if (wanted || each->second.handed) {
            ++each;
            continue;
        }
        ::unlink(spool_.file(each->first).c_str());
        each = ready_.erase(each);
    }
}

void ReadAhead::read_on() {
    if (place_.empty() || at_end_ || is_barman_) return;
    for (const std::string& name : following()) {
        if (asked_.size() >= asked_at_once) return;
        if (ready_.count(name) != 0 || is_asked(name)) continue;
        if (!connect()) return;
        Request request;
        request.name = name;
        ask(request, false);
    }
}

void close_all_but(int one, int other) {
    const auto low = static_cast<unsigned>(std::min(one, other)), high = static_cast<unsigned>(std::max(one, other));
    constexpr unsigned first = STDERR_FILENO + 1;
    if (low > first) ::close_range(first, low - 1, 0);
    if (high > low + 1) ::close_range(low + 1, high - 1, 0);
    ::close_range(std::max(high + 1, first), ~0U, 0);
}

void stand_alone(const Spool& spool) {
    ::setsid();
    ::umask(077);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    for (const int each : {SIGTERM, SIGINT, SIGQUIT, SIGCHLD}) ::signal(each, SIG_DFL);
    (void)!::chdir("/");
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int log = ::open(spool.file("log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    ::dup2(log >= 0 ? log : nothing, STDERR_FILENO);
}

}  // namespace

void start_read_ahead(const Spool& spool, const Box& box, unsigned ahead, UniqueFd lock, UniqueFd listener) {
    std::error_code unknown;
    const Path data = std::filesystem::current_path(unknown);
    const pid_t pid = ::fork();
    if (pid < 0) throw Error::from_errno(errno, "cannot start the read-ahead", {});
    if (pid > 0) return;
    try {
        stand_alone(spool);
        close_all_but(lock.get(), listener.get());
        const std::string number = std::to_string(::getpid()) + "\n";
        (void)!::ftruncate(lock.get(), 0);
        (void)!::pwrite(lock.get(), number.data(), number.size(), 0);
        ReadAhead(spool, box, ahead, listener.get(), data).run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
    }
    spool.remove_all();
    ::_exit(0);
}

}  // namespace coffer::clients
