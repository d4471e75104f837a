//! The register on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use sphinx_access::{Credential, Digest, Kind, Register, RegisterError, Role, Scope, edit};
use sphinx_proto::TenantId;

fn credential(text: &str, role: Role) -> Credential {
    let tenant = role.is_tenants().then(|| TenantId::parse("acme").unwrap());
    Credential {
        digest: Digest::of(text.as_bytes()),
        kind: Kind::Token,
        scope: Scope::new(role, tenant).unwrap(),
        note: String::new(),
        created_unix_seconds: 1,
        expires_unix_seconds: None,
        revoked_unix_seconds: None,
    }
}

fn add(path: &Path, credential: Credential) -> Result<(), RegisterError> {
    edit(path, |register| register.add(credential))
}

#[test]
fn credentials_are_kept_found_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.toml");
    let mut first = credential("first", Role::Owner);
    first.note = "of the \"laptop\"".to_owned();
    first.expires_unix_seconds = Some(99);
    add(&path, first.clone()).unwrap();
    add(&path, credential("second", Role::Operator)).unwrap();
    let register = Register::load(&path).unwrap();
    assert_eq!(register.find(&Digest::of(b"first")), Some(&first));
    assert_eq!(register.find(&Digest::of(b"third")), None);
    assert_eq!(register.credentials().len(), 2);
    assert!(!first.is_expired(98) && first.is_expired(99));

    let id = first.digest.id();
    for now in [5, 6] {
        edit(&path, |register| register.revoke(&id, now).map(|_| ())).unwrap();
    }
    let revoked = Register::load(&path).unwrap().find(&first.digest).cloned().unwrap();
    assert_eq!(revoked.revoked_unix_seconds, Some(5));
    let unknown = edit(&path, |register| register.revoke("none", 7).map(|_| ()));
    assert_eq!(unknown, Err(RegisterError::Unknown { id: "none".to_owned() }));
    assert_eq!(add(&path, first), Err(RegisterError::Exists { id }));
    // Neither what was refused nor the token itself stands in the file.
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(Register::load(&path).unwrap().credentials().len(), 2);
    assert!(text.contains(&Digest::of(b"first").to_string()) && !text.contains("\"first\""));
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_or_change_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.toml");
    add(&path, credential("first", Role::Service)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn editors_at_the_same_time_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.toml");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || add(path, credential(&format!("{number}"), Role::Owner)).unwrap());
        }
    });
    assert_eq!(Register::load(&path).unwrap().credentials().len(), 8);
}

#[test]
fn rejects_tenants_where_none_belong_and_the_lack_of_one() {
    let tenant = || Some(TenantId::default());
    for role in Role::ALL {
        let (good, bad) = if role.is_tenants() { (tenant(), None) } else { (None, tenant()) };
        assert!(Scope::new(role, good).is_ok());
        let error = RegisterError::Scope { role, needs: role.is_tenants() };
        assert_eq!(Scope::new(role, bad), Err(error));
        assert_eq!(Role::named(role.name()), Some(role));
    }
}

#[test]
fn rejects_damaged_files_and_leaves_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.toml");
    add(&path, credential("first", Role::Owner)).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    let digest = Digest::of(b"first").to_string();
    let cut = whole[..whole.len() / 2].to_owned();
    for damaged in [
        whole.replace("owner", "emperor"),
        whole.replace("acme", "../acme"),
        whole.replace(&digest, &digest[..62]),
        whole.replace("id = \"", "id = \"0"),
        whole.replace("tenant = \"acme\"\n", ""),
        whole.replace("sha256", "sha-256"),
        format!("{whole}{whole}"),
        cut,
    ] {
        fs::write(&path, &damaged).unwrap();
        let error = Register::load(&path).unwrap_err();
        assert!(matches!(error, RegisterError::Damaged { .. }), "{damaged}: {error}");
        assert!(add(&path, credential("second", Role::Owner)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    let none = Register::load(&directory.path().join("none")).unwrap_err();
    assert!(matches!(none, RegisterError::File { .. }), "{none}");
}
