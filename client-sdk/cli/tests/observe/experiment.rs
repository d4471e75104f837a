//! `docs/grpcurl.md`: every snippet is run, in order, against services with TLS and tokens.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tools;
use crate::world::{World, succeeds};

const TEXT: &str = include_str!("../../../../docs/grpcurl.md");

/// The blocks of shell, with the heading that each stands under.
fn snippets() -> Vec<(&'static str, &'static str)> {
    let mut snippets = Vec::new();
    for section in TEXT.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let blocks = section.split("```sh\n").skip(1);
        snippets.extend(blocks.map(|block| (heading, block.split("```").next().unwrap())));
    }
    snippets
}

/// The objects that a snippet printed, one after the other.
fn objects(text: &str) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_str(text).into_iter();
    stream.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_experiment_of_the_text_runs_from_creation_to_deletion() {
    let Some(grpcurl) = tools::grpcurl() else { return };
    let world = World::start("").await;
    let folder = world.directory.path();
    let test = sphinx_mnist::load().unwrap().test;
    let digit = image::GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(folder.join("digit.png")).unwrap();
    // The shell finds both programs by their names.
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\nexec {:?} \"$@\"\n", grpcurl.canonicalize().unwrap());
    std::fs::write(bin.join("grpcurl"), script).unwrap();
    std::fs::set_permissions(bin.join("grpcurl"), PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sphinx"), bin.join("sphinx")).unwrap();

    let snippets = snippets();
    assert!(snippets.len() >= 8, "{snippets:?}");
    let [first, rest @ ..] = &snippets[..] else { panic!("no snippets") };
    let mut printed = Vec::new();
    for (heading, snippet) in rest {
        let mut shell = Command::new("/bin/sh");
        // What the first one defines holds for all that follow.
        shell.arg("-euc").arg(format!("{}\n{snippet}", first.1)).current_dir(folder).env_clear();
        shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        shell.env("HOME", folder).env("SPHINX_HOME", folder.join("home")).stdin(Stdio::null());
        for (name, value) in world.environment() {
            shell.env(name, value);
        }
        let output = succeeds(shell);
        printed.push((*heading, String::from_utf8(output.stdout).unwrap()));
        println!("## {heading}\n{snippet}\n{}", printed.last().unwrap().1);
    }
    let of = |heading: &str| {
        let found = printed.iter().find(|(of, _)| *of == heading);
        &found.unwrap_or_else(|| panic!("nothing under {heading}")).1
    };
    let [created] = &objects(of("Create a model"))[..] else { panic!("not one model") };
    assert_eq!(created["model"]["modelId"], "untrained");
    let watched = std::fs::read_to_string(folder.join("watched.json")).unwrap();
    let watched = objects(&watched);
    let versions: Vec<_> = watched.iter().map(|one| one["version"].clone()).collect();
    assert_eq!(versions.len(), 4);
    // Zero is left out by protobuf's JSON.
    assert_eq!(versions[0]["version"], Value::Null);
    assert_eq!(versions[3]["version"], "3");
    assert!(versions[3]["written"].as_str().unwrap().ends_with('Z'));
    let listed = objects(of("List and show"));
    assert_eq!(listed[0]["models"][0]["version"], "3");
    assert_eq!(listed[0]["models"][1]["modelId"], "untrained");
    assert_eq!(listed[1]["versions"].as_array().unwrap().len(), 4);
    let compared = &objects(of("Compare two versions"))[0];
    assert!(compared["stages"][0]["differenceNorm"].as_f64().unwrap() > 0.0, "{compared}");
    let decrypted = &objects(of("Recognise in one shot"))[0];
    let class = decrypted["class"].as_u64().or_else(|| decrypted["class"].as_str()?.parse().ok());
    assert!(class.unwrap() < 10, "{decrypted}");
    let exported = std::fs::read_to_string(folder.join("digits.json")).unwrap();
    let exported = objects(&exported);
    assert_eq!(exported.len(), 4);
    assert_eq!(exported[3]["biases"]["stages"].as_array().unwrap().len(), 2);
    assert_eq!(objects(of("Delete both")).len(), 2);
    let left = world.json(&["models", "list", "--json"]);
    assert_eq!(left.as_array().unwrap().len(), 0);
}
