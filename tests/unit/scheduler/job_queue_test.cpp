#include "services/scheduler/job_queue.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::scheduler;

TEST_GROUP(JobQueue) {
    JobQueue queue{{.max_backups = 2, .max_restores = 3, .max_waiting = 4, .kept_finished = 2}};

    Job& add(const std::string& kind, const std::string& server) {
        return queue.add(kind, server, {}, 0, WallTime{});
    }
    void end(Job & job) {
        job.state = JobState::finished;
        queue.finished(job.id);
    }
    void start(Job * job) {
        CHECK(job != nullptr);
        job->state = JobState::running;
    }
};

TEST(JobQueue, StartsJobsInTheOrderOfComing) {
    const JobId first = add("backup", "a").id;
    add("backup", "b");
    CHECK_EQUAL(first, queue.next_to_start()->id);
}

TEST(JobQueue, RefusesASecondBackupOfOneServer) {
    Job& running = add("backup", "a");
    CHECK_THROWS(Error, add("backup", "a"));
    running.state = JobState::canceling;
    CHECK_THROWS(Error, add("backup", "a"));
    end(running);
    add("backup", "a");
}

TEST(JobQueue, HoldsBackupsAtTheLimitAndLetsRestoresPass) {
    for (const char* server : {"a", "b", "c"}) add("backup", server);
    start(queue.next_to_start());
    start(queue.next_to_start());
    CHECK(queue.next_to_start() == nullptr);
    Job& restore = add("restore", "a");
    CHECK_EQUAL(restore.id, queue.next_to_start()->id);
    CHECK_EQUAL(2U, queue.running());
    CHECK_EQUAL(2U, queue.queued());
}

TEST(JobQueue, RefusesMoreThanMayWait) {
    for (int i = 0; i < 4; ++i) add("restore", "a");
    CHECK_THROWS(Error, add("restore", "a"));
}

TEST(JobQueue, ScrubsTakeNobodysPlace) {
    for (const char* server : {"a", "b", "c", "d", "e", "f"}) add("scrub", server);
    CHECK_THROWS(Error, add("scrub", "a"));
    for (int i = 0; i < 4; ++i) add("restore", "a");
    CHECK_THROWS(Error, add("backup", "a"));
    add("scrub", "g");
    CHECK_EQUAL(11U, queue.queued());
}

TEST(JobQueue, ForgetsTheOldestFinishedJobs) {
    std::vector<JobId> ids;
    for (const char* server : {"a", "b", "c"}) ids.push_back(add("backup", server).id);
    for (const JobId id : ids) queue.job(id).state = JobState::finished;
    CHECK(queue.finished(ids[0]).empty());
    CHECK(queue.finished(ids[1]).empty());
    const std::vector<JobId> dropped = queue.finished(ids[2]);
    CHECK_EQUAL(1U, dropped.size());
    CHECK_EQUAL(ids[0], dropped[0]);
    CHECK_THROWS(Error, queue.job(ids[0]));
}
