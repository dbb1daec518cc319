#include "services/job/transfer_command.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "lib/transfer/export_backup.h"
#include "services/job/foreground.h"
#include "services/job/import_run.h"
#include "services/job/progress.h"

namespace coffer::job {
namespace {

using Kind = OptionSpec::Kind;
using nlohmann::json;

constexpr OptionSpec export_options[] = {
    {"backup", Kind::positional, "backup: ID, name, latest or oldest"},
    {"directory", Kind::positional, "where the file shall lie"},
    {"compression", Kind::text, "none (default), gzip, bzip2, xz or zstd"},
    {"compression_level", Kind::text, "of the compression"},
    {"json", Kind::flag, "print the result as JSON"},
};

constexpr OptionSpec import_options[] = {
    {"tarball", Kind::positional, "file that export-backup has made"},
    {"json", Kind::flag, "print the result as JSON"},
};

transfer::ExportOptions options_of(const JobRequest& request, ProgressReporter& progress) {
    transfer::ExportOptions options;
    options.directory = request.options.text("directory").value_or("");
    if (const auto name = request.options.text("compression")) {
        const auto codec = config::codec_named(*name);
        if (!codec || *codec == config::Codec::lz4) {
            throw Error(ErrorCode::invalid_argument, "an export cannot be compressed like this", *name,
                        "use none, gzip, bzip2, xz or zstd");
        }
        options.codec = *codec;
    }
    options.level = request.options.text("compression_level");
    options.canceled = stop_asked(request.stop_fd);
    options.begin = [&progress](std::uint64_t total) { progress.phase("export", "exporting the backup", total); };
    options.advance = [&progress](std::uint64_t done) { progress.advance(done); };
    return options;
}

JobResult export_now(const JobRequest& request, ProgressReporter& progress) {
    const config::Config config = config::load(config::find_config_file(request.config));
    const config::Server& server = config.server(request.server);
    config::require_known_catalogue(server);
    const catalogue::BackupInfo backup = catalogue::Catalogue(server).get(request.options.text("backup").value_or(""));
    std::vector<std::string> warnings;
    const auto held = lease(server, backup.backup_id, warnings);
    const transfer::Exported made = transfer::export_backup(server, backup, options_of(request, progress));
    progress.end_line();
    if (request.options.flag("json")) {
        print(json{{server.name,
                    {{"backup_id", backup.backup_id},
                     {"file", made.file.string()},
                     {"files", made.files},
                     {"wal_files", made.wal_files},
                     {"bytes", made.bytes},
                     {"stored_bytes", made.stored}}}}
                  .dump(4));
    } else {
        for (const std::string& text : warnings) print("WARNING: " + text);
        print(fmt::format("backup {} of server {} is exported to {}: {} files and {} of WAL, {} bytes in {}",
                          backup.backup_id, server.name, made.file.string(), made.files, made.wal_files, made.bytes,
                          made.stored));
    }
    return {backup.backup_id, {}};
}

JobResult import_now(const JobRequest& request, ProgressReporter& progress) {
    const Imported made = import_backup(request, progress);
    if (request.options.flag("json")) {
        print(json{{request.server,
                    {{"backup_id", made.backup_id}, {"already_there", made.already_there}, {"bytes", made.bytes}}}}
                  .dump(4));
    } else if (made.already_there) {
        print(fmt::format("backup {} was imported for server {} before", made.backup_id, request.server));
    } else {
        print(fmt::format("backup {} is imported for server {}, and kept until it is released", made.backup_id,
                          request.server));
    }
    return {made.backup_id, {}};
}

JobResult run_export(const JobRequest& request, ProgressReporter& progress) {
    return with_json_errors(request, progress, export_now);
}

JobResult run_import(const JobRequest& request, ProgressReporter& progress) {
    return with_json_errors(request, progress, import_now);
}

}  // namespace

Command export_command() {
    return {"export", "write a backup and its WAL into one file", export_options, run_export};
}

Command import_command() {
    return {"import", "take a backup out of such a file", import_options, run_import};
}

}  // namespace coffer::job
