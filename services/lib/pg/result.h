#pragma once
// Owner of a libpq result: the rows of a query, or why there are none.
//
// Move-only; empty (no result) is legal: ok() is false then. Rows and columns count from 0.
#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/error.h"

namespace coffer::pg {

class PgResult {
  public:
    PgResult() noexcept = default;
    explicit PgResult(PGresult* result) noexcept : result_(result) {}

    [[nodiscard]] PGresult* get() const noexcept { return result_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return result_ != nullptr; }
    [[nodiscard]] ExecStatusType status() const noexcept { return PQresultStatus(result_.get()); }
    // Rows, a finished command, or the begin of a COPY.
    [[nodiscard]] bool ok() const noexcept;
    // The five characters of the server's SQLSTATE; empty where it was not the server that failed.
    [[nodiscard]] std::string sqlstate() const;
    // The server's first sentence, without "ERROR:".
    [[nodiscard]] std::string message() const;
    // The failure as the error to throw: code by SQLSTATE (never no_space, io or canceled), the server's hint as
    // the remedy.
    [[nodiscard]] Error error(std::string_view what) const;

    [[nodiscard]] int rows() const noexcept { return PQntuples(result_.get()); }
    [[nodiscard]] int columns() const noexcept { return PQnfields(result_.get()); }
    // nullopt for NULL. Throws protocol when there is no such field.
    [[nodiscard]] std::optional<std::string_view> value(int row, int column) const;
    // As value(), but NULL is a protocol error.
    [[nodiscard]] std::string_view text(int row, int column) const;
    // A decimal number; throws protocol for anything else.
    [[nodiscard]] std::uint64_t number(int row, int column) const;
    // Position of a column by its name; throws protocol when the server sent none of that name.
    [[nodiscard]] int column(const char* name) const;

  private:
    struct Clear {
        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };
    std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace coffer::pg
