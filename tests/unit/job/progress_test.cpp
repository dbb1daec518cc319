#include "services/job/progress.h"

#include <CppUTest/TestHarness.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "lib/base/log.h"

using namespace coffer;
using namespace coffer::job;

namespace {

class SteppedClock : public Clock {
  public:
    MonotonicTime time{std::chrono::hours(1)};
    [[nodiscard]] MonotonicTime monotonic() const override { return time; }
};

}  // namespace

TEST_GROUP(Progress) {
    Path directory;
    UniqueFd listener;
    SteppedClock clock;
    LogLevel level = log_level();
    void setup() override {
        set_log_level(LogLevel::error);
        char name[] = "/tmp/coffer-progress-XXXXXX";
        directory = ::mkdtemp(name);
        listener.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, (directory / "s").c_str());
        LONGS_EQUAL(0, ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
        set_log_level(level);
    }
    std::string next() {
        char buffer[4096];
        const ssize_t got = ::recv(listener.get(), buffer, sizeof buffer, 0);
        return got < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(got));
    }
};

TEST(Progress, TellsEachPhaseAtOnceAndBytesFourTimesASecond) {
    ProgressReporter progress("5", directory / "s", clock);
    progress.phase("copy", "copying", 100);
    STRCMP_EQUAL(R"({"done":0,"job":"5","message":"copying","phase":"copy","total":100})", next().c_str());
    progress.advance(10);
    STRCMP_EQUAL("", next().c_str());
    clock.time += std::chrono::milliseconds(250);
    progress.advance(20);
    STRCMP_EQUAL(R"({"done":20,"job":"5","message":"copying","phase":"copy","total":100})", next().c_str());
}

TEST(Progress, TellsHowItEnded) {
    ProgressReporter progress("5", directory / "s", clock);
    progress.done({"20261123T200000", ""});
    STRCMP_EQUAL(R"({"backup_id":"20261123T200000","job":"5","result":"done"})", next().c_str());
    progress.done({"20261123T200000", "1 damaged page"});
    STRCMP_EQUAL(R"({"backup_id":"20261123T200000","job":"5","result":"done","warning":"1 damaged page"})",
                 next().c_str());
}

TEST(Progress, NeverMindsAMissingOrFullListener) {
    ProgressReporter nobody("5", directory / "none", clock);
    nobody.phase("copy", "copying");
    nobody.done({});
    ProgressReporter progress("5", directory / "s", clock);
    for (int i = 0; i < 10000; ++i) progress.phase("copy", "copying");
    STRCMP_EQUAL(R"({"done":0,"job":"5","message":"copying","phase":"copy","total":0})", next().c_str());
}
