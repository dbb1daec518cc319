#include "lib/bus/bus_object.h"

#include <CppUTest/TestHarness.h>
#include <sys/socket.h>

#include <stdexcept>

using namespace coffer;
using namespace coffer::bus;
using namespace std::chrono_literals;

namespace {

const Target thing{"", "/org/pgcoffer/Test1/thing", "org.pgcoffer.Test1.Thing"};

struct Pair {
    EventLoop loop;
    std::optional<Bus> server;
    std::optional<Bus> client;

    Pair() {
        int fds[2];
        CHECK_EQUAL(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
        server = Bus::on_socket(UniqueFd(fds[0]), true);
        client = Bus::on_socket(UniqueFd(fds[1]), false);
        server->attach(loop);
        client->attach(loop);
        // A signal that arrives together with the end of the handshake would lie in the buffer until the next one.
        CHECK(loop.run_until([&] { return sd_bus_is_ready(server->get()) > 0 && sd_bus_is_ready(client->get()) > 0; },
                             5s));
    }
    Reply ask(const Message& request) {
        std::optional<Reply> answer;
        const Slot slot = client->call_async(request, [&](const Reply& reply) { answer = reply; });
        CHECK(loop.run_until([&] { return answer.has_value(); }, 5s));
        return *answer;
    }
    template <typename... Args>
    Reply call(const std::string& method, const Args&... args) {
        Message request = client->new_call(thing, method);
        request.append(args...);
        return ask(request);
    }
    Reply property(const std::string& method, const std::string& name) {
        Message request = client->new_call({"", thing.path, "org.freedesktop.DBus.Properties"}, method);
        request.append(thing.interface, name);
        return ask(request);
    }
};

}  // namespace

TEST_GROUP(BusObject) {
    Pair pair;
    BusObject object{thing.path, thing.interface};
    std::string state = "idle";
    std::optional<Pending> pending;

    void setup() override {
        object.method("Join", {"left", "right"}, {"joined", "length"}, Access::read,
                      [](const std::string& left, const std::string& right) {
                          return std::tuple(left + right, static_cast<std::uint64_t>(left.size() + right.size()));
                      });
        object.method("Fail", {}, {}, Access::read,
                      [] { throw Error(ErrorCode::no_space, "disk is full", "/srv/wals", "free some space"); });
        object.method("Crash", {}, {}, Access::read, [] { throw std::runtime_error("surprise"); });
        object.method("Act", {"options"}, {"jobs"}, Access::act, [](Message& call, Options options) {
            OptionReader reader(std::move(options));
            const std::string name = reader.take<std::string>("name", "none");
            reader.refuse_rest();
            return std::vector<std::tuple<std::string, ObjectPath>>{{name, ObjectPath{call.path()}}};
        });
        object.later_method("Later", {"number"}, "s", {"text"}, Access::read,
                            [this](Pending answer, std::uint32_t number) {
                                CHECK_EQUAL(7U, number);
                                pending = std::move(answer);
                            });
        object.property("State", Emits::change, [this] { return state; });
        object.property("Bytes", Emits::none, [] { return std::uint64_t{42}; });
        object.property("Broken", Emits::none, []() -> std::string { throw std::runtime_error("no value"); });
        object.writable_property(
            "Level", Emits::none, [this] { return state; },
            [this](const std::string& value) {
                if (value.empty()) throw Error(ErrorCode::invalid_argument, "no level");
                state = value;
            });
        object.signal<std::string, std::uint32_t>("Happened", {"what", "count"});
        object.publish(*pair.server);
    }
};

TEST(BusObject, AnswersAMethodWithSeveralValues) {
    const auto [joined, length] = pair.call("Join", "ab", "cde").value().read<std::string, std::uint64_t>();
    STRCMP_EQUAL("abcde", joined.c_str());
    CHECK_EQUAL(5U, length);
}

TEST(BusObject, CarriesAnErrorWithItsRemedyToTheCaller) {
    const Reply reply = pair.call("Fail");
    CHECK(reply.error.has_value());
    CHECK(reply.error->code() == ErrorCode::no_space);
    STRCMP_EQUAL("disk is full: /srv/wals", reply.error->what());
    STRCMP_EQUAL("free some space", reply.error->remedy().c_str());
}

TEST(BusObject, SurvivesAnyExceptionOfAHandler) {
    CHECK(pair.call("Crash").error->code() == ErrorCode::internal);
    CHECK(pair.property("Get", "Broken").error.has_value());
    CHECK(!pair.call("Join", "a", "b").error);
}

TEST(BusObject, TakesOptionsByNameAndRefusesUnknownOnes) {
    const Options good{{"name", std::string("x")}};
    const auto jobs = pair.call("Act", good).value().read<std::vector<std::tuple<std::string, ObjectPath>>>();
    CHECK_EQUAL(1U, jobs.size());
    STRCMP_EQUAL("x", std::get<0>(jobs[0]).c_str());
    STRCMP_EQUAL(thing.path.c_str(), std::get<1>(jobs[0]).value.c_str());
    CHECK(pair.call("Act", Options{{"nmae", std::string("x")}}).error->code() == ErrorCode::invalid_argument);
    CHECK(pair.call("Act", Options{{"name", true}}).error->code() == ErrorCode::invalid_argument);
}

TEST(BusObject, RefusesACallWithOtherArguments) {
    CHECK(pair.call("Join", std::uint32_t{1}).error->code() == ErrorCode::invalid_argument);
    CHECK(pair.call("Nothing").error->code() == ErrorCode::not_supported);
}

TEST(BusObject, AnswersLater) {
    std::optional<Reply> answer;
    Message request = pair.client->new_call(thing, "Later");
    request.append(std::uint32_t{7});
    const Slot slot = pair.client->call_async(request, [&](const Reply& reply) { answer = reply; });
    CHECK(pair.loop.run_until([&] { return pending.has_value(); }, 5s));
    CHECK(!answer);
    pending->answer("done");
    CHECK(pair.loop.run_until([&] { return answer.has_value(); }, 5s));
    STRCMP_EQUAL("done", answer->value().read<std::string>().c_str());
}

TEST(BusObject, TellsACallerWhoseAnswerWasDropped) {
    std::optional<Reply> answer;
    Message request = pair.client->new_call(thing, "Later");
    request.append(std::uint32_t{7});
    const Slot slot = pair.client->call_async(request, [&](const Reply& reply) { answer = reply; });
    CHECK(pair.loop.run_until([&] { return pending.has_value(); }, 5s));
    pending.reset();
    CHECK(pair.loop.run_until([&] { return answer.has_value(); }, 5s));
    CHECK(answer->error->code() == ErrorCode::internal);
}

TEST(BusObject, ReadsAndWritesProperties) {
    const Variant value = pair.property("Get", "State").value().read<Variant>();
    STRCMP_EQUAL("idle", std::get<std::string>(value).c_str());
    Message set = pair.client->new_call({"", thing.path, "org.freedesktop.DBus.Properties"}, "Set");
    set.append(thing.interface, "Level", Variant(std::string("debug")));
    CHECK(!pair.ask(set).error);
    STRCMP_EQUAL("debug", state.c_str());
}

TEST(BusObject, AnnouncesSeveralChangesInOneSignal) {
    std::vector<Options> changes;
    const Slot slot = pair.client->on_signal({"", thing.path, "org.freedesktop.DBus.Properties"}, "PropertiesChanged",
                                             [&](Message& message) {
                                                 const auto [interface, values] = message.read<std::string, Options>();
                                                 changes.push_back(values);
                                             });
    state = "busy";
    object.changed({"State"});
    CHECK(pair.loop.run_until([&] { return !changes.empty(); }, 5s));
    STRCMP_EQUAL("busy", std::get<std::string>(changes.at(0).at("State")).c_str());
}

TEST(BusObject, EmitsTypedSignals) {
    std::string got;
    const Slot slot = pair.client->on_signal({"", "", thing.interface}, "Happened", [&](Message& message) {
        const auto [what, count] = message.read<std::string, std::uint32_t>();
        got = what + std::to_string(count);
    });
    object.emit("Happened", "segment", std::uint32_t{3});
    CHECK(pair.loop.run_until([&] { return !got.empty(); }, 5s));
    STRCMP_EQUAL("segment3", got.c_str());
}

TEST(BusObject, DescribesItselfWithoutABus) {
    const std::string xml = object.interface_xml();
    CHECK(xml.find("<arg type=\"a(so)\" name=\"jobs\" direction=\"out\"/>") != std::string::npos);
    CHECK(xml.find("<arg type=\"a{sv}\" name=\"options\" direction=\"in\"/>") != std::string::npos);
    CHECK(xml.find("<property name=\"Level\" type=\"s\" access=\"readwrite\">") != std::string::npos);
}

TEST(BusObject, EncodesNamesInPaths) {
    const ObjectPath path = encode_path("/org/pgcoffer/Test1/server", "main-db");
    STRCMP_EQUAL("/org/pgcoffer/Test1/server/main_2ddb", path.value.c_str());
    STRCMP_EQUAL("main-db", decode_path("/org/pgcoffer/Test1/server", path.value)->c_str());
    CHECK(!decode_path("/org/pgcoffer/Test1/server", "/org/other"));
}
