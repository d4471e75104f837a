//! Opening sessions, their number, and clients that vanish.

use std::time::Duration;

use sphinx_proto::v1::{
    DeleteModelRequest, Direction, OpenSession, Optimizer, TrainRequest, train_request::Part,
};
use tonic::Code;

use crate::common::{
    KEY, Trainer, assert_broken, assert_refused, connect, creation, of_tenant, start,
    start_with_model,
};
use crate::talk::{Talk, announcement, evaluation, input, opening, unchained};

#[tokio::test]
async fn rejects_openings_that_do_not_fit() {
    let trainer = start_with_model(|_| ()).await;
    trainer.vault.register("default", "phone").await;
    let good = || opening(1);
    let mut nan = good();
    if let Some(Optimizer { schedule: Some(schedule), .. }) = &mut nan.optimizer {
        schedule.learning_rate = f32::NAN;
    }
    let mut decay = good();
    if let Some(optimizer) = &mut decay.optimizer {
        optimizer.averaging = Some(1.0);
    }
    let no_rule = Optimizer { rule: None, ..good().optimizer.unwrap() };
    let id = |length: usize| vec![1; length].into();
    let (invalid, missing) = (Code::InvalidArgument, Code::NotFound);
    let precondition = Code::FailedPrecondition;
    let cases = [
        (OpenSession { session_id: id(15), ..good() }, invalid, "session_id has length 15"),
        (OpenSession { session_id: id(17), ..good() }, invalid, "session_id has length 17"),
        (OpenSession { session_id: id(0), ..good() }, invalid, "session_id has length 0"),
        (OpenSession { parameter_set: 0, ..good() }, invalid, "parameter_set is 0"),
        (OpenSession { parameter_set: 2, ..good() }, invalid, "parameter_set is 2"),
        (OpenSession { model_id: "M".to_owned(), ..good() }, invalid, "model_id is \"M\""),
        (OpenSession { profile: 2, ..good() }, invalid, "profile is 2"),
        (OpenSession { biases: 2, ..good() }, invalid, "biases is 2"),
        (OpenSession { optimizer: None, ..good() }, invalid, "optimizer is missing"),
        (OpenSession { optimizer: Some(no_rule), ..good() }, invalid, "optimizer.rule is missing"),
        (nan, invalid, "optimizer.schedule is"),
        (decay, invalid, "optimizer.averaging is"),
        (OpenSession { model_id: "n".to_owned(), ..good() }, missing, "model n does not exist"),
        (
            OpenSession { key_id: "stranger".to_owned(), ..good() },
            precondition,
            "key stranger is not registered",
        ),
        (
            OpenSession { key_id: "phone".to_owned(), ..good() },
            precondition,
            "model m was made with key laptop, the session uses phone",
        ),
    ];
    for (open, code, words) in cases {
        let refused = Talk::begin(trainer.client.clone(), Part::Open(open)).await;
        assert_refused(&refused.err().unwrap(), code, words);
    }
    Talk::open(&trainer, 1).await.evaluate(0, Direction::Forward).await.unwrap();
}

#[tokio::test]
async fn rejects_a_session_that_does_not_begin_with_open() {
    let mut trainer = start_with_model(|_| ()).await;
    let [header, chunk] = [0, 1].map(|index| unchained(0, 0, 1).swap_remove(index));
    for (first, name) in [
        (Part::Evaluate(announcement(0, Direction::Forward)), "evaluate"),
        (Part::Input(input(0, 1)), "input"),
        (header, "commit"),
        (chunk, "commit_chunk"),
    ] {
        let status = Talk::begin(trainer.client.clone(), first).await.err().unwrap();
        assert_broken(&status, &format!("received {name}, expected open"));
    }
    let nothing = tokio_stream::empty();
    let status = trainer.client.train(nothing).await.unwrap_err();
    assert_broken(&status, "the stream ended in the middle of the opening of a session");
    Talk::open(&trainer, 1).await.end().await.unwrap();
}

#[tokio::test]
async fn rejects_sessions_on_other_tenants_models() {
    let mut trainer = start_with_model(|_| ()).await;
    trainer.vault.register("acme", "laptop").await;
    let open = TrainRequest { part: Some(Part::Open(opening(1))), ..TrainRequest::default() };
    let request = of_tenant("acme", tokio_stream::once(open));
    let status = trainer.client.train(request).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "model m does not exist");
}

#[tokio::test]
async fn rejects_more_sessions_than_the_limit_and_says_when_to_come_back() {
    let trainer = start_with_model(|config| config.limits.max_sessions = 2).await;
    let first = Talk::open(&trainer, 1).await;
    let _second = Talk::open(&trainer, 2).await;
    let third = Talk::begin(trainer.client.clone(), Part::Open(opening(3))).await;
    let status = third.err().unwrap();
    assert_refused(&status, Code::ResourceExhausted, "training sessions: 0 of 2 are free");
    assert_eq!(status.metadata().get("retry-after-ms").unwrap(), "1000");
    first.end().await.unwrap();
    reopened(&trainer, 3).await;
}

