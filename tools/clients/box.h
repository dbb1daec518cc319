#pragma once
// The box as a database host reaches it: by ssh, and by words that Coffer and Barman understand alike.
//
// Errors of both clients are coffer::Error: server_unreachable (ssh could not connect, or the connection broke),
// not_supported (the box does not know the command, a Barman's for example), others as they come.
#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"

namespace coffer::clients {

struct Box {
    std::string host;
    std::string user = "barman";
    std::string port;    // empty: ssh's own
    std::string config;  // of the program on the box; empty: its own
    std::string server;
};

// Throws invalid_argument: names that ssh or the program on the box would take for options, ports that are none.
void check(const Box& box);

// ssh that runs `PROGRAM [-c CONFIG] WORDS…` on the box. The words are quoted for the shell there.
std::vector<std::string> ssh_command(const Box& box, const std::string& program, const std::vector<std::string>& words);

std::string quoted_for_shell(const std::string& word);

constexpr int ssh_failed = 255;  // ssh's own exit status, as apart from that of the program on the box
constexpr int no_such_command = 127;

// A child with pipes on its standard input and output; standard error is ours, or nowhere.
class Child {
  public:
    Child() noexcept = default;
    // Throws server_unreachable when there is no such program.
    Child(const std::vector<std::string>& argv, bool quiet);
    Child(Child&& other) noexcept;
    Child& operator=(Child&& other) noexcept;
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();  // ends it

    [[nodiscard]] int to() const noexcept { return to_.get(); }
    [[nodiscard]] int from() const noexcept { return from_.get(); }
    void close_input() noexcept { to_.reset(); }
    // Waits for its end. The exit status; 128 and the signal where one ended it.
    int wait() noexcept;
    // SIGTERM, and wait().
    void stop() noexcept;

  private:
    pid_t pid_ = -1;
    UniqueFd to_, from_;
};

}  // namespace coffer::clients
