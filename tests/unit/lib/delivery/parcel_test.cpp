#include "lib/delivery/parcel.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/delivery/parcel_maker.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::delivery;
using namespace coffer::delivery::tests;

TEST_GROUP(Parcel) {
    std::string wal;
    std::string got;
    const std::string name = wal::Segment{1, 5}.name(*wal::SegmentSize::from_bytes(1 << 20));
    void setup() override {
        test::WalBuilder builder;
        builder.fill_segment();
        wal = builder.segment(5);
    }
    delivery::Parcel read(const std::string& stream) {
        got.clear();
        const auto parcel = read_parcel(in_pieces(stream), [this](ByteSpan bytes) {
            got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        verify_parcel(parcel, as_byte_span(got));
        return parcel;
    }
    // Why it is refused.
    std::string fault(const std::string& stream) {
        try {
            read(stream);
            return "nothing is wrong";
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            return error.what();
        }
    }
    void refused(const std::vector<TarEntry>& entries, const std::string& why) {
        const std::string found = fault(make_tar(entries));
        CHECK_TEXT(found.find(why) != found.npos, (found + " is not: " + why).c_str());
    }
};

TEST(Parcel, IsAFileAndItsChecksum) {
    const auto parcel = read(tests::parcel(name, wal));
    STRCMP_EQUAL(name.c_str(), parcel.name.c_str());
    LONGS_EQUAL(wal.size(), parcel.size);
    CHECK(got == wal);
}

TEST(Parcel, TakesWhatOtherProgramsWrite) {
    const std::string md5 = checksum(wal, EVP_md5());
    for (const auto& entries : std::vector<std::vector<TarEntry>>{
             {{name, AE_IFREG, wal}, {"MD5SUMS", AE_IFREG, md5 + " *" + name + "\n"}},
             {{name, AE_IFREG, wal}, {"MD5SUMS", AE_IFREG, md5 + "  ./" + name}},
             {{"SHA256SUMS", AE_IFREG, checksum(wal) + "  " + name + "\r\n\n"}, {"./" + name, AE_IFREG, wal}},
         }) {
        STRCMP_EQUAL("nothing is wrong", fault(make_tar(entries)).c_str());
        CHECK(got == wal);
    }
}

TEST(Parcel, HoldsEveryKindOfWalFile) {
    const std::string history = "1\t0/3000000\tno reason\n";
    STRCMP_EQUAL("nothing is wrong", fault(tests::parcel("00000002.history", history)).c_str());
    STRCMP_EQUAL("nothing is wrong", fault(tests::parcel(name + ".00000028.backup", "START WAL LOCATION: \n")).c_str());
    STRCMP_EQUAL("nothing is wrong", fault(tests::parcel(name + ".partial", wal)).c_str());
}

TEST(Parcel, IsRefusedWhereverItWasCutOff) {
    const std::string whole = tests::parcel(name, wal);
    const std::size_t last = whole.find("SHA256SUMS") + 1024;
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{513}, wal.size() / 2,
          wal.size() + 511, wal.size() + 512, wal.size() + 1000, last - 513}) {
        CHECK_TEXT(fault(whole.substr(0, length)) != "nothing is wrong", std::to_string(length).c_str());
    }
    STRCMP_EQUAL("nothing is wrong", fault(whole.substr(0, last)).c_str());
}

TEST(Parcel, IsRefusedWithAnyBitFlippedInTheFile) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{70}, wal.size() - 1}) {
        std::string stream = tests::parcel(name, wal);
        stream[512 + at] = static_cast<char>(stream[512 + at] ^ 1);
        CHECK(fault(stream) != "nothing is wrong");
    }
}