/// Opens a session as soon as there is a place; a client's departure takes a moment to arrive.
async fn reopened(trainer: &Trainer, session: u8) -> Talk {
    for _ in 0..200 {
        match Talk::begin(trainer.client.clone(), Part::Open(opening(session))).await {
            Ok(talk) => return talk,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place is not given back");
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_its_place_and_the_model_as_they_were() {
    let mut trainer = start_with_model(|config| config.limits.max_sessions = 1).await;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
    let before = trainer.parameters().await;
    let whole = evaluation(0, Direction::Forward);
    let mut announced_only = whole.clone();
    announced_only.truncate(1);
    let mut half_an_upload = whole.clone();
    half_an_upload.truncate(3);
    let mut half_a_commit = unchained(1, 1, 2);
    half_a_commit.pop();
    for parts in [vec![], announced_only, half_an_upload, whole, half_a_commit] {
        // The stream alone is dropped, then the whole connection.
        for own_connection in [false, true] {
            reopened(&trainer, 1).await.end().await.unwrap();
            let client = if own_connection {
                connect(trainer.address).await
            } else {
                trainer.client.clone()
            };
            let talk = loop {
                match Talk::begin(client.clone(), Part::Open(opening(1))).await {
                    Ok(talk) => break talk,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            for part in parts.clone() {
                talk.send(part).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop((talk, client));
        }
    }
    let mut talk = reopened(&trainer, 1).await;
    assert_eq!(talk.opened.model.as_ref().unwrap().version, 1);
    assert_eq!(trainer.parameters().await, before);
    talk.evaluate(0, Direction::Forward).await.unwrap();
    assert_eq!(talk.commit(1, 1, 2).await.unwrap().version, 2);
}

#[tokio::test]
async fn rejects_a_silent_session_after_the_idle_timeout() {
    let trainer = start_with_model(|config| config.server.idle_timeout_ms = 200).await;
    for parts in [vec![], vec![Part::Evaluate(announcement(0, Direction::Forward))]] {
        let mut talk = Talk::open(&trainer, 1).await;
        for part in parts {
            talk.send(part).await;
        }
        let status = talk.reply().await.unwrap_err();
        assert_refused(&status, Code::DeadlineExceeded, "nothing received for 200 ms");
    }
}

#[tokio::test]
async fn a_client_that_asks_but_never_reads_loses_its_place() {
    let trainer = start_with_model(|config| {
        config.limits.max_sessions = 1;
        config.server.idle_timeout_ms = 300;
    })
    .await;
    // A connection of its own: its windows are full in the end.
    let client = connect(trainer.address).await;
    let talk = Talk::begin(client, Part::Open(opening(1))).await.unwrap();
    let asking = tokio::spawn(async move {
        loop {
            for part in evaluation(0, Direction::Forward) {
                talk.send(part).await;
            }
        }
    });
    reopened(&trainer, 2).await.end().await.unwrap();
    asking.abort();
}

#[tokio::test]
async fn a_commit_to_a_deleted_model_is_refused_even_under_the_same_name() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    let mut other = Talk::open(&trainer, 2).await;
    let deletion = DeleteModelRequest { model_id: "m".to_owned() };
    trainer.client.delete_model(deletion).await.unwrap();
    let status = talk.commit(0, 0, 1).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "model m does not exist");
    trainer.create_as(creation("m")).await.unwrap();
    let before = trainer.parameters().await;
    let status = other.commit(0, 0, 1).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    assert_eq!(trainer.parameters().await, before);
}

#[tokio::test]
async fn a_session_asks_the_key_vault_and_names_it_when_it_is_away() {
    // Two trainers on one store: the second has not asked for the key yet.
    let first = start_with_model(|_| ()).await;
    let store = first.dir.path().to_str().unwrap().to_owned();
    let mut second = start(|config| config.store = store).await;
    let address = second.vault.running.url.clone();
    let away = std::mem::replace(&mut second.vault, crate::common::Vault::start().await);
    away.running.stop().await;
    let refused = Talk::begin(second.client.clone(), Part::Open(opening(1))).await;
    assert_refused(&refused.err().unwrap(), Code::Unavailable, &address);
    // What needs no key is served all the same.
    assert_eq!(second.models("default").await, ["m"]);
}

/// A key is asked for again when the last answer is five seconds old.
#[tokio::test]
async fn rejects_everything_under_a_key_that_was_revoked_meanwhile() {
    let mut trainer = start_with_model(|_| ()).await;
    let (mut one, mut other) = (Talk::open(&trainer, 1).await, Talk::open(&trainer, 2).await);
    one.evaluate(0, Direction::Forward).await.unwrap();
    trainer.vault.revoke("default", KEY).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let revoked = format!("key {KEY} of tenant default was revoked");
    let refused = one.refusal(evaluation(0, Direction::Forward)).await;
    assert_refused(&refused, Code::FailedPrecondition, &revoked);
    let Err(refused) = other.evaluate(0, Direction::Backward).await else {
        panic!("a revoked key was served")
    };
    assert_refused(&refused, Code::FailedPrecondition, &revoked);
    let refused = trainer.create("second").await.unwrap_err();
    assert_refused(&refused, Code::FailedPrecondition, &revoked);
    let Err(refused) = Talk::begin(trainer.client.clone(), Part::Open(opening(3))).await else {
        panic!("a session was opened")
    };
    assert_refused(&refused, Code::FailedPrecondition, &revoked);
}
