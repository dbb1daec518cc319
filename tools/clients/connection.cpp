#include "tools/clients/connection.h"

#include <unistd.h>

#include <cerrno>

#include "lib/base/error.h"
#include "lib/base/files.h"

namespace coffer::clients {
namespace {

constexpr std::size_t read_at_once = std::size_t{256} * 1024;

}  // namespace

using wal::wire::Reply;
using wal::wire::Request;

Connection::Connection(const Box& box, bool quiet)
    : ssh_(ssh_command(box, "cofferctl", {"serve-wal", box.server}), quiet), buffer_(read_at_once, '\0') {
    Request hello;
    hello.kind = Request::Kind::hello;
    hello.count = wal::wire::version;
    ask(hello);
}

// Requests are so few and short that the pipe to ssh holds them. When ssh has ended, reading tells why.
void Connection::ask(const Request& request) {
    const std::string line = format(request);
    std::string_view left = line;
    while (!left.empty()) {
        const ssize_t written = ::write(ssh_.to(), left.data(), left.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return;
        left.remove_prefix(static_cast<std::size_t>(written));
    }
}

void Connection::read_some(Replies& replies) {
    const ssize_t got = ::read(ssh_.from(), buffer_.data(), buffer_.size());
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) ended();
    splitter_.feed(
        as_byte_span(std::string_view(buffer_).substr(0, static_cast<std::size_t>(got))),
        [&](std::string_view line) -> std::uint64_t {
            if (!greeted_) {
                greet(line);
                return 0;
            }
            const Reply reply = wal::wire::parse_reply(line);
            replies.on_reply(reply);
            return reply.kind == Reply::Kind::data ? reply.size : 0;
        },
        [&](ByteSpan piece) { replies.on_data(piece); });
}

void Connection::greet(std::string_view line) {
    Reply reply;
    try {
        reply = wal::wire::parse_reply(line);
    } catch (const Error&) {
        throw Error(ErrorCode::not_supported, "the box does not know serve-wal", std::string(line.substr(0, 80)));
    }
    if (reply.kind == Reply::Kind::error) throw Error(ErrorCode::refused, reply.text);
    if (reply.kind != Reply::Kind::hello || reply.size < 1) {
        throw Error(ErrorCode::not_supported, "the box does not know serve-wal");
    }
    greeted_ = true;
}

void Connection::ended() {
    const int status = ssh_.wait();
    if (greeted_) throw Error(ErrorCode::server_unreachable, "the connection to the box was lost");
    if (status == ssh_failed || status > 128) {
        throw Error(ErrorCode::server_unreachable, "the box cannot be reached by ssh", {},
                    "ssh must log in without a password, as the user that PostgreSQL runs as");
    }
    throw Error(ErrorCode::not_supported, "the box does not know serve-wal, it ended with " + std::to_string(status));
}

}  // namespace coffer::clients
