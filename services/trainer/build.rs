//! Makes the target known to the code: clients are told which build computes other bits.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=SPHINX_TARGET={target}");
}
