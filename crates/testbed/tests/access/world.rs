//! Certificates and credentials in a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sphinx_access::{Credential, Digest, Kind, RegisterError, Role, Scope, edit};
use sphinx_client::{
    ClientError, Endpoints, Security, SphinxClient, TenantId, TlsIdentity, Token, secure_rng,
};
use sphinx_runtime::{AccessConfig, TlsConfig, unix_seconds};
use sphinx_tls::{Authority, Issued, Use};
use tempfile::TempDir;

/// A directory of certificates and credentials.
pub struct World {
    pub directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The store of a service.
    pub fn store(&self) -> String {
        self.path("store").to_str().unwrap().to_owned()
    }

    /// Makes an authority, `NAME.ca`, and a certificate of it for the service and for a client.
    pub fn certificates(&self, name: &str, hosts: &[&str]) {
        let (authority, own) = Authority::generate().unwrap();
        fs::write(self.path(&format!("{name}.ca")), own.certificate).unwrap();
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let service = authority.issue("service", &hosts, Use::Service, 1).unwrap();
        self.write(&self.service(name), &service);
        let client = authority.issue("client", &[], Use::Client, 1).unwrap();
        self.write(&self.client(name), &client);
    }

    fn write(&self, identity: &TlsIdentity, issued: &Issued) {
        fs::write(&identity.key, &issued.key).unwrap();
        fs::write(&identity.certificate, &issued.certificate).unwrap();
    }

    pub fn service(&self, name: &str) -> TlsIdentity {
        self.identity(name, "service")
    }

    pub fn client(&self, name: &str) -> TlsIdentity {
        self.identity(name, "client")
    }

    fn identity(&self, name: &str, whose: &str) -> TlsIdentity {
        TlsIdentity {
            certificate: self.path(&format!("{name}.{whose}.pem")),
            key: self.path(&format!("{name}.{whose}.key")),
        }
    }

    /// A listener with the certificate of an authority, which asks clients for theirs if `mutual`.
    pub fn tls(&self, name: &str, mutual: bool) -> TlsConfig {
        let TlsIdentity { certificate, key } = self.service(name);
        let client_ca = if mutual { self.path(&format!("{name}.ca")) } else { PathBuf::new() };
        TlsConfig { certificate, key, client_ca, insecure_cleartext: false }
    }

    /// A client that believes an authority.
    pub fn believing(&self, name: &str) -> Security {
        Security { ca: Some(self.path(&format!("{name}.ca"))), ..Security::default() }
    }

    pub fn credentials(&self) -> PathBuf {
        self.path("credentials.toml")
    }

    pub fn access(&self) -> AccessConfig {
        AccessConfig { credentials: self.credentials(), insecure_anonymous: false }
    }

    /// Makes a token of a role, in the tenant "own" if the role belongs to one.
    pub fn token(&self, role: Role) -> Token {
        self.token_until(role, None)
    }

    pub fn token_until(&self, role: Role, expires: Option<i64>) -> Token {
        let token = Token::generate(&mut secure_rng());
        self.enter(token.digest(), Kind::Token, role, expires);
        token
    }

    /// Writes a token to a file that is its owner's alone.
    pub fn token_file(&self, name: &str, token: &Token) {
        let path = self.path(name);
        fs::write(&path, token.expose()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Enters the certificate of a client as a credential.
    pub fn enter_certificate(&self, name: &str, role: Role) {
        let chain = sphinx_tls::certificates(&self.client(name).certificate).unwrap();
        self.enter(Digest::of(&chain[0]), Kind::Certificate, role, None);
    }

    fn enter(&self, digest: Digest, kind: Kind, role: Role, expires: Option<i64>) {
        let tenant = role.is_tenants().then(own);
        let credential = Credential {
            digest,
            kind,
            scope: Scope::new(role, tenant).unwrap(),
            note: String::new(),
            created_unix_seconds: unix_seconds(),
            expires_unix_seconds: expires,
            revoked_unix_seconds: None,
        };
        edit(&self.credentials(), |register| register.add(credential)).unwrap();
    }

    pub fn revoke(&self, digest: Digest) {
        let revoked = edit(&self.credentials(), |register| {
            register.revoke(&digest.id(), unix_seconds()).map(|_| ())
        });
        assert_eq!(revoked, Ok::<_, RegisterError>(()));
    }
}

/// The tenant of every credential that has one.
pub fn own() -> TenantId {
    TenantId::parse("own").unwrap()
}

/// A client of a key vault.
pub fn client(keyvault: &str, security: Security) -> Result<SphinxClient, ClientError> {
    let endpoints = Endpoints {
        keyvault: keyvault.to_owned(),
        tenant: own(),
        security,
        ..Endpoints::default()
    };
    SphinxClient::new(&endpoints)
}

/// What the key vault says to `ListKeys`.
pub async fn ask(keyvault: &str, security: Security) -> Result<usize, String> {
    let client = client(keyvault, security).map_err(|error| error.to_string())?;
    client.list_keys().await.map(|keys| keys.len()).map_err(|error| error.to_string())
}

/// Waits until `ready` says so, ten seconds at most.
pub async fn eventually(mut ready: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if ready().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not happen");
}

pub fn copy(from: &Path, to: &Path) {
    let aside = to.with_extension("aside");
    fs::copy(from, &aside).unwrap();
    fs::rename(&aside, to).unwrap();
}
