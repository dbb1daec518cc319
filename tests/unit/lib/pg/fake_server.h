#pragma once
// A PostgreSQL server as far as one connection and simple queries need one: says what a test wants to hear.
//
// Format: PostgreSQL documentation, "Message Formats" (protocol 3.0). One connection, one thread, a socket in a folder.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "lib/base/unique_fd.h"

namespace coffer::test {

inline std::string big_endian(std::uint32_t value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
    return text;
}
inline std::string message(char kind, const std::string& body) {
    return kind + big_endian(static_cast<std::uint32_t>(body.size() + 4)) + body;
}
inline std::string refusal(const std::string& sqlstate) {
    using std::string_literals::operator""s;
    return message('E', "SERROR\0C"s + sqlstate + "\0Mno\0\0"s);
}

class FakeServer {
  public:
    // answer: the messages for a query, without ReadyForQuery.
    explicit FakeServer(std::function<std::string(const std::string& query)> answer) : answer_(std::move(answer)) {
        char name[] = "/tmp/coffer-pg-XXXXXX";
        folder_ = ::mkdtemp(name);
        listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        (folder_ + "/.s.PGSQL.5432").copy(address.sun_path, sizeof address.sun_path - 1);
        (void)::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        (void)::listen(listener_.get(), 1);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeServer() {
        (void)::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();  // the client's connection must be gone
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    [[nodiscard]] std::string conninfo() const { return "host=" + folder_ + " user=test"; }

  private:
    void serve() {
        const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
        if (!client) return;
        using std::string_literals::operator""s;
        (void)body_of_next(client.get());  // the startup message
        const std::string ready = message('Z', "I");
        send(client.get(), message('R', big_endian(0)) + message('S', "server_version\00015.0\0"s) + ready);
        char kind = 0;
        while (::recv(client.get(), &kind, 1, 0) == 1 && kind == 'Q') {
            std::string query = body_of_next(client.get());
            if (!query.empty()) query.pop_back();
            send(client.get(), answer_(query) + ready);
        }
    }
    static std::string body_of_next(int fd) {
        unsigned char length[4] = {};
        if (::recv(fd, length, 4, MSG_WAITALL) != 4) return {};
        std::string body((static_cast<std::size_t>(length[2]) << 8 | length[3]) - 4, '\0');
        (void)::recv(fd, body.data(), body.size(), MSG_WAITALL);
        return body;
    }
    static void send(int fd, const std::string& bytes) { (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

    std::function<std::string(const std::string&)> answer_;
    std::string folder_;
    UniqueFd listener_;
    std::thread thread_;
};

}  // namespace coffer::test
