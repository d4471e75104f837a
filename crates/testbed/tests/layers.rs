//! What each crate may depend on, as one table, held by the dependency graph itself.
//!
//! What counts is every dependency that can end up in a binary: normal and build dependencies,
//! optional ones included, whatever the features and the target. Tests may depend on anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// A crate and its direct dependencies, all of them without the prefix `sphinx-`.
type Row<'a> = (&'a str, &'a [&'a str]);

/// Every crate of the workspace with the crates that it depends on, no more and no fewer. Whatever
/// a crate depends on stands above it, so that there are no circles and the table reads from the
/// ground up.
const TABLE: &[Row<'_>] = &[
    // Arithmetic and data of one's own: nothing of the wire.
    ("linalg", &[]),
    ("check", &["linalg"]),
    ("network", &[]),
    ("optimizer", &[]),
    ("privacy", &[]),
    ("objects", &[]),
    ("features", &["network"]),
    ("gradient", &["network"]),
    ("quantise", &["linalg", "network"]),
    ("tickets", &["linalg"]),
    ("evaluation-keys", &["linalg", "network"]),
    ("bootstrap", &["evaluation-keys", "linalg", "network"]),
    ("attack", &["network", "optimizer"]),
    ("telemetry", &[]),
    ("tls", &[]),
    ("audit", &[]),
    ("data", &["network"]),
    ("mnist", &["data", "network"]),
    // What both ends agree on, and how they talk.
    ("proto", &["network", "optimizer"]),
    ("access", &["proto"]),
    ("channel", &["access", "proto", "telemetry", "tls"]),
    ("wire", &["linalg", "network", "optimizer", "proto", "quantise"]),
    // A service's work without the service.
    ("offline", &["bootstrap", "evaluation-keys", "linalg", "network", "objects", "proto"]),
    // The services' side.
    ("models", &["network", "objects", "proto"]),
    ("runtime", &["access", "audit", "channel", "proto", "telemetry", "tls"]),
    (
        "trainer",
        &[
            "channel",
            "linalg",
            "models",
            "network",
            "optimizer",
            "proto",
            "quantise",
            "runtime",
            "wire",
        ],
    ),
    (
        "inference",
        &[
            "bootstrap",
            "channel",
            "evaluation-keys",
            "linalg",
            "models",
            "network",
            "proto",
            "quantise",
            "runtime",
            "wire",
        ],
    ),
    ("keyvault", &["channel", "evaluation-keys", "objects", "proto", "runtime"]),
    // The client's side, the only one with secret keys.
    ("secret", &["check", "evaluation-keys", "linalg"]),
    (
        "client",
        &[
            "access",
            "bootstrap",
            "channel",
            "check",
            "data",
            "evaluation-keys",
            "features",
            "gradient",
            "linalg",
            "network",
            "optimizer",
            "privacy",
            "proto",
            "quantise",
            "secret",
            "tickets",
            "tls",
            "wire",
        ],
    ),
    // The faces of the client: a local web application, Python, and the command.
    ("cluster", &[]),
    ("studio", &["client", "mnist", "privacy"]),
    ("python", &["client", "cluster", "mnist", "privacy"]),
    // The command is the client and, for `serve`, each of the services.
    (
        "cli",
        &[
            "access",
            "audit",
            "bootstrap",
            "client",
            "cluster",
            "evaluation-keys",
            "features",
            "gradient",
            "inference",
            "keyvault",
            "linalg",
            "mnist",
            "network",
            "offline",
            "optimizer",
            "privacy",
            "proto",
            "quantise",
            "runtime",
            "secret",
            "studio",
            "telemetry",
            "tls",
            "trainer",
        ],
    ),
    // The submission to a public benchmark: three programs of their own.
    ("he-common", &["linalg", "network", "quantise", "wire"]),
    (
        "he-client",
        &[
            "check",
            "evaluation-keys",
            "features",
            "he-common",
            "linalg",
            "network",
            "secret",
            "wire",
        ],
    ),
    ("he-server", &["bootstrap", "evaluation-keys", "he-common", "linalg", "wire"]),
    // For tests: it has both sides, and nobody has it.
    (
        "testbed",
        &[
            "client",
            "inference",
            "keyvault",
            "models",
            "network",
            "optimizer",
            "privacy",
            "proto",
            "runtime",
            "secret",
            "trainer",
            "wire",
        ],
    ),
    // Every decoder, for tests alone.
    (
        "fuzz",
        &[
            "access",
            "audit",
            "channel",
            "client",
            "data",
            "evaluation-keys",
            "inference",
            "keyvault",
            "models",
            "network",
            "offline",
            "optimizer",
            "privacy",
            "proto",
            "runtime",
            "secret",
            "testbed",
            "tickets",
            "tls",
            "trainer",
            "wire",
        ],
    ),
];

/// Crates that only some others may reach, directly or through any number of crates: the trust
/// boundary.
const BOUNDARY: &[Row<'_>] = &[
    // Defines the secret-key type.
    ("secret", &["client", "studio", "python", "cli", "he-client", "testbed", "fuzz"]),
    // Holds secret keys.
    ("client", &["studio", "python", "cli", "testbed", "fuzz"]),
    // Evaluates under encryption: no service but one builds it. The SDK has the simulation of it in
    // the clear, for canaries.
    (
        "bootstrap",
        &[
            "inference",
            "offline",
            "client",
            "studio",
            "python",
            "cli",
            "he-server",
            "testbed",
            "fuzz",
        ],
    ),
    // Is for tests.
    ("testbed", &["fuzz"]),
    ("fuzz", &[]),
];

