#include "streamer/preallocator.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::streamer {
namespace {

constexpr std::size_t zero_chunk = 1 << 20;
// Never written to, so it stays one shared page of zeros in memory.
const std::array<std::byte, zero_chunk> zeros{};

Path file_in(const Path& directory) {
    return directory / ".prealloc-segment.tmp";
}

}  // namespace

Preallocator::Preallocator() : thread_([this] { run(); }) {}

Preallocator::~Preallocator() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (const auto& [directory, order] : orders_) {
        std::error_code ignored;
        std::filesystem::remove(file_in(directory), ignored);
    }
}

void Preallocator::prepare(const Path& directory, wal::SegmentSize size) {
    {
        const std::lock_guard lock(mutex_);
        const auto [found, added] = orders_.try_emplace(directory, Order{size});
        if (!added && found->second.size == size) return;
        found->second = Order{size};
    }
    changed_.notify_all();
}

std::optional<Path> Preallocator::take(const Path& directory, wal::SegmentSize size) {
    const std::lock_guard lock(mutex_);
    const auto found = orders_.find(directory);
    if (found == orders_.end() || !found->second.ready || found->second.size != size) return std::nullopt;
    orders_.erase(found);
    return file_in(directory);
}

void Preallocator::wait_idle() {
    std::unique_lock lock(mutex_);
    const auto idle = [this] {
        return !working_ &&
               std::all_of(orders_.begin(), orders_.end(), [](const auto& order) { return order.second.ready; });
    };
    changed_.wait(lock, idle);
}

void Preallocator::run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
        const auto found =
            std::find_if(orders_.begin(), orders_.end(), [](const auto& order) { return !order.second.ready; });
        if (found == orders_.end()) {
            changed_.wait(lock);
            continue;
        }
        const Path directory = found->first;
        const wal::SegmentSize size = found->second.size;
        working_ = true;
        lock.unlock();
        bool done = false;
        try {
            fill(file_in(directory), size);
            done = true;
        } catch (const std::exception& error) {
            log_debug("cannot prepare a segment ahead: {}", error.what());
        }
        lock.lock();
        working_ = false;
        const auto order = orders_.find(directory);
        if (order != orders_.end() && order->second.size == size) {
            if (done) {
                order->second.ready = true;
            } else {
                orders_.erase(order);
            }
        }
        changed_.notify_all();
    }
}

void Preallocator::fill(const Path& path, wal::SegmentSize size) {
    try {
        const UniqueFd fd = files().open(path, O_RDWR | O_CREAT | O_TRUNC);
        for (std::uint64_t offset = 0; offset < size.bytes(); offset += zero_chunk) {
            {
                const std::lock_guard lock(mutex_);
                if (stop_) return;
            }
            files().write_at(fd.get(), zeros, offset, path);
            files().sync_data(fd.get(), path);  // in small portions, so that no commit queues behind a long write
        }
        files().sync(fd.get(), path);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
        throw;
    }
}

}  // namespace coffer::streamer
