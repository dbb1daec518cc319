#pragma once
// What is promised of a server's backups, in one value.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/config/config.h"
#include "lib/config/retention_policy.h"

namespace coffer::retention {

struct Policy {
    std::optional<config::RetentionPolicy> main;  // retention_policy; nullopt: nothing is ever obsolete
    std::uint32_t minimum_redundancy = 0;
    // wal_retention_policy: how far back any moment can be restored; nullopt: as far as main goes.
    std::optional<std::chrono::seconds> wal_window;
    config::RetentionTiers tiers;
};

Policy policy_of(const config::Server& server);

}  // namespace coffer::retention
