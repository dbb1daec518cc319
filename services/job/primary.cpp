#include "services/job/primary.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::job {
namespace {

constexpr std::chrono::seconds between_switches{10};
constexpr int most_switches = 10;
constexpr std::chrono::seconds answer_patience{30};
constexpr std::chrono::minutes checkpoint_patience{10};

}  // namespace

void Primary::connect() {
    if (conn_) return;
    pg::PgConn conn = pg::PgConn::connect({server_.primary_conninfo, "coffer-job", false, stop_fd_});
    const auto row = conn.exec("SELECT system_identifier, pg_is_in_recovery() FROM pg_control_system()",
                               clock_.monotonic() + answer_patience);
    const std::uint64_t theirs = row.number(0, 0);
    if (system_identifier_ != 0 && theirs != system_identifier_) {
        throw Error(ErrorCode::server_mismatch,
                    fmt::format("primary_conninfo leads to system {}, conninfo to a standby of system {}", theirs,
                                system_identifier_),
                    conn.address(), "name the primary of that standby in primary_conninfo");
    }
    if (row.text(0, 1) == "t") {
        throw Error(ErrorCode::refused, "primary_conninfo leads to a standby", conn.address(),
                    "name the primary in primary_conninfo, or all hosts of the cluster");
    }
    conn_ = std::move(conn);
}

void Primary::compare(std::uint64_t system_identifier) {
    system_identifier_ = system_identifier;
    if (server_.primary_conninfo.empty()) {
        if (!server_.streaming_archiver) log_warning("{}: {}", server_.name, remedy());
        return;
    }
    try {
        connect();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled || error.code() == ErrorCode::server_mismatch) throw;
        tell(error);
    }
    conn_ = {};
}

MonotonicTime Primary::ask() {
    const MonotonicTime now = clock_.monotonic();
    if (!begun_) begun_ = last_checkpoint_ = now;
    if (server_.primary_conninfo.empty()) return MonotonicTime::max();
    const MonotonicTime first = *begun_ + (server_.streaming_archiver ? between_switches : std::chrono::seconds(0));
    try {
        if (checkpoint_is_due(now)) {
            checkpoint();
            switch_wal();
        } else if (switches_ < most_switches && now >= first + switches_ * between_switches) {
            ++switches_;
            switch_wal();
        }
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        tell(error);
        conn_ = {};
    }
    MonotonicTime next = MonotonicTime::max();
    if (switches_ < most_switches) next = first + switches_ * between_switches;
    if (server_.primary_checkpoint_timeout.count() > 0)
        next = std::min(next, last_checkpoint_ + server_.primary_checkpoint_timeout);
    return next;
}

bool Primary::checkpoint_is_due(MonotonicTime now) const {
    const auto after = server_.primary_checkpoint_timeout;
    return after.count() > 0 && now >= last_checkpoint_ + after;
}

void Primary::checkpoint() {
    last_checkpoint_ = clock_.monotonic();
    connect();
    (void)conn_.exec("CHECKPOINT", clock_.monotonic() + checkpoint_patience);
    log_info("{}: the primary has made a checkpoint, for no wal had come for {} s", server_.name,
             server_.primary_checkpoint_timeout.count());
}

void Primary::switch_wal() {
    connect();
    const auto row = conn_.exec("SELECT pg_switch_wal()", clock_.monotonic() + answer_patience);
    log_info("{}: the primary was asked to end its wal segment, it is at {}", server_.name, row.text(0, 0));
}

std::string Primary::remedy() const {
    if (server_.primary_conninfo.empty()) {
        return "a standby cannot end its wal segment: set primary_conninfo, so that the primary is asked to, or "
               "streaming_archiver = on";
    }
    if (server_.primary_checkpoint_timeout.count() == 0)
        return "see whether streaming and archiving of this server work; primary_checkpoint_timeout lets the primary "
               "make a checkpoint when no wal comes";
    return "see whether streaming and archiving of this server work";
}

void Primary::tell(const Error& error) {
    if (told_ == error.what()) return;
    told_ = error.what();
    log_warning("{}: the primary cannot be asked to end its wal segment: {}", server_.name, error.full_text());
}

}  // namespace coffer::job
