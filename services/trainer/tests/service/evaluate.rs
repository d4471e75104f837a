//! Linear products over a session, and uploads that are wrong.

use std::collections::HashSet;

use sphinx_proto::v1::{Direction, Evaluate, InputRows, train_request::Part};
use tonic::Code;

use crate::common::{assert_broken, assert_refused, start_with_model};
use crate::talk::{INPUTS, OUTPUTS, Talk, announcement, evaluation, input, opening, unchained};

#[tokio::test]
async fn every_output_row_comes_once_and_names_its_call_and_version() {
    let trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    for (stage, direction, rows) in [
        (0, Direction::Forward, OUTPUTS[0]),
        (1, Direction::Forward, OUTPUTS[1]),
        (1, Direction::Backward, INPUTS[1]),
    ] {
        let product = talk.evaluate(stage, direction).await.unwrap();
        let header = &product.header;
        assert_eq!((header.call, header.version), (40 + u64::from(stage), 0));
        assert_eq!(header.rows as usize, rows);
        let numbers: HashSet<u32> = product.rows().iter().map(|(row, ..)| *row).collect();
        assert_eq!(numbers, (0..rows as u32).collect());
    }
    talk.end().await.unwrap();
}

#[tokio::test]
async fn a_product_depends_on_version_stage_and_inputs_alone() {
    let trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    let first = talk.evaluate(0, Direction::Forward).await.unwrap();
    let again = talk.evaluate(0, Direction::Forward).await.unwrap();
    assert!(first.rows() == again.rows());
    let mut other = Talk::open(&trainer, 2).await;
    assert!(first.rows() == other.evaluate(0, Direction::Forward).await.unwrap().rows());
    talk.commit(0, 0, 1).await.unwrap();
    let later = talk.evaluate(0, Direction::Forward).await.unwrap();
    assert_eq!(later.header.version, 1);
    assert!(first.rows() != later.rows());
    // The other session stays at the version that it was opened at.
    let still = other.evaluate(0, Direction::Forward).await.unwrap();
    assert!(still.header.version == 0 && still.rows() == first.rows());
}

#[tokio::test]
async fn rejects_products_that_the_network_does_not_have() {
    let trainer = start_with_model(|_| ()).await;
    let forward = || announcement(0, Direction::Forward);
    let cases = [
        (Evaluate { stage: 2, ..forward() }, "stage 2 of a network that has 2"),
        (Evaluate { stage: u32::MAX, ..forward() }, "stage 4294967295"),
        (announcement(0, Direction::Backward), "stage 0 has no backward direction"),
        (Evaluate { direction: 0, ..forward() }, "direction is 0: expected forward or backward"),
        (Evaluate { direction: 7, ..forward() }, "direction is 7"),
        (Evaluate { rows: 35, ..forward() }, "35 input rows announced for stage 0, expected 36"),
        (Evaluate { rows: 37, ..forward() }, "37 input rows announced"),
        (Evaluate { rows: u32::MAX, ..forward() }, "4294967295 input rows announced"),
        (Evaluate { rows: 0, ..forward() }, "0 input rows announced"),
    ];
    for (call, words) in cases {
        let talk = Talk::open(&trainer, 1).await;
        let status = talk.refusal([Part::Evaluate(call)]).await;
        assert_refused(&status, Code::InvalidArgument, words);
    }
    Talk::open(&trainer, 1).await.evaluate(1, Direction::Backward).await.unwrap();
}

#[tokio::test]
async fn rejects_uploads_that_do_not_fit() {
    let trainer = start_with_model(|_| ()).await;
    let good = || input(0, 10);
    let cut = |bytes: &prost::bytes::Bytes, by: usize| bytes.slice(..bytes.len() - by);
    let cases: Vec<(Vec<InputRows>, &str)> = vec![
        (vec![input(0, 37)], "rows end at 37, the matrix has 36"),
        (vec![input(0, 30), input(30, 7)], "rows end at 37, the matrix has 36"),
        (vec![InputRows { seeds: cut(&good().seeds, 1), ..good() }], "159 bytes of seeds"),
        (vec![InputRows { seeds: vec![].into(), ..good() }], "0 bytes of seeds"),
        (vec![InputRows::default()], "0 bytes of seeds"),
        (
            vec![InputRows { bodies: cut(&good().bodies, 1), ..good() }],
            "81919 bytes of bodies for 10 rows, expected 81920",
        ),
        (vec![InputRows { seeds: cut(&good().seeds, 16), ..good() }], "for 9 rows, expected 73728"),
        (vec![InputRows { bodies: vec![].into(), ..good() }], "0 bytes of bodies for 10 rows"),
    ];
    for (rows, words) in cases {
        let talk = Talk::open(&trainer, 1).await;
        let call = Part::Evaluate(announcement(0, Direction::Forward));
        let status = talk.refusal(std::iter::once(call).chain(rows.into_iter().map(Part::Input)));
        assert_refused(&status.await, Code::InvalidArgument, words);
    }
    let broken: Vec<(Vec<InputRows>, &str)> = vec![
        (vec![input(10, 10)], "rows start at 10, expected 0"),
        (vec![good(), input(20, 10)], "rows start at 20, expected 10"),
        (vec![good(), good()], "rows start at 0, expected 10"),
        (vec![InputRows { first_row: u32::MAX, ..good() }], "rows start at 4294967295"),
    ];
    for (rows, words) in broken {
        let talk = Talk::open(&trainer, 1).await;
        let call = Part::Evaluate(announcement(0, Direction::Forward));
        let status = talk.refusal(std::iter::once(call).chain(rows.into_iter().map(Part::Input)));
        assert_broken(&status.await, words);
    }
    Talk::open(&trainer, 1).await.evaluate(0, Direction::Forward).await.unwrap();
}

#[tokio::test]
async fn rejects_parts_out_of_order() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    let call = || Part::Evaluate(announcement(0, Direction::Forward));
    let rows = || Part::Input(input(0, 10));
    let header = || unchained(0, 0, 1).swap_remove(0);
    let open = || Part::Open(opening(1));
    let cases = [
        (vec![open()], "received open, expected evaluate, commit or follow"),
        (vec![rows()], "received input, expected evaluate, commit or follow"),
        (vec![call(), call()], "received evaluate, expected input"),
        (vec![call(), rows(), header()], "received commit, expected input"),
        (vec![call(), rows(), open()], "received open, expected input"),
        (vec![header(), rows()], "received input, expected commit_chunk"),
        (vec![header(), header()], "received commit, expected commit_chunk"),
    ];
    for (parts, words) in cases {
        let status = Talk::open(&trainer, 1).await.refusal(parts).await;
        assert_broken(&status, words);
    }
    assert_eq!(trainer.parameters().await, before);
    Talk::open(&trainer, 1).await.evaluate(0, Direction::Forward).await.unwrap();
}

#[tokio::test]
async fn rejects_an_upload_that_is_cut_short() {
    let trainer = start_with_model(|_| ()).await;
    let mut parts = evaluation(0, Direction::Forward);
    while parts.len() > 1 {
        parts.pop();
        let status = Talk::open(&trainer, 1).await.refusal(parts.clone()).await;
        assert_broken(&status, "the stream ended in the middle of an upload");
    }
    Talk::open(&trainer, 1).await.evaluate(0, Direction::Forward).await.unwrap();
}
