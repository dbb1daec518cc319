#include "tools/clients/fetch.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "lib/base/error.h"
#include "tools/clients/connection.h"
#include "tools/clients/received_file.h"

namespace coffer::clients {
namespace {

using wal::wire::Reply;
using wal::wire::Request;

class OneFile : public Replies {
  public:
    explicit OneFile(ReceivedFile& file) : file_(file) {}
    void on_reply(const Reply& reply) override {
        switch (reply.kind) {
            case Reply::Kind::wal:
                return file_.begin(reply.zstd);
            case Reply::Kind::data:
                return;
            case Reply::Kind::end:
                file_.finish(reply.size, reply.crc);
                done = found = true;
                return;
            case Reply::Kind::absent:
                done = true;
                return;
            case Reply::Kind::error:
                throw Error(reply.fault == "damaged" ? ErrorCode::corrupt
                            : reply.fault == "hole"  ? ErrorCode::wal_gap
                                                     : ErrorCode::refused,
                            "the box says: " + reply.text);
            default:
                throw Error(ErrorCode::protocol, "an answer that was not asked for came from the box");
        }
    }
    void on_data(std::span<const std::byte> piece) override { file_.add(piece); }

    bool done = false, found = false;

  private:
    ReceivedFile& file_;
};

bool fetch_once(const Box& box, const Wanted& wanted, bool packed, const Path& destination) {
    ReceivedFile file(temporary_beside(destination), wanted.name);
    OneFile replies(file);
    Connection connection(box, false);
    Request request;
    request.name = wanted.name;
    request.partial = wanted.partial;
    request.whole = wanted.whole;
    request.zstd = packed;
    connection.ask(request);
    while (!replies.done) connection.read_some(replies);
    if (replies.found) file.move_to(destination);
    return replies.found;
}

class Nothing : public Replies {
  public:
    void on_reply(const Reply&) override {}
    void on_data(std::span<const std::byte>) override {}
};

}  // namespace

Path temporary_beside(const Path& destination) {
    return destination.parent_path() /
           ("." + destination.filename().string() + "." + std::to_string(::getpid()) + ".tmp");
}

bool fetch(const Box& box, const Wanted& wanted, const Path& destination) {
    constexpr int attempts = 2;
    bool packed = true;
    for (int attempt = 1;; ++attempt) {
        try {
            return fetch_once(box, wanted, packed, destination);
        } catch (const Error& error) {
            if (attempt == attempts) throw;
            // What came damaged is asked for again unpacked: then the box looks whether it is its own that is.
            if (error.code() == ErrorCode::corrupt && packed) {
                packed = false;
            } else if (error.code() != ErrorCode::server_unreachable) {
                throw;
            }
        }
    }
}

bool fetch_from_barman(const Box& box, const Wanted& wanted, const Path& destination) {
    constexpr int not_held = 1, bad_name = 3, damaged = 126;
    ReceivedFile file(temporary_beside(destination), wanted.name);
    std::vector<std::string> words{"get-wal"};
    if (wanted.partial) words.emplace_back("-P");
    words.insert(words.end(), {box.server, wanted.name});
    Child ssh(ssh_command(box, "barman", words), false);
    ssh.close_input();
    std::vector<std::byte> buffer(std::size_t{256} * 1024);
    for (;;) {
        const ssize_t got = ::read(ssh.from(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read from ssh", {});
        if (got == 0) break;
        file.add(ByteSpan(buffer).first(static_cast<std::size_t>(got)));
    }
    const int status = ssh.wait();
    if (status == 0) {
        file.finish_unchecked();
        file.move_to(destination);
        return true;
    }
    if (status == not_held) return false;
    if (status == damaged) throw Error(ErrorCode::corrupt, "the box holds it damaged", wanted.name);
    if (status == no_such_command) {
        throw Error(ErrorCode::not_supported, "there is neither cofferctl nor barman on the box", box.host);
    }
    throw Error(status == bad_name ? ErrorCode::refused : ErrorCode::server_unreachable,
                "get-wal on the box ended with " + std::to_string(status), wanted.name);
}

void try_connection(const Box& box) {
    Connection connection(box, false);
    Nothing nothing;
    while (!connection.greeted()) connection.read_some(nothing);
}

}  // namespace coffer::clients
