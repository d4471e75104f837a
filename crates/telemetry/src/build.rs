//! Which program this is.

use std::sync::LazyLock;

/// The commit it was built from, as `deploy/build-release.sh` found it or whoever builds from an
/// archive says it by `SPHINX_COMMIT`; other builds do not know it. Asking git in every build would
/// compile half of the workspace anew after each commit.
pub const COMMIT: &str = match option_env!("SPHINX_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What is built in, besides what every build has.
pub const FEATURES: &str = "metrics,otlp,tls";

/// Version, commit, build and features, as `--version` shows them.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let (version, system) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS);
        let machine = std::env::consts::ARCH;
        format!(
            "{version}\ncommit: {COMMIT}\nbuild: {profile} for {machine} on {system}\n\
             features: {FEATURES}"
        )
    });
    &TEXT
}
