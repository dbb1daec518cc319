#include "lib/image/backup_stream.h"

#include <charconv>

#include "lib/base/error.h"

namespace coffer::image {
namespace {

Error bad_stream(const char* what) {
    return Error(ErrorCode::protocol, std::string("the server's base backup ") + what, {},
                 "check that this is a PostgreSQL of version 13 to 18");
}

// A text that ends with a zero byte.
std::string take_text(ByteSpan& rest) {
    const std::string_view all(reinterpret_cast<const char*>(rest.data()), rest.size());
    const std::size_t end = all.find('\0');
    if (end == all.npos) throw bad_stream("has a message that is cut off");
    rest = rest.subspan(end + 1);
    return std::string(all.substr(0, end));
}

// "16384.tar" is a tablespace, "base.tar" is not.
std::optional<std::uint32_t> oid_of(const std::string& archive) {
    if (archive == "base.tar") return std::nullopt;
    std::uint32_t oid = 0;
    const char* const end = archive.data() + archive.size();
    const auto got = std::from_chars(archive.data(), end, oid);
    if (got.ec != std::errc() || oid == 0 || std::string_view(got.ptr, end) != ".tar") {
        throw bad_stream("has an archive with an unknown name");
    }
    return oid;
}

class CopiesStream : public BackupStream {
  public:
    CopiesStream(MessageSource& source, std::vector<TablespaceRow> tablespaces)
        : source_(source), tablespaces_(std::move(tablespaces)) {}

    std::optional<Section> next_section() override {
        if (position_ > tablespaces_.size()) return std::nullopt;
        Section section;
        section.manifest = position_ == tablespaces_.size();
        if (!section.manifest) section.tablespace = tablespaces_[position_].oid;
        ++position_;
        source_.begin_copy();
        return section;
    }

    ByteSpan data() override {
        while (const auto message = source_.next()) {
            if (!message->empty()) return *message;
        }
        return {};
    }

  private:
    MessageSource& source_;
    std::vector<TablespaceRow> tablespaces_;
    std::size_t position_ = 0;
};

class MessagesStream : public BackupStream {
  public:
    explicit MessagesStream(MessageSource& source) : source_(source) {}

    std::optional<Section> next_section() override {
        if (!begun_) {
            source_.begin_copy();
            begun_ = true;
            if (!data().empty()) throw bad_stream("has data outside of an archive");
        }
        return std::exchange(pending_, std::nullopt);
    }

    ByteSpan data() override {
        while (!pending_ && !ended_) {
            const auto bytes = source_.next();
            if (!bytes) {
                ended_ = true;
                break;
            }
            const BackupMessage message = parse_backup_message(*bytes);
            if (const auto* const archive = std::get_if<NewArchive>(&message)) {
                pending_ = Section{false, oid_of(archive->name)};
            } else if (std::holds_alternative<ManifestBegins>(message)) {
                pending_ = Section{true, {}};
            } else if (const auto* const data = std::get_if<ArchiveData>(&message); data && !data->bytes.empty()) {
                return data->bytes;
            }
        }
        return {};
    }

  private:
    MessageSource& source_;
    bool begun_ = false;
    bool ended_ = false;
    std::optional<Section> pending_;  // announced, while the one before is at its end
};

}  // namespace

BackupMessage parse_backup_message(ByteSpan message) {
    if (message.empty()) throw bad_stream("has an empty message");
    ByteSpan rest = message.subspan(1);
    switch (std::to_integer<char>(message[0])) {
        case 'n': {
            NewArchive archive;
            archive.name = take_text(rest);
            archive.location = take_text(rest);
            return archive;
        }
        case 'm':
            return ManifestBegins{};
        case 'd':
            return ArchiveData{rest};
        case 'p': {
            if (rest.size() != 8) throw bad_stream("has a message that is cut off");
            ProgressNote progress;
            for (const std::byte byte : rest)
                progress.bytes = (progress.bytes << 8) | std::to_integer<std::uint64_t>(byte);
            return progress;
        }
        default:
            throw bad_stream("has a message of an unknown kind");
    }
}

std::unique_ptr<BackupStream> stream_of_copies(MessageSource& source, std::vector<TablespaceRow> tablespaces) {
    return std::make_unique<CopiesStream>(source, std::move(tablespaces));
}

std::unique_ptr<BackupStream> stream_of_messages(MessageSource& source) {
    return std::make_unique<MessagesStream>(source);
}

}  // namespace coffer::image
