//! Compiles the C++ shim against the headers of the very DuckDB that is linked.

use std::path::Path;

const SOURCES: [&str; 6] = [
    "crypto",
    "database",
    "error",
    "file_system",
    "gate",
    "query",
];

fn main() {
    println!("cargo:rerun-if-changed=shim");
    // Published by `libduckdb-sys` with feature `bundled`; without it there is no engine to build.
    println!("cargo:rerun-if-env-changed=DEP_DUCKDB_INCLUDE");
    let Some(include) = std::env::var_os("DEP_DUCKDB_INCLUDE") else {
        println!("cargo:error=libduckdb-sys published no include directory (feature `bundled`)");
        return;
    };

    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(2)
        // DuckDB itself is compiled with NDEBUG; its headers change layout-relevant checks with it.
        .define("NDEBUG", None)
        .warnings(false)
        .flag("-fvisibility=hidden")
        .include(Path::new(&include));
    for source in SOURCES {
        build.file(format!("shim/{source}.cpp"));
    }
    build.compile("duckblind_engine_shim");
}
