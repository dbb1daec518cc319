#include "services/job/wal_mender.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/pg/messages.h"
#include "lib/pg/replication.h"
#include "lib/wal/proof.h"

namespace coffer::job {
namespace {

constexpr std::chrono::seconds patience{30};

bool ends_the_run(const Error& error) {
    return error.code() == ErrorCode::canceled || error.code() == ErrorCode::no_space;
}

bus::Target archive_of(const std::string& server) {
    return {"org.pgcoffer.Archiver1", bus::encode_path("/org/pgcoffer/Archiver1/server", server).value,
            "org.pgcoffer.Archiver1.Server"};
}

void answer_keepalive(pg::PgConn& conn, const pg::Keepalive& keepalive) {
    if (!keepalive.reply_requested) return;
    // Of no position: nobody may take this for a standby that has anything.
    conn.put_copy_data(pg::build_status_update({{}, {}, {}, Clock().now(), false}));
    while (!conn.flush()) (void)conn.wait(POLLOUT, Clock().monotonic() + patience);
}

}  // namespace

bus::Bus& WalMender::bus() {
    if (!bus_) bus_ = bus::Bus::open_system();
    return *bus_;
}

WalMender::Judged WalMender::recheck(const std::string& name) {
    try {
        const auto [result, fault, moved_to] = bus().call_method<std::string, std::string, std::string>(
            archive_of(server_.name), "RecheckWal", name, std::uint64_t{0});
        return {result, fault, moved_to, false};
    } catch (const Error& error) {
        if (ends_the_run(error)) throw;
        bus_.reset();
        return {"", std::string("the archiver cannot set it aside now: ") + error.what(), "",
                error.code() == ErrorCode::io};
    }
}

bool WalMender::store(const std::string& name, std::string& why) {
    const auto [result, reason] =
        bus().call_method<std::string, std::string>(archive_of(server_.name), "StoreWal", name, std::uint64_t{0});
    if (result != "absent") why = reason;
    return result == "stored";
}

std::optional<std::string> WalMender::mend(const std::string& name, const Path& set_aside, std::string& why) {
    try {
        if (store(name, why)) return "a copy in incoming/ or streaming/";
        fetch(name, set_aside);
        if (store(name, why)) return "the server";
    } catch (const Error& error) {
        if (ends_the_run(error)) throw;
        why = error.what();
    }
    return std::nullopt;
}

void WalMender::fetch(const std::string& name, const Path& set_aside) {
    const wal::FileKind kind = wal::kind_of(name);
    if (kind != wal::FileKind::segment && kind != wal::FileKind::history)
        throw Error(ErrorCode::no_such_wal, "a server gives no such file out", name);
    pg::PgConn conn = pg::PgConn::connect({server_.wal_streaming_conninfo, "coffer-scrub", true, stop_fd_});
    const auto identity = catalogue::Catalogue(server_).identity();
    if (identity && pg::identify_system(conn).system_identifier != identity->systemid)
        throw Error(ErrorCode::server_mismatch, "the server is another system than the archive is of", server_.name);
    std::string content;
    if (kind == wal::FileKind::history) {
        const auto history = pg::timeline_history(conn, wal::timeline_of(name));
        if (!history) throw Error(ErrorCode::no_such_wal, "the server has it no more", name);
        content = history->content;
    } else {
        content = segment_from_server(conn, name);
    }
    const auto proof = set_aside.empty() ? std::nullopt : wal::kept_proof(set_aside);
    if (proof && !(wal::proof_of(as_byte_span(content)) == *proof))
        throw Error(ErrorCode::server_mismatch, "the server has other bytes than were archived", name);
    hand_over(name, content);
    log_info("server {}: {} was fetched from the server once more", server_.name, name);
}

bool WalMender::put_back(const std::string& name, const std::string& content, std::string& why) {
    try {
        hand_over(name, content);
        return store(name, why);
    } catch (const Error& error) {
        if (ends_the_run(error)) throw;
        why = error.what();
        return false;
    }
}

void WalMender::hand_over(const std::string& name, const std::string& content) const {
    const Path place = server_.incoming_wals_directory / name;
    const Path temporary = server_.incoming_wals_directory / ("." + name + ".tmp");
    make_directories_durably(server_.incoming_wals_directory);
    {
        const UniqueFd fd = files().open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
        files().append(fd.get(), as_byte_span(content), temporary);
        files().sync(fd.get(), temporary);
    }
    kill_point("job.scrub.fetched");
    files().rename(temporary, place);
    files().sync_directory(place.parent_path());
    kill_point("job.scrub.handed");
}

std::string WalMender::segment_from_server(pg::PgConn& conn, const std::string& name) const {
    const wal::SegmentSize size = pg::wal_segment_size(conn);
    const auto segment = wal::Segment::parse(name, size);
    if (!segment) throw Error(ErrorCode::no_such_wal, "the server has segments of another size", name);
    Lsn position = segment->begin(size);
    const pg::PgResult begun = pg::start_replication(conn, "", position, segment->timeline);
    if (!begun.ok()) throw begun.error("the server has it no more");
    std::string content;
    content.reserve(size.bytes());
    while (content.size() < size.bytes()) {
        const auto message = conn.copy_data(Clock().monotonic() + patience);
        if (!message) throw Error(ErrorCode::no_such_wal, "the server has not all of it", name);
        const auto parsed = pg::parse_stream_message(message->bytes());
        if (const auto* keepalive = std::get_if<pg::Keepalive>(&parsed)) {
            answer_keepalive(conn, *keepalive);
            continue;
        }
        const auto& data = std::get<pg::WalData>(parsed);
        if (data.start != position) throw Error(ErrorCode::protocol, "the server sent other WAL than was asked for");
        const std::size_t wanted = std::min<std::size_t>(data.data.size(), size.bytes() - content.size());
        content.append(reinterpret_cast<const char*>(data.data.data()), wanted);
        position = Lsn{position.value + data.data.size()};
    }
    return content;
}

}  // namespace coffer::job
