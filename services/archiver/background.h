#pragma once
// Work that takes time, done by a worker; its result is handled on the loop thread.
//
// `then` never leaves the loop thread, so it may hold what belongs there (a bus::Pending). Results that arrive after
// this object is gone are dropped, `then` with them.
#include <map>
#include <memory>
#include <optional>

#include "lib/event/mailbox.h"
#include "services/archiver/worker_pool.h"

namespace coffer::archiver {

class Background {
  public:
    Background(EventLoop& loop, unsigned threads)
        : mailbox_(loop, [this](Result result) { finish(std::move(result)); }), pool_(threads) {}

    // value is null exactly when error is set.
    template <typename T>
    void run(std::function<T()> work, std::function<void(T* value, const std::optional<Error>& error)> then) {
        const std::uint64_t id = ++last_id_;
        thens_[id] = [then = std::move(then)](Result& result) {
            then(static_cast<T*>(result.value.get()), result.error);
        };
        pool_.submit([id, work = std::move(work), sender = mailbox_.sender()] {
            Result result{id, nullptr, std::nullopt};
            try {
                result.value = std::make_shared<T>(work());
            } catch (const Error& error) {
                result.error = error;
            } catch (const std::exception& error) {
                result.error = Error(ErrorCode::internal, error.what());
            }
            sender.post(std::move(result));
        });
    }

  private:
    struct Result {
        std::uint64_t id;
        std::shared_ptr<void> value;
        std::optional<Error> error;
    };
    void finish(Result result) {
        auto node = thens_.extract(result.id);
        if (!node.empty()) node.mapped()(result);
    }

    std::uint64_t last_id_ = 0;
    std::map<std::uint64_t, std::function<void(Result&)>> thens_;
    Mailbox<Result> mailbox_;
    WorkerPool pool_;  // last: its threads end first
};

}  // namespace coffer::archiver
