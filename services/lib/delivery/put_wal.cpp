#include "lib/delivery/put_wal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/delivery/landing_file.h"
#include "lib/delivery/parcel.h"
#include "lib/wal/admission.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "lib/wal/other_copy.h"
#include "lib/wal/quarantine.h"

namespace coffer::delivery {
namespace {

using wal::FileKind;
using wal::OtherCopy;
using Result = PutOutcome::Result;

constexpr std::uint64_t largest_text = 1 << 20;
constexpr std::uint64_t largest_segment = 1 << 30;
constexpr std::size_t front_size = 64;  // holds a long page header

// The first plain bytes of a file, as far as a long page header goes.
std::string front_of(const Path& path) {
    struct Enough {};
    std::string front;
    try {
        wal::decompress_file(path, [&](ByteSpan bytes) {
            front.append(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), front_size));
            if (front.size() >= front_size) throw Enough();
        });
    } catch (const Enough&) {
    }
    return front;
}

// Of a server that nobody has spoken to yet: by some segment of the newest folder of its archive.
std::optional<std::uint64_t> system_of_archive(const config::Server& server) {
    std::string newest;
    std::error_code error;
    std::filesystem::directory_iterator folder(server.wals_directory, error);
    for (; !error && folder != std::filesystem::directory_iterator(); folder.increment(error)) {
        const std::string name = folder->path().filename().string();
        if (name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == name.npos)
            newest = std::max(newest, name);
    }
    if (newest.empty()) return std::nullopt;
    std::filesystem::directory_iterator file(server.wals_directory / newest, error);
    for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
        if (wal::kind_of(file->path().filename().string()) != FileKind::segment) continue;
        try {
            if (const auto identity = wal::identify_segment(as_byte_span(front_of(file->path()))))
                return identity->system_identifier;
        } catch (const Error&) {  // it says nothing of the others
        }
    }
    return std::nullopt;
}

wal::KnownSystem known_system_of(const config::Server& server) {
    wal::KnownSystem known;
    if (const auto identity = catalogue::Catalogue(server).identity()) {
        known.system_identifier = identity->systemid;
        known.major_version = identity->major_version;
    } else {
        known.system_identifier = system_of_archive(server);
    }
    return known;
}

bool is_there(const Path& path) {
    std::error_code error;
    return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

// A copy that is relied upon must outlive a crash, whoever put it there.
void make_sure_of(const Path& held) {
    const UniqueFd fd = files().open(held, O_RDONLY | O_NOFOLLOW);
    files().sync(fd.get(), held);
    files().sync_directory(held.parent_path());
    files().sync_directory(held.parent_path().parent_path());
}

// The plain bytes of something compressed, in a file without a name: never more than it may have.
void unpack(const Path& path, FileKind kind, int to, const Path& to_path) {
    std::uint64_t limit = largest_text, total = 0;
    const bool segment = kind == FileKind::segment || kind == FileKind::partial;
    if (segment) limit = largest_segment;
    std::string front;
    wal::decompress_file(path, [&](ByteSpan bytes) {
        if (segment && front.size() < front_size) {
            front.append(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), front_size));
            if (front.size() >= front_size) {
                const auto identity = wal::identify_segment(as_byte_span(front));
                if (!identity) throw Error(ErrorCode::corrupt, "what was sent does not begin as a WAL segment does");
                limit = identity->size.bytes();
            }
        }
        total += bytes.size();
        if (total > limit) throw Error(ErrorCode::corrupt, "what was sent is too large when it is unpacked");
        files().append(to, bytes, to_path);
    });
}

class Delivery {
  public:
    Delivery(const config::Server& server, const Clock& clock)
        : server_(server), clock_(clock), known_(known_system_of(server)) {}

    PutOutcome receive(image::TarReader::Pull pull) {
        require_place();
        LandingFile::remove_leftovers(server_.incoming_wals_directory);
        landing_.emplace(server_.incoming_wals_directory, "wal");
        parcel_ = read_parcel(std::move(pull),
                              [&](ByteSpan bytes) { files().append(landing_->fd(), bytes, landing_->path()); });
        name_ = parcel_.name;
        {
            const Mapping stored(landing_->fd(), landing_->path());
            verify_parcel(parcel_, stored.bytes());
            if (wal::detect_codec(stored.bytes()) == wal::Codec::none) return judge(stored.bytes());
        }
        LandingFile plain(server_.incoming_wals_directory, "plain");
        try {
            unpack(landing_->path(), wal::kind_of(name_), plain.fd(), plain.path());
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            throw Error(ErrorCode::corrupt, error.fact(), name_);
        }
        return judge(Mapping(plain.fd(), plain.path()).bytes());
    }

  private:
    // Its parent is not made: without that the volume is not there on which it belongs.
    void require_place() const {
        const Path& incoming = server_.incoming_wals_directory;
        std::error_code error;
        if (std::filesystem::is_directory(incoming, error)) return;
        if (std::filesystem::is_directory(incoming.parent_path(), error)) return make_directories_durably(incoming);
        throw Error(ErrorCode::io, "the directory for incoming WAL is not there", incoming.string(),
                    "is its volume mounted, and has the archiver been started once?");
    }

