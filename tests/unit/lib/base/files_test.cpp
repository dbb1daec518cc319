#include "lib/base/files.h"

#include <CppUTest/TestHarness.h>
#include <cerrno>
#include <vector>

#include "lib/base/error.h"

using namespace coffer;

namespace {

// Records the order of the durable steps, and fails the one it is told to.
class RecordingFiles : public Files {
  public:
    std::vector<std::string> steps;
    std::string fail_at;

    void append(int fd, ByteSpan data, const Path& path) override {
        step("write");
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
        steps.push_back(name);
        if (name == fail_at) throw Error::from_errno(ENOSPC, "cannot write", "test");
    }
};

}  // namespace

TEST_GROUP(Files) {
    Path directory;
    void setup() override {
        char name[] = "/tmp/coffer-files-XXXXXX";
        directory = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
};

TEST(Files, WritesDurablyInTheRightOrder) {
    RecordingFiles recorder;
    const ScopedFiles scope(recorder);
    write_file_durably(directory / "a", "content");
    const std::vector<std::string> expected{"write", "sync", "rename", "sync directory"};
    CHECK(recorder.steps == expected);
    STRCMP_EQUAL("content", read_file(directory / "a")->c_str());
}

TEST(Files, KeepsTheOldFileWhenAStepBeforeTheRenameFails) {
    write_file_durably(directory / "a", "old");
    for (const char* step : {"write", "sync", "rename"}) {
        RecordingFiles recorder;
        recorder.fail_at = step;
        const ScopedFiles scope(recorder);
        try {
            write_file_durably(directory / "a", "new");
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::no_space);
        }
        STRCMP_EQUAL("old", read_file(directory / "a")->c_str());
        LONGS_EQUAL(1, std::distance(std::filesystem::directory_iterator(directory), {}));
    }
}

TEST(Files, AnAbsentFileIsNoError) {
    CHECK(!read_file(directory / "none").has_value());
}
