#include "lib/delivery/put_wal.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/delivery/landing_file.h"
#include "lib/wal/codec.h"
#include "tests/unit/lib/delivery/parcel_maker.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::delivery;
using namespace coffer::delivery::tests;
using Result = PutOutcome::Result;

namespace {

// Records the order of the durable steps, and fails the one it is told to.
class Steps : public Files {
  public:
    std::vector<std::string> done;
    std::string fail_at;

    void append(int fd, ByteSpan data, const Path& path) override {
        if (done.empty() || done.back() != "write") step("write");
        Files::append(fd, data, path);
    }
    void sync(int fd, const Path& path) override {
        step(std::filesystem::is_directory(path) ? "sync directory" : "sync");
        Files::sync(fd, path);
    }
    void rename(const Path& from, const Path& to) override {
        step("rename");
        Files::rename(from, to);
    }

  private:
    void step(const std::string& name) {
        done.push_back(name);
        if (name == fail_at) throw Error::from_errno(ENOSPC, "cannot write", "test");
    }
};

std::string compressed(const std::string& plain, wal::Codec codec) {
    char name[] = "/tmp/coffer-put-XXXXXX";
    const UniqueFd fd(::mkstemp(name));
    wal::compress_to(fd.get(), as_byte_span(plain), codec, wal::level_of(codec, "low"), name);
    const std::string bytes = read_file(name).value();
    ::unlink(name);
    return bytes;
}

}  // namespace

TEST_GROUP(PutWal) {
    test::ServerFixture box;
    test::WalBuilder builder;
    std::string wal, other;
    const std::string name = wal::Segment{1, 5}.name(builder.options().size);
    void setup() override {
        box.server.archiver = true;
        builder.fill_segment();
        wal = builder.segment(5);
        test::WalBuilder another;
        another.filler(777);
        another.fill_segment();
        other = another.segment(5);
    }
    PutOutcome put(const std::string& bytes) {
        return put_stream(parcel(name, bytes));
    }
    PutOutcome put_stream(const std::string& stream) {
        return put_wal(box.server, in_pieces(stream), Clock());
    }
    ErrorCode refusal(const std::string& stream) {
        try {
            (void)put_stream(stream);
        } catch (const Error& error) {
            return error.code();
        }
        FAIL("it was taken");
        return ErrorCode::internal;
    }
    std::size_t files_in(const Path& directory) {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
    }
    void nothing_stored() {
        LONGS_EQUAL(0, files_in(box.server.incoming_wals_directory));
        LONGS_EQUAL(0, files_in(box.server.errors_directory));
    }
    std::string incoming() {
        return read_file(box.server.incoming_wals_directory / name).value_or("");
    }
};

TEST(PutWal, StoresAndThenSaysSo) {
    const auto outcome = put(wal);
    CHECK(outcome.result == Result::stored);
    CHECK(incoming() == wal);
    LONGS_EQUAL(1, files_in(box.server.incoming_wals_directory));
}

TEST(PutWal, MakesItDurableBeforeItHasItsName) {
    Steps steps;
    const ScopedFiles scoped(steps);
    (void)put(wal);
    CHECK((steps.done == std::vector<std::string>{"write", "sync", "rename", "sync directory"}));
}

TEST(PutWal, StoresNothingWhereAStepFails) {
    for (const char* step : {"write", "sync", "rename"}) {
        Steps steps;
        steps.fail_at = step;
        const ScopedFiles scoped(steps);
        CHECK(refusal(parcel(name, wal)) == ErrorCode::no_space);
        nothing_stored();
    }
    Steps steps;
    steps.fail_at = "sync directory";
    const ScopedFiles scoped(steps);
    CHECK(refusal(parcel(name, wal)) == ErrorCode::no_space);  // it is there, but that was not promised
}

TEST(PutWal, StoresNothingOfWhatIsRefused) {
    const std::string whole = parcel(name, wal);
    for (std::size_t length = 0; length < wal.size() + 1024; length += 65536) {
        CHECK(refusal(whole.substr(0, length)) == ErrorCode::corrupt);
        nothing_stored();
    }
    std::string damaged = wal;
    damaged[300000] = static_cast<char>(damaged[300000] ^ 1);
    CHECK(refusal(parcel(name, damaged)) == ErrorCode::corrupt);  // its checksum is right, its records are not
    CHECK(refusal(parcel("00000002.history", "no history")) == ErrorCode::corrupt);
    nothing_stored();
}

TEST(PutWal, RefusesAnotherSystemsWal) {
    catalogue::Catalogue(box.server).confirm_identity({builder.options().system_identifier + 1, 15});
    CHECK(refusal(parcel(name, wal)) == ErrorCode::corrupt);
    nothing_stored();
}

TEST(PutWal, KnowsTheSystemByItsArchiveToo) {
    test::WalOptions options;
    options.system_identifier += 1;
    options.first = {1, 4};
    test::WalBuilder foreign(options);
    foreign.fill_segment();
    box.archive(wal::Segment{1, 4}.name(options.size), compressed(foreign.segment(4), wal::Codec::gzip));
    CHECK(refusal(parcel(name, wal)) == ErrorCode::corrupt);
    nothing_stored();
}

TEST(PutWal, TakesTheSameBytesForASuccessWhereverTheyAre) {
    box.archive(name, compressed(wal, wal::Codec::zstd));
    CHECK(put(wal).result == Result::held);
    CHECK(put_stream(parcel(name, compressed(wal, wal::Codec::gzip))).result == Result::held);
    nothing_stored();
    std::filesystem::remove(wal::archive_path(box.server, name));
    box.streaming(name, wal);
    CHECK(put(wal).result == Result::held);
    nothing_stored();
    std::filesystem::remove(box.server.streaming_wals_directory / name);
    CHECK(put(wal).result == Result::stored);
    CHECK(put(wal).result == Result::held);
    LONGS_EQUAL(1, files_in(box.server.incoming_wals_directory));
}

