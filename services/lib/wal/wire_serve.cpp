#include "lib/wal/wire_serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/codec_streams.h"
#include "lib/wal/holdings.h"
#include "lib/wal/hole.h"
#include "lib/wal/proof.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/serve.h"

namespace coffer::wal {
namespace {

using wire::Reply;
using wire::Request;

constexpr std::size_t sent_at_once = std::size_t{256} * 1024;
constexpr std::size_t compressed_at_once = std::size_t{1} << 20;
constexpr int pipe_size = 1 << 20;

std::string fault_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::corrupt:
            return "damaged";
        case ErrorCode::wal_gap:
            return "hole";
        case ErrorCode::invalid_argument:
        case ErrorCode::protocol:
            return "request";
        default:
            return "failed";
    }
}

Reply reply_about(Reply::Kind kind, const std::string& name, bool zstd = false) {
    Reply reply;
    reply.kind = kind;
    reply.name = name;
    reply.zstd = zstd;
    return reply;
}

Reply end_reply(std::uint64_t size, std::uint32_t crc) {
    Reply reply;
    reply.kind = Reply::Kind::end;
    reply.size = size;
    reply.crc = crc;
    return reply;
}

Reply error_reply(const std::string& name, const Error& error) {
    Reply reply = reply_about(Reply::Kind::error, name);
    reply.text = error.what();
    reply.fault = fault_of(error.code());
    if (!error.remedy().empty()) reply.text += " (" + error.remedy() + ")";
    return reply;
}

// Does the file begin as the segment that its name says, of this system?
bool begins_rightly(const HeldFile& held, std::optional<std::uint64_t> system_identifier) {
    struct Enough {};
    std::array<std::byte, 64> front{};
    std::size_t filled = 0;
    try {
        decompress_file(held.path, [&](ByteSpan bytes) {
            const std::size_t part = std::min(bytes.size(), front.size() - filled);
            std::memcpy(front.data() + filled, bytes.data(), part);
            filled += part;
            if (filled == front.size()) throw Enough();
        });
    } catch (const Enough&) {
    }
    const auto identity = identify_segment(ByteSpan(front).first(filled));
    if (!identity) return false;
    const auto segment = Segment::parse(held.name, identity->size);
    return segment && segment->begin(identity->size) == identity->address &&
           (!system_identifier || *system_identifier == identity->system_identifier);
}

std::size_t read_some(int fd, std::span<std::byte> room, const std::string& path) {
    for (;;) {
        const ssize_t got = ::read(fd, room.data(), room.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw Error::from_errno(errno, "cannot read file", path);
    }
}

std::size_t fill_from(int fd, std::span<std::byte> room, const std::string& path) {
    std::size_t filled = 0;
    while (filled < room.size()) {
        const std::size_t got = read_some(fd, room.subspan(filled), path);
        if (got == 0) break;
        filled += got;
    }
    return filled;
}

// serve_to() at the one end of a pipe, on a thread of its own.
class CheckedSource {
  public:
    CheckedSource(const config::Server& server, const std::string& name, const ServeOptions& options) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno, "cannot make a pipe", {});
        out_.reset(ends[0]);
        in_.reset(ends[1]);
        (void)::fcntl(ends[0], F_SETPIPE_SZ, pipe_size);
        thread_ = std::thread([this, &server, name, options] {
            try {
                found_ = serve_to(server, name, options, in_.get(), "the connection");
            } catch (...) {
                failure_ = std::current_exception();
            }
            in_.reset();
        });
    }
    ~CheckedSource() { finish(); }
    CheckedSource(const CheckedSource&) = delete;
    CheckedSource& operator=(const CheckedSource&) = delete;

    std::size_t read(std::span<std::byte> room) { return fill_from(out_.get(), room, "pipe"); }
    // After the end: was it held? Throws what went wrong.
    bool result() {
        finish();
        if (failure_) std::rethrow_exception(failure_);
        return found_;
    }

  private:
    void finish() noexcept {
        out_.reset();  // a writer that is not done ends with EPIPE
        if (thread_.joinable()) thread_.join();
    }
    UniqueFd out_, in_;
    bool found_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace

