#include "lib/verify/file_digest.h"

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/manifest.h"

namespace coffer::verify {
namespace {

const EVP_MD* sha_named(std::string_view name) {
    if (name == "SHA224") return EVP_sha224();
    if (name == "SHA256") return EVP_sha256();
    if (name == "SHA384") return EVP_sha384();
    if (name == "SHA512") return EVP_sha512();
    return nullptr;
}

}  // namespace

FileDigest::FileDigest(std::string_view algorithm) {
    if (algorithm.empty() || algorithm == "NONE") return;
    if (algorithm == "CRC32C") {
        kind_ = Kind::crc32c;
        return;
    }
    const EVP_MD* const sha = sha_named(algorithm);
    if (sha == nullptr) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the manifest has checksums of a kind that there is not: {}", algorithm));
    }
    kind_ = Kind::sha;
    sha_.reset(EVP_MD_CTX_new());
    EVP_DigestInit_ex(sha_.get(), sha, nullptr);
}

void FileDigest::add(ByteSpan bytes) {
    if (kind_ == Kind::crc32c) crc_ = crc32c(bytes, crc_);
    if (kind_ == Kind::sha) EVP_DigestUpdate(sha_.get(), bytes.data(), bytes.size());
}

std::string FileDigest::text() {
    if (kind_ == Kind::none) return {};
    if (kind_ == Kind::crc32c) return image::manifest_crc32c(crc_);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(sha_.get(), digest, &size);
    return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

}  // namespace coffer::verify
