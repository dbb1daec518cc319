// Both directions of the WAL protocol, of unknown origin and in pieces of any size: the first byte says how large. What
// is accepted reads back the same from what is written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "lib/base/error.h"
#include "lib/wal/wire.h"

namespace {

using namespace coffer::wal;

void read_back(std::string_view line) {
    try {
        const std::string again = wire::format(wire::parse_request(line));
        if (wire::format(wire::parse_request(std::string_view(again).substr(0, again.size() - 1))) != again)
            std::abort();
        if (again.size() > wire::max_line) std::abort();
    } catch (const coffer::Error&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = data[0] % 64U + 1U;
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    wire::Splitter splitter;
    std::uint64_t outstanding = 0;
    try {
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            splitter.feed(
                bytes.subspan(at, std::min(step, bytes.size() - at)),
                [&](std::string_view line) -> std::uint64_t {
                    if (outstanding != 0 || line.size() >= wire::max_line) std::abort();
                    read_back(line);
                    const wire::Reply reply = wire::parse_reply(line);
                    const std::string again = wire::format(reply);
                    if (again.size() > wire::max_line) std::abort();
                    if (wire::format(wire::parse_reply(std::string_view(again).substr(0, again.size() - 1))) != again) {
                        std::abort();
                    }
                    if (reply.kind == wire::Reply::Kind::data) outstanding = reply.size;
                    return outstanding;
                },
                [&](std::span<const std::byte> piece) {
                    if (piece.empty() || piece.size() > outstanding) std::abort();
                    outstanding -= piece.size();
                });
        }
    } catch (const coffer::Error&) {
    }
    return 0;
}
