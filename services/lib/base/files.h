#pragma once
// The calls that make data durable, behind one small interface, so that a test can fail, cut or record each of them.
//
// All functions throw coffer::Error naming the path. They are thread-safe as the system calls are. Production code
// reaches them through files(); a unit test puts its own object there with ScopedFiles (single-threaded use only).
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/unique_fd.h"

namespace coffer {

using Path = std::filesystem::path;
using ByteSpan = std::span<const std::byte>;

inline ByteSpan as_byte_span(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

class Files {
  public:
    virtual ~Files() = default;
    // O_CLOEXEC is always added.
    virtual UniqueFd open(const Path& path, int flags, mode_t mode = 0640);
    // Writes everything or throws (no_space when the disk is full; what was written before then is in the file).
    virtual void write_at(int fd, ByteSpan data, std::uint64_t offset, const Path& path);
    virtual void append(int fd, ByteSpan data, const Path& path);
    virtual void allocate(int fd, std::uint64_t size, const Path& path);
    virtual void sync_data(int fd, const Path& path);
    virtual void sync(int fd, const Path& path);
    virtual void sync_file_system(int fd, const Path& path);
    virtual void sync_directory(const Path& directory);
    virtual void rename(const Path& from, const Path& to);
    virtual void link(const Path& from, const Path& to);
    virtual void unlink(const Path& path);
};

Files& files() noexcept;

class ScopedFiles {
  public:
    explicit ScopedFiles(Files& replacement) noexcept;
    ~ScopedFiles();
    ScopedFiles(const ScopedFiles&) = delete;
    ScopedFiles& operator=(const ScopedFiles&) = delete;

  private:
    Files* previous_;
};

// Temporary name in the same directory, write, fsync, rename, fsync of the directory: after the return the file is
// there whole after any crash, before it the old one is. Leftovers are named ".NAME.tmp" and may be removed by anybody.
void write_file_durably(const Path& path, std::string_view content, mode_t mode = 0640);
// fsync of the file, rename, fsync of both directories.
void rename_durably(const Path& from, const Path& to);
// Creates the directory and its missing parents, each made durable in its parent.
void make_directories_durably(const Path& directory, mode_t mode = 0750);
// The whole file; absence is nullopt; anything else throws. Refuses files over limit bytes (corrupt).
std::optional<std::string> read_file(const Path& path, std::uint64_t limit = 256ULL << 20);

// A named place where a test may end the process at once with SIGKILL, as a power cut would: when COFFER_KILL_POINT is
// NAME or NAME:N (the Nth time it is passed). Compiled away unless COFFER_FAULT_INJECTION is defined. Names read
// "service.thing.step"; docs/architecture.md lists them.
#ifdef COFFER_FAULT_INJECTION
void kill_point(std::string_view name) noexcept;
#else
inline void kill_point(std::string_view) noexcept {}
#endif

}  // namespace coffer
