# shellcheck shell=bash disable=SC2154,SC2034
# The tiers of tests/run, and how each one's results are counted. Sourced by it, never run.
#
# Each tier_NAME adds to $passed, $failed and $skipped what its runner reported. A runner that dies without a report
# counts as one failure: nothing that was not seen to pass is counted as passed.

. tests/lib/packages.sh

heading() { printf '\n== %s\n' "$1"; }

note_failure() {
    echo "FAILED: $1: $2"
    failures+=("$1: $2")
    failed=$((failed + 1))
}

# check NAME COMMAND...: one test, passed when the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok: $name"
        passed=$((passed + 1))
    else
        note_failure "$name" "see above"
    fi
}

install_packages() {
    install_missing "${test_packages[@]}"
}

# build PRESET TARGET...
build() {
    local preset=$1 log=$out/build-$1.log
    shift
    echo "building $preset ($*), log in ${log#"$top"/}"
    if ! { cmake --preset "$preset" && cmake --build "build/$preset" -j "$(nproc)" --target "$@"; } >"$log" 2>&1; then
        grep -E -A3 'error|FAILED' "$log" | head -40
        note_failure "build $preset" "${log#"$top"/}"
        return 1
    fi
}

# Files of the tree whose name matches, without what is built. Not by git: a checkout may belong to another user.
tree() {
    find . \( -path ./build -o -path ./.git -o -name .cache \) -prune -o -type f -regextype posix-extended \
        -regex "$1" -print | sort
}

check_format() {
    local bad
    # Versions disagree about details; the tree is formatted with the one of Debian 12.
    clang-format --version | grep -q 'version 14\.' || { echo "not clang-format 14: not judged" && return 0; }
    bad=$(tree '.*\.(cpp|h)' | xargs clang-format --dry-run 2>&1 | grep ': warning: ' | head -20)
    [ -z "$bad" ] || { echo "$bad" && return 1; }
}

check_shell() {
    local scripts
    mapfile -t scripts < <({
        tree '.*\.sh'
        grep -lsrE '^#!/(usr/)?bin/(env )?(ba)?sh' ./tests ./tools ./provisioning ./image ./.ci
    } | sort -u)
    shellcheck --external-sources --severity=warning "${scripts[@]}"
}

# The domains of lib/ know nothing of the bus, and nothing in lib/ knows a service.
check_dependencies() {
    local bad
    bad=$(grep -nE '#include "lib/bus/|#include <systemd/sd-bus' -r services/lib/{base,config,pg,wal,image,catalogue,backup,restore,retention,verify,scrub,transfer,pace,hooks,delivery,rsync} -s
        grep -nE '#include "(services/|tools/|streamer/|archiver/|scheduler/|job/|cofferctl/)' -r services/lib -s)
    [ -z "$bad" ] || { echo "$bad" && return 1; }
}

# Every kill point of the sources stands in the architecture page, where "a.b.{c,d}" means a.b.c and a.b.d.
check_kill_points_documented() {
    $python - <<'END'
import pathlib, re, sys
text = pathlib.Path("docs/architecture.md").read_text(encoding="utf-8")
told = set()
for prefix, names, single in re.findall(r"`([a-z_.]+\.)\{([a-z_,]+)\}`|`([a-z_]+(?:\.[a-z_]+)+)`", text):
    told.update([single] if single else [prefix + name for name in names.split(",")])
sources = [p for f in ("services", "tools") for p in pathlib.Path(f).rglob("*") if p.suffix in (".cpp", ".h")]
there = {n for p in sources for n in re.findall(r'kill_point\("([^"]+)"', p.read_text(encoding="utf-8"))}
sys.exit("not in docs/architecture.md: " + " ".join(sorted(there - told)) if there - told else 0)
END
}

