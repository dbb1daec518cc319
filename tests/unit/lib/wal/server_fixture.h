#pragma once
// A server's directories in a temporary place, and files put into them.
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/config/config.h"
#include "lib/wal/holdings.h"

namespace coffer::test {

class ServerFixture {
  public:
    ServerFixture() {
        char name[] = "/tmp/coffer-wal-XXXXXX";
        root_ = ::mkdtemp(name);
        server.name = "main";
        server.backup_directory = root_;
        server.wals_directory = root_ / "wals";
        server.incoming_wals_directory = root_ / "incoming";
        server.streaming_wals_directory = root_ / "streaming";
        server.basebackups_directory = root_ / "base";
        server.errors_directory = root_ / "errors";
        for (const Path& path : {server.wals_directory, server.incoming_wals_directory, server.streaming_wals_directory,
                                 server.errors_directory, server.basebackups_directory, server.meta_directory()}) {
            std::filesystem::create_directories(path);
        }
    }
    ~ServerFixture() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    ServerFixture(const ServerFixture&) = delete;
    ServerFixture& operator=(const ServerFixture&) = delete;

    void archive(std::string_view name, std::string_view content) const {
        const Path path = wal::archive_path(server, name);
        std::filesystem::create_directories(path.parent_path());
        write_file_durably(path, content);
    }
    void incoming(std::string_view name, std::string_view content) const {
        write_file_durably(server.incoming_wals_directory / name, content);
    }
    void streaming(std::string_view name, std::string_view content) const {
        write_file_durably(server.streaming_wals_directory / name, content);
    }

    config::Server server;

  private:
    Path root_;
};

}  // namespace coffer::test
