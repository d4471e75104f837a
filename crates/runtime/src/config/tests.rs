use std::fs;
use std::net::SocketAddr;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    max_things: usize,
}

impl Default for Own {
    fn default() -> Self {
        Self { max_things: 3 }
    }
}

impl Limits for Own {
    fn validate(&self) -> Result<(), ConfigError> {
        match self.max_things {
            0 => Err(ConfigError::value("limits.max_things", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

const SERVICE: ServiceInfo = ServiceInfo {
    name: "configtest",
    grpc_name: "sphinx.v1.ConfigTest",
    version: "0",
    default_listen: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7009),
};

fn load(toml: &str, args: ServiceArgs) -> Result<Config<Own>, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.toml");
    fs::write(&path, toml).unwrap();
    Config::load(&SERVICE, &ServiceArgs { config: Some(path), ..args })
}

#[test]
fn the_defaults_are_valid() {
    let mut config = Config::<Own>::load(&SERVICE, &ServiceArgs::default()).unwrap();
    config.store = Config::<Own>::defaults(&SERVICE).store;
    assert_eq!(config, Config::defaults(&SERVICE));
    assert_eq!(config.server.listen.port(), 7009);
}

#[test]
fn one_connection_does_not_take_every_place() {
    let server = Config::<Own>::defaults(&SERVICE).server;
    assert!(server.max_streams_per_connection as usize <= server.max_concurrent_requests / 4);
}

#[test]
fn flags_override_the_file_and_the_file_the_defaults() {
    let toml = "store = '/file'\n[limits]\nmax_things = 5\n[server]\nlisten = '127.0.0.1:1'";
    let args = ServiceArgs { store: Some("/flag".to_owned()), ..ServiceArgs::default() };
    let config = load(toml, args).unwrap();
    assert_eq!(config.store, "/flag");
    assert_eq!(config.limits.max_things, 5);
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.server.max_connections, 1024);
}

#[test]
fn rejects_a_file_that_is_not_there() {
    let path = PathBuf::from("/nowhere/service.toml");
    let args = ServiceArgs { config: Some(path.clone()), ..ServiceArgs::default() };
    assert_eq!(Config::<Own>::load(&SERVICE, &args), Err(ConfigError::NoFile(path)));
}

#[test]
fn rejects_unknown_fields_at_every_level() {
    for toml in ["stroe = 'x'", "[server]\nlissten = 1", "[limits]\nmax_thing = 1"] {
        let error = load(toml, ServiceArgs::default()).unwrap_err();
        assert!(matches!(&error, ConfigError::Layers(_)), "{error}");
        assert!(error.to_string().contains("unknown field"), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn rejects_values_outside_their_domain() {
    let cases = [
        ("store = ''", "store"),
        ("[log]\nfilter = 'a=b=c'", "log.filter"),
        ("[limits]\nmax_things = 0", "limits.max_things"),
        ("[server]\nmax_concurrent_requests = 0", "server.max_concurrent_requests"),
        ("compute_threads = 100000", "compute_threads"),
        ("[server]\nmax_concurrent_requests = 65537", "server.max_concurrent_requests"),
        ("[server]\nmax_connections = 9223372036854775807", "server.max_connections"),
        ("[server]\nmax_streams_per_connection = 65537", "server.max_streams_per_connection"),
        ("[server]\nrequest_timeout_ms = 86400001", "server.request_timeout_ms"),
        ("[server]\nidle_timeout_ms = 9223372036854775807", "server.idle_timeout_ms"),
        ("[server]\ndrain_deadline_ms = 86400001", "server.drain_deadline_ms"),
        ("[tls]\ncertificate = '/a'", "tls.key"),
        ("[tls]\nkey = '/a'", "tls.key"),
        ("[tls]\nclient_ca = '/a'", "tls.certificate"),
        ("[outgoing]\nkey = '/a'", "outgoing.key"),
        ("store = '~somebody/store'", "store"),
        ("[tls]\ncertificate = '~somebody/a'", "tls.certificate"),
        ("[access]\ncredentials = '~somebody/a'", "access.credentials"),
        ("[outgoing]\ntoken_file = '~somebody/a'", "outgoing.token_file"),
        ("[server]\nlisten = '0.0.0.0:1'", "server.listen"),
        (
            "[server]\nlisten = '[::]:1'\n[tls]\ncertificate = '/a'\nkey = '/b'",
            "access.credentials",
        ),
        ("[server]\nlisten = '10.0.0.1:1'\n[tls]\ninsecure_cleartext = true", "access.credentials"),
        ("[server]\nmax_streams_per_connection = 0", "server.max_streams_per_connection"),
        ("[server]\nrequest_timeout_ms = 0", "server.request_timeout_ms"),
        ("[server]\nidle_timeout_ms = 0", "server.idle_timeout_ms"),
    ];
    for (toml, expected) in cases {
        let Err(ConfigError::Value { field, .. }) = load(toml, ServiceArgs::default()) else {
            panic!("{toml} is accepted");
        };
        assert_eq!(field, expected);
    }
}

#[test]
fn other_machines_are_listened_to_and_called_by_tls_or_when_it_is_allowed() {
    let everywhere = "[server]\nlisten = '0.0.0.0:1'\n";
    for further in [
        "[tls]\ncertificate = '/a'\nkey = '/b'\n[access]\ncredentials = '/c'",
        "[tls]\ninsecure_cleartext = true\n[access]\ninsecure_anonymous = true",
    ] {
        load(&format!("{everywhere}{further}"), ServiceArgs::default()).unwrap();
    }
    let flag = ServiceArgs { insecure_cleartext: true, ..ServiceArgs::default() };
    let far = "keyvault = 'http://vault.example:7003'\n";
    let config = load(&format!("{far}[access]\ncredentials = '/c'"), flag).unwrap();
    assert!(config.tls.insecure_cleartext && config.outgoing.insecure_cleartext);
    load("keyvault = 'https://vault.example'", ServiceArgs::default()).unwrap();
    let error = load(far, ServiceArgs::default()).unwrap_err();
    assert!(matches!(error, ConfigError::Security(SecurityError::Cleartext { .. })), "{error}");
}

#[test]
fn rejects_what_is_no_address_of_the_key_vault() {
    for wrong in
        ["not a url", "keyvault:7003", "grpc://a:1", "http://a:1/b", "https://", "http://a:0"]
    {
        let error = load(&format!("keyvault = '{wrong}'"), ServiceArgs::default()).unwrap_err();
        assert!(matches!(error, ConfigError::Address(_)), "{error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn the_store_is_one_place_wherever_a_service_is_started() {
    let loaded = |store: Option<&str>| {
        let args = ServiceArgs { store: store.map(str::to_owned), ..ServiceArgs::default() };
        Config::<Own>::load(&SERVICE, &args).unwrap().store
    };
    let default = loaded(None);
    assert!(default.starts_with('/') && default.ends_with("/.local/state/sphinx"), "{default}");
    let here = std::env::current_dir().unwrap();
    assert_eq!(loaded(Some("models/of/mine")), here.join("models/of/mine").to_str().unwrap());
    assert_eq!(loaded(Some("file:///models")), "file:///models");
}