# docs/configuration.md has the keys of keys.cpp, section for section, with where each may stand and what becomes of it.
check_keys_documented() {
    $python - <<'END'
import pathlib, re, sys
scopes = {"global_only": "global", "server_only": "server", "inherited": "global, server"}
supports = {"": "used", "used": "used", "later": "not yet", "quiet": "no effect"}
source = pathlib.Path("services/lib/config/keys.cpp").read_text(encoding="utf-8")
table = re.search(r"^constexpr Key keys\[\] = \{\n(.*?)^\};", source, re.M | re.S).group(1)
text = pathlib.Path("docs/configuration.md").read_text(encoding="utf-8")
there = [heading or (key, scopes[scope], supports[support]) for heading, key, scope, support in
         re.findall(r'^ *// (.+)\.$|^ *\{"(\w+)", (\w+)(?:, (\w+))?', table, re.M)
         if f"`{key}` is the same key" not in text]
text = re.search(r"^## Keys\n(.*?)^## ", text, re.M | re.S).group(1)
told = [heading or tuple(row) for heading, *row in
        re.findall(r"^### (.+)$|^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", text, re.M)]
different = [each for each in there if each not in told] + [each for each in told if each not in there]
sys.exit(f"keys.cpp and docs/configuration.md differ in: {different}" if different else 0 if there == told else
         "docs/configuration.md has the keys in another order than keys.cpp")
END
}

# Sources of a folder are compiled together: a function of one file must not be an overload of another file's.
check_names_without_linkage() {
    $python - <<'END'
import collections, pathlib, re, sys
apart = set(re.search(r"set_source_files_properties\((.*?)PROPERTIES SKIP_UNITY", pathlib.Path("CMakeLists.txt").read_text(),
                      re.S).group(1).split())
seen = collections.defaultdict(set)
for source in pathlib.Path("services").rglob("*.cpp"):
    text = source.read_text(encoding="utf-8")
    space = re.search(r"^namespace (coffer[\w:]*) \{$", text, re.M)
    for part in re.findall(r"^namespace \{\n(.*?)^\}  // namespace$", text, re.M | re.S):
        for name in re.findall(r"^(?:\[\[\w+\]\] )?[\w:<>,*&\x20]+?[ *&](\w+)\([^;]*?\) ?(?:noexcept )?\{", part, re.M):
            if source.name != "main.cpp" and str(source) not in apart:
                seen[space.group(1) if space else "", name].add(str(source))
bad = [f"{name} of {space}: {', '.join(sorted(files))}" for (space, name), files in seen.items() if len(files) > 1]
sys.exit("the same name without linkage in several files:\n" + "\n".join(bad) if bad else 0)
END
}

# The architecture page leads to every other one.
check_pages_listed() {
    local page unlisted=0
    for page in docs/*.md; do
        page=${page#docs/}
        [ "$page" = architecture.md ] || grep -qF -- "- [$page]($page): " docs/architecture.md ||
            { echo "not in docs/architecture.md, \"Parts\": $page" && unlisted=1; }
    done
    return $unlisted
}

tier_style() {
    heading style
    check "sources are formatted as .clang-format says" check_format
    check "scripts please shellcheck" check_shell
    check "kill points are documented" check_kill_points_documented
    check "configuration keys are documented" check_keys_documented
    check "names without linkage are those of one file" check_names_without_linkage
    check "all pages are listed in the first one" check_pages_listed
    check "domains do not depend on the bus or on services" check_dependencies
}

# count_cpputest NAME LOG: adds the figures of the summary line of a CppUTest run.
count_cpputest() {
    local line ran wrong
    line=$(grep -aE '^(OK|Errors) \(' "$2" | tail -1)
    ran=$(sed -nE 's/.*[(, ]([0-9]+) ran.*/\1/p' <<<"$line")
    wrong=$(sed -nE 's/^Errors \(([0-9]+) failures?.*/\1/p' <<<"$line")
    skipped=$((skipped + $(sed -nE 's/.* ([0-9]+) ignored.*/\1/p' <<<"${line:- 0 ignored}")))
    if [ -z "$ran" ]; then
        note_failure "$1" "ended without a summary (${2#"$top"/})"
        tail -20 "$2"
        return
    fi
    wrong=${wrong:-0}
    if [ "$wrong" -gt 0 ]; then
        grep -aE -A4 'error: Failure in' "$2"
    fi
    passed=$((passed + ran - wrong))
    failed=$((failed + wrong))
    [ "$wrong" = 0 ] || failures+=("$1: $wrong")
    echo "$1: ${line%$'\r'}"
}

