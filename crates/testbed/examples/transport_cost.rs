//! A tool of the lab, not a pattern to copy.
//!
//! What TLS and credentials cost: ten pairs of the same work, alternately in clear text and
//! protected, with services in this process on loopback sockets.
//!
//! `cargo run --release -p sphinx-testbed --example transport_cost -- [NETWORK]`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the lab")]

use std::sync::Arc;
use std::time::Instant;

use sphinx_access::{Credential, Kind, RegisterError, Role, Scope, edit};
use sphinx_client::data::Dataset;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{
    EncryptedSession, Endpoints, Inputs, KeyId, ModelId, ModelName, OptimizerSpec, Plan, Privacy,
    Protocol, RootKey, Security, SessionId, SessionOptions, SphinxClient, TenantId, Token,
    TrainingOptions, secure_rng, train_with_inputs,
};
use sphinx_network::NetworkSpec;
use sphinx_runtime::{AccessConfig, Config, OutgoingConfig, TlsConfig};
use sphinx_testbed::{Running, inference_with, keyvault_with, trainer_with};
use sphinx_tls::{Authority, Identity, Use};
use tempfile::TempDir;

const PAIRS: usize = 10;
/// Steps of a training whose time counts; the first only opens the way.
const STEPS: usize = 3;
const IMAGES: usize = 300;

/// Services of their own, and a client of them.
struct Side {
    client: SphinxClient,
    key: Arc<RootKey>,
    _services: [Running; 3],
    _directory: TempDir,
}

impl Side {
    async fn start(protected: bool, spec: &NetworkSpec) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (mut tls, mut access) = (TlsConfig::default(), AccessConfig::default());
        let (mut outgoing, mut security) = (OutgoingConfig::default(), Security::default());
        if protected {
            let (authority, own) = Authority::generate().unwrap();
            let hosts = ["127.0.0.1".to_owned()];
            let service = authority.issue("service", &hosts, Use::Service, 1).unwrap();
            std::fs::write(path("ca"), own.certificate).unwrap();
            std::fs::write(path("pem"), &service.certificate).unwrap();
            std::fs::write(path("key"), &service.key).unwrap();
            (tls.certificate, tls.key, tls.client_ca) = (path("pem"), path("key"), path("ca"));
            access.credentials = path("credentials");
            let [owner, service] = [Role::Owner, Role::Service].map(|role| {
                let token = Token::generate(&mut secure_rng());
                let tenant = role.is_tenants().then(TenantId::default);
                let credential = Credential {
                    digest: token.digest(),
                    kind: Kind::Token,
                    scope: Scope::new(role, tenant).unwrap(),
                    note: String::new(),
                    created_unix_seconds: 0,
                    expires_unix_seconds: None,
                    revoked_unix_seconds: None,
                };
                let added = edit(&access.credentials, |register| register.add(credential));
                assert_eq!(added, Ok::<_, RegisterError>(()));
                token
            });
            sphinx_client::workspace::write_new(&path("token"), service.expose().as_bytes())
                .unwrap();
            outgoing = OutgoingConfig {
                ca: path("ca"),
                certificate: path("pem"),
                key: path("key"),
                token_file: path("token"),
                insecure_cleartext: false,
            };
            security = Security {
                ca: Some(path("ca")),
                identity: Some(Identity { certificate: path("pem"), key: path("key") }),
                token: Some(owner),
                insecure_cleartext: false,
            };
        }
        let store = path("store").to_str().unwrap().to_owned();
        let guard = (tls, access, outgoing);
        let vault = keyvault_with(&store, |config| protect(config, &guard)).await;
        let trainer = trainer_with(&store, &vault.url, |config| protect(config, &guard)).await;
        let inference = inference_with(&store, &vault.url, |config| protect(config, &guard)).await;
        let client = SphinxClient::new(&Endpoints {
            trainer: trainer.url.clone(),
            inference: inference.url.clone(),
            keyvault: vault.url.clone(),
            security,
            ..Endpoints::default()
        })
        .unwrap();
        let key = Arc::new(RootKey::generate(&mut secure_rng()));
        client.register_key(&key_id(), &key.identity(), "").await.unwrap();
        client.create_model(&model_id(), &key_id(), spec, 1).await.unwrap();
        let services = [vault, trainer, inference];
        Self { client, key, _services: services, _directory: directory }
    }

    /// Seconds per step of training.
    async fn train(&self, spec: &NetworkSpec, data: &Arc<Dataset>, session: u8) -> f64 {
        let options = TrainingOptions {
            epochs: 10.0,
            blocks: 1,
            batch: None,
            optimizer: OptimizerSpec::ADAM,
            learning_rate: 0.02,
            decay: sphinx_client::Decay::Cosine { floor: 0.05 },
            warmup: 20,
            averaging: None,
            augmentation: None,
            persons: None,
            privacy: Privacy::None,
        };
        let session = SessionOptions {
            model_id: model_id(),
            key_id: key_id(),
            key: Arc::clone(&self.key),
            session_id: SessionId([session; 16]),
            rule: options.rule(60_000).unwrap(),
            protocol: Protocol::default(),
        };
        let mut session = EncryptedSession::open(&self.client, session).await.unwrap();
        let (spec, data) = (spec.clone(), Arc::clone(data));
        let trained = tokio::task::spawn_blocking(move || {
            let inputs = Inputs::new(&Plan::new(&spec).unwrap(), &data).unwrap();
            let mut marks = Vec::new();
            let mut go_on = |_: &sphinx_client::Progress| {
                marks.push(Instant::now());
                marks.len() <= STEPS
            };
            train_with_inputs(&mut session, &spec, &inputs, &options, [1; 32], &mut go_on).unwrap();
            (marks[STEPS] - marks[0]).as_secs_f64() / STEPS as f64
        });
        trained.await.unwrap()
    }

    async fn recogniser(&self) -> Recogniser {
        let incarnation = self.client.model(&model_id()).await.unwrap().incarnation;
        let (tenant, model) = (TenantId::default().to_string(), model_id().to_string());
        let read_key = self.key.read_key(&ModelName { tenant, model, incarnation });
        Recogniser::new(&self.client, Arc::new(read_key)).await.unwrap()
    }
}

