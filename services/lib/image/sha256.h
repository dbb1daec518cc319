#pragma once
// SHA-256 of a text that comes in pieces, as manifests have it of themselves (OpenSSL inside). One thread.
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace coffer::image {

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }
    void add(std::string_view data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }
    // To be called once.
    std::string hex() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest, &size);
        return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace coffer::image
