//! Services that ask who calls, by TLS, from their certificates to a trained model.

use std::fs;
use std::path::PathBuf;

use sphinx_cluster::{ClusterOptions, LocalCluster, Service};

use crate::world::{Machine, Run, TINY, assert_says, mode};

/// A machine with certificates and credentials, and services that go by them.
struct Protected {
    machine: Machine,
    cluster: LocalCluster,
}

impl Protected {
    async fn start() -> Self {
        let machine = Machine::new();
        machine.run(&["certs", "init"]).succeeded();
        let service = ["tokens", "new", "--role", "service", "--output", "service.token"];
        machine.run(&service).succeeded();
        let directory = machine.directory.path().to_owned();
        let path = |name: &str| directory.join(name);
        for name in ["trainer", "inference", "keyvault"] {
            let (certificate, key) = (format!("certs/{name}.pem"), format!("certs/{name}.key"));
            let (certificate, key, ca) = (path(&certificate), path(&key), path("certs/ca.pem"));
            machine.file(
                &format!("{name}.toml"),
                &format!(
                    "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\nclient_ca = {ca:?}\n\
                     [access]\ncredentials = {:?}\n\
                     [audit]\npath = {:?}\n\
                     [outgoing]\nca = {ca:?}\ncertificate = {certificate:?}\nkey = {key:?}\ntoken_file = {:?}\n",
                    path("credentials.toml"),
                    path(&format!("{name}.audit")),
                    path("service.token"),
                ),
            );
        }
        let mut options = ClusterOptions::new(env!("CARGO_BIN_EXE_sphinx").into());
        options.arguments = Box::new(move |launch| {
            let mut arguments = launch.serve_arguments();
            if let Some(keyvault) =
                arguments.iter_mut().find(|part| part.as_encoded_bytes().starts_with(b"http://"))
            {
                *keyvault = keyvault.to_str().unwrap().replace("http://", "https://").into();
            }
            let config: PathBuf = directory.join(format!("{}.toml", launch.service.name()));
            arguments.extend(["--config".into(), config.into()]);
            arguments.extend(["--log-filter".into(), "debug".into()]);
            arguments
        });
        let cluster = LocalCluster::start(options).await.unwrap();
        Self { machine, cluster }
    }

    /// A token of a role in the tenant "acme".
    fn token(&self, role: &str) -> String {
        let new = ["tokens", "new", "--role", role, "--tenant", "acme", "--json"];
        self.machine.run(&new).json()["token"].as_str().unwrap().to_owned()
    }

    fn run(&self, token: &str, arguments: &[&str]) -> Run {
        let https = |endpoint: sphinx_cluster::Endpoint| {
            endpoint.to_string().replace("http://", "https://")
        };
        let mut command = self.machine.command(arguments);
        command
            .env("SPHINX_TRAINER", https(self.cluster.trainer))
            .env("SPHINX_INFERENCE", https(self.cluster.inference))
            .env("SPHINX_KEYVAULT", https(self.cluster.keyvault))
            .env("SPHINX_TENANT", "acme")
            .env("SPHINX_CA", "certs/ca.pem")
            .env("SPHINX_CERTIFICATE", "certs/client.pem")
            .env("SPHINX_CERTIFICATE_KEY", "certs/client.key")
            .env("SPHINX_TOKEN", token);
        Run::of(command)
    }

    fn logs(&self) -> String {
        let services = [Service::Trainer, Service::Inference, Service::Keyvault];
        services.map(|service| fs::read_to_string(self.cluster.log(service)).unwrap()).concat()
    }
}

