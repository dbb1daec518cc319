#pragma once
// The one way from a worker thread to the loop thread: a queue and an eventfd.
//
// The owner (loop thread) gets each value in its callback, in the order of posting. Senders are cheap copies that any
// thread may hold and use at any time, also after the mailbox is gone: then the value is dropped.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "lib/event/event_loop.h"

namespace coffer {

template <typename T>
class Mailbox {
    struct Queue {
        std::mutex mutex;
        std::vector<T> values;
        UniqueFd fd;
        bool open = true;
    };

  public:
    class Sender {
      public:
        // Thread-safe; never blocks for longer than a push.
        void post(T value) const {
            const std::lock_guard lock(queue_->mutex);
            if (!queue_->open) return;
            queue_->values.push_back(std::move(value));
            if (queue_->values.size() == 1) ::eventfd_write(queue_->fd.get(), 1);
        }

      private:
        friend class Mailbox;
        explicit Sender(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
        std::shared_ptr<Queue> queue_;
    };

    Mailbox(EventLoop& loop, std::function<void(T)> receive) : queue_(std::make_shared<Queue>()) {
        queue_->fd = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!queue_->fd) throw Error::from_errno(errno, "cannot create an eventfd", "");
        source_ = loop.on_io(queue_->fd.get(), EPOLLIN, [queue = queue_, receive = std::move(receive)](std::uint32_t) {
            std::vector<T> values;
            {
                const std::lock_guard lock(queue->mutex);
                eventfd_t count = 0;
                ::eventfd_read(queue->fd.get(), &count);
                values.swap(queue->values);
            }
            for (T& value : values) {
                if (!queue->open) return;  // closed by this thread only, from inside receive
                run_guarded("message from a worker", [&] { receive(std::move(value)); });
            }
        });
    }
    ~Mailbox() {
        const std::lock_guard lock(queue_->mutex);
        queue_->open = false;
        queue_->values.clear();
    }
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    [[nodiscard]] Sender sender() const { return Sender(queue_); }

  private:
    std::shared_ptr<Queue> queue_;
    EventSource source_;
};

}  // namespace coffer
