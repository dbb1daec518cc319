#include "lib/pg/conn.h"

#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "lib/base/log.h"
#include "lib/pg/conninfo.h"
#include "lib/pg/one_line.h"

namespace coffer::pg {
namespace {

constexpr const char* unreachable_remedy =
    "check that the server runs, that the conninfo is right, and that pg_hba.conf lets this host in";

void log_notice(void*, const char* message) noexcept {
    log_debug("server: {}", message);
}

int milliseconds_until(MonotonicTime deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 24 * 3600 * 1000));
}

}  // namespace

PgConn PgConn::connect(const ConnectOptions& options) {
    const auto attempts =
        attempts_of(options.conninfo, {options.application_name, options.replication, options.options});
    const auto limit = connect_timeout_of(options.conninfo, std::chrono::seconds(10));
    std::optional<Error> failure;
    for (const std::string& conninfo : attempts) {
        try {
            return attempt(conninfo, options.stop_fd, std::chrono::steady_clock::now() + limit);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled) throw;
            const std::string facts = failure ? failure->fact() + "; " + error.fact() : error.fact();
            failure.emplace(ErrorCode::server_unreachable, facts, "", unreachable_remedy);
        }
    }
    throw failure->within("cannot connect");
}

PgConn PgConn::attempt(const std::string& conninfo, int stop_fd, MonotonicTime deadline) {
    PgConn conn;
    conn.stop_fd_ = stop_fd;
    conn.conn_.reset(PQconnectStart(conninfo.c_str()));
    if (!conn.conn_) throw Error(ErrorCode::server_unreachable, "not enough memory for a connection");
    PQsetNoticeProcessor(conn.get(), &log_notice, nullptr);
    if (PQstatus(conn.get()) == CONNECTION_BAD) throw conn.lost("");
    short events = POLLOUT;
    for (;;) {
        if (!conn.wait(events, deadline)) {
            throw Error(ErrorCode::server_unreachable, "no answer in time from " + conn.address());
        }
        switch (PQconnectPoll(conn.get())) {
            case PGRES_POLLING_READING:
                events = POLLIN;
                break;
            case PGRES_POLLING_WRITING:
                events = POLLOUT;
                break;
            case PGRES_POLLING_OK:
                PQsetnonblocking(conn.get(), 1);
                return conn;
            default:
                throw conn.lost("");
        }
    }
}

std::uint32_t PgConn::server_version() const noexcept {
    return conn_ ? static_cast<std::uint32_t>(PQserverVersion(conn_.get())) : 0;
}

std::optional<std::string> PgConn::reported(const char* setting) const {
    const char* value = PQparameterStatus(conn_.get(), setting);
    if (value == nullptr) return std::nullopt;
    return value;
}

std::string PgConn::address() const {
    const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
    return text(PQhost(conn_.get())) + ":" + text(PQport(conn_.get()));
}

Error PgConn::lost(std::string_view what) const {
    const char* text = PQerrorMessage(conn_.get());
    std::string fact = one_line(text == nullptr ? "" : text);
    if (fact.empty()) fact = "the connection is gone";
    if (!what.empty()) fact = std::string(what) + ": " + fact;
    return Error(ErrorCode::server_unreachable, fact, "", unreachable_remedy);
}

// A TLS record is decrypted as a whole: what libpq's buffer had no room for lies in OpenSSL, and the socket is empty.
bool PgConn::decrypted_waiting() const noexcept {
    auto* tls = static_cast<SSL*>(PQsslStruct(conn_.get(), "OpenSSL"));
    return tls != nullptr && SSL_pending(tls) > 0;
}

