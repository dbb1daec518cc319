#include "lib/wal/archived_check.h"

#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/page_header.h"

namespace coffer::wal {
namespace {

using Result = ArchivedCheck::Result;

// All magics of PostgreSQL so far begin with D, those up to version 11 with D0.
bool is_of_unknown_version(ByteSpan plain) {
    const auto header = read_page_header(plain);
    return header && (header->magic & 0xF000) == 0xD000 && major_version_of(header->magic) == 0;
}

ArchivedCheck as_it_says_itself(const std::string& name, ByteSpan plain, const FormKnown& form_known) {
    KnownSystem itself;
    const FileKind kind = kind_of(name);
    const bool is_segment = kind == FileKind::segment || kind == FileKind::partial;
    const auto identity = is_segment ? identify_segment(plain) : std::nullopt;
    if (is_segment && is_of_unknown_version(plain)) return {Result::opaque, "is of an unknown version", {}};
    if (identity) itself.system_identifier = identity->system_identifier;
    const auto refusal = refusal_of(name, plain, itself);
    if (!refusal) return {Result::sound, {}, proof_of(plain)};
    const bool tells = identity.has_value() || form_known();
    return {tells ? Result::damaged : Result::opaque, *refusal, {}};
}

struct Unpacked {
    ArchivedCheck check;
    std::string unpacked;  // empty where it was not compressed
};

Unpacked check(const Path& path, const std::string& name, ByteSpan stored, const FormKnown& form_known) {
    const auto kept = kept_proof(path);
    std::string unpacked;
    ByteSpan plain = stored;
    if (detect_codec(stored) != Codec::none) {
        try {
            unpacked = decompress(stored, largest_wal_file, path);
            plain = as_byte_span(unpacked);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            return {{kept || form_known() ? Result::damaged : Result::opaque, error.fact(), {}}, {}};
        }
    }
    if (!kept) return {as_it_says_itself(name, plain, form_known), std::move(unpacked)};
    const Proof found = proof_of(plain);
    if (found == *kept) return {{Result::sound, {}, found}, std::move(unpacked)};
    // It says where, if it can.
    const ArchivedCheck itself = as_it_says_itself(name, plain, [] { return true; });
    const bool bad = itself.result == Result::damaged;
    return {{Result::damaged, bad ? itself.fault : "has other bytes than were archived", {}}, {}};
}

}  // namespace

ArchivedCheck check_archived(const Path& path, ByteSpan stored, const FormKnown& form_known) {
    return check(path, path.filename().string(), stored, form_known).check;
}

std::optional<std::string> sound_content(const Path& path, const std::string& name, ByteSpan stored) {
    Unpacked found = check(path, name, stored, [] { return false; });
    if (found.check.result != Result::sound) return std::nullopt;
    if (detect_codec(stored) != Codec::none) return std::move(found.unpacked);
    return std::string(reinterpret_cast<const char*>(stored.data()), stored.size());
}

bool is_known_form(const XlogLine& line) noexcept {
    return line.encryption.empty() && (line.compression.empty() || config::codec_named(line.compression));
}

}  // namespace coffer::wal
