//! Stores that a service does not start on, and what it says.

use sphinx_runtime::ServiceInfo;
use sphinx_testbed::s3::S3Server;
use sphinx_testbed::{Place, Process};

use crate::world::bucket;

/// The words on one line of the refusal.
async fn refused(service: &'static ServiceInfo, place: &Place, words: &[&str]) {
    let place = place.clone();
    let said = tokio::task::spawn_blocking(move || Process::refusal(service, &place));
    let said = said.await.unwrap();
    let line = said.lines().find(|line| line.starts_with("store ")).unwrap_or(&said);
    println!("{line}");
    for word in words {
        assert!(line.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_says_what_is_wrong_with_its_bucket_and_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("sphinx")).unwrap();
    let server = S3Server::start(directory.path()).await;
    let there = bucket(&server, "s3://sphinx/house");
    let services =
        [&sphinx_trainer::SERVICE, &sphinx_keyvault::SERVICE, &sphinx_inference::SERVICE];
    let with = |name: &str, value: &str| {
        let mut place = there.clone();
        place.environment.push((name.to_owned(), value.to_owned()));
        place
    };
    for service in services {
        let missing = Place { store: "s3://nowhere/house".to_owned(), ..there.clone() };
        refused(service, &missing, &["s3://nowhere/house", "no such bucket"]).await;
        let wrong = with("AWS_SECRET_ACCESS_KEY", "hunter2");
        let words = ["refuses the credentials", "AWS_ACCESS_KEY_ID", "SignatureDoesNotMatch"];
        refused(service, &wrong, &words).await;
        let malformed = Place { store: "s3://AKIA1:hunter2@sphinx".to_owned(), ..there.clone() };
        refused(service, &malformed, &["environment", "s3://BUCKET/PREFIX"]).await;
    }
    server.ignore_conditions();
    for service in [&sphinx_trainer::SERVICE, &sphinx_keyvault::SERVICE] {
        let words = ["no conditional writes", "created one object twice", "If-None-Match"];
        refused(service, &there, &words).await;
    }
    // Who only reads needs none.
    let place = Place { keyvault: "http://127.0.0.1:1".to_owned(), ..there };
    let reader = tokio::task::spawn_blocking(move || {
        Process::start(&sphinx_inference::SERVICE, place);
    });
    reader.await.unwrap();
    // Nothing is left of the looks.
    let probes = std::fs::read_dir(directory.path().join("sphinx/house/probe"));
    assert_eq!(probes.map_or(0, Iterator::count), 0);
}
