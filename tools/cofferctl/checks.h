#pragma once
// What check judges: one item after the other, named as Barman names them, from facts that were gathered before.
#include <optional>
#include <string>
#include <vector>

#include "lib/scrub/standing.h"
#include "lib/wal/gaps.h"
#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/server_facts.h"

namespace coffer::cofferctl {

struct CheckItem {
    std::string name;
    bool passed = false;
    std::string hint;
    // "wal_maximum_age" for "wal maximum age"
    [[nodiscard]] std::string key() const;
};

struct ServerChecks {
    std::vector<CheckItem> items;
    std::uint64_t backup_bytes = 0;  // of the newest backup
    std::uint64_t wal_bytes = 0;     // of the WAL since then
    [[nodiscard]] bool passed() const;
};

// live: asked already, because a bus belongs to one thread. Never throws for what it finds.
ServerChecks check_server(const config::Server& server, const Asked<ReceiverView>& receiver, std::chrono::seconds limit,
                          WallTime now);

// The parts, for the tests.
// One failed item for each fault that disables the server; one that passes with all that is ignored.
void check_configuration(const config::Server& server, std::vector<CheckItem>& items);
void check_postgres(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items);
void check_catalogue(const config::Server& server, const CatalogueView& view, WallTime now, ServerChecks& checks);
void check_gaps(const std::vector<wal::WalGap>& gaps, const catalogue::BackupInfo* last, std::vector<CheckItem>& items);
void check_scrub(const scrub::Standing& standing, std::chrono::seconds interval, std::vector<CheckItem>& items);
void check_receiver(const config::Server& server, const Asked<ReceiverView>& receiver, std::vector<CheckItem>& items);

}  // namespace coffer::cofferctl
