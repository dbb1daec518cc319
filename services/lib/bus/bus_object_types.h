#pragma once
// Private to lib/bus/bus_object.h: from the type of a handler to signatures and calls.
#include "lib/bus/bus_object.h"

namespace coffer::bus {
namespace detail {

// Parameters as values: std::string for const std::string&.
template <typename Function>
struct Handled;
template <typename R, typename... A>
struct Handled<std::function<R(A...)>> {
    using Result = R;
    using Inputs = std::tuple<std::remove_cvref_t<A>...>;
};
template <typename Handler>
using HandledBy = Handled<decltype(std::function{std::declval<Handler>()})>;

template <typename Tuple>
struct WithoutFirst;
template <typename First, typename... Rest>
struct WithoutFirst<std::tuple<First, Rest...>> {
    using type = std::tuple<Rest...>;
};

template <typename Tuple, typename First>
inline constexpr bool begins_with = false;
template <typename First, typename... Rest>
inline constexpr bool begins_with<std::tuple<First, Rest...>, First> = true;

// The values of a call in order, as a tuple, and the signature of all of them.
template <typename Tuple>
struct Arguments;
template <typename... T>
struct Arguments<std::tuple<T...>> {
    static std::string signature() { return signature_of<T...>(); }
    static std::tuple<T...> read([[maybe_unused]] const Message& call) { return std::tuple<T...>{call.read<T>()...}; }
    static void append(Message& reply, const std::tuple<T...>& values) {
        std::apply([&](const T&... value) { reply.append(value...); }, values);
    }
};

// void is nothing, a tuple several values, anything else one.
template <typename Result>
struct Output {
    using Values = std::tuple<Result>;
};
template <>
struct Output<void> {
    using Values = std::tuple<>;
};
template <typename... T>
struct Output<std::tuple<T...>> {
    using Values = std::tuple<T...>;
};

}  // namespace detail

template <typename... T>
void Pending::answer(const T&... values) {
    Message reply = new_reply();
    reply.append(values...);
    send(std::move(reply));
}

template <typename Handler>
void BusObject::method(const std::string& name, const Names& inputs, const Names& outputs, Access access,
                       Handler handler) {
    using Kind = detail::HandledBy<Handler>;
    constexpr bool wants_call = detail::begins_with<typename Kind::Inputs, Message>;
    using Inputs = typename std::conditional_t<wants_call, detail::WithoutFirst<typename Kind::Inputs>,
                                               std::type_identity<typename Kind::Inputs>>::type;
    using Values = typename detail::Output<typename Kind::Result>::Values;
    auto raw = [handler = std::move(handler)](Message& call, Message* reply) {
        const auto invoke = [&](auto&&... arguments) {
            if constexpr (wants_call) {
                return handler(call, std::forward<decltype(arguments)>(arguments)...);
            } else {
                return handler(std::forward<decltype(arguments)>(arguments)...);
            }
        };
        if constexpr (std::is_void_v<typename Kind::Result>) {
            std::apply(invoke, detail::Arguments<Inputs>::read(call));
        } else {
            detail::Arguments<Values>::append(*reply,
                                              Values(std::apply(invoke, detail::Arguments<Inputs>::read(call))));
        }
    };
    add_method(name, detail::Arguments<Inputs>::signature(), inputs, detail::Arguments<Values>::signature(), outputs,
               access, false, std::move(raw));
}

template <typename Handler>
void BusObject::later_method(const std::string& name, const Names& inputs, const std::string& output_signature,
                             const Names& outputs, Access access, Handler handler) {
    using Inputs = typename detail::WithoutFirst<typename detail::HandledBy<Handler>::Inputs>::type;
    auto raw = [handler = std::move(handler)](Message& call, Message*) {
        std::apply(
            [&](auto&&... arguments) { handler(Pending(call), std::forward<decltype(arguments)>(arguments)...); },
            detail::Arguments<Inputs>::read(call));
    };
    add_method(name, detail::Arguments<Inputs>::signature(), inputs, output_signature, outputs, access, true,
               std::move(raw));
}

template <typename Getter>
void BusObject::property(const std::string& name, Emits emits, Getter getter) {
    using Value = std::remove_cvref_t<std::invoke_result_t<Getter>>;
    add_property(name, signature_of<Value>(), emits,
                 [getter = std::move(getter)](Message& reply) { reply.append(getter()); }, {});
}

template <typename Getter, typename Setter>
void BusObject::writable_property(const std::string& name, Emits emits, Getter getter, Setter setter) {
    using Value = std::remove_cvref_t<std::invoke_result_t<Getter>>;
    add_property(
        name, signature_of<Value>(), emits, [getter = std::move(getter)](Message& reply) { reply.append(getter()); },
        [setter = std::move(setter)](Message& value) { setter(value.read<Value>()); });
}

template <typename... T>
void BusObject::signal(const std::string& name, const Names& names) {
    add_signal(name, signature_of<T...>(), names);
}

template <typename... T>
void BusObject::emit(const std::string& signal, const T&... values) {
    if (!published()) return;
    Message message = new_signal(signal);
    message.append(values...);
    send_signal(message);
}

}  // namespace coffer::bus