fn protect<L>(config: &mut Config<L>, guard: &(TlsConfig, AccessConfig, OutgoingConfig)) {
    (config.tls, config.access, config.outgoing) = guard.clone();
}

fn key_id() -> KeyId {
    KeyId::parse("k").unwrap()
}

fn model_id() -> ModelId {
    ModelId::parse("m").unwrap()
}

/// Median milliseconds of one recognition.
async fn recognise(recogniser: &Recogniser, images: &[Vec<f32>]) -> f64 {
    let mut tickets = recogniser.prepare(images.len(), &mut secure_rng()).await.unwrap();
    let mut times = Vec::new();
    for image in images {
        let begun = Instant::now();
        recogniser.infer(tickets.take().unwrap(), image).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

#[tokio::main]
async fn main() {
    let network = std::env::args().nth(1).unwrap_or_else(|| "sphinx-mnist".to_owned());
    let spec = NetworkSpec::builtin(&network).expect("a built-in network");
    let data = sphinx_mnist::load().unwrap();
    let train = Arc::new(data.train);
    let sides = [Side::start(false, &spec).await, Side::start(true, &spec).await];
    let mut rows = Vec::new();
    for pair in 0..=PAIRS {
        let mut times = [0.0; 2];
        for turn in 0..2 {
            let side = (pair + turn) % 2;
            times[side] = sides[side].train(&spec, &train, pair as u8).await;
        }
        // The first pair warms up.
        if pair > 0 {
            println!("train {pair}: clear {:.4} s, protected {:.4} s a step", times[0], times[1]);
            rows.push(times[1] / times[0] - 1.0);
        }
    }
    println!("training throughput lost  {:.1} % (median)", 100.0 * median(rows));
    let images: Vec<_> = (0..IMAGES).filter_map(|index| data.test.pixels(index)).collect();
    let recognisers = [sides[0].recogniser().await, sides[1].recogniser().await];
    let mut rows = Vec::new();
    for pair in 0..=PAIRS {
        let mut times = [0.0; 2];
        for turn in 0..2 {
            let side = (pair + turn) % 2;
            times[side] = recognise(&recognisers[side], &images).await;
        }
        if pair > 0 {
            println!("infer {pair}: clear {:.3} ms, protected {:.3} ms p50", times[0], times[1]);
            rows.push(times[1] - times[0]);
        }
    }
    println!("online p50 added          {:.3} ms (median)", median(rows));
}
