#pragma once
// One ssh connection to the box's serve-wal (lib/wal/wire.h).
//
// Errors: server_unreachable when ssh ends or cannot connect, not_supported when who answers is no serve-wal, protocol
// for answers that make no sense, failed requests are replies. One thread; only read_some() waits.
#include <string>

#include "lib/wal/wire.h"
#include "tools/clients/box.h"

namespace coffer::clients {

class Replies {
  public:
    virtual ~Replies() = default;
    virtual void on_reply(const wal::wire::Reply& reply) = 0;
    virtual void on_data(std::span<const std::byte> piece) = 0;
};

class Connection {
  public:
    // Starts ssh and says hello; does not wait.
    Connection(const Box& box, bool quiet);

    void ask(const wal::wire::Request& request);
    // Waits for some bytes and tells replies what they hold.
    void read_some(Replies& replies);
    [[nodiscard]] int fd() const noexcept { return ssh_.from(); }
    [[nodiscard]] bool greeted() const noexcept { return greeted_; }

  private:
    [[noreturn]] void ended();
    void greet(std::string_view line);

    Child ssh_;
    wal::wire::Splitter splitter_;
    std::string buffer_;
    bool greeted_ = false;
};

}  // namespace coffer::clients
