//! Key files: kept private, never overwritten, refused with the reason.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_secret::{KeyFileError, Passphrase, ReadKey, RootKey, read_backup};
use zeroize::Zeroizing;

use crate::{digits, file, write};

fn generated() -> RootKey {
    RootKey::generate(&mut ChaCha20Rng::seed_from_u64(3))
}

fn refused(path: &Path) -> KeyFileError {
    RootKey::load(path).unwrap_err()
}

#[test]
fn a_saved_root_is_the_same_again_and_private() {
    let (directory, _) = file(b"");
    let (root, path) = (generated(), directory.path().join("root.key"));
    root.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(RootKey::load(&path).unwrap().identity(), root.identity());
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn rejects_overwriting_and_leaves_what_is_there() {
    let (directory, path) = file(b"something of the user's");
    assert!(matches!(generated().save(&path), Err(KeyFileError::Exists { .. })));
    let read = generated().read_key(&digits());
    assert!(matches!(read.save(&path), Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"something of the user's");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn rejects_files_that_others_may_read() {
    let (_directory, path) = file(include_bytes!("../golden/root.key"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(refused(&path), KeyFileError::Permissions { mode: 0o640, .. }));
    assert!(matches!(ReadKey::load(&path), Err(KeyFileError::Permissions { .. })));
}

#[test]
fn rejects_damaged_files_of_both_versions() {
    for good in [
        &include_bytes!("../golden/root.key")[..],
        include_bytes!("../golden/first.key"),
        include_bytes!("../golden/first-resaved.key"),
    ] {
        let (_directory, path) = file(good);
        RootKey::load(&path).unwrap();
        let mut cases = vec![good[..good.len() - 1].to_vec(), [good, &[0]].concat(), Vec::new()];
        cases.push(good[..40].to_vec());
        cases.push(good[..10].to_vec());
        for index in 32..good.len() {
            let mut changed = good.to_vec();
            changed[index] ^= 0x80;
            cases.push(changed);
        }
        for damaged in cases {
            write(&path, &damaged);
            let error = refused(&path);
            assert!(matches!(error, KeyFileError::Damaged { .. }), "{}: {error}", damaged.len());
        }
    }
}

#[test]
fn rejects_files_of_another_kind() {
    let (_directory, path) = file(include_bytes!("../golden/read.key"));
    let error = refused(&path).to_string();
    assert!(error.contains("is no secret key file of Sphinx"), "{error}");
    write(&path, include_bytes!("../golden/root.key"));
    let error = ReadKey::load(&path).unwrap_err().to_string();
    assert!(error.contains("is no read key file of Sphinx"), "{error}");
    write(&path, b"something else");
    assert!(matches!(refused(&path), KeyFileError::Header { .. }));
}

/// What this release has sealed, later ones open.
#[test]
fn frozen_sealed_files_are_opened_by_their_passphrase_and_say_who_they_are() {
    let passphrase = |text: &str| Passphrase::new(Zeroizing::new(text.to_owned())).unwrap();
    let right = passphrase("correct horse battery staple");
    let wrong = passphrase("correct horse battery stable");
    let (_directory, path) = file(include_bytes!("../golden/sealed.key"));
    let identity = "a6ab0810218bdf3ceba54747c170c2774bfc74290a7c488cd487cc5c04b842ce";
    assert!(RootKey::is_sealed(&path).unwrap());
    assert_eq!(hex::encode(RootKey::identity_of(&path).unwrap().0), identity);
    let root = RootKey::open(&path, Some(&right)).unwrap();
    assert_eq!(hex::encode(root.identity().0), identity);
    assert!(matches!(
        RootKey::open(&path, Some(&wrong)),
        Err(KeyFileError::WrongPassphrase { .. })
    ));
    assert!(matches!(refused(&path), KeyFileError::Sealed { .. }));

    let (_directory, path) = file(include_bytes!("../golden/sealed.backup"));
    let content = read_backup(&path, Some(&right)).unwrap();
    assert!(content.windows(10).any(|name| name == b"golden.key"));
    assert!(matches!(read_backup(&path, Some(&wrong)), Err(KeyFileError::WrongPassphrase { .. })));
}
