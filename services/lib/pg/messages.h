#pragma once
// The messages inside a replication stream: WAL and keepalives from the server, status updates to it.
//
// Source: PostgreSQL documentation, "Streaming Replication Protocol" (13 to 18): big-endian integers, times in
// microseconds since 2000-01-01 UTC. Pure functions over foreign bytes: throw protocol, never read outside.
#include <array>
#include <variant>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/lsn.h"

namespace coffer::pg {

struct WalData {
    Lsn start;       // of the first byte of data
    Lsn server_end;  // the end of WAL on the server when it sent this
    ByteSpan data;   // into the message
};

struct Keepalive {
    Lsn server_end;
    bool reply_requested = false;
};

std::variant<WalData, Keepalive> parse_stream_message(ByteSpan message);

struct StatusUpdate {
    Lsn written;
    Lsn flushed;
    Lsn applied;
    WallTime sent;
    bool reply_requested = false;
};
using StatusMessage = std::array<std::byte, 34>;
StatusMessage build_status_update(const StatusUpdate& status) noexcept;

}  // namespace coffer::pg
