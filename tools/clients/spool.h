#pragma once
// The folder where read-ahead puts what a recovery will ask for next, and how a call gets at it.
//
// There is one folder per box, server and place that is restored into (so recoveries do not meet), and in it at most
// one resident process (read_ahead.h), which holds the lock. A call asks that process over a socket in the folder, and
// moves the file that it is told: only files which this very process received and checked are ever told, and what a
// killed one left is removed by its successor. Whatever goes wrong here is no error of the call, which then fetches by
// itself.
//
//     lock     flock'ed by the resident process, whose number is in it       sock   its socket
//     NAME     received and checked                   .…     on its way in
//     barman   the box was found to know no serve-wal; looked at again after ten minutes
//     log      what the resident process had to say
#include <optional>
#include <string>

#include "lib/base/files.h"
#include "tools/clients/box.h"
#include "tools/clients/fetch.h"

namespace coffer::clients {

class Spool {
  public:
    // parent: --spool-dir, empty for the usual one: /var/tmp/walrestore where that is on the file system of the
    // destination, for a rename takes no time, else a hidden folder beside the destination.
    // Throws permission_denied where the folder is not ours alone, io.
    Spool(const Box& box, const Path& parent, const Path& destination);

    [[nodiscard]] const Path& path() const noexcept { return path_; }
    [[nodiscard]] Path file(const std::string& name) const { return path_ / name; }
    [[nodiscard]] Path lock_path() const { return path_ / "lock"; }

    // The lock; empty while another process has it.
    [[nodiscard]] UniqueFd try_lock() const;
    // Of who has the lock: a socket that others can connect to from now on, and nothing else in the folder.
    [[nodiscard]] UniqueFd listen_alone() const;
    // Empty when nobody answers there.
    [[nodiscard]] UniqueFd connect() const;
    // Of who has the lock, at its end.
    void remove_all() const noexcept;

    void note_barman() const noexcept;
    [[nodiscard]] bool is_barman() const noexcept;

  private:
    [[nodiscard]] Path socket_path() const;
    void remove_files() const noexcept;

    Path path_;
    UniqueFd folder_;  // names the socket by, whose path must be short
};

// What a resident process says of a file that it hands over, so that no other one is taken for it.
struct HandOver {
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t changed = 0;  // nanoseconds: whoever writes into it changes this too
    friend bool operator==(const HandOver&, const HandOver&) = default;
};
// Of an open file. Throws io.
HandOver hand_over_of(int fd);
std::string format(const HandOver& ready);
std::optional<HandOver> parse_hand_over(const std::string& line);

// From the read-ahead, which is started where there is none. nullopt when it did not give the file, for whatever
// reason; false when it knows from the box that the file is not held.
std::optional<bool> take_ahead(const Spool& spool, const Box& box, unsigned ahead, const Wanted& wanted,
                               const Path& destination);

}  // namespace coffer::clients