TEST(Parcel, NeedsTheRightChecksum) {
    const TarEntry file{name, AE_IFREG, wal};
    const std::string right = checksum(wal);
    std::string wrong = right;
    wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
    refused({file}, "no checksum was sent");
    refused({file, {"SHA256SUMS", AE_IFREG, wrong + " *" + name}}, "should be " + wrong);
    refused({file, {"MD5SUMS", AE_IFREG, right + " *" + name}}, "no line of checksums");
    refused({file, {"SHA256SUMS", AE_IFREG, right}}, "no line of checksums");
    refused({file, {"SHA256SUMS", AE_IFREG, "\n"}}, "no checksum for the file");
    refused({file, {"SHA256SUMS", AE_IFREG, ""}}, "no file of checksums");
    refused({file, {"SHA256SUMS", AE_IFREG, std::string(100000, 'a')}}, "no file of checksums");
    refused({file, {"SHA256SUMS", AE_IFREG, right + " *other"}}, "a file that was not sent");
    refused({file, {"SHA256SUMS", AE_IFREG, right + " *" + name + "\n" + wrong + " *" + name}}, "two checksums");
    refused({file, sums(name, wal), sums(name, wal)}, "two files of checksums");
    refused({sums(name, wal)}, "no WAL file was sent");
}

TEST(Parcel, HoldsNothingElse) {
    const TarEntry sum = sums(name, wal);
    refused({{name, AE_IFLNK, "/etc/passwd"}, sum}, "something other than a file");
    refused({{name, AE_IFDIR, ""}, sum}, "something other than a file");
    refused({{name, AE_IFIFO, ""}, sum}, "something other than a file");
    refused({{"SHA256SUMS", AE_IFLNK, "/etc/passwd"}}, "something other than a file");
    for (const std::string& strange : {"../" + name, "/" + name, "a/" + name, name + "/..", std::string("x"),
                                       name + ".tmp", "." + name, std::string("00000001000000000000000g"), name + ".gz",
                                       std::string("xlog.db"), std::string("0000000100000000000000a5")}) {
        refused({{strange, AE_IFREG, wal}, sum}, "");
        CHECK(got.empty());
    }
    refused({{name, AE_IFREG, wal}, {name, AE_IFREG, wal}, sum}, "several files");
    refused({{name, AE_IFREG, wal}, {"00000002.history", AE_IFREG, "1\t0/1\n"}, sum}, "several files");
}

TEST(Parcel, PassesNothingOnThatHasTheWrongSize) {
    refused({{name, AE_IFREG, ""}, sums(name, "")}, "is empty");
    refused({{name, AE_IFREG, wal + "x"}, sums(name, wal)}, "has 1048577 bytes instead of 1048576");
    CHECK(got.empty());
    refused({{name, AE_IFREG, wal.substr(0, 8192)}, sums(name, wal)}, "has 8192 bytes instead of 1048576");
    refused({{name, AE_IFREG, std::string(1 << 20, 'x')}, sums(name, wal)}, "does not begin as a WAL segment");
    refused({{name, AE_IFREG, "x"}, sums(name, wal)}, "does not begin as a WAL segment");
    refused({{wal::Segment{1, 6}.name(*wal::SegmentSize::from_bytes(1 << 20)), AE_IFREG, wal}}, "is another segment");
    refused({{"00000002.history", AE_IFREG, std::string((1 << 20) + 1, ' ')}}, "too many for its kind");
    CHECK(got.empty());
}

TEST(Parcel, EndsWhereItEnds) {
    const std::string whole = tests::parcel(name, wal);
    STRCMP_EQUAL("nothing is wrong", fault(whole + std::string(100000, '\0')).c_str());
    CHECK(fault(whole + std::string(2 << 20, '\0')).find("goes on behind its end") != std::string::npos);
    CHECK(fault("GET / HTTP/1.0\r\n\r\n").find("is no tar") != std::string::npos);
    STRCMP_EQUAL("nothing was sent", fault("").c_str());
}

TEST(Parcel, PassesOnWhatItsEndsThrow) {
    const std::string whole = tests::parcel(name, wal);
    const auto failing = [](ByteSpan) { throw Error(ErrorCode::no_space, "no room"); };
    try {
        (void)read_parcel(in_pieces(whole), failing);
        FAIL("a failing sink was overlooked");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::no_space);
    }
}
