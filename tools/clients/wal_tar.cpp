#include "tools/clients/wal_tar.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/base/error.h"

namespace coffer::clients {
namespace {

constexpr std::size_t block = 512;
constexpr std::size_t read_at_once = std::size_t{256} * 1024;

// A digest of OpenSSL's own provider: a static program cannot load what the host's openssl.cnf may name.
class Hash {
  public:
    explicit Hash(Digest digest) {
        ::OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
        const EVP_MD* const kind = digest == Digest::md5 ? ::EVP_md5() : ::EVP_sha256();
        if (!context_ || ::EVP_DigestInit_ex(context_.get(), kind, nullptr) != 1) fail();
    }
    void add(ByteSpan bytes) {
        if (::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) fail();
    }
    std::string hex() {
        unsigned char value[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (::EVP_DigestFinal_ex(context_.get(), value, &size) != 1) fail();
        std::string text;
        for (unsigned at = 0; at < size; ++at) {
            text += "0123456789abcdef"[value[at] >> 4];
            text += "0123456789abcdef"[value[at] & 15];
        }
        return text;
    }

  private:
    [[noreturn]] static void fail() { throw Error(ErrorCode::internal, "cannot make a checksum"); }
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept { ::EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_{::EVP_MD_CTX_new()};
};

// With leading zeros, and a zero byte at the end of the field.
void octal(char* field, std::size_t width, std::uint64_t value) {
    for (std::size_t at = width - 1; at-- > 0; value /= 8) field[at] = static_cast<char>('0' + value % 8);
    field[width - 1] = '\0';
}

void write_padding(std::uint64_t size, const Write& write) {
    const std::string zeros((block - size % block) % block, '\0');
    if (!zeros.empty()) write(as_byte_span(zeros));
}

}  // namespace

// Offsets of the ustar header: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, chksum 148, typeflag 156,
// magic 257, version 263.
std::string tar_header(const std::string& name, std::uint64_t size, std::int64_t modified) {
    if (name.empty() || name.size() > 99) throw Error(ErrorCode::invalid_argument, "not a file name for a tar", name);
    std::string header(block, '\0');
    std::memcpy(header.data(), name.data(), name.size());
    octal(&header[100], 8, 0600);
    octal(&header[108], 8, 0);
    octal(&header[116], 8, 0);
    octal(&header[124], 12, size);
    octal(&header[136], 12, static_cast<std::uint64_t>(std::max<std::int64_t>(modified, 0)));
    std::memset(&header[148], ' ', 8);
    header[156] = '0';
    std::memcpy(&header[257],
                "ustar\0"
                "00",
                8);
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    octal(&header[148], 7, sum);
    return header;
}

void write_wal_tar(const Path& path, Digest digest, const Write& write) {
    const UniqueFd fd = files().open(path, O_RDONLY);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::invalid_argument, "not a file", path.string());
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const std::string name = path.filename().string();
    write(as_byte_span(tar_header(name, size, status.st_mtime)));
    Hash hash(digest);
    std::vector<std::byte> buffer(read_at_once);
    for (std::uint64_t left = size; left > 0;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), left));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) throw Error(ErrorCode::io, "the file became shorter while it was read", path.string());
        const ByteSpan bytes = ByteSpan(buffer).first(static_cast<std::size_t>(got));
        hash.add(bytes);
        write(bytes);
        left -= bytes.size();
    }
    write_padding(size, write);
    const std::string sums = hash.hex() + " *" + name + "\n";
    write(as_byte_span(tar_header(digest == Digest::md5 ? "MD5SUMS" : "SHA256SUMS", sums.size(), status.st_mtime)));
    write(as_byte_span(sums));
    write_padding(sums.size(), write);
    write(as_byte_span(std::string(2 * block, '\0')));
}

}  // namespace coffer::clients
