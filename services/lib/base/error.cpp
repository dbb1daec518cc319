#include "lib/base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace coffer {
namespace {

struct Row {
    ErrorCode code;
    std::string_view bus_name;
    int exit_status;
};

constexpr Row table[] = {
    {ErrorCode::invalid_argument, "org.pgcoffer.Error.InvalidArgument", 1},
    {ErrorCode::invalid_configuration, "org.pgcoffer.Error.InvalidConfiguration", 1},
    {ErrorCode::no_such_server, "org.pgcoffer.Error.NoSuchServer", 1},
    {ErrorCode::no_such_backup, "org.pgcoffer.Error.NoSuchBackup", 1},
    {ErrorCode::no_such_wal, "org.pgcoffer.Error.NoSuchWal", 1},
    {ErrorCode::no_such_job, "org.pgcoffer.Error.NoSuchJob", 1},
    {ErrorCode::busy, "org.pgcoffer.Error.Busy", 1},
    {ErrorCode::server_unreachable, "org.pgcoffer.Error.ServerUnreachable", 1},
    {ErrorCode::server_mismatch, "org.pgcoffer.Error.ServerMismatch", 1},
    {ErrorCode::slot_missing, "org.pgcoffer.Error.SlotMissing", 1},
    {ErrorCode::wal_gap, "org.pgcoffer.Error.WalGap", 1},
    {ErrorCode::corrupt, "org.pgcoffer.Error.Corrupt", 1},
    {ErrorCode::no_space, "org.pgcoffer.Error.NoSpace", 1},
    {ErrorCode::not_empty, "org.pgcoffer.Error.NotEmpty", 1},
    {ErrorCode::target_unreachable, "org.pgcoffer.Error.TargetUnreachable", 1},
    {ErrorCode::refused, "org.pgcoffer.Error.Refused", 1},
    {ErrorCode::canceled, "org.pgcoffer.Error.Canceled", 1},
    {ErrorCode::not_supported, "org.pgcoffer.Error.NotSupported", 1},
    {ErrorCode::permission_denied, "org.pgcoffer.Error.PermissionDenied", 1},
    {ErrorCode::io, "org.pgcoffer.Error.InputOutput", 1},
    {ErrorCode::protocol, "org.pgcoffer.Error.Protocol", 1},
    {ErrorCode::timeout, "org.pgcoffer.Error.Timeout", 1},
    {ErrorCode::internal, "org.pgcoffer.Error.Internal", 1},
};

}  // namespace

Error::Error(ErrorCode code, std::string what, std::string where, std::string remedy)
    : code_(code),
      fact_(std::move(what)),
      where_(std::move(where)),
      remedy_(std::move(remedy)),
      text_(where_.empty() ? fact_ : fact_ + ": " + where_) {}

Error Error::from_errno(int error_number, std::string what, std::string where) {
    ErrorCode code = ErrorCode::io;
    std::string remedy;
    if (error_number == ENOSPC || error_number == EDQUOT) {
        code = ErrorCode::no_space;
        remedy = "free some space on this file system or enlarge it";
    } else if (error_number == EACCES || error_number == EPERM) {
        code = ErrorCode::permission_denied;
        remedy = "check owner and mode of the path, and which user the program runs as";
    }
    return Error(code, std::move(what) + " (" + std::strerror(error_number) + ")", std::move(where), std::move(remedy));
}

Error Error::within(std::string_view outer) const {
    return Error(code_, std::string(outer) + ": " + fact_, where_, remedy_);
}

Error Error::with_remedy(std::string remedy) const {
    return Error(code_, fact_, where_, std::move(remedy));
}

std::string Error::full_text() const {
    return remedy_.empty() ? text_ : text_ + "\nHINT: " + remedy_;
}

std::string_view bus_name_of(ErrorCode code) noexcept {
    for (const Row& row : table) {
        if (row.code == code) return row.bus_name;
    }
    return "org.pgcoffer.Error.Internal";
}

ErrorCode code_of_bus_name(std::string_view name) noexcept {
    for (const Row& row : table) {
        if (row.bus_name == name) return row.code;
    }
    return ErrorCode::internal;
}

int exit_status_of(ErrorCode code) noexcept {
    for (const Row& row : table) {
        if (row.code == code) return row.exit_status;
    }
    return 1;
}

}  // namespace coffer
