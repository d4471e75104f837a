//! The set inside the program is the one in the repository.
#![allow(clippy::unwrap_used, reason = "tests")]

use sphinx_data::sources::mnist;

#[test]
fn the_set_in_the_program_is_the_one_in_the_repository() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist");
    let (inside, opened) =
        (sphinx_mnist::load().unwrap(), mnist::open(directory.as_ref()).unwrap());
    assert!(inside.train == opened.train && inside.test == opened.test);
}
