#include "lib/wal/proof.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include <cstring>

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(Proof) {
    Path path;
    void setup() override {
        char name[] = "/var/tmp/coffer-proof-XXXXXX";
        const UniqueFd fd(::mkstemp(name));
        path = name;
    }
    void teardown() override {
        std::filesystem::remove(path);
    }
};

TEST(Proof, StaysWithTheFile) {
    CHECK(!kept_proof(path));
    const Proof proof = proof_of(as_byte_span("123456789"));
    LONGS_EQUAL(0xE3069283, proof.crc32c);
    if (!keep_proof(files().open(path, O_RDWR).get(), proof)) return;  // a file system without attributes
    CHECK(kept_proof(path) == proof);
    const Path moved = path.string() + ".moved";
    files().rename(path, moved);
    path = moved;
    CHECK(kept_proof(path) == proof);
}

TEST(Proof, ThatCannotBeReadIsNone) {
    for (const char* const text : {"", "x", "e3069283", "e3069283 ", "e3069283 9 more", "e3069283 9x",
                                   "00000000000000000000000000000000000000000000000000"}) {
        if (::setxattr(path.c_str(), "user.coffer.proof", text, std::strlen(text), 0) != 0) return;
        CHECK(!kept_proof(path));
    }
    CHECK(!kept_proof("/nonexistent"));
}
