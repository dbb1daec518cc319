#pragma once
// A connection to PostgreSQL whose every wait can be ended from outside.
//
// libpq is used asynchronously throughout: each wait is a poll() on the socket, on stop_fd (an eventfd: readable means
// stop), and on a deadline. So a thread that owns a connection can be told to stop at any moment. The one exception is
// the resolution of host names, which the C library does in its own time. Used by one thread at a time; move-only;
// empty is legal.
//
// Errors: server_unreachable (with a remedy) when there is no connection or it broke, canceled when stop_fd said so,
// timeout when the deadline passed, else by SQLSTATE (PgResult::error). A password never appears in one.
#include <libpq-fe.h>

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/pg/result.h"

namespace coffer::pg {

struct ConnectOptions {
    std::string conninfo;
    std::string application_name = "coffer";
    bool replication = false;
    int stop_fd = -1;          // not owned; must outlive the connection
    std::string options = {};  // settings of the session: "-c name=value"
};

// What PQgetCopyData hands out.
class CopyData {
  public:
    CopyData() noexcept = default;
    CopyData(char* data, std::size_t size) noexcept : data_(data), size_(size) {}
    [[nodiscard]] ByteSpan bytes() const noexcept { return std::as_bytes(std::span(data_.get(), size_)); }

  private:
    struct Free {
        void operator()(char* data) const noexcept { PQfreemem(data); }
    };
    std::unique_ptr<char, Free> data_;
    std::size_t size_ = 0;
};

enum class CopyStep { data, would_block, end };

class PgConn {
  public:
    using Deadline = std::optional<MonotonicTime>;
    using Parameters = std::initializer_list<std::string>;

    PgConn() noexcept = default;
    // Tries each host in turn, each for its connect_timeout (10 s unless given).
    static PgConn connect(const ConnectOptions& options);

    [[nodiscard]] PGconn* get() const noexcept { return conn_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return conn_ != nullptr; }
    [[nodiscard]] int socket() const noexcept { return PQsocket(conn_.get()); }
    // 150018; 0 for an empty one.
    [[nodiscard]] std::uint32_t server_version() const noexcept;
    [[nodiscard]] std::uint32_t major_version() const noexcept { return server_version() / 10000; }
    // A setting that the server reports by itself, "in_hot_standby" for instance; nullopt where it does not.
    [[nodiscard]] std::optional<std::string> reported(const char* setting) const;
    // "host:port", for messages.
    [[nodiscard]] std::string address() const;

    // One statement, simple protocol (the only one that replication connections know). The last result that matters: an
    // error, the begin of a COPY (which ends with end_copy_results), or the last rows. Throws when it is not ok().
    PgResult exec(const std::string& sql, Deadline deadline = {});
    // With parameters $1, $2, … (not on replication connections).
    PgResult exec(const std::string& sql, Parameters parameters, Deadline deadline = {});
    // As exec(), but a refusal of the server is a result to look at. A broken connection still throws.
    PgResult try_exec(const std::string& sql, Deadline deadline = {});

    // COPY from the server. Without waiting: data, would_block, or end (then next_result() tells how it ended).
    CopyStep try_copy_data(CopyData& data);
    // Reads what the socket holds. Throws server_unreachable when the server is gone.
    void consume_input();
    // The same, waiting; nullopt at the end.
    std::optional<CopyData> copy_data(Deadline deadline = {});
    // The next result of the running command; empty when there is none left.
    PgResult next_result(Deadline deadline = {});

    // COPY to the server. Data is queued; flush() sends what the socket takes and says whether all is gone.
    void put_copy_data(ByteSpan data);
    void put_copy_end();
    [[nodiscard]] bool flush();

    // Waits for the socket (POLLIN and/or POLLOUT), not where something to read is here already. False when the
    // deadline passed. Throws canceled.
    [[nodiscard]] bool wait(short events, Deadline deadline) const;

    // The connection's failure in libpq's words.
    [[nodiscard]] Error lost(std::string_view what) const;

  private:
    struct Finish {
        void operator()(PGconn* conn) const noexcept { PQfinish(conn); }
    };
    static PgConn attempt(const std::string& conninfo, int stop_fd, MonotonicTime deadline);
    PgResult collect(Deadline deadline);
    [[nodiscard]] bool decrypted_waiting() const noexcept;
    void wait_or_throw(short events, Deadline deadline) const;
    void flush_all(Deadline deadline);

    std::unique_ptr<PGconn, Finish> conn_;
    int stop_fd_ = -1;
};

}  // namespace coffer::pg
