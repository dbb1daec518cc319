#include "lib/pg/result.h"

#include <charconv>

namespace coffer::pg {
namespace {

std::string field(const PGresult* result, int code) {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? std::string() : std::string(text);
}

// SQLSTATEs: PostgreSQL documentation, appendix A. A full disk, a file that cannot be read or a statement that was
// canceled (53100, 58…, 57014) is the server's affair: no_space, io and canceled mean this box, its room and its will.
ErrorCode code_of(const std::string& sqlstate) {
    if (sqlstate == "42501" || sqlstate.starts_with("28")) return ErrorCode::permission_denied;
    if (sqlstate == "55006") return ErrorCode::busy;
    if (sqlstate.starts_with("08") || sqlstate.starts_with("57P") || sqlstate == "53300")
        return ErrorCode::server_unreachable;
    if (sqlstate == "0A000" || sqlstate == "42601") return ErrorCode::not_supported;
    return sqlstate.empty() ? ErrorCode::server_unreachable : ErrorCode::refused;
}

}  // namespace

bool PgResult::ok() const noexcept {
    switch (status()) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_SINGLE_TUPLE:
        case PGRES_COPY_OUT:
        case PGRES_COPY_IN:
        case PGRES_COPY_BOTH:
            return result_ != nullptr;
        default:
            return false;
    }
}

std::string PgResult::sqlstate() const {
    return field(result_.get(), PG_DIAG_SQLSTATE);
}

std::string PgResult::message() const {
    if (!result_) return "the server closed the connection";
    std::string text = field(result_.get(), PG_DIAG_MESSAGE_PRIMARY);
    if (text.empty()) text = PQresultErrorMessage(result_.get());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "the server closed the connection" : text;
}

Error PgResult::error(std::string_view what) const {
    return Error(code_of(sqlstate()), std::string(what) + ": " + message(), {},
                 field(result_.get(), PG_DIAG_MESSAGE_HINT));
}

std::optional<std::string_view> PgResult::value(int row, int column) const {
    if (row < 0 || row >= rows() || column < 0 || column >= columns()) {
        throw Error(ErrorCode::protocol, "the server's answer has fewer fields than expected");
    }
    if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
    return std::string_view(PQgetvalue(result_.get(), row, column),
                            static_cast<std::size_t>(PQgetlength(result_.get(), row, column)));
}

std::string_view PgResult::text(int row, int column) const {
    const auto found = value(row, column);
    if (!found) throw Error(ErrorCode::protocol, "the server's answer lacks a value");
    return *found;
}

std::uint64_t PgResult::number(int row, int column) const {
    const std::string_view digits = text(row, column);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        throw Error(ErrorCode::protocol, "the server's answer is not a number: " + std::string(digits.substr(0, 40)));
    }
    return number;
}

int PgResult::column(const char* name) const {
    const int number = PQfnumber(result_.get(), name);
    if (number < 0) throw Error(ErrorCode::protocol, std::string("the server's answer has no column ") + name);
    return number;
}

}  // namespace coffer::pg
