#pragma once
// Cuts bytes that come in pieces of any size into WAL pages. Whole pages inside a piece are passed on without copying.
#include <algorithm>
#include <functional>
#include <vector>

#include "lib/wal/page_header.h"

namespace coffer::wal {

class Pages {
  public:
    explicit Pages(std::function<void(ByteSpan)> page) : page_(std::move(page)) {}

    void add(ByteSpan bytes) {
        if (!rest_.empty()) {
            const std::size_t count = std::min(page_size - rest_.size(), bytes.size());
            rest_.insert(rest_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
            bytes = bytes.subspan(count);
            if (rest_.size() == page_size) flush();
        }
        for (; bytes.size() >= page_size; bytes = bytes.subspan(page_size)) page_(bytes.first(page_size));
        rest_.insert(rest_.end(), bytes.begin(), bytes.end());
    }
    // What is left at the end: a short page.
    void flush() {
        if (!rest_.empty()) page_(rest_);
        rest_.clear();
    }

  private:
    std::function<void(ByteSpan)> page_;
    std::vector<std::byte> rest_;
};

}  // namespace coffer::wal
