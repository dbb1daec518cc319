#include "streamer/receiver.h"

#include <sys/eventfd.h>

#include <cerrno>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/wal/gaps.h"
#include "streamer/receiver_loop.h"

namespace coffer::streamer {
namespace {

constexpr std::size_t stack_size = 256 * 1024;

// When something of this server was last written here: until then, as far as we know, everything was here.
MonotonicTime last_written(const config::Server& server, const Clock& clock) {
    std::error_code absent;
    std::optional<std::filesystem::file_time_type> newest;
    std::filesystem::directory_iterator entry(server.streaming_wals_directory, absent);
    for (; !absent && entry != std::filesystem::directory_iterator(); entry.increment(absent)) {
        if (wal::kind_of(entry->path().filename().string()) == wal::FileKind::temporary) continue;
        std::error_code gone;
        const auto time = entry->last_write_time(gone);
        if (!gone && (!newest || time > *newest)) newest = time;
    }
    const MonotonicTime now = clock.monotonic();
    if (!newest) return now;
    const auto age = std::filesystem::file_time_type::clock::now() - *newest;
    return age.count() > 0 ? now - std::chrono::duration_cast<MonotonicTime::duration>(age) : now;
}

std::string last_gap(const config::Server& server) {
    try {
        const auto gaps = wal::read_gaps(server);
        return gaps.empty() ? std::string() : gaps.back().to_string();
    } catch (const Error& error) {
        log_warning("{}: {}", server.name, error.full_text());
        return {};
    }
}

}  // namespace

std::string_view name_of(ReceiverState state) noexcept {
    switch (state) {
        case ReceiverState::stopped:
            return "stopped";
        case ReceiverState::connecting:
            return "connecting";
        case ReceiverState::streaming:
            return "streaming";
        case ReceiverState::waiting:
            return "waiting";
        case ReceiverState::no_space:
            return "no-space";
        case ReceiverState::failed:
            return "failed";
    }
    return "unknown";
}

Receiver::Receiver(config::Server server, Environment environment)
    : server_(std::move(server)),
      environment_(std::move(environment)),
      stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!stop_fd_) throw Error::from_errno(errno, "cannot create an eventfd", server_.name);
    board_.update([this](ReceiverStatus& status) { status.last_gap = last_gap(server_); });
}

Receiver::~Receiver() {
    if (!running_) return;
    request_stop();
    ::pthread_join(thread_, nullptr);
}

void Receiver::start() {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_size);
    const int error = ::pthread_create(&thread_, &attributes, &Receiver::thread_main, this);
    ::pthread_attr_destroy(&attributes);
    if (error != 0) throw Error::from_errno(error, "cannot start a thread", server_.name);
    running_ = true;
}

void Receiver::request_stop() noexcept {
    ::eventfd_write(stop_fd_.get(), 1);
}

void* Receiver::thread_main(void* self) noexcept {
    auto& receiver = *static_cast<Receiver*>(self);
    try {
        receiver.run();
    } catch (const std::exception& error) {
        log_error("{}: the receiver ended: {}", receiver.server_.name, error.what());
        pollfd stop{receiver.stop_fd_.get(), POLLIN, 0};
        (void)::poll(&stop, 1, 1000);
        receiver.environment_.notify(ReceiverEnded{});  // the next one is started, unless it shall stop
    }
    return nullptr;
}

void Receiver::run() {
    ReceiverContext context{server_,
                            environment_.preallocator,
                            environment_.clock,
                            board_,
                            stop_fd_.get(),
                            environment_.notify,
                            ExposureMeter(last_written(server_, environment_.clock))};
    ReceiverLoop(context).run();
    context.exposure.disconnected();
    board_.update([](ReceiverStatus& status) { status.connected_since.reset(); });
    context.set_state(ReceiverState::stopped);
    environment_.notify(ReceiverEnded{});
}

}  // namespace coffer::streamer
