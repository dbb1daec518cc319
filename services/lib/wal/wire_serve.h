#pragma once
// The box's side of the protocol in wire.h: answers to single requests.
//
// A segment that lies in the archive compressed with zstd goes out as it lies there, with the checksum of its content
// that the archiver kept (proof.h); who receives it unpacks and compares, so the box neither unpacks nor checks what it
// reads. Everything else is checked on its way as get-wal does (serve.h), and compressed again when the client can
// unpack that. Memory is a few MB whatever the size of segments. One thread per connection.
#include <functional>
#include <optional>
#include <string_view>

#include "lib/config/config.h"
#include "lib/wal/wire.h"

namespace coffer::wal {

// Gives bytes to the client, in order; throws when it is gone.
using Send = std::function<void(std::string_view line, ByteSpan data)>;

class WireServer {
  public:
    // system_identifier: which segments must have, where it is known.
    WireServer(const config::Server& server, std::optional<std::uint64_t> system_identifier, Send send)
        : server_(server), system_identifier_(system_identifier), send_(std::move(send)) {}

    // One line of the client's, without its end. What is wrong with the request, or with the WAL, is told to the
    // client; throws only what send throws.
    void answer(std::string_view line);

  private:
    void get(const wire::Request& request);
    void peek(const wire::Request& request);
    bool pass_on_stored(const wire::Request& request);
    void serve_checked(const wire::Request& request);
    void say(const wire::Reply& reply) { send_(wire::format(reply), {}); }
    void send_data(ByteSpan bytes);

    const config::Server& server_;
    const std::optional<std::uint64_t> system_identifier_;
    const Send send_;
};

}  // namespace coffer::wal