bool PgConn::wait(short events, Deadline deadline) const {
    const bool here = (events & POLLIN) != 0 && decrypted_waiting();
    std::array<pollfd, 2> fds{pollfd{socket(), events, 0}, pollfd{stop_fd_, POLLIN, 0}};
    for (;;) {
        const int timeout = here ? 0 : deadline ? milliseconds_until(*deadline) : -1;
        const int ready = ::poll(fds.data(), fds.size(), timeout);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) throw Error::from_errno(errno, "cannot wait for the server", address());
        if (stop_fd_ >= 0 && fds[1].revents != 0)
            throw Error(ErrorCode::canceled, "stopped while waiting for the server");
        return ready > 0 || here;
    }
}

void PgConn::wait_or_throw(short events, Deadline deadline) const {
    if (!wait(events, deadline)) throw Error(ErrorCode::timeout, "the server did not answer in time", address());
}

void PgConn::flush_all(Deadline deadline) {
    while (!flush()) {
        wait_or_throw(POLLIN | POLLOUT, deadline);
        consume_input();
    }
}

PgResult PgConn::exec(const std::string& sql, Deadline deadline) {
    PgResult result = try_exec(sql, deadline);
    if (!result.ok()) throw result.error("the server refused the command");
    return result;
}

PgResult PgConn::exec(const std::string& sql, Parameters parameters, Deadline deadline) {
    std::vector<const char*> values;
    for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
    if (PQsendQueryParams(get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr,
                          0) == 0) {
        throw lost("cannot send a command");
    }
    PgResult result = collect(deadline);
    if (!result.ok()) throw result.error("the server refused the command");
    return result;
}

PgResult PgConn::try_exec(const std::string& sql, Deadline deadline) {
    if (PQsendQuery(get(), sql.c_str()) == 0) throw lost("cannot send a command");
    return collect(deadline);
}

PgResult PgConn::collect(Deadline deadline) {
    flush_all(deadline);
    PgResult last;
    for (;;) {
        PgResult result = next_result(deadline);
        if (!result) return last;
        const ExecStatusType status = result.status();
        if (last && !last.ok()) continue;  // the first failure is the one that explains
        last = std::move(result);
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) return last;
    }
}

PgResult PgConn::next_result(Deadline deadline) {
    while (PQisBusy(get()) != 0) {
        wait_or_throw(POLLIN, deadline);
        consume_input();
    }
    PgResult result(PQgetResult(get()));
    if (result && !result.ok() && PQstatus(get()) == CONNECTION_BAD) {
        throw Error(ErrorCode::server_unreachable, result.message(), address(), unreachable_remedy);
    }
    return result;
}

void PgConn::consume_input() {
    if (PQconsumeInput(get()) == 0) throw lost("lost the connection to " + address());
}

CopyStep PgConn::try_copy_data(CopyData& data) {
    char* buffer = nullptr;
    const int size = PQgetCopyData(get(), &buffer, 1);
    if (size > 0) {
        data = CopyData(buffer, static_cast<std::size_t>(size));
        return CopyStep::data;
    }
    if (size == 0) return CopyStep::would_block;
    if (size == -1) return CopyStep::end;
    throw lost("cannot read from " + address());
}

std::optional<CopyData> PgConn::copy_data(Deadline deadline) {
    CopyData data;
    for (;;) {
        switch (try_copy_data(data)) {
            case CopyStep::data:
                return data;
            case CopyStep::end:
                return std::nullopt;
            case CopyStep::would_block:
                wait_or_throw(POLLIN, deadline);
                consume_input();
        }
    }
}

void PgConn::put_copy_data(ByteSpan data) {
    const auto* bytes = reinterpret_cast<const char*>(data.data());
    if (PQputCopyData(get(), bytes, static_cast<int>(data.size())) < 0) throw lost("cannot write to " + address());
}

void PgConn::put_copy_end() {
    if (PQputCopyEnd(get(), nullptr) < 0) throw lost("cannot write to " + address());
}

bool PgConn::flush() {
    const int left = PQflush(get());
    if (left < 0) throw lost("cannot write to " + address());
    return left == 0;
}

}  // namespace coffer::pg
