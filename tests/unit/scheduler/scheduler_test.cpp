#include "services/scheduler/scheduler.h"

#include <CppUTest/TestHarness.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::scheduler;
using namespace std::chrono_literals;

namespace {

struct Ledger : Observer {
    std::vector<std::string> lines;
    void job_added(const Job& job) override { lines.push_back("added " + job.server); }
    void job_changed(const Job& job) override { lines.push_back(std::string(name_of(job.state)) + " " + job.server); }
    void job_ended(const Job& job) override {
        lines.push_back(std::string(name_of(job.result)) + " " + job.server);
        last = job;
    }
    void job_forgotten(JobId) override {}
    std::optional<Job> last;
};

}  // namespace

// The worker is a shell script: what counts here is how its process lives and ends.
TEST_GROUP(Scheduler) {
    Path directory;
    EventLoop loop;
    Clock clock;
    Ledger ledger;
    std::optional<Scheduler> scheduler;
    sigset_t mask;

    void setup() override {
        sigprocmask(SIG_SETMASK, nullptr, &mask);
        char name[] = "/tmp/coffer-sched-XXXXXX";
        CHECK(::mkdtemp(name) != nullptr);
        directory = name;
        std::ofstream(directory / "coffer.conf") << "[coffer]\ncoffer_home = " << name << "/home\n"
                                                 << "[a]\nconninfo = host=/none\n[b]\nconninfo = host=/none\n"
                                                 << "[off]\nconninfo = host=/none\nactive = false\n";
    }
    void teardown() override {
        scheduler.reset();
        std::filesystem::remove_all(directory);
        sigprocmask(SIG_SETMASK, &mask, nullptr);
    }
    void with_worker(const std::string& script) {
        const Path program = directory / "worker";
        std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
        ::chmod(program.c_str(), 0755);
        scheduler.emplace(loop, clock, Places{directory / "coffer.conf", directory / "run", program}, ledger);
    }
    void until_ended(std::size_t lines) {
        CHECK(loop.run_until([&] { return ledger.lines.size() >= lines; }, 10s));
    }
};

TEST(Scheduler, RunsAJobToItsEnd) {
    with_worker("grep -q '\"server\": \"a\"' \"$2\"");
    scheduler->enqueue("a", "backup", {{"name", std::string("x")}}, 7);
    until_ended(3);
    STRCMP_EQUAL("added a", ledger.lines[0].c_str());
    STRCMP_EQUAL("running a", ledger.lines[1].c_str());
    STRCMP_EQUAL("done a", ledger.lines[2].c_str());
    CHECK(std::filesystem::is_empty(directory / "run" / "jobs"));
}

TEST(Scheduler, TellsThatAJobDiedBySignal) {
    with_worker("kill -9 $$");
    scheduler->enqueue("a", "backup", {}, 0);
    until_ended(3);
    CHECK(ledger.last->result == JobResult::failed);
    STRCMP_CONTAINS("signal 9", ledger.last->failure.message.c_str());
}

TEST(Scheduler, CancelsARunningJobAndAWaitingOne) {
    with_worker("trap 'exit 3' TERM; touch \"$0.up\"; while :; do sleep 0.01; done");
    const JobId waiting = scheduler->enqueue("b", "backup", {}, 0).id;
    scheduler->cancel(waiting);
    CHECK(ledger.last->id == waiting);
    CHECK(ledger.last->result == JobResult::canceled);
    const EventSource watch = loop.on_file_change(directory, IN_CREATE, [](const FileChange&) {});
    const JobId running = scheduler->enqueue("a", "backup", {}, 0).id;
    CHECK(loop.run_until([&] { return std::filesystem::exists(directory / "worker.up"); }, 10s));
    scheduler->cancel(running);
    CHECK(loop.run_until([&] { return ledger.last->id == running; }, 10s));
    CHECK(ledger.last->result == JobResult::canceled);
    CHECK_THROWS(Error, scheduler->cancel(running));
}

TEST(Scheduler, FailsAJobThatCannotStart) {
    with_worker("exit 0");
    std::filesystem::remove(directory / "worker");
    scheduler->enqueue("a", "backup", {}, 0);
    until_ended(2);
    CHECK(ledger.last->result == JobResult::failed);
}

TEST(Scheduler, RefusesWhatCannotBeDone) {
    with_worker("exec sleep 60");
    CHECK_THROWS(Error, scheduler->enqueue("nobody", "backup", {}, 0));
    CHECK_THROWS(Error, scheduler->enqueue("off", "backup", {}, 0));
    CHECK_THROWS(Error, scheduler->enqueue("a", "dance", {}, 0));
    CHECK_THROWS(Error, scheduler->cancel(99));
    CHECK(ledger.lines.empty());
}

TEST(Scheduler, EndsItsJobsBeforeItself) {
    with_worker("exec sleep 60");
    scheduler->enqueue("a", "backup", {}, 0);
    until_ended(2);
    bool gone = false;
    scheduler->shut_down([&] { gone = true; });
    CHECK(loop.run_until([&] { return gone; }, 10s));
    CHECK(ledger.last->result == JobResult::canceled);
}

TEST(Scheduler, NumbersJobsOnOverARestart) {
    with_worker("exit 0");
    CHECK_EQUAL(1U, scheduler->enqueue("a", "backup", {}, 0).id);
    until_ended(3);
    scheduler.reset();
    with_worker("exit 0");
    CHECK_EQUAL(2U, scheduler->enqueue("a", "backup", {}, 0).id);
    until_ended(6);
}
