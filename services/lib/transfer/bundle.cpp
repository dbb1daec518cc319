#include "lib/transfer/bundle.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/image/sha256.h"

namespace coffer::transfer {
namespace {

using nlohmann::json;

constexpr std::size_t hash_digits = 16;  // in the name of the file

std::string escaped(std::string_view path) {
    std::string text;
    for (const char c : path) {
        if (c > ' ' && c < '\x7f' && c != '%') {
            text += c;
        } else {
            text += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        }
    }
    return text;
}

char letter_of(Entry::Type type) {
    switch (type) {
        case Entry::Type::file:
            return 'F';
        case Entry::Type::directory:
            return 'D';
        case Entry::Type::symlink:
            return 'L';
    }
    return '?';
}

std::uint64_t number(const json& object, const char* key, const std::string& where) {
    const auto value = object.find(key);
    if (value == object.end() || !value->is_number_unsigned())
        throw Error(ErrorCode::corrupt, fmt::format("the head of the export has no valid {}", key), where);
    return value->get<std::uint64_t>();
}

std::string text_of(const json& object, const char* key, const std::string& where) {
    const auto value = object.find(key);
    if (value == object.end() || !value->is_string())
        throw Error(ErrorCode::corrupt, fmt::format("the head of the export has no valid {}", key), where);
    return value->get<std::string>();
}

}  // namespace

std::string Header::format() const {
    const json object{{"format", known_format}, {"server", server}, {"backup_id", backup_id},
                      {"systemid", systemid},   {"bytes", bytes},   {"written_by", COFFER_VERSION}};
    return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Header Header::parse(std::string_view text, const std::string& where) {
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object()) throw Error(ErrorCode::corrupt, "the head of the export is no JSON object", where);
    const std::uint64_t format = number(object, "format", where);
    if (format > known_format) {
        throw Error(ErrorCode::not_supported,
                    fmt::format("the export has version {}, this program (Coffer {}) knows version {}", format,
                                COFFER_VERSION, known_format),
                    where, "upgrade Coffer on this box to the version that wrote it, or a newer one");
    }
    Header header{text_of(object, "server", where), text_of(object, "backup_id", where),
                  number(object, "systemid", where), number(object, "bytes", where)};
    if (!catalogue::is_backup_id(header.backup_id))
        throw Error(ErrorCode::corrupt, "the head of the export names no backup", where);
    return header;
}

std::string Entry::index_line() const {
    return fmt::format("{} {} {} {:o} {} {} {} {}\n", letter_of(type), sha256, size, mode, uid, gid, modified_ns,
                       escaped(path));
}

std::string stem_of(const Header& header, std::string_view index_hash) {
    return fmt::format("{}-{}-{}", header.server, header.backup_id, index_hash.substr(0, hash_digits));
}

bool stays_inside(std::string_view path, const std::string& target) {
    const Path to(target);
    if (to.empty() || to.is_absolute()) return false;
    const Path normal = (Path(path).parent_path() / to).lexically_normal();
    return !normal.empty() && *normal.begin() != ".." && *normal.begin() != ".";
}

}  // namespace coffer::transfer
