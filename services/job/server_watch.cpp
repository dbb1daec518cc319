#include "services/job/server_watch.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/pretty_size.h"
#include "services/job/request.h"

namespace coffer::job {
namespace {

using namespace std::chrono_literals;

constexpr int looks_before = 5;
constexpr auto between_looks = 1s;
// A commit or an answer that takes longer is not waited for any more: it is too long for any tolerance.
constexpr auto longest_look = 10s;

constexpr const char* commit_message = "SELECT pg_catalog.pg_logical_emit_message(true, 'coffer', '')";
// Of others: the backup's own connection is not a standby. NULL where nothing is behind, or this role may not see it.
constexpr const char* lag_of_standbys =
    "SELECT (extract(epoch FROM max(greatest(write_lag, flush_lag, replay_lag))) * 1e6)::int8, "
    "max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, write_lsn)))"
    "::int8, count(*) - count(state) FROM pg_catalog.pg_stat_replication "
    "WHERE application_name <> $1 AND state IS DISTINCT FROM 'backup'";
constexpr const char* lag_of_this_standby =
    "SELECT CASE WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0 ELSE "
    "greatest(0, extract(epoch FROM pg_catalog.now() - pg_catalog.pg_last_xact_replay_timestamp()) * 1e6) END::int8, "
    "greatest(0, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), "
    "pg_catalog.pg_last_wal_replay_lsn()))::int8, 0 WHERE $1 <> ''";

std::optional<std::uint64_t> count_of(const pg::PgResult& result, int column) {
    const auto text = result.value(0, column);
    std::int64_t number = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc()) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
}

bool wait_readable(int fd, std::chrono::microseconds longest) {
    pollfd each{fd, POLLIN, 0};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(longest).count();
    return ::poll(&each, fd < 0 ? 0 : 1, static_cast<int>(ms)) > 0;
}

}  // namespace

ServerWatch::ServerWatch(const config::Server& server, bool in_recovery, int stop_fd)
    : server_(server),
      in_recovery_(in_recovery),
      end_(::eventfd(0, EFD_CLOEXEC)),
      throttle_(0, clock_, [this, stop_fd](std::chrono::microseconds wait) {
          slowed_seconds_ += std::chrono::duration<double>(wait).count();
          if (wait_readable(stop_fd, wait)) check_stop(stop_fd);
      }) {
    if (server.backup_politeness == pace::Manners::off) return;
    if (!end_) throw Error::from_errno(errno, "cannot create an eventfd", server.name);
    try {
        connect();
        for (int i = 0; i < looks_before; ++i) usual_ = pace::best_of(usual_, look());
        politeness_ = std::make_unique<pace::Politeness>(server.backup_politeness, usual_);
    } catch (const Error& error) {
        log_warning("backup_politeness: {} cannot be watched, the backup is not slowed for its sake: {}", server.name,
                    error.full_text());
    }
}

ServerWatch::~ServerWatch() {
    if (!thread_.joinable()) return;
    ::eventfd_write(end_.get(), 1);
    thread_.join();
}

void ServerWatch::start() {
    if (politeness_) thread_ = std::thread([this] { watch(); });
}

void ServerWatch::received(std::uint64_t total) {
    const std::uint64_t more = total - std::min(total, throttle_.total());
    received_ = total;
    throttle_.set_rate(rate_);
    throttle_.took(more);
}

void ServerWatch::connect() {
    conn_ = pg::PgConn::connect({server_.conninfo, "coffer-politeness", false, end_.get()});
}

pace::Sample ServerWatch::look() {
    pace::Sample sample;
    if (!conn_) connect();
    look_at_lag(sample);
    if (!in_recovery_ && may_commit_) look_at_commit(sample);
    return sample;
}

void ServerWatch::look_at_commit(pace::Sample& sample) {
    const MonotonicTime begun = clock_.monotonic();
    try {
        const pg::PgResult result = conn_.try_exec(commit_message, begun + longest_look);
        if (!result.ok()) {
            may_commit_ = false;
            log_warning("backup_politeness: how long a commit takes cannot be seen: {}", result.message());
            return;
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::timeout) throw;
        conn_ = {};
    }
    sample.commit = std::chrono::duration_cast<std::chrono::microseconds>(clock_.monotonic() - begun);
}

void ServerWatch::look_at_lag(pace::Sample& sample) {
    const auto result = conn_.exec(in_recovery_ ? lag_of_this_standby : lag_of_standbys,
                                   {server_.streaming_backup_name}, clock_.monotonic() + longest_look);
    if (result.rows() != 1) return;
    if (const auto time = count_of(result, 0)) sample.lag = std::chrono::microseconds(*time);
    sample.lag_bytes = count_of(result, 1);
    if (count_of(result, 2).value_or(0) > 0 && !complained_) {
        complained_ = true;
        log_warning("backup_politeness: this role may not see how far standbys are behind: grant it pg_monitor");
    }
}

void ServerWatch::watch() noexcept {
    try {
        watch_until_end();
    } catch (const std::exception& error) {
        log_warning("backup_politeness: {} is not watched any more: {}", server_.name, error.what());
    }
    rate_ = 0;
}

void ServerWatch::watch_until_end() {
    std::uint64_t before = received_;
    MonotonicTime then = clock_.monotonic();
    while (!wait_readable(end_.get(), between_looks)) {
        pace::Sample sample;
        try {
            sample = look();
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled) return;
            conn_ = {};
            if (error.code() != ErrorCode::timeout && error.code() != ErrorCode::server_unreachable) throw;
            // It does not even answer.
            sample.commit = longest_look;
        }
        const std::uint64_t now = received_;
        const double seconds = std::chrono::duration<double>(clock_.monotonic() - then).count();
        const std::uint64_t rate = politeness_->rate();
        rate_ = politeness_->look(sample, static_cast<std::uint64_t>(static_cast<double>(now - before) / seconds));
        tell(rate);
        before = now;
        then = clock_.monotonic();
    }
}

void ServerWatch::tell(std::uint64_t before) const {
    const std::uint64_t rate = politeness_->rate();
    if (before == 0 && rate != 0) {
        log_info("backup of server {} is slowed to {}/s: {}", server_.name, pretty_size(rate), politeness_->reason());
    } else if (before != 0 && rate == 0) {
        log_info("backup of server {} goes on at full speed", server_.name);
    } else if (before != rate) {
        log_debug("backup of server {}: {}/s {}", server_.name, pretty_size(rate), politeness_->reason());
    }
}

}  // namespace coffer::job
