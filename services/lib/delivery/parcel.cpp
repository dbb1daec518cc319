#include "lib/delivery/parcel.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/admission.h"
#include "lib/wal/codec.h"
#include "lib/wal/segment_check.h"

namespace coffer::delivery {
namespace {

using wal::FileKind;

constexpr std::uint64_t largest_sums = 64 << 10;
constexpr std::uint64_t largest_text = 1 << 20;    // of a history, or a backup label
constexpr std::uint64_t largest_behind = 1 << 20;  // zeros behind the last member; usual are 10 KB
constexpr std::size_t front_size = 64;             // holds a long page header

constexpr const char* whole_again =
    "send it again; if that does not help, look at what lies between the sender and here";

[[noreturn]] void refuse(const std::string& what, const std::string& where, const char* remedy = "") {
    throw Error(ErrorCode::corrupt, what, where, remedy);
}

// A name is shown as it came, but for what would spoil a terminal or a log.
std::string shown(std::string_view name) {
    std::string text(name.substr(0, 200));
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return text;
}

bool is_segment(FileKind kind) {
    return kind == FileKind::segment || kind == FileKind::partial;
}

// The first bytes of a segment say how large it is, and which.
class Front {
  public:
    Front(const Parcel& parcel) : parcel_(parcel), wanted_(is_segment(wal::kind_of(parcel.name))) {}

    void look(ByteSpan bytes) {
        if (!wanted_) return;
        const std::size_t more = std::min(bytes.size(), front_size - filled_);
        std::memcpy(front_.data() + filled_, bytes.data(), more);
        filled_ += more;
        if (filled_ < std::min<std::uint64_t>(front_size, parcel_.size)) return;
        wanted_ = false;
        judge(ByteSpan(front_).first(filled_));
    }

  private:
    void judge(ByteSpan front) const {
        if (wal::detect_codec(front) != wal::Codec::none) return;  // judged when it is unpacked
        const auto identity = wal::identify_segment(front);
        if (!identity) refuse("what was sent does not begin as a WAL segment does", parcel_.name);
        const auto segment = wal::Segment::parse(std::string_view(parcel_.name).substr(0, 24), identity->size);
        if (!segment || segment->begin(identity->size) != identity->address) {
            refuse(fmt::format("what was sent is another segment: it begins at {}", identity->address.to_string()),
                   parcel_.name);
        }
        if (parcel_.size != identity->size.bytes()) {
            refuse(fmt::format("what was sent has {} bytes instead of {}", parcel_.size, identity->size.bytes()),
                   parcel_.name);
        }
    }

    const Parcel& parcel_;
    bool wanted_;
    std::array<std::byte, front_size> front_{};
    std::size_t filled_ = 0;
};

class Reading {
  public:
    Reading(image::TarReader::Pull pull, const std::function<void(ByteSpan)>& sink)
        : pull_(std::move(pull)), sink_(sink) {}

    Parcel read() {
        {
            image::TarReader reader = open();
            while (const auto member = reader.next()) take(reader, *member);
        }
        drain();
        if (parcel_.name.empty()) refuse("no WAL file was sent", "", whole_again);
        if (sums_.empty()) {
            refuse("no checksum was sent with the WAL file, or the stream was cut off", parcel_.name,
                   "send SHA256SUMS or MD5SUMS behind it");
        }
        read_sums();
        return std::move(parcel_);
    }

  private:
    image::TarReader open() {
        try {
            return image::TarReader([this] { return pull(); });
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            refuse(begun_ ? "what was sent is no tar: " + error.fact() : "nothing was sent", "",
                   "a tar stream with one WAL file and its checksum is wanted");
        }
    }

    ByteSpan pull() {
        const ByteSpan piece = ended_ ? ByteSpan() : pull_();
        if (piece.empty()) ended_ = true;
        if (!piece.empty()) begun_ = true;
        return piece;
    }

