//! Trainers that lie: what they get out of clients that believe them, and that they get nothing out
//! of clients that check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

#[path = "../examples/liars/answers.rs"]
mod answers;
#[path = "../examples/liars/key.rs"]
mod key;
#[path = "../examples/liars/mix.rs"]
mod mix;
#[path = "../examples/liars/victim.rs"]
mod victim;

use sphinx_client::{Checks, ClientError, StateError};

#[tokio::test(flavor = "multi_thread")]
async fn a_believed_answer_gives_the_key_of_a_product_and_a_checked_one_nothing() {
    let stolen = key::attack(Checks::None).await.unwrap().unwrap();
    let ones = stolen.key.iter().filter(|bit| **bit).count();
    assert!((900..1150).contains(&ones), "{ones}");
    // Decrypted with those bits, all labels of the batch come out: each as often as it is.
    let mut labels = [0; 10];
    stolen.labels.iter().for_each(|&label| labels[label] += 1);
    assert_eq!(labels, [205, 205, 205, 205, 205, 205, 205, 205, 204, 204]);

    let Err(error) = key::attack(Checks::Every).await.unwrap() else { panic!("not noticed") };
    first_answer_is_caught(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn believed_rotations_mix_examples_and_checked_ones_nothing() {
    let seed = [7; 32];
    let dark = vec![0; mix::EXAMPLES];
    let before = mix::step(&dark, Checks::None, seed).await.unwrap().unwrap();
    // Bit by bit, fifteen private steps tell which example is in the slot.
    let example = mix::in_slot_zero(seed).await.unwrap();
    let mut bright = dark.clone();
    bright[example] = 255;
    let after = mix::step(&bright, Checks::None, seed).await.unwrap().unwrap();
    assert!(!before.is_bright() && after.is_bright(), "{} {}", before.open(), after.open());
    // The promise is one.
    let distance = before.distance(&after);
    assert!(distance > 20.0, "{distance}");

    let Err(error) = mix::step(&dark, Checks::Every, seed).await.unwrap() else {
        panic!("not noticed")
    };
    first_answer_is_caught(&error);
}

fn first_answer_is_caught(error: &ClientError) {
    let ClientError::State(wrong) = error else { panic!("{error}") };
    let expected = StateError::WrongProduct {
        model: "victim".to_owned(),
        version: 0,
        stage: 0,
        phase: "forward",
    };
    assert_eq!(*wrong, expected);
}
