#pragma once
// What a scrub does about WAL that is damaged: the archiver, which owns the archive, sets it aside, and a good copy is
// looked for: in incoming/ or streaming/, else on the server, if it still has the segment. Whatever comes goes through
// incoming/ and is proven by the archiver as everything that arrives.
//
// One thread; waits for the bus and the server, ended by stop_fd. Errors: canceled, io, no_space; that the archiver or
// the server cannot be asked is an answer.
#include <optional>
#include <string>

#include "lib/bus/bus.h"
#include "lib/config/config.h"
#include "lib/pg/conn.h"

namespace coffer::job {

class WalMender {
  public:
    WalMender(const config::Server& server, int stop_fd) : server_(server), stop_fd_(stop_fd) {}

    struct Judged {
        std::string
            result;  // "absent", "sound", "set-aside", "opaque"; empty: the archiver cannot be asked, or not read it
        std::string fault;  // or why not
        std::string moved_to;
        bool unreadable = false;
    };
    Judged recheck(const std::string& name);
    // Where the copy came from that is in its place now ("the server"); nullopt: there is none, why says more.
    // set_aside: the damaged file, whose kept proof the copy must have; may be empty.
    std::optional<std::string> mend(const std::string& name, const Path& set_aside, std::string& why);

    // Puts these plain bytes into the archive through incoming/. False when they are not taken; why says more.
    bool put_back(const std::string& name, const std::string& content, std::string& why);

  private:
    void hand_over(const std::string& name, const std::string& content) const;
    bool store(const std::string& name, std::string& why);
    void fetch(const std::string& name, const Path& set_aside);
    std::string segment_from_server(pg::PgConn& conn, const std::string& name) const;
    bus::Bus& bus();

    const config::Server& server_;
    int stop_fd_;
    std::optional<bus::Bus> bus_;
};

}  // namespace coffer::job