    void take(image::TarReader& reader, const image::Member& member) {
        const std::string& name = member.path;
        const std::string told = shown(name);
        if (member.type != image::Member::Type::file) refuse("something other than a file was sent", told);
        if (name == "MD5SUMS" || name == "SHA256SUMS") return take_sums(reader, member);
        const FileKind kind = wal::kind_of(name);
        if (kind == FileKind::unknown || kind == FileKind::temporary) {
            refuse("a file was sent with a name that no WAL file has", told, "only WAL files can be put");
        }
        if (!parcel_.name.empty()) refuse("several files were sent", told, "send each by a call of its own");
        if (member.size == 0) refuse("the file that was sent is empty", told);
        if (member.size > (is_segment(kind) ? wal::largest_wal_file : largest_text)) {
            refuse(fmt::format("the file that was sent has {} bytes, too many for its kind", member.size), told);
        }
        parcel_.name = name;
        parcel_.size = member.size;
        parcel_.modified_ns = member.modified_ns;
        Front front(parcel_);
        for (ByteSpan bytes = reader.data(); !bytes.empty(); bytes = reader.data()) {
            front.look(bytes);
            sink_(bytes);
        }
    }

    void take_sums(image::TarReader& reader, const image::Member& member) {
        if (!sums_.empty()) refuse("two files of checksums were sent", member.path);
        if (member.size == 0 || member.size > largest_sums) refuse("this is no file of checksums", member.path);
        parcel_.hash = member.path == "MD5SUMS" ? Hash::md5 : Hash::sha256;
        for (ByteSpan bytes = reader.data(); !bytes.empty(); bytes = reader.data())
            sums_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

    // Who sends is not to find the door shut before it has ended its stream.
    void drain() {
        std::uint64_t behind = 0;
        for (ByteSpan piece = pull(); !piece.empty(); piece = pull()) {
            behind += piece.size();
            if (behind > largest_behind) refuse("the stream goes on behind its end", shown(parcel_.name));
        }
    }

    // As md5sum(1) and sha256sum(1) write it: digits, blank, blank or "*", name.
    void read_sums() {
        const std::size_t digits = parcel_.hash == Hash::md5 ? 32 : 64;
        std::string_view rest = sums_;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
            if (line.empty()) continue;
            take_sum(line, digits);
        }
        if (parcel_.checksum.empty()) refuse("there is no checksum for the file that was sent", parcel_.name);
    }

    void take_sum(std::string_view line, std::size_t digits) {
        constexpr std::string_view hex = "0123456789abcdefABCDEF";
        const std::string_view sum = line.substr(0, digits);
        const bool form = line.size() > digits + 2 && sum.find_first_not_of(hex) == std::string_view::npos &&
                          line[digits] == ' ' && (line[digits + 1] == ' ' || line[digits + 1] == '*');
        if (!form) refuse("this is no line of checksums: " + shown(line), parcel_.name);
        std::string_view name = line.substr(digits + 2);
        if (name.starts_with("./")) name.remove_prefix(2);
        if (name != parcel_.name) refuse("there is a checksum for a file that was not sent", shown(name));
        std::string wanted(sum);
        std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                       [](char c) { return static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c); });
        if (!parcel_.checksum.empty() && parcel_.checksum != wanted)
            refuse("there are two checksums for the file that was sent", parcel_.name);
        parcel_.checksum = std::move(wanted);
    }

    image::TarReader::Pull pull_;
    const std::function<void(ByteSpan)>& sink_;
    bool begun_ = false, ended_ = false;
    Parcel parcel_;
    std::string sums_;
};

}  // namespace

Parcel read_parcel(image::TarReader::Pull pull, const std::function<void(ByteSpan)>& sink) {
    return Reading(std::move(pull), sink).read();
}

void verify_parcel(const Parcel& parcel, ByteSpan bytes) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    const EVP_MD* kind = parcel.hash == Hash::md5 ? EVP_md5() : EVP_sha256();
    if (!context || EVP_DigestInit_ex(context.get(), kind, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) {
        throw Error(ErrorCode::not_supported, "this system cannot compute the checksum that was sent", parcel.name,
                    parcel.hash == Hash::md5 ? "send SHA256SUMS" : "");
    }
    const std::string found = fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + length, ""));
    if (found == parcel.checksum) return;
    refuse(fmt::format("the checksum of what arrived is {}, and should be {}", found, parcel.checksum), parcel.name,
           whole_again);
}

}  // namespace coffer::delivery