    PutOutcome judge(ByteSpan plain) {
        if (const auto reason = wal::refusal_of(name_, plain, known_)) {
            throw Error(ErrorCode::corrupt, "what was sent " + *reason, name_,
                        "nothing of it was stored; the server must keep it");
        }
        make_durable();
        const UniqueFd lock = files().open(server_.incoming_wals_directory, O_RDONLY | O_DIRECTORY);
        while (::flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
        }
        return settle(plain);
    }

    // The time of the source, as Barman keeps it, but never one that is still to come: ages of WAL are judged by it.
    void make_durable() {
        constexpr std::int64_t second = 1'000'000'000;
        const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.now().time_since_epoch()).count();
        if (parcel_.modified_ns > 0 && parcel_.modified_ns < now) {
            const timespec time{parcel_.modified_ns / second, parcel_.modified_ns % second};
            const timespec times[2] = {time, time};
            if (::futimens(landing_->fd(), times) != 0)
                throw Error::from_errno(errno, "cannot set time of file", landing_->path().string());
        }
        files().sync(landing_->fd(), landing_->path());
        kill_point("put.wal.synced");
    }

    // The archive last: it is where files of the other two go, so that one on its way is seen in one of both places.
    [[nodiscard]] std::vector<Path> places() const {
        std::vector<Path> places{server_.incoming_wals_directory / name_};
        if (wal::kind_of(name_) != FileKind::partial) places.push_back(server_.streaming_wals_directory / name_);
        places.push_back(wal::archive_path(server_, name_));
        return places;
    }

    PutOutcome settle(ByteSpan plain) {
        for (int attempt = 0; attempt < 5; ++attempt) {
            std::optional<Path> same;
            bool moved = false;
            for (const Path& held : places()) {
                if (!is_there(held)) continue;
                const auto found = compare(held, plain);
                if (!found) moved = true;
                if (found == OtherCopy::different) return keep_aside(held, plain);
                if (found == OtherCopy::damaged) require_replaced(held);
                if (found == OtherCopy::same) same = held;
            }
            if (!moved) return same ? PutOutcome{Result::held, name_, *same, {}} : store();
        }
        throw Error(ErrorCode::busy, "files of this name come and go", name_, "send it again");
    }

    // nullopt when it has gone, into the archive most likely.
    std::optional<OtherCopy> compare(const Path& held, ByteSpan plain) const {
        try {
            const OtherCopy found = wal::compare_with_held(held, name_, plain, known_);
            if (found == OtherCopy::same) make_sure_of(held);
            return found;
        } catch (const Error&) {
            if (is_there(held)) throw;
            return std::nullopt;
        }
    }

    // A damaged file of the archive goes when the archiver has this one. One that lies in the way is not ours.
    void require_replaced(const Path& held) const {
        if (held.parent_path() != server_.incoming_wals_directory) return;
        throw Error(ErrorCode::busy, "a file of this name is already there and is not whole", held.string(),
                    "somebody else is writing it, or has left it so: the archiver will set it aside, then send again");
    }

    PutOutcome store() {
        const Path target = server_.incoming_wals_directory / name_;
        files().rename(landing_->path(), target);
        landing_->kept();
        kill_point("put.wal.renamed");
        files().sync_directory(server_.incoming_wals_directory);
        return {Result::stored, name_, target, {}};
    }

    // A server that is told of it sends again, and again: once is enough.
    PutOutcome keep_aside(const Path& held, ByteSpan plain) {
        if (const auto before = aside_before(plain)) return {Result::conflict, name_, held, *before};
        const Path aside = wal::quarantine_as(server_, landing_->path(), name_, wal::QuarantineKind::duplicate,
                                              "was sent, and has other bytes than " + held.string(), clock_);
        landing_->kept();
        return {Result::conflict, name_, held, aside};
    }

    std::optional<Path> aside_before(ByteSpan plain) const {
        std::error_code error;
        std::filesystem::directory_iterator entry(server_.errors_directory, error);
        for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
            const std::string file = entry->path().filename().string();
            if (!file.starts_with(name_ + ".") || !file.ends_with(".duplicate")) continue;
            if (wal::compare_with_held(entry->path(), name_, plain, known_) == OtherCopy::same) return entry->path();
        }
        return std::nullopt;
    }

    const config::Server& server_;
    const Clock& clock_;
    const wal::KnownSystem known_;
    std::optional<LandingFile> landing_;
    Parcel parcel_;
    std::string name_;
};

}  // namespace

void require_put_allowed(const config::Server& server) {
    if (server.disabled) {
        std::string why = "its configuration is wrong";
        for (const auto& problem : server.problems) {
            if (problem.fatal) why = problem.to_string();
        }
        throw Error(ErrorCode::refused, "the server is disabled: " + why, server.name);
    }
    if (!server.active)
        throw Error(ErrorCode::refused, "the server is not active", server.name, "set active = true in its section");
    if (!server.archiver) {
        throw Error(ErrorCode::refused, "no WAL is taken that is sent for this server", server.name,
                    "set archiver = on in its section");
    }
}

PutOutcome put_wal(const config::Server& server, image::TarReader::Pull pull, const Clock& clock) {
    require_put_allowed(server);
    return Delivery(server, clock).receive(std::move(pull));
}

}  // namespace coffer::delivery
