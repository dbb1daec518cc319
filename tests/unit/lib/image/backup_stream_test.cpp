#include "lib/image/backup_stream.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "lib/image/base_backup.h"

using namespace coffer;
using namespace coffer::image;
using namespace std::string_literals;

namespace {

// Plays COPYs, each a list of messages.
class Recorded : public MessageSource {
  public:
    explicit Recorded(std::vector<std::vector<std::string>> copies) : copies_(std::move(copies)) {}
    void begin_copy() override {
        CHECK(copy_ < copies_.size());
        ++copy_;
        message_ = 0;
    }
    std::optional<ByteSpan> next() override {
        const auto& messages = copies_[copy_ - 1];
        if (message_ == messages.size()) return std::nullopt;
        return as_byte_span(messages[message_++]);
    }

  private:
    std::vector<std::vector<std::string>> copies_;
    std::size_t copy_ = 0;
    std::size_t message_ = 0;
};

// "base:abc 16384:de manifest:{}"
std::string told(BackupStream& stream) {
    std::string text;
    while (const auto section = stream.next_section()) {
        if (!text.empty()) text += " ";
        text += section->manifest ? "manifest" : section->tablespace ? std::to_string(*section->tablespace) : "base";
        text += ":";
        for (ByteSpan data = stream.data(); !data.empty(); data = stream.data()) {
            text.append(reinterpret_cast<const char*>(data.data()), data.size());
        }
    }
    return text;
}

}  // namespace

TEST_GROUP(BackupStream){};

TEST(BackupStream, TellsTheMessagesOfNewServersApart) {
    Recorded source({{"n16384.tar\0/srv/space\0"s, "dde", "p\0\0\0\0\0\0\0\2"s, "d", "nbase.tar\0\0"s, "da", "dbc", "m",
                      "d{", "d}"}});
    STRCMP_EQUAL("16384:de base:abc manifest:{}", told(*stream_of_messages(source)).c_str());
}

TEST(BackupStream, TakesOneCopyPerArchiveFromOldServers) {
    Recorded source({{"d", "e"}, {"abc", ""}, {"{}"}});
    const auto stream = stream_of_copies(source, {{16384, "/srv/space", 0}, {std::nullopt, "", 0}});
    STRCMP_EQUAL("16384:de base:abc manifest:{}", told(*stream).c_str());
}

TEST(BackupStream, ReportsProgressInBigEndian) {
    const BackupMessage message = parse_backup_message(as_byte_span("p\0\0\0\0\0\1\0\2"s));
    LONGS_EQUAL(65538, std::get<ProgressNote>(message).bytes);
}

TEST(BackupStream, RefusesMessagesThatItDoesNotKnow) {
    for (const std::string& message : {""s, "x"s, "nbase.tar"s, "nbase.tar\0"s, "p123"s}) {
        CHECK_THROWS(Error, parse_backup_message(as_byte_span(message)));
    }
    for (const std::string& name :
         {"n0.tar\0\0"s, "nabc.tar\0\0"s, "n12.tar.gz\0\0"s, "n99999999999.tar\0\0"s, "n\0\0"s}) {
        Recorded source({{name}});
        CHECK_THROWS(Error, told(*stream_of_messages(source)));
    }
    Recorded early({{"ddata before any archive"}});
    CHECK_THROWS(Error, told(*stream_of_messages(early)));
}

TEST(BackupStream, AsksInTheDialectOfTheServer) {
    BaseBackupOptions options;
    options.label = "it's";
    STRCMP_EQUAL(
        "BASE_BACKUP (LABEL 'it''s', PROGRESS, CHECKPOINT 'spread', WAIT 0, MANIFEST 'yes', MANIFEST_CHECKSUMS "
        "'CRC32C', "
        "VERIFY_CHECKSUMS 0)",
        base_backup_command(15, options).c_str());
    options.fast_checkpoint = true;
    options.max_rate_kb = 10;
    STRCMP_EQUAL(
        "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT MAX_RATE 32 MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C' "
        "NOVERIFY_CHECKSUMS",
        base_backup_command(14, options).c_str());
    options.server_verifies = true;
    STRCMP_CONTAINS("VERIFY_CHECKSUMS 1)", base_backup_command(18, options).c_str());
    CHECK(base_backup_command(14, options).find("NOVERIFY") == std::string::npos);
}
