#include "lib/image/manifest.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/image/sha256.h"

namespace coffer::image {
namespace {

using nlohmann::json;

Error bad(std::string what) {
    return Error(ErrorCode::corrupt, "the backup manifest " + std::move(what), {}, "take another backup");
}

template <typename Number>
std::optional<Number> number_of(const std::string& text) {
    Number number = 0;
    const auto got = std::from_chars(text.data(), text.data() + text.size(), number);
    if (got.ec != std::errc() || got.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string from_hex(const std::string& hex) {
    std::string bytes;
    if (hex.size() % 2 != 0) throw bad("has a file name that is not hexadecimal");
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        unsigned value = 0;
        const auto got = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
        if (got.ec != std::errc() || got.ptr != hex.data() + i + 2)
            throw bad("has a file name that is not hexadecimal");
        bytes += static_cast<char>(value);
    }
    return bytes;
}

// Follows the one shape that a manifest has: an object of scalars, and in "Files" and "WAL-Ranges" lists of flat
// objects.
class Handler : public nlohmann::json_sax<json> {
  public:
    explicit Handler(const OnManifestFile& on_file) : on_file_(on_file) {}

    bool key(string_t& name) override {
        (depth_ == 1 ? section_ : field_) = name;
        return true;
    }
    bool start_object(std::size_t) override {
        if (depth_ != 0 && depth_ != 2) throw bad("is nested in a way it cannot be");
        ++depth_;
        return true;
    }
    bool end_object() override {
        if (depth_ == 3) end_item();
        --depth_;
        return true;
    }
    bool start_array(std::size_t) override {
        if (depth_ != 1) throw bad("is nested in a way it cannot be");
        ++depth_;
        return true;
    }
    bool end_array() override {
        --depth_;
        return true;
    }
    bool string(string_t& value) override {
        if (depth_ == 1 && section_ == "Manifest-Checksum") {
            head.checksum = value;
        } else if (depth_ == 1 && section_ == "System-Identifier") {
            return number_unsigned(number_of<std::uint64_t>(value).value_or(0));
        } else if (depth_ == 3) {
            field_text(value);
        }
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (depth_ == 1 && section_ == "PostgreSQL-Backup-Manifest-Version") head.version = value;
        if (depth_ == 1 && section_ == "System-Identifier") head.system_identifier = value;
        if (depth_ == 3 && field_ == "Size") {
            file_.size = value;
            has_size_ = true;
        }
        if (depth_ == 3 && field_ == "Timeline") range_.timeline = static_cast<TimelineId>(value);
        return true;
    }
    bool number_integer(number_integer_t) override { throw bad("has a number that cannot be"); }
    bool number_float(number_float_t, const string_t&) override { throw bad("has a number that cannot be"); }
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        throw bad(fmt::format("is no JSON at byte {}", position));
    }

    ManifestHead head;

  private:
    void field_text(const std::string& value) {
        if (field_ == "Path") file_.path = value;
        if (field_ == "Encoded-Path") file_.path = from_hex(value);
        if (field_ == "Last-Modified") file_.modified = value;
        if (field_ == "Checksum-Algorithm") file_.algorithm = value;
        if (field_ == "Checksum") file_.checksum = value;
        if (field_ == "Start-LSN") range_.begin = lsn(value);
        if (field_ == "End-LSN") range_.end = lsn(value);
    }
    static Lsn lsn(const std::string& text) {
        const auto lsn = Lsn::parse(text);
        if (!lsn) throw bad("has an LSN that is none");
        return *lsn;
    }
    void end_item() {
        if (section_ == "Files") {
            if (file_.path.empty() || !has_size_) throw bad("has a file without name or size");
            on_file_(file_);
        } else if (section_ == "WAL-Ranges") {
            if (head.wal_ranges.size() >= 100000) throw bad("has far too many ranges of wal");
            head.wal_ranges.push_back(range_);
        }
        file_ = {};
        range_ = {};
        has_size_ = false;
    }

    const OnManifestFile& on_file_;
    int depth_ = 0;
    std::string section_;
    std::string field_;
    ManifestFile file_;
    WalRange range_;
    bool has_size_ = false;
};

// The last line holds the checksum of all lines before it.
class LastLine {
  public:
    // Data in order. Everything up to the line break before the last line goes into the hash.
    void add(std::string_view data) {
        tail_ += data;
        const std::size_t last = tail_.rfind('\n');
        const std::size_t before =
            last == std::string::npos || last == 0 ? std::string::npos : tail_.rfind('\n', last - 1);
        if (before != std::string::npos) {
            hash_.add(std::string_view(tail_).substr(0, before + 1));
            tail_.erase(0, before + 1);
        }
        if (tail_.size() > (64U << 20)) throw bad("has a line that is far too long");
    }
    void compare(const std::string& checksum) {
        if (tail_.empty() || tail_.back() != '\n') throw bad("is cut off");
        if (tail_.find("Manifest-Checksum") == std::string::npos || hash_.hex() != checksum) {
            throw bad("does not match its own checksum");
        }
    }

