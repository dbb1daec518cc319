#pragma once
// What a restore tells people and machines: the plan before, the summary after.
#include <chrono>
#include <string>

#include "lib/restore/plan.h"

namespace coffer::job {

std::string plan_text(const restore::Plan& plan);
std::string plan_json(const restore::Plan& plan);
// How long it took, and how to go on.
std::string summary_text(const restore::Plan& plan, std::chrono::duration<double> took);
std::string summary_json(const restore::Plan& plan, std::chrono::duration<double> took);

}  // namespace coffer::job