TEST(PutWal, SyncsWhatItReliesOn) {
    box.incoming(name, wal);
    Steps steps;
    const ScopedFiles scoped(steps);
    CHECK(put(wal).result == Result::held);
    CHECK((steps.done == std::vector<std::string>{"write", "sync", "sync", "sync directory", "sync directory"}));
}

TEST(PutWal, KeepsOtherBytesAsideOnce) {
    const Path archived = wal::archive_path(box.server, name);
    box.archive(name, wal);
    const auto outcome = put(other);
    CHECK(outcome.result == Result::conflict);
    CHECK(outcome.where == archived);
    CHECK(read_file(outcome.aside).value() == other);
    CHECK(outcome.aside.filename().string().starts_with(name + "."));
    CHECK(outcome.aside.extension() == ".duplicate");
    CHECK(read_file(archived).value() == wal);
    LONGS_EQUAL(0, files_in(box.server.incoming_wals_directory));
    const auto again = put(other);  // a server sends until it is told that all is well
    CHECK(again.result == Result::conflict);
    CHECK(again.aside == outcome.aside);
    LONGS_EQUAL(1, files_in(box.server.errors_directory));
}

TEST(PutWal, ComparesWithEveryPlace) {
    box.streaming(name, wal);
    CHECK(put(other).result == Result::conflict);
    std::filesystem::remove(box.server.streaming_wals_directory / name);
    box.incoming(name, wal);
    CHECK(put(other).result == Result::conflict);
    CHECK(incoming() == wal);
}

TEST(PutWal, BringsAGoodCopyOfWhatIsDamagedInTheArchive) {
    std::string damaged = wal;
    damaged[300000] = static_cast<char>(damaged[300000] ^ 1);
    box.archive(name, damaged);
    CHECK(put(wal).result == Result::stored);
    CHECK(incoming() == wal);
}

TEST(PutWal, LeavesAloneWhatSomebodyElseIsStillWriting) {
    box.incoming(name, wal.substr(0, 100000));
    CHECK(refusal(parcel(name, wal)) == ErrorCode::busy);
    LONGS_EQUAL(100000, incoming().size());
    LONGS_EQUAL(1, files_in(box.server.incoming_wals_directory));
}

TEST(PutWal, TakesCompressedFilesAsTheyAre) {
    const std::string packed = compressed(wal, wal::Codec::xz);
    CHECK(put(packed).result == Result::stored);
    CHECK(incoming() == packed);
    LONGS_EQUAL(1, files_in(box.server.incoming_wals_directory));
}

TEST(PutWal, RefusesWhatGrowsWhenItIsUnpacked) {
    for (const std::string& plain : {wal + "x", std::string(4 << 20, '\0'), wal.substr(0, 50)}) {
        CHECK(refusal(parcel(name, compressed(plain, wal::Codec::gzip))) == ErrorCode::corrupt);
    }
    CHECK(refusal(parcel("00000002.history", compressed(std::string(2 << 20, '\n'), wal::Codec::bzip2))) ==
          ErrorCode::corrupt);
    const std::string packed = compressed(wal, wal::Codec::gzip);
    CHECK(refusal(parcel(name, packed.substr(0, packed.size() / 2))) == ErrorCode::corrupt);
    nothing_stored();
}

TEST(PutWal, KeepsTheTimeOfItsSourceAndNoLaterOne) {
    (void)put(wal);  // make_tar() gives none
    const auto written = std::filesystem::last_write_time(box.server.incoming_wals_directory / name);
    CHECK(std::filesystem::file_time_type::clock::now() - written < std::chrono::hours(1));
}

TEST(PutWal, RemovesWhatAKillHasLeftAndNothingThatIsInWork) {
    const Path left = box.server.incoming_wals_directory / ".put-1-1-wal.tmp";
    const Path worked_on = box.server.incoming_wals_directory / ".put-1-2-wal.tmp";
    const Path foreign = box.server.incoming_wals_directory / ".other.tmp";
    for (const Path& each : {left, worked_on, foreign}) write_file_durably(each, "x");
    const UniqueFd locked = files().open(worked_on, O_RDONLY);
    LONGS_EQUAL(0, ::flock(locked.get(), LOCK_EX | LOCK_NB));
    (void)put(wal);
    CHECK(std::filesystem::exists(left));  // it may be a minute old only, and not locked yet
    LandingFile::remove_leftovers(box.server.incoming_wals_directory, 0);
    CHECK(!std::filesystem::exists(left));
    CHECK(std::filesystem::exists(worked_on));
    CHECK(std::filesystem::exists(foreign));
}

TEST(PutWal, NeedsAServerThatTakesWal) {
    const auto refused = [this] { return refusal(parcel(name, wal)) == ErrorCode::refused; };
    box.server.archiver = false;
    CHECK(refused());
    box.server.archiver = true;
    box.server.active = false;
    CHECK(refused());
    box.server.active = true;
    box.server.disabled = true;
    CHECK(refused());
    nothing_stored();
}

TEST(PutWal, MakesNoDirectoriesWhereAVolumeIsAbsent) {
    std::filesystem::remove_all(box.server.incoming_wals_directory);
    CHECK(put(wal).result == Result::stored);
    box.server.incoming_wals_directory = box.server.backup_directory / "absent" / "incoming";
    CHECK(refusal(parcel(name, wal)) == ErrorCode::io);
    CHECK(!std::filesystem::exists(box.server.backup_directory / "absent"));
}
