#include "services/archiver/intake_queue.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::archiver;
using namespace std::chrono_literals;

namespace {

const Path first = "/in/000000010000000000000001";
const Path second = "/in/000000010000000000000002";

wal::StoreOutcome outcome(wal::StoreResult result) {
    wal::StoreOutcome value;
    value.result = result;
    return value;
}

wal::StoreOutcome failure(ErrorCode code) {
    wal::StoreOutcome value;
    value.error = Error(code, "failed");
    return value;
}

}  // namespace

TEST_GROUP(IntakeQueue) {
    IntakeQueue queue;
    MonotonicTime now{100s};
};

TEST(IntakeQueue, TakesNamesInTheirOrderAndIgnoresTemporaryOnes) {
    for (const Path& file : {second, first, first, Path("/in/.hidden"), Path("/in/x.tmp")}) queue.found(file);
    LONGS_EQUAL(2, queue.waiting());
    CHECK(queue.take(now) == first);
    CHECK(queue.take(now) == second);
    CHECK(!queue.take(now).has_value());
    LONGS_EQUAL(2, queue.working());
}

TEST(IntakeQueue, NeverWorksOnTwoFilesOfTheSameName) {
    const Path streamed = "/streaming/000000010000000000000001";
    queue.found(first);
    queue.found(streamed);
    CHECK(queue.take(now) == first);
    CHECK(!queue.take(now).has_value());
    queue.finished(first, outcome(wal::StoreResult::stored), now);
    CHECK(queue.take(now) == streamed);
}

TEST(IntakeQueue, LooksAgainAtAFileWrittenMeanwhile) {
    queue.found(first);
    queue.take(now);
    queue.found(first);
    LONGS_EQUAL(0, queue.waiting());
    queue.finished(first, outcome(wal::StoreResult::refused), now);
    CHECK(queue.take(now) == first);
}

TEST(IntakeQueue, WaitsForAFileThatIsNotSettled) {
    queue.found(first);
    queue.take(now);
    queue.finished(first, outcome(wal::StoreResult::unsettled), now);
    CHECK(!queue.take(now).has_value());
    CHECK(queue.next_change() == now + IntakeQueue::unsettled_pause);
    CHECK(queue.take(now + IntakeQueue::unsettled_pause) == first);
    queue.finished(first, outcome(wal::StoreResult::unsettled), now);
    queue.found(first);  // written to its end now
    CHECK(queue.take(now) == first);
}

TEST(IntakeQueue, TriesOneFileAfterAWhileWhenTheDiskIsFull) {
    queue.found(first);
    queue.found(second);
    queue.take(now);
    queue.finished(first, failure(ErrorCode::no_space), now);
    CHECK(queue.out_of_space());
    CHECK(!queue.take(now).has_value());
    CHECK(queue.next_change() == now + IntakeQueue::no_space_pause);
    now += IntakeQueue::no_space_pause;
    CHECK(queue.take(now) == first);
    CHECK(!queue.take(now).has_value());
    queue.finished(first, outcome(wal::StoreResult::stored), now);
    CHECK(!queue.out_of_space());
    CHECK(queue.take(now) == second);
}

TEST(IntakeQueue, TriesAFailedFileAgainLaterAndGoesOnWithTheOthers) {
    queue.found(first);
    queue.found(second);
    queue.take(now);
    queue.finished(first, failure(ErrorCode::io), now);
    CHECK(queue.take(now) == second);
    CHECK(!queue.take(now).has_value());
    CHECK(queue.take(now + IntakeQueue::failure_pause) == first);
}

TEST(IntakeQueue, ForgetsThatTheDiskWasFullWhenTheFileHasGone) {
    for (const wal::StoreResult result : {wal::StoreResult::vanished, wal::StoreResult::refused}) {
        queue.found(first);
        queue.take(now);
        queue.finished(first, failure(ErrorCode::no_space), now);
        now += IntakeQueue::no_space_pause;
        CHECK(queue.take(now) == first);
        queue.finished(first, outcome(result), now);
        CHECK(!queue.out_of_space());
        CHECK(!queue.next_change().has_value());
    }
}

TEST(IntakeQueue, ForgetsThatTheDiskWasFullWhenSomethingElseIsWrong) {
    queue.found(first);
    queue.take(now);
    queue.finished(first, failure(ErrorCode::no_space), now);
    now += IntakeQueue::no_space_pause;
    CHECK(queue.take(now) == first);
    queue.finished(first, failure(ErrorCode::io), now);
    CHECK(!queue.out_of_space());
}
