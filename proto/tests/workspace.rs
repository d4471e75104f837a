//! The trust boundary and the layers of the workspace, held by the dependency graph itself.
//!
//! What counts is every dependency that can end up in a binary: normal and build dependencies, optional
//! ones included, whatever the features and the target. Tests may depend on anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// The crate that defines the secret-key type.
const SECRET: &str = "sphinx-secret";
/// The crate that everybody else has it from.
const CLIENT: &str = "sphinx-client";

/// Where in the workspace a package lives; it decides what the package may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// `proto/` and `crates/`.
    Shared,
    /// `services/`.
    Service,
    /// `client-sdk/`: with the command, the only place for secret keys.
    Client,
    /// `client-sdk/cli/`, which is also each of the services.
    Command,
}

/// Packages by name, each with its layer and the workspace's packages that it depends on.
#[derive(Debug, Default)]
struct Graph {
    packages: BTreeMap<String, (Layer, BTreeSet<String>)>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let packages = metadata.workspace_packages();
        let packages = packages.into_iter().map(|package| {
            let inside = package.dependencies.iter().filter(|dependency| {
                dependency.path.is_some() && dependency.kind != DependencyKind::Development
            });
            let inside = inside.map(|dependency| dependency.name.clone()).collect();
            (package.name.to_string(), (layer(metadata, package), inside))
        });
        Self { packages: packages.collect() }
    }

    /// Everything that a package depends on, directly or through others.
    fn reached_from<'a>(&'a self, package: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![package];
        while let Some((_, direct)) = open.pop().and_then(|name| self.packages.get(name)) {
            open.extend(direct.iter().map(String::as_str).filter(|name| reached.insert(*name)));
        }
        reached
    }

    /// Every broken rule, as "who -> whom".
    fn violations(&self) -> Vec<String> {
        let pairs = self.packages.iter().flat_map(|(from, (layer, _))| {
            let reached = self.reached_from(from).into_iter();
            reached.map(move |to| (from.as_str(), *layer, to))
        });
        pairs
            .filter(|&(_, layer, to)| !self.allows(layer, to))
            .map(|(from, _, to)| format!("{from} -> {to}"))
            .collect()
    }

    fn allows(&self, layer: Layer, to: &str) -> bool {
        let below = match self.packages.get(to).map(|(layer, _)| layer) {
            Some(Layer::Shared) => true,
            Some(Layer::Service | Layer::Client) => layer == Layer::Command,
            Some(Layer::Command) | None => false,
        };
        below && (to != SECRET || matches!(layer, Layer::Client | Layer::Command))
    }
}

fn layer(metadata: &Metadata, package: &Package) -> Layer {
    let path = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap();
    match path.components().next().unwrap().as_str() {
        "proto" | "crates" => Layer::Shared,
        "services" => Layer::Service,
        "client-sdk" if path.starts_with("client-sdk/cli") => Layer::Command,
        "client-sdk" => Layer::Client,
        other => panic!("{} is in {other}/, which is in no layer", package.name),
    }
}

/// Without the packages of others: a path into the workspace can only come from the workspace, and
/// nothing needs to be resolved or downloaded.
fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap()
}

#[test]
fn only_the_client_reaches_the_secret_key_and_no_layer_reaches_up() {
    let graph = Graph::of(&workspace());
    assert_eq!(graph.violations(), Vec::<String>::new());
    // Were the names misspelt, or the paths not seen, everything would be allowed.
    assert!(graph.reached_from(CLIENT).contains(SECRET));
    for service in ["sphinx-trainer", "sphinx-inference", "sphinx-keyvault"] {
        assert_eq!(graph.packages.get(service).map(|(layer, _)| *layer), Some(Layer::Service));
        assert!(graph.reached_from(service).contains("sphinx-runtime"), "{service}");
    }
}

fn graph(edges: &[(&str, Layer, &[&str])]) -> Graph {
    let packages = edges.iter().map(|&(name, layer, direct)| {
        (name.to_owned(), (layer, direct.iter().map(|to| (*to).to_owned()).collect()))
    });
    Graph { packages: packages.collect() }
}

#[test]
fn rejects_a_secret_key_behind_a_shared_crate() {
    let graph = graph(&[
        (SECRET, Layer::Shared, &[]),
        ("cache", Layer::Shared, &[SECRET]),
        ("trainer", Layer::Service, &["cache"]),
        (CLIENT, Layer::Client, &[SECRET]),
        ("command", Layer::Command, &[CLIENT, "trainer"]),
    ]);
    assert_eq!(graph.violations(), ["cache -> sphinx-secret", "trainer -> sphinx-secret"]);
}

#[test]
fn rejects_what_reaches_up_or_sideways() {
    let graph = graph(&[
        ("runtime", Layer::Shared, &["trainer"]),
        ("trainer", Layer::Service, &[]),
        ("inference", Layer::Service, &["trainer", CLIENT]),
        (CLIENT, Layer::Client, &["trainer", "runtime"]),
        ("command", Layer::Command, &["trainer", CLIENT]),
    ]);
    let expected = [
        "inference -> sphinx-client",
        "inference -> trainer",
        "runtime -> trainer",
        "sphinx-client -> trainer",
    ];
    assert_eq!(graph.violations(), expected);
}

#[test]
fn cycles_of_dependencies_come_to_an_end() {
    let graph = graph(&[("a", Layer::Shared, &["b"]), ("b", Layer::Shared, &["a"])]);
    assert_eq!(graph.reached_from("a"), BTreeSet::from(["a", "b"]));
}
