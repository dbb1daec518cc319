#include "tools/cofferctl/serve_wal.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "lib/config/units.h"
#include "lib/wal/wire_serve.h"

namespace coffer::cofferctl {
namespace {

constexpr int lost = 1, bad_call = 2;
constexpr std::uint64_t usual_idle_seconds = 900, most_idle_seconds = 86400;

constexpr const char* usage_text =
    "usage: cofferctl serve-wal [--idle SECONDS] SERVER\n"
    "Answers requests for WAL files on standard input, as coffer-wal-restore sends them through ssh.\n"
    "      --idle SECONDS          end when there was no request for so long (900)\n";

void send(std::string_view line, ByteSpan data) {
    std::array<iovec, 2> parts{};
    parts[0] = {const_cast<char*>(line.data()), line.size()};
    parts[1] = {const_cast<std::byte*>(data.data()), data.size()};
    iovec* part = parts.data();
    int left = 2;
    while (left > 0) {
        if (part->iov_len == 0) {
            ++part;
            --left;
            continue;
        }
        const ssize_t written = ::writev(STDOUT_FILENO, part, left);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw Error::from_errno(errno, "cannot write to the client", {});
        auto done = static_cast<std::size_t>(written);
        for (int at = 0; at < left && done > 0; ++at) {
            const std::size_t taken = std::min(done, part[at].iov_len);
            part[at].iov_base = static_cast<char*>(part[at].iov_base) + taken;
            part[at].iov_len -= taken;
            done -= taken;
        }
    }
}

// False at its end, or when nothing came for too long.
bool wait_for_request(std::uint64_t idle_seconds) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    for (;;) {
        const int ready = ::poll(&input, 1, static_cast<int>(idle_seconds * 1000));
        if (ready >= 0) return ready > 0;
        if (errno != EINTR) throw Error::from_errno(errno, "cannot wait for requests", {});
    }
}

std::optional<std::uint64_t> identifier_of(const config::Server& server) {
    try {
        const auto identity = catalogue::Catalogue(server).identity();
        return identity ? std::optional(identity->systemid) : std::nullopt;
    } catch (const Error& error) {  // to end a recovery for want of this comparison would be worse
        std::fprintf(stderr, "WARNING: %s\n", error.what());
        return std::nullopt;
    }
}

int answer_all(const config::Server& server, std::uint64_t idle_seconds) {
    wal::WireServer answers(server, identifier_of(server), send);
    wal::wire::Splitter splitter;
    std::array<std::byte, 4096> buffer{};
    while (wait_for_request(idle_seconds)) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read requests", {});
        if (got == 0) break;
        splitter.feed(
            ByteSpan(buffer).first(static_cast<std::size_t>(got)),
            [&](std::string_view line) {
                answers.answer(line);
                return std::uint64_t{0};
            },
            [](ByteSpan) {});
    }
    return 0;
}

// What the client is to know although there is no server to answer for.
void tell_client(const Error& error) {
    wal::wire::Reply reply;
    reply.kind = wal::wire::Reply::Kind::error;
    reply.name = "-";
    reply.fault = error.code() == ErrorCode::protocol ? "request" : "failed";
    reply.text = error.what();
    try {
        send(wal::wire::format(reply), {});
    } catch (const Error&) {  // nobody is there; the exit status says the rest
    }
    std::fprintf(stderr, "ERROR: %s\n", error.full_text().c_str());
}

}  // namespace

int serve_wal(int argc, char** argv, const std::optional<Path>& config_file) {
    constexpr option long_options[] = {
        {"idle", required_argument, nullptr, 'i'}, {"help", no_argument, nullptr, 'h'}, {nullptr, 0, nullptr, 0}};
    ::signal(SIGPIPE, SIG_IGN);
    std::uint64_t idle_seconds = usual_idle_seconds;
    optind = 1;
    for (int c; (c = ::getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
        const auto seconds = c == 'i' ? config::parse_number(optarg, 1, most_idle_seconds) : std::nullopt;
        if (seconds) {
            idle_seconds = *seconds;
            continue;
        }
        std::fputs(usage_text, c == 'h' ? stdout : stderr);
        return c == 'h' ? 0 : bad_call;
    }
    if (argc - optind != 1) {
        std::fputs(usage_text, stderr);
        return bad_call;
    }
    try {
        const config::Config config = config::load(config::find_config_file(config_file));
        const config::Server& server = config.server(argv[optind]);
        config::require_known_catalogue(server);
        return answer_all(server, idle_seconds);
    } catch (const Error& error) {
        tell_client(error);
        return error.code() == ErrorCode::protocol ? bad_call : lost;
    } catch (const std::exception& error) {
        tell_client(Error(ErrorCode::internal, error.what()));
        return lost;
    }
}

}  // namespace coffer::cofferctl