void WireServer::send_data(ByteSpan bytes) {
    while (!bytes.empty()) {
        const ByteSpan part = bytes.first(std::min(bytes.size(), sent_at_once));
        Reply header;
        header.kind = Reply::Kind::data;
        header.size = part.size();
        send_(wire::format(header), part);
        bytes = bytes.subspan(part.size());
    }
}

void WireServer::answer(std::string_view line) {
    std::string name = "-";
    Reply answer;
    try {
        const Request request = wire::parse_request(line);
        name = request.name;
        switch (request.kind) {
            case Request::Kind::hello:
                answer.kind = Reply::Kind::hello;
                answer.size = wire::version;
                break;
            case Request::Kind::get:
                return get(request);
            case Request::Kind::peek:
                return peek(request);
        }
    } catch (const Error& error) {
        answer = error_reply(name, error);
    } catch (const std::filesystem::filesystem_error& error) {
        answer = error_reply(name, Error(ErrorCode::io, error.what()));
    }
    say(answer);  // throws when it is the client that is gone
}

void WireServer::peek(const Request& request) {
    const auto names = names_held_from(server_, request.name, request.count, request.partial);
    for (const auto& name : names) say(reply_about(Reply::Kind::name, name));
    say(Reply());
}

void WireServer::get(const Request& request) {
    const FileKind kind = kind_of(request.name);
    if (kind != FileKind::segment && kind != FileKind::history && kind != FileKind::backup_label) {
        throw Error(ErrorCode::invalid_argument, "not a valid wal file name", request.name);
    }
    if (!std::filesystem::is_directory(server_.wals_directory)) {  // which says nothing of what is held
        throw Error(ErrorCode::io, "the WAL archive is not there", server_.wals_directory.string(),
                    "is its volume mounted, and is this the right configuration?");
    }
    if (request.whole) refuse_hole(server_, request.name, request.partial);
    if (!request.zstd || !pass_on_stored(request)) serve_checked(request);
}

// False when it does not lie there in this form, or has moved; nothing is sent then.
bool WireServer::pass_on_stored(const Request& request) {
    const auto held = find_now(server_, request.name, false);
    if (!held || held->place != Place::archive || kind_of(held->name) != FileKind::segment) return false;
    const UniqueFd fd(::open(held->path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto proof = kept_proof(held->path);
    if (!fd || !proof) return false;
    std::vector<std::byte> piece(sent_at_once);
    std::size_t filled = fill_from(fd.get(), piece, held->path.string());
    if (detect_codec(ByteSpan(piece).first(filled)) != Codec::zstd) return false;
    if (!begins_rightly(*held, system_identifier_)) return false;  // the checked way says what is wrong
    say(reply_about(Reply::Kind::wal, request.name, true));
    while (filled > 0) {
        send_data(ByteSpan(piece).first(filled));
        filled = read_some(fd.get(), piece, held->path.string());
    }
    say(end_reply(proof->size, proof->crc32c));
    return true;
}

void WireServer::serve_checked(const Request& request) {
    ServeOptions options;
    options.allow_partial = request.partial;
    options.system_identifier = system_identifier_;
    CheckedSource source(server_, request.name, options);
    std::vector<std::byte> piece(compressed_at_once);
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    for (std::size_t filled = 0; (filled = source.read(piece)) > 0;) {
        const ByteSpan bytes = ByteSpan(piece).first(filled);
        if (size == 0) say(reply_about(Reply::Kind::wal, request.name, request.zstd));
        size += filled;
        crc = crc32c(bytes, crc);
        if (request.zstd) {  // frame behind frame
            detail::compress_zstd(bytes, zstd_for_wal, [this](ByteSpan part) { send_data(part); });
        } else {
            send_data(bytes);
        }
    }
    if (source.result()) {
        if (size == 0) say(reply_about(Reply::Kind::wal, request.name));
        return say(end_reply(size, crc));
    }
    say(reply_about(Reply::Kind::absent, request.name));
}

}  // namespace coffer::wal