  private:
    Sha256 hash_;
    std::string tail_;
};

void check_head(const ManifestHead& head) {
    if (head.version != 1 && head.version != 2)
        throw bad(fmt::format("has version {}, which is unknown", head.version));
    if (head.checksum.size() != 64) throw bad("has no checksum of its own");
}

// Adds up to ten names of each kind.
class Differences {
  public:
    void add(const char* kind, const std::string& path) {
        if (++count_ <= 10) text_ += fmt::format("{}{} ({})", text_.empty() ? "" : ", ", path, kind);
    }
    void throw_if_any() const {
        if (count_ == 0) return;
        throw Error(
            ErrorCode::corrupt,
            fmt::format("{} files are not as the backup manifest says: {}{}", count_, text_, count_ > 10 ? ", …" : ""),
            {}, "take another backup; if it happens again, test network and memory of both machines");
    }

  private:
    std::size_t count_ = 0;
    std::string text_;
};

}  // namespace

std::optional<std::uint32_t> crc32c_of(const ManifestFile& file) {
    if (file.algorithm != "CRC32C" || file.checksum.size() != 8) return std::nullopt;
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        unsigned byte = 0;
        const char* const at = file.checksum.data() + 2 * i;
        const auto got = std::from_chars(at, at + 2, byte, 16);
        if (got.ec != std::errc() || got.ptr != at + 2) return std::nullopt;
        crc |= byte << (8 * i);
    }
    return crc;
}

std::string manifest_crc32c(std::uint32_t crc) {
    return fmt::format("{:02x}{:02x}{:02x}{:02x}", crc & 0xFF, (crc >> 8) & 0xFF, (crc >> 16) & 0xFF, crc >> 24);
}

ManifestHead parse_manifest(std::string_view text, const OnManifestFile& on_file, bool verify_checksum) {
    Handler handler(on_file);
    json::sax_parse(text, &handler);
    check_head(handler.head);
    if (verify_checksum) {
        LastLine last;
        last.add(text);
        last.compare(handler.head.checksum);
    }
    return handler.head;
}

ManifestHead read_manifest(const Path& path, const OnManifestFile& on_file) {
    try {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
        if (!file) throw Error::from_errno(errno, "cannot open file", path.string());
        LastLine last;
        char buffer[65536];
        while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) last.add({buffer, got});
        if (std::ferror(file.get()) != 0) throw Error::from_errno(errno, "cannot read file", path.string());
        std::rewind(file.get());
        Handler handler(on_file);
        json::sax_parse(file.get(), &handler);
        check_head(handler.head);
        last.compare(handler.head.checksum);
        return handler.head;
    } catch (const Error& error) {
        if (!error.where().empty()) throw;
        throw Error(error.code(), error.fact(), path.string(), error.remedy());
    }
}

ManifestHead compare_with_manifest(const Path& manifest, const ReceivedFiles& received) {
    Differences differences;
    std::unordered_set<std::string_view> listed;
    const ManifestHead head = read_manifest(manifest, [&](const ManifestFile& file) {
        const auto found = received.find(file.path);
        if (found == received.end()) return differences.add("missing", file.path);
        if (!listed.insert(found->first).second) return differences.add("listed twice", file.path);
        if (found->second.size != file.size) return differences.add("size", file.path);
        if (file.algorithm != "CRC32C") return differences.add("no CRC32C to compare", file.path);
        if (file.checksum != manifest_crc32c(found->second.crc32c)) differences.add("checksum", file.path);
    });
    for (const auto& [path, file] : received) {
        if (listed.count(path) == 0 && path != "backup_manifest" && !path.starts_with("pg_wal/")) {
            differences.add("not in the manifest", path);
        }
    }
    differences.throw_if_any();
    return head;
}

}  // namespace coffer::image
