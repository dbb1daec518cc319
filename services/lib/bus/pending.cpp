// Answers that come after the handler has returned.
#include "lib/bus/bus_error.h"
#include "lib/bus/bus_object.h"

namespace coffer::bus {

struct Pending::State {
    Message call;
    bool answered = false;

    explicit State(Message owed) : call(std::move(owed)) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        if (!answered) sd_bus_reply_method_errorf(call.get(), "org.pgcoffer.Error.Internal", "the call was dropped");
    }
};

Pending::Pending(Message call) : state_(std::make_shared<State>(std::move(call))) {}

Message Pending::new_reply() const {
    sd_bus_message* raw = nullptr;
    check_bus_call(sd_bus_message_new_method_return(state_->call.get(), &raw), "make a reply");
    return Message::adopt(raw);
}

void Pending::send(Message reply) {
    state_->answered = true;
    sd_bus_message_send(reply.get());  // fails when the caller is gone: nobody to tell then
}

void Pending::fail(const Error& error) noexcept {
    if (state_->answered) return;
    state_->answered = true;
    sd_bus_error failure{};
    try {
        throw error;
    } catch (...) {
        set_from_current_exception(&failure);
    }
    sd_bus_reply_method_error(state_->call.get(), &failure);
    sd_bus_error_free(&failure);
}

}  // namespace coffer::bus
