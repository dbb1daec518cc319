#pragma once
// How WAL goes to a database host over one connection that stays: what `cofferctl serve-wal` and coffer-wal-restore say
// to each other on the two ends of an ssh session (docs/wal-clients.md has it as a table).
//
// Lines of ASCII, each ended by '\n' and at most max_line bytes long with it; only `data N` is followed by N bytes that
// are no lines. The client may send further requests before it has an answer; answers come in the order of requests.
//
//     client: hello 1                            server: coffer-wal 1
//     client: get NAME [partial] [whole] [zstd]  server: wal NAME plain|zstd, data N + N bytes …, end SIZE CRC
//                                                   or: absent NAME, error NAME KIND TEXT
//     client: peek COUNT NAME [partial]          server: name NAME …, done
//
// SIZE and CRC (CRC-32C, eight hex digits) are of the plain bytes, whatever went over the line. `error` may also come
// instead of `end`: what came before it is worthless. KIND: damaged, hole (only when asked for with `whole`: it is
// missing though later ones are held), request (nonsense was asked for), failed (anything else). A line that neither
// side can read ends the connection; there is nothing to find one's way back by.
//
// Depends on the standard library only, for it is part of the static client. Foreign bytes: no length is trusted,
// memory is one line. Not thread-safe; a reader belongs to one connection.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace coffer::wal::wire {

constexpr int version = 1;
constexpr std::size_t max_line = 1024;
constexpr std::uint64_t max_data = std::uint64_t{1} << 20;  // of one `data`
constexpr std::uint64_t max_peek = 10000;

struct Request {
    enum class Kind { hello, get, peek };
    Kind kind = Kind::get;
    std::string name;
    std::uint64_t count = 0;  // of peek; of hello: the version
    bool partial = false;
    bool whole = false;
    bool zstd = false;
};

// With the line's end. Names must be words (is_word).
std::string format(const Request& request);
// One line without its end. Throws protocol, saying what is wrong with it.
Request parse_request(std::string_view line);

struct Reply {
    enum class Kind { hello, wal, data, end, absent, error, name, done };
    Kind kind = Kind::done;
    std::string name;        // of wal, absent, error, name
    std::string text;        // of error
    std::string fault;       // of error: its KIND
    std::uint64_t size = 0;  // of hello: the version; of data: what follows; of end: of the plain bytes
    std::uint32_t crc = 0;   // of end
    bool zstd = false;       // of wal
};

std::string format(const Reply& reply);
Reply parse_reply(std::string_view line);

// 1 to 64 printable characters without a space: what may stand for a name in a line.
bool is_word(std::string_view text) noexcept;

// Cuts what comes over a connection into lines and the bytes behind them.
class Splitter {
  public:
    // line: called for each; returns how many bytes that are no lines follow it. data: the pieces of these.
    using Line = std::function<std::uint64_t(std::string_view line)>;
    using Data = std::function<void(std::span<const std::byte> piece)>;

    // Throws protocol for a line that is too long; whatever the callbacks throw.
    void feed(std::span<const std::byte> bytes, const Line& line, const Data& data);
    // Nothing of a line or of data is outstanding: here the connection may end.
    [[nodiscard]] bool at_boundary() const noexcept { return begun_.empty() && data_left_ == 0; }

  private:
    std::string begun_;
    std::uint64_t data_left_ = 0;
};

}  // namespace coffer::wal::wire