# run_unit_tests PRESET [ARGUMENTS]
run_unit_tests() {
    local preset=$1 log=$out/unit-$1.log status
    shift
    build "$preset" coffer-unit-tests || return 0
    # No address space randomisation: gcc 12's thread sanitizer cannot place its shadow under that of newer kernels.
    setarch -R "build/$preset/bin/coffer-unit-tests" "$@" >"$log" 2>&1
    status=$?
    count_cpputest "unit tests ($preset)" "$log"
    if [ $status != 0 ] && grep -qaE '^OK \(' "$log"; then
        grep -aE -A25 'ERROR: |WARNING: ThreadSanitizer|runtime error' "$log" | head -60
        note_failure "unit tests ($preset)" "exit status $status although all passed (${log#"$top"/})"
    fi
}

tier_unit() { heading unit && run_unit_tests debug "$@"; }
tier_tsan() { heading tsan && TSAN_OPTIONS=halt_on_error=0:exitcode=66 run_unit_tests tsan "$@"; }
tier_asan() {
    heading asan
    ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 run_unit_tests asan "$@"
}

# fuzz_one NAME: what it newly finds goes to build/, inputs that break it to build/tests; exit status is the fuzzer's.
fuzz_one() {
    local found=$top/build/fuzz-corpus/$1
    mkdir -p "$found" "tests/fuzz/corpus/$1"
    "build/fuzz/bin/$1" -max_total_time="${COFFER_FUZZ_SECONDS:-30}" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$out/$1-" "$found" "tests/fuzz/corpus/$1" >"$out/$1.log" 2>&1
}

tier_fuzz() {
    local names=("$@") name
    heading fuzz
    [ ${#names[@]} -gt 0 ] || mapfile -t names < <(find tests/fuzz -name 'fuzz_*.cpp' -printf '%f\n' 2>/dev/null | sed 's/\.cpp$//' | sort)
    [ ${#names[@]} -gt 0 ] || return 0
    build fuzz "${names[@]}" || return 0
    export -f fuzz_one
    export top out
    printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz_one {}; echo $? >"$out/{}.status"'
    for name in "${names[@]}"; do
        if [ "$(cat "$out/$name.status")" = 0 ]; then
            echo "ok: $name, $(sed -nE 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs"
            passed=$((passed + 1))
        else
            grep -aE 'ERROR|SUMMARY|Test unit written' "$out/$name.log"
            note_failure "$name" "${out#"$top"/}/$name.log"
        fi
    done
}

# count_junit NAME FILE
count_junit() {
    local figures
    figures=$($python tests/lib/junit_counts.py "$2") || {
        note_failure "$1" "ended without a report"
        return
    }
    read -r p f s <<<"$figures"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" = 0 ] || failures+=("$1: $f")
}

# run_pytest TIER [ARGUMENTS]
run_pytest() {
    local name=$1 report=$out/$1.xml
    shift
    [ -n "$(find "tests/$name" -name 'test_*.py' -print -quit 2>/dev/null)" ] || return 0
    heading "$name"
    if [ "$(id -u)" != 0 ]; then
        note_failure "$name" "needs root, for user changes, chroots and loop devices: sudo tests/run $name"
        return
    fi
    build debug all || return 0
    rm -f "$report"
    (cd "tests/$name" && PYTHONPATH=$top/tests PYTHONDONTWRITEBYTECODE=1 $python -m pytest -p no:cacheprovider -ra \
        --junitxml="$report" -o junit_family=xunit2 "$@")
    count_junit "$name" "$report"
}

tier_integration() {
    local binaries
    build debug all || return 0
    # Copied to where the tests' ordinary user can run them, wherever the checkout lies (below /root, say).
    binaries=$(mktemp -d /var/tmp/coffer-bin.XXXXXX) && chmod 755 "$binaries" && cp build/debug/bin/* "$binaries/"
    # One file at a time in each process. One more than processors: tests wait for each other's disk.
    COFFER_BIN=${COFFER_BIN:-$binaries} run_pytest integration \
        -n "${COFFER_TEST_WORKERS:-$(($(nproc) + 1))}" --dist loadfile "$@"
    rm -rf "$binaries"
}
tier_system() { run_pytest system "$@"; }
