#include "lib/wal/behind_writer.h"

#include <algorithm>
#include <utility>

namespace coffer::wal {

BehindWriter::BehindWriter(int fd, Path destination) : fd_(fd), destination_(std::move(destination)), ring_(pieces) {
    for (auto& piece : ring_) piece.reserve(piece_size);
    thread_ = std::thread([this] { run(); });
}

BehindWriter::~BehindWriter() {
    end(true);
}

void BehindWriter::write(ByteSpan bytes) {
    while (!bytes.empty()) {
        // Nobody else touches the piece that is being filled.
        auto& piece = ring_[filled_ % pieces];
        const ByteSpan part = bytes.first(std::min(bytes.size(), piece_size - piece.size()));
        piece.insert(piece.end(), part.begin(), part.end());
        bytes = bytes.subspan(part.size());
        if (piece.size() == piece_size) hand_over();
    }
}

// Waits until there is a piece to fill next.
void BehindWriter::hand_over() {
    std::unique_lock lock(mutex_);
    ++filled_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return failure_ || filled_ - written_ < pieces; });
    if (failure_) std::rethrow_exception(failure_);
}

void BehindWriter::finish() {
    hand_over();
    end(false);
    if (failure_) std::rethrow_exception(failure_);
}

void BehindWriter::end(bool drop) noexcept {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        if (drop) written_ = filled_;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void BehindWriter::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || written_ < filled_; });
        if (written_ >= filled_) return;
        auto& piece = ring_[written_ % pieces];
        lock.unlock();
        try {
            files().append(fd_, ByteSpan(piece), destination_);
            piece.clear();
            lock.lock();
        } catch (...) {
            lock.lock();
            failure_ = std::current_exception();
            changed_.notify_all();
            return;
        }
        if (written_ < filled_) ++written_;
        changed_.notify_all();
    }
}

}  // namespace coffer::wal
