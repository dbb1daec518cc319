#pragma once
// What a sender of WAL sends, right or wrong: for the tests of who takes it.
#include <openssl/evp.h>

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lib/image/tar_reader.h"
#include "tests/unit/lib/image/tar_fixture.h"

namespace coffer::delivery::tests {

inline std::string checksum(const std::string& bytes, const EVP_MD* kind = EVP_sha256()) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &size, kind, nullptr);
    return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

inline TarEntry sums(const std::string& name, const std::string& bytes) {
    return {"SHA256SUMS", AE_IFREG, checksum(bytes) + " *" + name + "\n"};
}

// As Barman's client sends it.
inline std::string parcel(const std::string& name, const std::string& bytes) {
    return make_tar({{name, AE_IFREG, bytes}, sums(name, bytes)});
}

// The stream in pieces of a size that fits nothing.
inline image::TarReader::Pull in_pieces(const std::string& stream, std::size_t size = 5000) {
    return [&stream, size, at = std::size_t{0}]() mutable {
        const std::size_t more = std::min(size, stream.size() - at);
        return as_byte_span(std::string_view(stream).substr(std::exchange(at, at + more), more));
    };
}

}  // namespace coffer::delivery::tests