/// The audit logs hold what was done, unbroken, and the command says where one is broken.
fn recorded(machine: &Machine, predictor: &str) {
    for (service, done) in [
        ("trainer", "\"rpc\":\"sphinx.v1.Trainer/CreateModel\""),
        ("trainer", "\"object\":\"model m version 1\""),
        ("trainer", "\"what\":\"denied\""),
        ("inference", "\"object\":\"model m"),
        ("keyvault", "\"object\":\"key mine\""),
    ] {
        let file = format!("{service}.audit");
        let verified = machine.run(&["audit", "verify", &file, "--json"]).json();
        let text = fs::read_to_string(machine.directory.path().join(&file)).unwrap();
        assert!(verified["lines"].as_u64().unwrap() > 2);
        assert_says(&text, &[done, "\"tenant\":\"acme\""]);
        assert!(!text.contains(predictor.trim_start_matches("sphinx_")));
        let (first, rest) = text.split_once('\n').unwrap();
        let altered =
            machine.file("altered.audit", &format!("{first}\n{}", rest.replacen('m', "n", 1)));
        let error = machine.run(&["audit", "verify", &altered]).refused(1);
        assert_says(&error, &["altered.audit, line 2", "was altered"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_what_it_may_and_no_token_is_ever_shown() {
    let world = Protected::start().await;
    let [owner, contributor, predictor] =
        ["owner", "contributor", "predictor"].map(|role| world.token(role));
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let network = world.machine.file("tiny.toml", TINY);
    let train = ["train", "--model", "m", "--network", &network, "--epochs", "0.1"];
    let further = ["train", "--model", "m", "--epochs", "0.1", "--epsilon", "8"];

    world.run(&owner, &["keys", "new", "--id", "mine"]).succeeded();
    let error = world.run(&contributor, &["keys", "register"]).refused(1);
    assert_says(&error, &["PermissionDenied", "needs the role owner", "has contributor"]);
    world.run(&owner, &["keys", "register"]).succeeded();
    let error = world.run(&contributor, &train).refused(1);
    assert_says(&error, &["CreateModel needs the role owner"]);
    world.run(&owner, &train).succeeded();
    let error = world.run(&predictor, &further).refused(1);
    assert_says(&error, &["PermissionDenied", "has predictor"]);
    world.run(&contributor, &further).succeeded();
    let tested = world.run(&predictor, &["evaluate", "m", "--limit", "8", "--json"]);
    assert_eq!(tested.json()["images"], 8);
    let error = world.run(&predictor, &["models", "delete", "m"]).refused(1);
    assert_says(&error, &["DeleteModel needs the role owner"]);

    let error = world.run("", &["models", "list"]).refused(1);
    assert_says(&error, &["Unauthenticated", "sphinx tokens new"]);
    let error = world.run(&owner, &["models", "list", "--tenant", "other"]).refused(1);
    assert_says(&error, &["PermissionDenied", "is of tenant acme"]);

    recorded(&world.machine, &predictor);
    let logs = world.logs();
    assert_says(&logs, &["ready", "credential="]);
    for token in [&owner, &contributor, &predictor] {
        assert!(!logs.contains(token.trim_start_matches("sphinx_")));
    }
}

#[test]
fn certificates_are_private_and_never_overwritten() {
    let machine = Machine::new();
    let made = machine.run(&["certs", "init", "--host", "sphinx.example", "--json"]).json();
    assert!(made["hosts"].as_array().unwrap().contains(&"sphinx.example".into()));
    let directory = machine.directory.path().join("certs");
    assert_eq!(mode(&directory), 0o700);
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 10);
    files.iter().for_each(|path| assert_eq!(mode(path), 0o600, "{path:?}"));

    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let (ca, trainer) = (read("ca.pem"), read("trainer.pem"));
    let error = machine.run(&["certs", "init"]).refused(1);
    assert_says(&error, &["exists already", "certs renew"]);
    fs::remove_file(directory.join("ca.pem")).unwrap();
    machine.run(&["certs", "init"]).refused(1);
    assert_eq!(read("trainer.pem"), trainer);
    fs::write(directory.join("ca.pem"), &ca).unwrap();

    machine.run(&["certs", "renew", "--days", "30"]).succeeded();
    assert_ne!(read("trainer.pem"), trainer);
    assert_eq!(read("ca.pem"), ca);
    assert_eq!(mode(&directory.join("trainer.key")), 0o600);
    fs::write(directory.join("ca.key"), "no key").unwrap();
    assert_says(&machine.run(&["certs", "renew"]).refused(1), &["no private key"]);
    let text = machine.run(&["certs", "init", "--dir", "others"]).succeeded().stdout;
    assert_says(&text, &["[tls]", "certificate = ", "others/trainer.pem", "client_ca", "ca = "]);
}

#[test]
fn tokens_are_shown_once_listed_without_and_revoked() {
    let machine = Machine::new();
    let new = |further: &[&str]| machine.run(&[&["tokens", "new", "--json"], further].concat());
    let made =
        new(&["--role", "owner", "--tenant", "acme", "--expires", "30d", "--note", "laptop"]);
    let made = made.json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("sphinx_") && token.len() == 50);
    assert_eq!(made["tenant"], "acme");
    let file = machine.directory.path().join("credentials.toml");
    assert_eq!(mode(&file), 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains(token));

    let quiet = new(&["--role", "operator", "--output", "operator.token"]).json();
    assert!(quiet["token"].is_null());
    let secret = machine.directory.path().join("operator.token");
    assert_eq!(mode(&secret), 0o600);
    new(&["--role", "operator", "--output", "operator.token"]).refused(1);
    assert_says(&new(&["--role", "owner"]).refused(2), &["a tenant has to be named"]);
    assert_says(&new(&["--role", "service", "--tenant", "a"]).refused(2), &["no tenant"]);

    let id = made["credential"].as_str().unwrap();
    machine.run(&["tokens", "revoke", id]).succeeded();
    let listed = machine.run(&["tokens", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0]["revoked"].is_string() && listed[1]["revoked"].is_null());
    let table = machine.run(&["tokens", "list"]).succeeded().stdout;
    assert_says(&table, &[id, "owner", "acme", "REVOKED", "laptop", "operator"]);
    assert!(!table.contains(token));
    assert_says(&machine.run(&["tokens", "revoke", "none"]).refused(1), &["no credential"]);
    machine.run(&["certs", "init"]).succeeded();
    let certificate =
        new(&["--role", "predictor", "--tenant", "acme", "--of-certificate", "certs/client.pem"]);
    assert_eq!(certificate.json()["kind"], "certificate");
}

#[test]
fn a_setup_hands_out_what_each_needs_and_keeps_what_was_used() {
    let machine = Machine::new();
    let setup = ["certs", "setup", "--dir", "setup", "--host", "keyvault", "--json"];
    let addressed = [&setup[..], &["--tenant", "acme", "--trainer", "https://sphinx:1"]].concat();
    let made = machine.run(&addressed).json();
    assert_eq!(made["new_authority"], true);
    assert_eq!(made["new_tokens"].as_array().unwrap().len(), 3);
    let root = machine.directory.path().join("setup");
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    for (folder, expected) in [
        ("authority", &["ca.crt", "ca.key"][..]),
        ("access", &["credentials.toml", "credentials.toml.lock"]),
        ("trainer", &["ca.crt", "tls.crt", "tls.key", "token"]),
        ("inference", &["ca.crt", "tls.crt", "tls.key", "token"]),
        ("keyvault", &["ca.crt", "tls.crt", "tls.key"]),
        ("client", &["ca.crt", "config.toml", "token"]),
    ] {
        assert_eq!(mode(&root.join(folder)), 0o700);
        let names = fs::read_dir(root.join(folder)).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, expected, "{folder}");
        for name in names.iter().filter(|name| *name != "credentials.toml.lock") {
            assert_eq!(mode(&root.join(folder).join(name)), 0o600, "{folder} {name:?}");
        }
    }
    assert_says(
        &read("client/config.toml"),
        &["https://sphinx:1", "https://localhost:7002", "acme"],
    );
    let credentials = read("access/credentials.toml");
    assert_says(&credentials, &["role = \"service\"", "role = \"owner\"", "tenant = \"acme\""]);

    // A later start: what was made stays, but for certificates; what was revoked stays revoked.
    let (ca, token, certificate) =
        (read("client/ca.crt"), read("client/token"), read("trainer/tls.crt"));
    let file = ["--file", "setup/access/credentials.toml"];
    let listed = machine.run(&[&["tokens", "list", "--json"], &file[..]].concat()).json();
    let id = listed[2]["credential"].as_str().unwrap();
    machine.run(&[&["tokens", "revoke", id], &file[..]].concat()).succeeded();
    let again = machine.run(&addressed).json();
    assert_eq!(
        (&again["new_authority"], &again["new_tokens"]),
        (&false.into(), &Vec::<u8>::new().into())
    );
    assert_eq!((&ca, &token), (&read("client/ca.crt"), &read("client/token")));
    assert_ne!(certificate, read("trainer/tls.crt"));
    assert_says(&read("access/credentials.toml"), &["revoked_unix_seconds"]);

    // A lost register is made anew of the tokens, a lost token anew.
    fs::remove_file(root.join("access/credentials.toml")).unwrap();
    fs::remove_file(root.join("inference/token")).unwrap();
    let mended = machine.run(&addressed).json();
    assert_eq!(mended["new_tokens"], serde_json::json!(["inference"]));
    let listed = machine.run(&[&["tokens", "list", "--json"], &file[..]].concat()).json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_against_services_that_a_setup_protects() {
    let machine = Machine::new();
    machine.run(&["certs", "setup", "--dir", "setup"]).succeeded();
    let root = machine.directory.path().join("setup");
    let mut options = ClusterOptions::new(env!("CARGO_BIN_EXE_sphinx").into());
    let folder = root.clone();
    options.arguments = Box::new(move |launch| {
        let name = launch.service.name();
        let path = |of: &str, file: &str| folder.join(of).join(file);
        let config = folder.join(format!("{name}.toml"));
        let [certificate, key, ca, token] =
            ["tls.crt", "tls.key", "ca.crt", "token"].map(|file| path(name, file));
        let text = format!(
            "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n[access]\ncredentials = {:?}\n",
            path("access", "credentials.toml"),
        );
        let outgoing = match name {
            "keyvault" => String::new(),
            _ => format!("[outgoing]\nca = {ca:?}\ntoken_file = {token:?}\n"),
        };
        fs::write(&config, text + &outgoing).unwrap();
        let https = |part: std::ffi::OsString| {
            let text = part.to_str().unwrap().replace("http://", "https://");
            std::ffi::OsString::from(text)
        };
        let mut arguments: Vec<_> = launch.serve_arguments().into_iter().map(https).collect();
        arguments.extend(["--config".into(), config.into()]);
        arguments
    });
    let cluster = LocalCluster::start(options).await.unwrap();
    let https =
        |endpoint: sphinx_cluster::Endpoint| endpoint.to_string().replace("http://", "https://");
    let network = machine.file("tiny.toml", TINY);
    let run = |arguments: &[&str]| {
        let mut command = machine.command(arguments);
        command
            .env("SPHINX_TRAINER", https(cluster.trainer))
            .env("SPHINX_INFERENCE", https(cluster.inference))
            .env("SPHINX_KEYVAULT", https(cluster.keyvault))
            .env("SPHINX_CA", root.join("client/ca.crt"))
            .env("SPHINX_TOKEN_FILE", root.join("client/token"));
        Run::of(command)
    };
    let demo = ["demo", "--remote", "--network", &network, "--epochs", "0.5", "--limit", "4000"];
    let told = run(&demo).succeeded().stdout;
    assert_says(&told, &["https://", "test accuracy", "deleted there", "revoked"]);
    assert_eq!(run(&["models", "list", "--json"]).json(), serde_json::json!([]));
    let keys = run(&["keys", "list", "--json"]).json();
    assert_says(&keys.to_string(), &["demo-", "revoked"]);
}
