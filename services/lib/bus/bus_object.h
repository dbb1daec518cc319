#pragma once
// One interface of one object on the bus, declared member by member; the signatures follow from the types of the
// handlers.
//
//   class ServerObject {
//     public:
//       ServerObject(bus::Bus& bus, Receiver& receiver)
//           : object_(bus::encode_path("/org/pgcoffer/Streamer1/server", receiver.name()).value,
//                     "org.pgcoffer.Streamer1.Server") {
//           declare(object_, &receiver);
//           object_.publish(bus);  // InterfacesAdded is sent if an ObjectManager is above
//       }
//       // Also used for --bus-introspect, with receiver = nullptr: the handlers are not called then.
//       static void declare(bus::BusObject& object, Receiver* receiver) {
//           using namespace bus;
//           object.method("Restart", {"flags"}, {}, Access::act, [receiver](std::uint64_t flags) {
//               if (flags != 0) throw Error(ErrorCode::invalid_argument, "unknown flags");
//               receiver->restart();
//           });
//           object.method("Window", {}, {"from", "to"}, Access::read,
//                         [receiver] { return std::tuple(receiver->from_usec(), receiver->to_usec()); });
//           object.property("State", Emits::change, [receiver] { return receiver->state_name(); });  // std::string: s
//           object.property("ExposureUSec", Emits::none, [receiver] { return receiver->exposure_usec(); });  // uint64:
//           t object.signal<std::string, std::uint32_t, std::uint64_t>("SegmentCompleted", {"segment", "timeline",
//           "size"});
//       }
//       void state_changed() { object_.changed({"State", "Timeline"}); }  // one PropertiesChanged for both
//       void completed(const Segment& s) { object_.emit("SegmentCompleted", s.name, s.timeline, s.size); }
//
//     private:
//       bus::BusObject object_;
//   };
//
// A handler may throw coffer::Error: the caller gets its name, text and remedy. Whatever else is thrown is logged and
// reported as Internal; nothing leaves into C. A handler whose first parameter is bus::Message& gets the call (who sent
// it). A method that answers later is declared with later_method(); its handler gets a Pending to answer with.
// Access::read is open to everybody whom the bus policy lets through, Access::act to root, our own user and the group
// coffer-admin. The object may be destroyed inside one of its handlers.
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "lib/bus/bus.h"

namespace coffer::bus {

enum class Access { read, act };
enum class Emits { constant, change, none };

// The answer that a later_method owes. Not answered when destroyed: the caller gets Internal.
class Pending {
  public:
    explicit Pending(Message call);
    template <typename... T>
    void answer(const T&... values);
    void fail(const Error& error) noexcept;

  private:
    struct State;
    void send(Message reply);
    Message new_reply() const;
    std::shared_ptr<State> state_;
};

class BusObject {
  public:
    using Names = std::vector<std::string>;

    BusObject(std::string path, std::string interface);
    BusObject(BusObject&&) noexcept;
    BusObject& operator=(BusObject&&) noexcept;
    ~BusObject();

    template <typename Handler>
    void method(const std::string& name, const Names& inputs, const Names& outputs, Access access, Handler handler);
    // handler: void(Pending, inputs...)
    template <typename Handler>
    void later_method(const std::string& name, const Names& inputs, const std::string& output_signature,
                      const Names& outputs, Access access, Handler handler);
    template <typename Getter>
    void property(const std::string& name, Emits emits, Getter getter);
    // The setter throws invalid_argument for what it does not take. Access::act.
    template <typename Getter, typename Setter>
    void writable_property(const std::string& name, Emits emits, Getter getter, Setter setter);
    template <typename... T>
    void signal(const std::string& name, const Names& names);

    // Everything is declared before, nothing after.
    void publish(Bus& bus);
    // One PropertiesChanged for all of them; nothing before publish(). Never throws: a lost signal is logged.
    void changed(const Names& properties) noexcept;
    template <typename... T>
    void emit(const std::string& signal, const T&... values);

    [[nodiscard]] const std::string& path() const noexcept;
    // The <interface> element of the introspection data.
    [[nodiscard]] std::string interface_xml() const;

    struct Impl;

  private:
    using RawHandler = std::function<void(Message& call, Message* reply)>;  // reply is null for a later method
    void add_method(const std::string& name, std::string in, Names inputs, std::string out, Names outputs,
                    Access access, bool later, RawHandler handler);
    void add_property(const std::string& name, std::string type, Emits emits, std::function<void(Message&)> get,
                      std::function<void(Message&)> set);
    void add_signal(const std::string& name, std::string signature, Names names);
    [[nodiscard]] bool published() const noexcept;
    [[nodiscard]] Message new_signal(const std::string& name) const;
    void send_signal(const Message& message);

    std::shared_ptr<Impl> impl_;
};

// The whole document that --bus-introspect prints, for the interfaces of a service.
std::string introspection_document(const std::vector<const BusObject*>& objects);

}  // namespace coffer::bus

#include "lib/bus/bus_object_types.h"  // the templates
