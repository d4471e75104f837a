//! Files of old and new form keep meaning the same. The values were computed by another
//! implementation (Python's hmac and cryptography), the files written by it.

use std::fs;

use sphinx_secret::{ReadKey, RootKey};

use crate::{digits, file};

const FIRST: &[u8] = include_bytes!("../golden/first.key");
const FIRST_RESAVED: &[u8] = include_bytes!("../golden/first-resaved.key");
const ROOT: &[u8] = include_bytes!("../golden/root.key");
const READ: &[u8] = include_bytes!("../golden/read.key");

fn root(bytes: &[u8]) -> RootKey {
    let (_directory, path) = file(bytes);
    RootKey::load(&path).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_of_both_versions_have_their_identity_and_derived_keys() {
    let cases = [
        (
            FIRST,
            "a996f4232454ee1098f79707a5c293952aa9ce077a1a3e3a0f85ae598e980ee8",
            "3f19636ae5d9035c573d9013ba131264b6dac68fb5a3994cded197b6b65c9cbe",
        ),
        (
            ROOT,
            "33c74eee14ad222efdf7d78b59dfec39c7e83538301cc433647bd03b61dc560e",
            "18671386086a725ee94605a85da176ef5c132dedab4daefdaf5affe122c71940",
        ),
    ];
    for (bytes, identity, derived) in cases {
        let root = root(bytes);
        assert_eq!(hex(&root.identity().0), identity);
        assert_eq!(hex(root.derive("sphinx ticket store 1").as_slice()), derived);
    }
}

/// A key of version 1 that is saved again keeps its coefficients, and every file its bytes.
#[test]
fn saving_writes_the_bytes_of_the_golden_files() {
    for (loaded, expected) in [(FIRST, FIRST_RESAVED), (FIRST_RESAVED, FIRST_RESAVED), (ROOT, ROOT)]
    {
        let (directory, _) = file(b"");
        let path = directory.path().join("again.key");
        root(loaded).save(&path).unwrap();
        assert_eq!(fs::read(path).unwrap(), expected);
    }
}

#[test]
fn the_read_key_of_the_root_is_the_one_in_the_file() {
    let (directory, path) = file(READ);
    let read = ReadKey::load(&path).unwrap();
    assert_eq!(*read.model(), digits());
    let again = directory.path().join("again.key");
    root(ROOT).read_key(&digits()).save(&again).unwrap();
    assert_eq!(fs::read(again).unwrap(), READ);
}

#[test]
fn challenges_and_sealed_bytes_are_those_of_another_implementation() {
    let (_directory, path) = file(READ);
    let read = ReadKey::load(&path).unwrap();
    let expected =
        [147213317092061354, 1346339137259721970, 1186340391166536101, 1893974858768618169];
    assert_eq!(read.challenge(7, 2, 4).as_slice(), expected);
    let sealed = include_bytes!("../golden/sealed.bin");
    assert_eq!(read.open(b"version 7", sealed).unwrap().as_slice(), b"the biases");
}
