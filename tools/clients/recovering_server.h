#pragma once
// The PostgreSQL server whose restore_command we are, as far as it can be seen from its data directory, which is the
// working directory of a restore_command: is it still recovering?
#include <optional>

#include "lib/base/files.h"

namespace coffer::clients {

class RecoveringServer {
  public:
    // data: the data directory, or any other one, of which nothing is known then.
    explicit RecoveringServer(Path data);

    // Readable when the server has ended; -1 where it is not known.
    [[nodiscard]] int ended_fd() const noexcept { return process_.get(); }
    // It was in recovery at first, and is not any more.
    [[nodiscard]] bool has_left_recovery() const;

  private:
    [[nodiscard]] bool is_told_to_recover() const;

    Path data_;
    UniqueFd process_;
    bool recovers_ = false;
};

}  // namespace coffer::clients
