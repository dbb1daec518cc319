#include "lib/config/keys.h"

#include <algorithm>
#include <vector>

namespace coffer::config {
namespace {

using enum Scope;
using enum Support;

constexpr Key keys[] = {
    // The box as a whole.
    {"coffer_home", global_only},
    {"barman_home", global_only},
    {"coffer_lock_directory", global_only},
    {"barman_lock_directory", global_only},
    {"configuration_files_directory", global_only},
    {"log_level", global_only, used, "INFO"},
    {"coffer_user", global_only, quiet},
    {"barman_user", global_only, quiet},
    {"lock_directory_cleanup", global_only, quiet},
    {"config_changes_queue", global_only, quiet},
    {"log_file", global_only, quiet},
    {"log_format", global_only, quiet},
    // Identity and connections.
    {"description", server_only},
    {"active", server_only, used, "true"},
    {"disabled", server_only, quiet},
    {"cluster", server_only, quiet},
    {"model", server_only},
    {"conninfo", server_only},
    {"streaming_conninfo", server_only},
    {"primary_conninfo", server_only},
    {"ssh_command", server_only},
    {"wal_conninfo", server_only},
    {"wal_streaming_conninfo", server_only},
    {"primary_checkpoint_timeout", server_only, used, "0"},
    {"primary_ssh_command", inherited, later},
    {"forward_config_path", inherited, quiet},
    {"path_prefix", inherited, quiet},
    // Directories.
    {"backup_directory", server_only},
    {"basebackups_directory", server_only},
    {"wals_directory", server_only},
    {"incoming_wals_directory", server_only},
    {"streaming_wals_directory", server_only},
    {"errors_directory", server_only},
    {"xlogdb_directory", inherited},
    // Backup.
    {"backup_method", inherited, used, "postgres"},
    {"immediate_checkpoint", inherited, used, "false"},
    {"bandwidth_limit", inherited, used, "0"},
    {"backup_politeness", inherited, used, "off"},
    {"streaming_backup_name", inherited, used, "barman_streaming_backup"},
    {"parallel_jobs", inherited, used, "1"},
    {"backup_options", inherited, used, "concurrent_backup"},
    {"reuse_backup", inherited},
    {"full_read_interval", inherited, used, "4 WEEKS"},
    {"scrub_interval", inherited, used, "4 WEEKS"},
    {"scrub_rate", inherited, used, "100M"},
    {"parallel_jobs_start_batch_period", inherited, used, "1"},
    {"parallel_jobs_start_batch_size", inherited, used, "10"},
    {"tablespace_bandwidth_limit", inherited},
    {"network_compression", inherited, used, "false"},
    {"basebackup_retry_times", inherited, used, "0"},
    {"basebackup_retry_sleep", inherited, used, "30"},
    {"keepalive_interval", inherited, quiet},
    {"autogenerate_manifest", inherited, quiet},
    {"backup_compression", inherited, later, "none|off|false"},
    {"backup_compression_level", inherited, quiet},
    {"backup_compression_location", inherited, quiet},
    {"backup_compression_format", inherited, quiet},
    {"backup_compression_workers", inherited, quiet},
    {"encryption", inherited, later, "none|off|false"},
    {"encryption_key_id", inherited, quiet},
    {"encryption_passphrase_command", inherited, quiet},
    {"worm_mode", inherited, later, "off|false|0|no"},
    // WAL.
    {"archiver", inherited, used, "off"},
    {"archiver_batch_size", inherited, used, "0"},
    {"streaming_archiver", inherited, used, "off"},
    {"streaming_archiver_batch_size", inherited, used, "0"},
    {"streaming_bandwidth_limit", inherited, used, "0"},
    {"streaming_archiver_name", inherited, used, "barman_receive_wal"},
    {"slot_name", inherited},
    {"create_slot", inherited, used, "manual"},
    {"compression", inherited, used, "none"},
    {"compression_level", inherited, used, "medium"},
    {"custom_compression_filter", inherited, later},
    {"custom_decompression_filter", inherited, later},
    {"custom_compression_magic", inherited, later},
    {"max_incoming_wals_queue", inherited},
    // Retention and monitoring.
    {"retention_policy", inherited},
    {"retention_policy_mode", inherited, later, "auto"},
    {"wal_retention_policy", inherited, used, "main"},
    {"retention_tiers", inherited},
    {"minimum_redundancy", inherited, used, "0"},
    {"last_backup_maximum_age", inherited},
    {"last_backup_minimum_size", inherited},
    {"last_wal_maximum_age", inherited},
    {"check_timeout", inherited, used, "30"},
    // Restore.
    {"recovery_options", inherited},
    {"staging_path", inherited, quiet},
    {"staging_location", inherited, quiet},
    {"local_staging_path", inherited, quiet},
    {"recovery_staging_path", inherited, quiet},
    {"combine_mode", inherited, quiet},
    // Snapshots and object stores.
    {"snapshot_provider", inherited, later},
    {"snapshot_instance", server_only, later},
    {"snapshot_disks", server_only, later},
    {"snapshot_gcp_project", inherited, quiet},
    {"snapshot_zone", inherited, quiet},
    {"aws_region", inherited, quiet},
    {"aws_profile", inherited, quiet},
    {"aws_await_snapshots_timeout", inherited, quiet},
    {"aws_snapshot_lock_mode", inherited, quiet},
    {"aws_snapshot_lock_duration", inherited, quiet},
    {"aws_snapshot_lock_cool_off_period", inherited, quiet},
    {"aws_snapshot_lock_expiration_date", inherited, quiet},
    {"aws_encryption", inherited, quiet},
    {"aws_sse_kms_key_id", inherited, quiet},
    {"aws_sse_customer_key", inherited, quiet},
    {"aws_read_timeout", inherited, quiet},
    {"azure_credential", inherited, quiet},
    {"azure_resource_group", inherited, quiet},
    {"azure_subscription_id", inherited, quiet},
    {"gcp_project", inherited, quiet},
    {"gcp_zone", server_only, quiet},
    {"cloud_staging_directory", inherited, quiet},
    {"cloud_staging_max_size", inherited, quiet},
    {"cloud_upload_max_archive_size", inherited, quiet},
    {"cloud_upload_min_chunk_size", inherited, quiet},
    {"cloud_delete_batch_size", inherited, quiet},
    {"cloud_wal_archive_parallel", inherited, quiet},
    {"cloud_wal_restore_parallel", inherited, quiet},
    {"warehousepg_dbid", server_only, quiet},
    // Hooks.
    {"pre_backup_script", inherited},
    {"pre_backup_retry_script", inherited},
    {"post_backup_script", inherited},
    {"post_backup_retry_script", inherited},
    {"pre_archive_script", inherited},
    {"pre_archive_retry_script", inherited},
    {"post_archive_script", inherited},
    {"post_archive_retry_script", inherited},
    {"pre_delete_script", inherited},
    {"pre_delete_retry_script", inherited},
    {"post_delete_script", inherited},
    {"post_delete_retry_script", inherited},
    {"pre_wal_delete_script", inherited},
    {"pre_wal_delete_retry_script", inherited},
    {"post_wal_delete_script", inherited},
    {"post_wal_delete_retry_script", inherited},
    {"pre_recovery_script", inherited},
    {"pre_recovery_retry_script", inherited},
    {"post_recovery_script", inherited},
    {"post_recovery_retry_script", inherited},
    {"hook_timeout", inherited, used, "3600"},
};

// Levenshtein's distance: how many letters must be changed, added or taken away.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

}  // namespace

std::span<const Key> all_keys() noexcept {
    return keys;
}

const Key* find_key(std::string_view name) noexcept {
    for (const Key& key : keys) {
        if (key.name == name) return &key;
    }
    return nullptr;
}

std::optional<std::string> nearest_key(std::string_view name) {
    std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
    std::optional<std::string> nearest;
    for (const Key& key : keys) {
        if (key.support == quiet) continue;
        const std::size_t d = distance(name, key.name);
        if (d < best) {
            best = d;
            nearest = std::string(key.name);
        }
    }
    return nearest;
}

std::string mask_password(std::string_view conninfo) {
    std::string text(conninfo);
    if (const auto scheme = text.find("://"); scheme != std::string::npos) {  // user:secret@host
        const auto user = scheme + 3;
        const auto end = std::min(text.find_first_of("/?", user), text.size());
        const auto at = text.substr(0, end).rfind('@');
        const auto colon = text.find(':', user);
        if (at != std::string::npos && colon < at) text.replace(colon + 1, at - colon - 1, "REDACTED");
    }
    for (std::size_t from = 0; (from = text.find("password", from)) != std::string::npos;) {
        auto value = text.find_first_not_of(" \t\n", from + 8);
        from += 8;
        if (value == std::string::npos || text[value] != '=') continue;
        value = std::min(text.find_first_not_of(" \t\n", value + 1), text.size());
        auto end = value;
        if (end < text.size() && text[end] == '\'') {
            for (++end; end < text.size() && text[end] != '\''; ++end) {
                if (text[end] == '\\') ++end;
            }
            end = std::min(end + 1, text.size());
        } else {
            while (end < text.size() && text.find_first_of(" \t\n&", end) != end) end += text[end] == '\\' ? 2 : 1;
            end = std::min(end, text.size());
        }
        text.replace(value, end - value, "REDACTED");
        from = value;
    }
    return text;
}

}  // namespace coffer::config