/// Crates by name, each with its direct dependencies.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Everything that a crate depends on, directly or through others.
fn reached_from<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(direct) = open.pop().and_then(|name| graph.get(name)) {
        open.extend(direct.iter().map(String::as_str).filter(|name| reached.insert(*name)));
    }
    reached
}

/// Everything in which the workspace and the tables differ.
fn violations(graph: &Graph, table: &[Row<'_>], boundary: &[Row<'_>]) -> Vec<String> {
    let rows: BTreeMap<_, _> = table.iter().copied().collect();
    let mut found = Vec::new();
    for (name, direct) in graph {
        let Some(allowed) = rows.get(name.as_str()) else {
            found.push(format!("{name} has no row"));
            continue;
        };
        let extra = direct.iter().filter(|to| !allowed.contains(&to.as_str()));
        found.extend(extra.map(|to| format!("{name} -> {to} is not in the table")));
        let unused = allowed.iter().filter(|to| !direct.contains(**to));
        found.extend(unused.map(|to| format!("{name} -> {to} is in the table alone")));
        for (guarded, holders) in boundary {
            if reached_from(graph, name).contains(guarded) && !holders.contains(&name.as_str()) {
                found.push(format!("{name} reaches {guarded}"));
            }
        }
    }
    for (index, (name, direct)) in table.iter().enumerate() {
        if !graph.contains_key(*name) {
            found.push(format!("{name} is no crate"));
        }
        let above = |to: &&&str| table[..index].iter().any(|(name, _)| name == *to);
        let below = direct.iter().filter(|to| !above(to));
        found.extend(below.map(|to| format!("{to} does not stand above {name}")));
    }
    found
}

fn graph_of(metadata: &Metadata) -> Graph {
    let bare = |name: &str| name.strip_prefix("sphinx-").unwrap().to_owned();
    let packages = metadata.workspace_packages();
    let packages = packages.into_iter().map(|package| {
        let inside = package.dependencies.iter().filter(|dependency| {
            dependency.path.is_some() && dependency.kind != DependencyKind::Development
        });
        (bare(&package.name), inside.map(|dependency| bare(&dependency.name)).collect())
    });
    packages.collect()
}

/// Without the packages of others: a path into the workspace can only come from the workspace, and
/// nothing needs to be resolved or downloaded.
fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap()
}

#[test]
fn every_crate_depends_on_what_the_table_says_and_secret_keys_stay_with_the_client() {
    let graph = graph_of(&workspace());
    assert_eq!(violations(&graph, TABLE, BOUNDARY), Vec::<String>::new());
    // Were the names misspelt, or the paths not seen, everything would be allowed.
    for (guarded, holders) in BOUNDARY {
        assert!(graph.contains_key(*guarded), "{guarded}");
        for holder in *holders {
            assert!(reached_from(&graph, holder).contains(guarded), "{holder} -> {guarded}");
        }
    }
    for service in ["trainer", "inference", "keyvault"] {
        assert!(reached_from(&graph, service).contains("runtime"), "{service}");
    }
}

fn graph(rows: &[Row<'_>]) -> Graph {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    rows.iter().map(|&(name, direct)| (name.to_owned(), owned(direct))).collect()
}

/// A small house: what it allows, and who may hold secrets.
const SMALL: &[Row<'_>] =
    &[("secret", &[]), ("cache", &[]), ("trainer", &["cache"]), ("client", &["secret"])];
const SMALL_BOUNDARY: &[Row<'_>] = &[("secret", &["client"])];

fn small_violations(rows: &[Row<'_>]) -> Vec<String> {
    violations(&graph(rows), SMALL, SMALL_BOUNDARY)
}

#[test]
fn rejects_a_secret_key_behind_a_shared_crate() {
    assert_eq!(small_violations(SMALL), Vec::<String>::new());
    let rows: &[Row<'_>] = &[
        ("secret", &[]),
        ("cache", &["secret"]),
        ("trainer", &["cache"]),
        ("client", &["secret"]),
    ];
    let expected =
        ["cache -> secret is not in the table", "cache reaches secret", "trainer reaches secret"];
    assert_eq!(small_violations(rows), expected);
    // Nor does a row of the table help who may not hold it.
    let found = violations(&graph(rows), rows, SMALL_BOUNDARY);
    assert_eq!(found, ["cache reaches secret", "trainer reaches secret"]);
}

#[test]
fn rejects_what_reaches_up_or_sideways_and_a_table_that_is_not_the_workspace() {
    let rows: &[Row<'_>] =
        &[("secret", &[]), ("trainer", &["client"]), ("client", &[]), ("shared", &[])];
    let expected = [
        "client -> secret is in the table alone",
        "shared has no row",
        "trainer -> client is not in the table",
        "trainer -> cache is in the table alone",
        "cache is no crate",
    ];
    assert_eq!(small_violations(rows), expected);
}

#[test]
fn rejects_circles_and_rows_above_what_they_depend_on() {
    let rows: &[Row<'_>] = &[("a", &["b"]), ("b", &["a"])];
    assert_eq!(violations(&graph(rows), rows, &[]), ["b does not stand above a"]);
    assert_eq!(reached_from(&graph(rows), "a"), BTreeSet::from(["a", "b"]));
}
