# What the scripts of this folder share: sourced, never run.
# Logic lives in the programs; here is only what has to happen before there are any.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/duckblind
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
# The two sets of programs: as shipped, and with the simulated platform for tests and demo.
PRODUCT_BIN=$CARGO_TARGET_DIR/sets/product
SIMULATOR_BIN=$CARGO_TARGET_DIR/sets/simulator
PROGRAMS=(duckblind duckblind-enclave duckblind-host duckblind-verifier)
# The one set of flags. DuckDB's C++ takes 20 minutes and is built again for any other set.
FLAGS=(--workspace --release --locked)

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
note() { printf '%s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# ensure_command COMMAND PACKAGE WHY: installs PACKAGE if COMMAND is missing.
ensure_command() {
    command -v "$1" >/dev/null 2>&1 && return
    ensure_package "$2" "$3"
    command -v "$1" >/dev/null 2>&1 || die "$2 is installed, but $1 is still not found"
}

ensure_package() {
    command -v apt-get >/dev/null 2>&1 ||
        die "$1 is missing ($2), and this is no Debian or Ubuntu machine: please install it by hand"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "$1 is missing ($2): run 'apt-get install $1' as root"
        as_root=(sudo)
    fi
    note "installing $1: $2"
    # A package list may be there already; it is fetched only if it does not know the package.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1" >&2 2>/dev/null ||
        { "${as_root[@]}" apt-get update -q >&2 &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1" >&2; } ||
        die "apt-get could not install $1"
}

ensure_rust() {
    command -v cargo >/dev/null 2>&1 || [ ! -f "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
    command -v cargo >/dev/null 2>&1 ||
        die "Rust is missing: install it with rustup (see rust-lang.org/tools/install), then run this again"
}

ensure_build_tools() {
    ensure_rust
    ensure_command g++ g++ "DuckDB is C++"
    ensure_command cc gcc "cryptography and SQLite are C"
    ensure_command make make "some C libraries build with it"
    ensure_command git git "the release manifest names the source commit"
}

# ensure_python DIR MODULES WHY PACKAGE...: a throw-away Python environment that can import the modules.
ensure_python() {
    local dir=$1 modules=$2 why=$3
    shift 3
    ensure_command python3 python3 "$why"
    if "$dir/bin/python" -c "import $modules" >/dev/null 2>&1; then
        return
    fi
    python3 -c 'import ensurepip' >/dev/null 2>&1 ||
        ensure_package python3-venv "$why, in an environment of their own"
    rm -rf "$dir"
    note "making a Python environment with $* in $dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check "$@" ||
        { rm -rf "$dir"; die "$* could not be installed into $dir"; }
}

# ensure_venv: what the tests compare with, named by DUCKBLIND_PYTHON.
ensure_venv() {
    ensure_python "$CACHE/venv" 'pyarrow, sevsnpmeasure' "the tests compare with Python packages" \
        'pyarrow==26.0.1' 'sev-snp-measure==0.0.13'
    export DUCKBLIND_PYTHON=$CACHE/venv/bin/python
}

# ensure_peers: what the bench compares with. DUCKBLIND_PEERS names the Python that has it; DataFusion 49 is the newest
# wheel that was built with its reader of encrypted Parquet. DUCKBLIND_PEER_DUCKDB names one with the newest DuckDB
# whose cipher for its own encrypted Parquet is a package.
ensure_peers() {
    local why="the bench compares with Python packages"
    ensure_python "$CACHE/peers" 'duckdb, datafusion, pyarrow' "$why" \
        'duckdb==2.0.0' 'datafusion==49.0.0' 'pyarrow==26.0.1'
    ensure_python "$CACHE/peer-duckdb" 'duckdb, duckdb_extension_httpfs, pyarrow' "$why" \
        'duckdb==1.5.5' 'duckdb-extension-httpfs==1.5.5' 'pyarrow==26.0.1'
    export DUCKBLIND_PEERS=$CACHE/peers/bin/python DUCKBLIND_PEER_DUCKDB=$CACHE/peer-duckdb/bin/python
}

# Every output folder of DuckDB's build.
duckdb_outputs() {
    mkdir -p "$CARGO_TARGET_DIR/release/build"
    find "$CARGO_TARGET_DIR/release/build" -maxdepth 2 -path '*/libduckdb-sys-*/out' 2>/dev/null | sort
}

# What may rightly cause DuckDB to be built anew.
duckdb_cause() {
    (cd "$ROOT" && cat Cargo.lock Cargo.toml engine/Cargo.toml rust-toolchain.toml | sha256sum | cut -d' ' -f1)
}

# build [--features simulator]: all programs and tests, guarded against a second build of DuckDB.
build() {
    local before after new record=$CARGO_TARGET_DIR/duckdb-built-for cause
    before=$(duckdb_outputs)
    cause=$(duckdb_cause)
    (cd "$ROOT" && cargo build "${FLAGS[@]}" --all-targets "$@")
    after=$(duckdb_outputs)
    new=$(comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after") | grep -c . || true)
    if [ "$new" -gt 1 ] || { [ "$new" -eq 1 ] && [ -n "$before" ] && [ "$(cat "$record" 2>/dev/null)" = "$cause" ]; }; then
        printf '%s\n' "$after" >&2
        die "DuckDB was built a second time although neither engine nor lock file changed: some command used other flags or features"
    fi
    printf '%s\n' "$cause" >"$record"
}

# keep_programs FOLDER: copies what was just built there.
keep_programs() {
    mkdir -p "$1"
    local program
    for program in "${PROGRAMS[@]}"; do
        cp -f --remove-destination "$CARGO_TARGET_DIR/release/$program" "$1/$program"
    done
    [ ! -e "$CARGO_TARGET_DIR/release/duckblind-bench" ] ||
        cp -f --remove-destination "$CARGO_TARGET_DIR/release/duckblind-bench" "$1/duckblind-bench"
}

build_simulator_set() {
    say "building the programs with the simulated platform"
    build --features simulator
    keep_programs "$SIMULATOR_BIN"
    export DUCKBLIND_BIN=$SIMULATOR_BIN
}

build_product_set() {
    say "building the programs as shipped, without the simulated platform"
    build
    keep_programs "$PRODUCT_BIN"
    export DUCKBLIND_PRODUCT_BIN=$PRODUCT_BIN
}
