#include "lib/pg/messages.h"

#include "lib/base/error.h"

namespace coffer::pg {
namespace {

constexpr std::size_t wal_data_header = 1 + 8 + 8 + 8;
constexpr std::size_t keepalive_size = 1 + 8 + 8 + 1;
constexpr auto postgres_epoch = std::chrono::sys_days{std::chrono::year{2000} / 1 / 1};

std::uint64_t big_endian(ByteSpan bytes) noexcept {
    std::uint64_t value = 0;
    for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return value;
}

void put(StatusMessage& message, std::size_t offset, std::uint64_t value) noexcept {
    for (std::size_t n = 0; n < 8; ++n) message[offset + n] = static_cast<std::byte>(value >> (56 - 8 * n));
}

}  // namespace

std::variant<WalData, Keepalive> parse_stream_message(ByteSpan message) {
    if (message.empty()) throw Error(ErrorCode::protocol, "the server sent an empty replication message");
    const char kind = std::to_integer<char>(message[0]);
    if (kind == 'w') {
        if (message.size() < wal_data_header)
            throw Error(ErrorCode::protocol, "the server sent a WAL message that is too short");
        return WalData{Lsn{big_endian(message.subspan(1, 8))}, Lsn{big_endian(message.subspan(9, 8))},
                       message.subspan(wal_data_header)};
    }
    if (kind == 'k') {
        if (message.size() < keepalive_size)
            throw Error(ErrorCode::protocol, "the server sent a keepalive that is too short");
        return Keepalive{Lsn{big_endian(message.subspan(1, 8))}, message[17] != std::byte{0}};
    }
    throw Error(ErrorCode::protocol, "the server sent a replication message of an unknown kind");
}

StatusMessage build_status_update(const StatusUpdate& status) noexcept {
    StatusMessage message{};
    message[0] = std::byte{'r'};
    put(message, 1, status.written.value);
    put(message, 9, status.flushed.value);
    put(message, 17, status.applied.value);
    put(message, 25, static_cast<std::uint64_t>((status.sent - postgres_epoch).count()));
    message[33] = std::byte{status.reply_requested};
    return message;
}

}  // namespace coffer::pg
