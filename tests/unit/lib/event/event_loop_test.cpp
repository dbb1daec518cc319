#include "lib/event/event_loop.h"

#include <CppUTest/TestHarness.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "lib/event/mailbox.h"

using namespace coffer;
using namespace std::chrono_literals;

TEST_GROUP(EventLoop) {
    EventLoop loop;
};

TEST(EventLoop, StaysAliveWhenACallbackThrows) {
    int calls = 0;
    const EventSource timer = loop.every(1ms, [&] {
        ++calls;
        throw std::runtime_error("from a callback");
    });
    CHECK(loop.run_until([&] { return calls >= 3; }, 5s));
}

TEST(EventLoop, LetsASourceEndItselfFromInside) {
    bool called = false;
    const std::string captured(100, 'x');
    EventSource source;
    source = loop.on_next_turn([&source, &called, captured] {
        source.reset();
        called = captured.size() == 100;  // the captured values are still there
    });
    CHECK(loop.run_until([&] { return called; }, 5s));
    CHECK(!source);
}

TEST(EventLoop, FiresATimerAgainWhenItIsSetAgain) {
    int calls = 0;
    EventSource timer = loop.on_timer(1ms, [&] {
        if (++calls < 2) timer.rearm(1ms);
    });
    CHECK(loop.run_until([&] { return calls == 2; }, 5s));
}

TEST(EventLoop, TellsWhenAChildEnds) {
    int status = -1;
    sigset_t before;
    sigprocmask(SIG_SETMASK, nullptr, &before);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(7);
    const EventSource source = loop.on_child(child, [&](const siginfo_t& info) { status = info.si_status; });
    CHECK(loop.run_until([&] { return status >= 0; }, 5s));
    CHECK_EQUAL(7, status);
    sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST(EventLoop, TellsOfChangesInADirectory) {
    char name[] = "/tmp/coffer-event-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    const Path directory(name);
    std::string seen;
    const EventSource source =
        loop.on_file_change(directory, IN_CLOSE_WRITE, [&](const FileChange& change) { seen = change.name; });
    std::ofstream(directory / "segment") << "x";
    CHECK(loop.run_until([&] { return !seen.empty(); }, 5s));
    STRCMP_EQUAL("segment", seen.c_str());
    std::filesystem::remove_all(directory);
}

TEST(EventLoop, GetsTheValuesOfWorkersInOrder) {
    std::vector<int> got;
    Mailbox<int> mailbox(loop, [&](int value) { got.push_back(value); });
    std::thread worker([sender = mailbox.sender()] {
        for (int i = 0; i < 1000; ++i) sender.post(i);
    });
    CHECK(loop.run_until([&] { return got.size() == 1000; }, 5s));
    worker.join();
    for (int i = 0; i < 1000; ++i) CHECK_EQUAL(i, got[static_cast<std::size_t>(i)]);
}

TEST(EventLoop, DropsValuesForAMailboxThatIsGone) {
    std::optional<Mailbox<int>> mailbox;
    mailbox.emplace(loop, [](int) { FAIL("nobody is there"); });
    const auto sender = mailbox->sender();
    sender.post(1);
    mailbox.reset();
    sender.post(2);
    loop.run_once(0ms);
}
