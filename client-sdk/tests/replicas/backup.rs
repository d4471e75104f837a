//! A copy of a store that was made while a training went on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sphinx_client::{EncryptedSession, Evaluator, Protocol, SessionOptions, Update};
use sphinx_proto::SessionId;
use sphinx_testbed::training::{blocking, key_id, model_id, open, request, rule};
use sphinx_testbed::{Place, Process};

use crate::world::World;

/// As docs/operations.md says: a plain copy, without the hints, made twice or until it has a
/// version of the model. A file that was pruned meanwhile is no fault.
fn copy(store: &Path, to: &Path) {
    let source = format!("{}/.", store.display());
    let model = to.join("models/default/m");
    for pass in 1.. {
        let copied = Command::new("cp").args(["-a", &source]).arg(to).output().unwrap();
        let said = String::from_utf8(copied.stderr).unwrap();
        for line in said.lines() {
            assert!(line.contains("No such file or directory"), "{line}");
        }
        fs::remove_dir_all(model.join("head")).unwrap();
        let incarnation = fs::read_dir(model.join("v")).unwrap().next().unwrap().unwrap().path();
        let names = fs::read_dir(incarnation).unwrap().map(|file| file.unwrap().file_name());
        if pass > 1 && names.filter(|name| name.len() == 20).count() > 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn services_start_on_a_copy_that_was_made_while_a_training_went_on() {
    let world = World::in_directory().await;
    let trainer = world.trainer();
    let client = world.client(&trainer.url(), "");
    world.create_model(&client).await;
    let steps = Arc::new(AtomicU64::new(0));
    let (seen, training) = (Arc::clone(&steps), client.clone());
    let request = request(&world.key, &world.ledger(), open(4000.0));
    let training = tokio::spawn(async move {
        let note = move |progress: &sphinx_client::Progress| {
            seen.store(progress.step, Ordering::SeqCst);
            progress.step < 4000
        };
        training.train_model(request, note).await
    });
    let mut copies = Vec::new();
    for number in 0..8u8 {
        let from = steps.load(Ordering::SeqCst);
        while steps.load(Ordering::SeqCst) < from + 10 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            assert!(!training.is_finished(), "the training ended early");
        }
        let before = steps.load(Ordering::SeqCst);
        let to = world.directory.path().join(format!("copy{number}"));
        fs::create_dir(&to).unwrap();
        copy(Path::new(&world.place.store), &to);
        // A step may be stored whose word is on its way.
        copies.push((to, before..=steps.load(Ordering::SeqCst) + 1));
    }
    training.abort();
    let mut versions = Vec::new();
    for (number, (store, possible)) in (100..).zip(copies) {
        let store = store.to_str().unwrap().to_owned();
        let vault = Place { store: store.clone(), ..Place::default() };
        let keyvault = Process::start(&sphinx_keyvault::SERVICE, vault);
        let place = Place { store, keyvault: keyvault.url(), ..Place::default() };
        let trainer = Process::start(&sphinx_trainer::SERVICE, place);
        let client = world.client(&trainer.url(), "");
        // Its chain is checked against the key.
        let exported = client.export_model(&model_id(), &world.key).await.unwrap();
        let version = exported.model.version;
        assert!(possible.contains(&version), "{version} of {possible:?}");
        // And it goes on.
        let options = SessionOptions {
            model_id: model_id(),
            key_id: key_id(),
            key: Arc::clone(&world.key),
            session_id: SessionId([number; 16]),
            rule: rule(),
            protocol: Protocol::default(),
        };
        let mut session = EncryptedSession::open(&client, options).await.unwrap();
        let zeros = exported.stages.iter();
        let update = Update {
            gradient: zeros.clone().map(|stage| vec![0.0; stage.weights.len()]).collect(),
            bias_gradient: zeros.map(|stage| vec![0.0; stage.biases.len()]).collect(),
            adopts_average: false,
        };
        let sealed = session.seal(0, &update, false).unwrap();
        blocking(move || session.commit_sealed(0, &sealed)).await.unwrap();
        assert_eq!(client.model(&model_id()).await.unwrap().version, version + 1);
        versions.push(version);
    }
    println!("copies of versions {versions:?}");
}
