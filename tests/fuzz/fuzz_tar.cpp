// The server's messages, the tar archives in them, and what is written of them.
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/image/backup_stream.h"
#include "lib/image/tree_writer.h"

namespace {

using namespace coffer;

// Each message: its length (two bytes, little-endian), then its bytes.
class FuzzedMessages : public image::MessageSource {
  public:
    explicit FuzzedMessages(ByteSpan data) : rest_(data) {}
    void begin_copy() override {}
    std::optional<ByteSpan> next() override {
        if (rest_.size() < 2) return std::nullopt;
        const std::size_t wanted =
            std::to_integer<std::size_t>(rest_[0]) | (std::to_integer<std::size_t>(rest_[1]) << 8);
        rest_ = rest_.subspan(2);
        const ByteSpan message = rest_.first(std::min(wanted, rest_.size()));
        rest_ = rest_.subspan(message.size());
        return message;
    }

  private:
    ByteSpan rest_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    char name[] = "/dev/shm/coffer-fuzz-tar-XXXXXX";
    const Path directory = ::mkdtemp(name);
    try {
        FuzzedMessages messages(std::as_bytes(std::span(data, size)));
        const auto stream = image::stream_of_messages(messages);
        image::TreeWriter writer(directory, Lsn{1000});
        while (const auto section = stream->next_section()) {
            if (section->manifest) continue;
            writer.begin_archive(section->tablespace);
            image::TarReader reader([&stream] { return stream->data(); });
            writer.write(reader);
            while (!stream->data().empty()) {
            }
        }
    } catch (const Error&) {  // every refusal is right, a crash is not
    }
    std::filesystem::remove_all(directory);
    return 0;
}
