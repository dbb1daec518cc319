#pragma once
// The checksum of a file's content in any of the kinds that a backup_manifest may have (PostgreSQL documentation,
// "Backup Manifest Format": NONE, CRC32C, SHA224, SHA256, SHA384, SHA512). One thread.
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/files.h"

namespace coffer::verify {

class FileDigest {
  public:
    // Throws corrupt for a kind that there is not. "" and "NONE": there is nothing to compare.
    explicit FileDigest(std::string_view algorithm);
    void add(ByteSpan bytes);
    // As it stands in manifests; to be called once.
    std::string text();
    [[nodiscard]] bool none() const noexcept { return kind_ == Kind::none; }

  private:
    enum class Kind { none, crc32c, sha };
    Kind kind_ = Kind::none;
    std::uint32_t crc_ = 0;
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> sha_{nullptr, &EVP_MD_CTX_free};
};

}  // namespace coffer::verify
