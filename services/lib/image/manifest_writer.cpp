#include "lib/image/manifest_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/image/file_parts.h"
#include "lib/image/sha256.h"

namespace coffer::image {
namespace {

constexpr std::size_t buffer_size = 1 << 16;

// As JSON writes it, quotes and all; nullopt where the bytes are no UTF-8.
std::optional<std::string> json_text(const std::string& text) {
    try {
        return nlohmann::json(text).dump();
    } catch (const nlohmann::json::type_error&) {
        return std::nullopt;
    }
}

std::string name_of(const std::string& path) {
    if (const auto text = json_text(path)) return "\"Path\": " + *text;
    std::string hex;
    for (const unsigned char c : path) hex += fmt::format("{:02x}", c);
    return "\"Encoded-Path\": \"" + hex + '"';
}

}  // namespace

class ManifestWriter::Sink {
  public:
    explicit Sink(const Path& path) : path_(replacement_of(path)) {
        files().unlink(path_);
        fd_ = files().open(path_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    }
    ~Sink() {
        if (fd_) ::unlink(path_.c_str());
    }
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;

    void add(std::string_view text) {
        hash_.add(text);
        add_unhashed(text);
    }
    void add_unhashed(std::string_view text) {
        buffer_ += text;
        if (buffer_.size() >= buffer_size) flush();
    }
    std::string hash() { return hash_.hex(); }
    void finish(const Path& path) {
        flush();
        files().rename(path_, path);
        fd_.reset();
    }

  private:
    void flush() {
        files().append(fd_.get(), as_byte_span(buffer_), path_);
        buffer_.clear();
    }

    const Path path_;
    UniqueFd fd_;
    std::string buffer_;
    Sha256 hash_;
};

ManifestWriter::ManifestWriter(Path path, std::optional<std::uint64_t> system_identifier)
    : path_(std::move(path)), sink_(std::make_unique<Sink>(path_)) {
    sink_->add(fmt::format("{{ \"PostgreSQL-Backup-Manifest-Version\": {},\n", system_identifier ? 2 : 1));
    if (system_identifier) sink_->add(fmt::format("\"System-Identifier\": {},\n", *system_identifier));
    sink_->add("\"Files\": [");
}

ManifestWriter::~ManifestWriter() = default;

void ManifestWriter::add(const ManifestFile& file) {
    sink_->add(fmt::format("{}\n{{ {}, \"Size\": {}, \"Last-Modified\": {}", any_ ? "," : "", name_of(file.path),
                           file.size, json_text(file.modified).value_or("\"\"")));
    if (!file.algorithm.empty()) {
        sink_->add(
            fmt::format(", \"Checksum-Algorithm\": \"{}\", \"Checksum\": \"{}\"", file.algorithm, file.checksum));
    }
    sink_->add(" }");
    any_ = true;
}

std::string ManifestWriter::finish(const std::vector<WalRange>& wal_ranges) {
    sink_->add("\n],\n\"WAL-Ranges\": [");
    for (std::size_t i = 0; i < wal_ranges.size(); ++i) {
        sink_->add(fmt::format("{}\n{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}",
                               i == 0 ? "" : ",", wal_ranges[i].timeline, wal_ranges[i].begin.to_string(),
                               wal_ranges[i].end.to_string()));
    }
    sink_->add("\n],\n");
    const std::string checksum = sink_->hash();
    sink_->add_unhashed(fmt::format("\"Manifest-Checksum\": \"{}\"}}\n", checksum));
    sink_->finish(path_);
    return checksum;
}

std::string change_manifest(const Path& manifest, const ManifestChanges& changes) {
    // Its head stands behind the files in our reading, and the system identifier before them in the file.
    const ManifestHead head = read_manifest(manifest, [](const ManifestFile&) {});
    ManifestWriter writer(manifest, head.system_identifier);
    (void)read_manifest(manifest, [&](ManifestFile file) {
        if (const auto change = changes.find(file.path); change != changes.end()) {
            file.path = change->second.path;
            file.size = change->second.size;
            file.algorithm = "CRC32C";
            file.checksum = manifest_crc32c(change->second.crc32c);
        }
        writer.add(file);
    });
    return writer.finish(head.wal_ranges);
}

}  // namespace coffer::image
