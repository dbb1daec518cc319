#pragma once
// What a sender of WAL puts on the wire: a tar with one WAL file, and MD5SUMS or SHA256SUMS with its checksum, in
// either order (Barman's put-wal, from 2.6 on; ustar, GNU and pax). By hand:
//
//     tar --create WAL SHA256SUMS | ssh box cofferctl put-wal SERVER      # sha256sum WAL >SHA256SUMS
//
// Foreign bytes: one file, no paths, no links, names of WAL only, sizes bounded before anything of them is passed on,
// memory bounded by the pieces. The checksum is compulsory. A stream that was cut off is refused wherever that was,
// except within the zeros behind its last member. One thread.
#include <cstdint>
#include <functional>
#include <string>

#include "lib/image/tar_reader.h"

namespace coffer::delivery {

enum class Hash { md5, sha256 };

struct Parcel {
    std::string name;
    std::uint64_t size = 0;        // of the WAL file as it was sent, compressed or not
    std::int64_t modified_ns = 0;  // by the sender's clock; 0 unknown
    Hash hash = Hash::sha256;
    std::string checksum;  // that the sender says it has, lower case
};

// Passes the bytes of the WAL file on in order. A file that is not compressed must begin as the segment that it is
// called, and has exactly its size. Reads the stream to its end, so that the sender is never cut off. Throws corrupt
// for whatever is wrong, and what pull and sink throw.
Parcel read_parcel(image::TarReader::Pull pull, const std::function<void(ByteSpan)>& sink);

// Throws corrupt when the bytes are not those that the sender had.
void verify_parcel(const Parcel& parcel, ByteSpan bytes);

}  // namespace coffer::delivery
