#pragma once
// The one error type of Coffer, from a failed system call up to the bus and the command line.
//
// An error says what happened, to what, and what to do about it. Context is added on the way up, so that its text reads
// from the outside in ("outer: inner: cause"). One table (error.cpp) maps the code to the name on the bus and to the
// exit status; nothing else decides these. Absence that is normal is std::optional, not an error.
#include <exception>
#include <string>
#include <string_view>

namespace coffer {

enum class ErrorCode {
    invalid_argument,
    invalid_configuration,
    no_such_server,
    no_such_backup,
    no_such_wal,
    no_such_job,
    busy,
    server_unreachable,
    server_mismatch,
    slot_missing,
    wal_gap,
    corrupt,
    no_space,
    not_empty,
    target_unreachable,
    refused,
    canceled,
    not_supported,
    permission_denied,
    io,
    protocol,
    timeout,
    internal,
};

class Error : public std::exception {
  public:
    // what: a lower-case fact without a full stop; where: the file, server, LSN or backup it happened to (may be
    // empty); remedy: what a person can do (may be empty).
    Error(ErrorCode code, std::string what, std::string where = {}, std::string remedy = {});

    // An I/O error from errno: ENOSPC and EDQUOT become no_space, EACCES and EPERM permission_denied, the rest io.
    static Error from_errno(int error_number, std::string what, std::string where);

    // The same error, seen from one level further out. Code, where and remedy stay.
    [[nodiscard]] Error within(std::string_view outer) const;
    [[nodiscard]] Error with_remedy(std::string remedy) const;

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] const std::string& fact() const noexcept { return fact_; }
    [[nodiscard]] const std::string& where() const noexcept { return where_; }
    [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }
    // "fact: where", one line, without the remedy.
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
    // what(), and the remedy on a second line that begins with "HINT: ".
    [[nodiscard]] std::string full_text() const;

  private:
    ErrorCode code_;
    std::string fact_;
    std::string where_;
    std::string remedy_;
    std::string text_;
};

// "org.pgcoffer.Error.NoSpace" and so on.
std::string_view bus_name_of(ErrorCode code) noexcept;
// The code of a name received from the bus; internal for an unknown one.
ErrorCode code_of_bus_name(std::string_view name) noexcept;
// The exit status of the command line: 1 for all but the cases that Barman's clients tell apart.
int exit_status_of(ErrorCode code) noexcept;

}  // namespace coffer
