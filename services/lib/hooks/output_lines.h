#pragma once
// What a hook writes to one of its streams, line by line. One thread.
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/unique_fd.h"

namespace coffer::hooks {

class OutputLines {
  public:
    // fd does not block. take gets each line, made printable; most_lines of them, and then one that says so.
    OutputLines(UniqueFd fd, std::function<void(std::string_view)> take);
    // -1 when there will be nothing more.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    // What is there now, up to as much as somebody who never stops writing cannot hold us with.
    void read();
    // A last line without a newline.
    void finish();

  private:
    void add(std::string_view text);
    void end_line();

    UniqueFd fd_;
    std::function<void(std::string_view)> take_;
    std::string line_;
    bool any_ = false;  // of this line
    std::size_t lines_ = 0;
};

}  // namespace coffer::hooks
