#pragma once
// What a restore tells people and machines: the plan before, the summary after.
#include <chrono>
#include <string>

#include "lib/base/clock.h"
#include "lib/restore/execute.h"

namespace coffer::job {

std::string plan_text(const restore::Plan& plan);
// How long it took, and how to go on.
std::string summary_text(const restore::Plan& plan, const restore::Executed& executed,
                         std::chrono::duration<double> took);

// One object in the shape of cofferctl and Barman: what Coffer knows is below the server's name, messages are in _INFO,
// _WARNING and _ERROR, and what a restore of Barman (3.4, its output observed) tells at the top is there too.
std::string plan_json(const restore::Plan& plan);
std::string summary_json(const restore::Plan& plan, const restore::Executed& executed, WallTime began,
                         std::chrono::duration<double> took);
std::string error_json(std::string_view text);

}  // namespace coffer::job
