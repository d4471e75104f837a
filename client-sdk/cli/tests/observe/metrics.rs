//! The pages that Prometheus reads, during a training and recognitions.

use std::collections::BTreeMap;

use sphinx_mnist::load;

use crate::world::{World, get};

/// A value by its name and labels, as the page writes them.
type Values = BTreeMap<String, f64>;

fn values(page: &str) -> Values {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of the series of a name whose labels hold all of `labels`.
fn sum(values: &Values, name: &str, labels: &[&str]) -> f64 {
    let of_name = |series: &&String| series.split('{').next() == Some(name);
    let found: Vec<_> = values
        .iter()
        .filter(|(series, _)| of_name(series) && labels.iter().all(|label| series.contains(label)))
        .collect();
    assert!(!found.is_empty(), "no {name} {labels:?} in {:?}", values.keys());
    found.iter().map(|(_, value)| **value).sum()
}

fn save_digit(world: &World) {
    let test = load().unwrap().test;
    let digit = image::GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(world.directory.path().join("digit.png")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_what_was_done_and_nothing_of_whose_it_was() {
    let world = World::with_key("").await;
    let version = world.train(&[]);
    assert!(version >= 3, "{version}");
    let steps = version as f64;
    save_digit(&world);
    for _ in 0..3 {
        world.json(&["infer", "needle-model", "digit.png", "--json"]);
    }
    world.json(&["infer", "needle-model", "digit.png", "--one-shot", "--batch", "--json"]);
    let missing = world.command(&["models", "show", "needle-missing"]).output().unwrap();
    assert!(!missing.status.success());

    let pages = settled(&world).await;
    let trainer = values(&pages["trainer"]);
    assert_eq!(sum(&trainer, "sphinx_train_steps_total", &[]), steps);
    assert_eq!(sum(&trainer, "sphinx_model_steps_total", &[]), steps);
    let train = [r#"rpc="sphinx.v1.Trainer/Train""#];
    let ok = [train[0], r#"code="OK""#];
    let sessions = sum(&trainer, "sphinx_rpc_requests_total", &ok);
    assert_eq!(sessions, 1.0);
    assert_eq!(sum(&trainer, "sphinx_rpc_duration_seconds_count", &ok), sessions);
    assert!(sum(&trainer, "sphinx_rpc_duration_seconds_sum", &ok) > 0.0);
    assert_eq!(sum(&trainer, "sphinx_rpc_running", &[]), 0.0);
    let refused = [r#"rpc="sphinx.v1.Trainer/GetModel""#, r#"code="NOT_FOUND""#];
    assert!(sum(&trainer, "sphinx_rpc_requests_total", &refused) >= 1.0);
    // A step of this network is one product on one block: 49 rows to 10, one multiply-add for each
    // weight and word; a row has N words of mask and 2048 of bodies, and N is 1024 or 2048.
    let work = [r#"work="train""#];
    assert_eq!(sum(&trainer, "sphinx_image_places_total", &work), steps * 2048.0);
    let words = sum(&trainer, "sphinx_multiply_adds_total", &work) / (steps * 490.0);
    assert!([3072.0, 4096.0].contains(&words), "{words}");
    let taken = sum(&trainer, "sphinx_ciphertexts_total", &[work[0], r#"way="in""#]);
    let given = sum(&trainer, "sphinx_ciphertexts_total", &[work[0], r#"way="out""#]);
    assert_eq!((taken, given), (steps * 49.0, steps * 10.0));
    // Bodies of 3 or 4 bytes a slot come in, masks leave too; commits are small.
    let received = sum(&trainer, "sphinx_rpc_received_bytes_total", &train) / steps;
    let sent = sum(&trainer, "sphinx_rpc_sent_bytes_total", &train) / steps;
    assert!((49.0 * 2048.0 * 3.0..49.0 * 2048.0 * 4.5).contains(&received), "{received}");
    assert!((10.0 * 2048.0 * 3.0..10.0 * 4096.0 * 4.5).contains(&sent), "{sent}");
    let parts = |part: &str| sum(&trainer, "sphinx_train_part_seconds_count", &[part]);
    assert_eq!((parts("evaluate"), parts("commit")), (steps, steps));
    assert_eq!(sum(&trainer, "sphinx_permits_limit", &["sessions"]), 8.0);
    assert_eq!(sum(&trainer, "sphinx_permits_taken", &[]), 0.0);

    let inference = values(&pages["inference"]);
    // One image thrice, each for itself, and a batch of one, which goes by itself too.
    assert_eq!(sum(&inference, "sphinx_image_places_total", &["recognise"]), 3.0);
    let alone = in_one_shot(&inference);
    assert!(alone == 1.0 || alone == 2048.0, "{alone}");
    assert!(sum(&inference, "sphinx_image_places_total", &["prepare"]) >= 2048.0);
    assert_eq!(sum(&inference, "sphinx_cache_misses_total", &[r#"cache="models""#]), 1.0);
    assert!(sum(&inference, "sphinx_cache_hits_total", &[r#"cache="models""#]) >= 3.0);
    let held = sum(&inference, "sphinx_cache_bytes", &[r#"cache="models""#]);
    assert!((1024.0..1e8).contains(&held), "{held}");
    let keyvault = values(&pages["keyvault"]);
    let exchange = [r#"rpc="sphinx.v1.KeyVault/ExchangeKeys""#, r#"code="OK""#];
    assert!(sum(&keyvault, "sphinx_rpc_requests_total", &exchange) >= 1.0);

    for (service, page) in &pages {
        of_every_service(service, page);
        of_nobody(&world, page);
    }
    let ready = |page: &str| sum(&values(page), "sphinx_dependency_up", &[]);
    assert_eq!([ready(&pages["trainer"]), ready(&pages["keyvault"])], [2.0, 1.0]);
    let (head, _) = get(&world.metrics["trainer"], "/");
    assert!(head.starts_with("HTTP/1.0 404") || head.starts_with("HTTP/1.1 404"), "{head}");
}

/// Images that were recognised by a linear network without keys.
fn in_one_shot(inference: &Values) -> f64 {
    let places = |work: &str| sum(inference, "sphinx_image_places_total", &[work]);
    places("batch") + places("linear")
}

/// The pages once all is counted: what a stream did is counted when it ends, which its client does
/// not wait for.
async fn settled(world: &World) -> BTreeMap<&'static str, String> {
    let mut looks = 0;
    loop {
        let pages: BTreeMap<_, _> =
            world.metrics.keys().map(|service| (*service, world.page(service))).collect();
        let running = |page: &String| sum(&values(page), "sphinx_rpc_running", &[]);
        let quiet = pages.values().map(running).sum::<f64>() == 0.0;
        looks += 1;
        if (quiet && in_one_shot(&values(&pages["inference"])) > 0.0) || looks == 50 {
            return pages;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// What each page has, and that its names are as they are by convention.
fn of_every_service(service: &str, page: &str) {
    assert!(page.ends_with("# EOF\n"));
    let values = values(page);
    let build = format!(
        r#"sphinx_build_info{{version="{}",commit="{}",features="{}",service="{service}"}}"#,
        env!("CARGO_PKG_VERSION"),
        sphinx_telemetry::COMMIT,
        sphinx_telemetry::FEATURES
    );
    assert_eq!(values.get(&build), Some(&1.0), "{page}");
    assert!(sum(&values, "sphinx_process_cpu_seconds_total", &[]) > 0.0);
    let memory = sum(&values, "sphinx_process_resident_memory_bytes", &[]);
    assert!((1e6..1e10).contains(&memory), "{memory}");
    assert!(sum(&values, "sphinx_process_open_fds", &[]) > 3.0);
    for line in page.lines() {
        if let Some(metric) = line.strip_prefix("# TYPE ") {
            let (name, kind) = metric.split_once(' ').unwrap();
            assert!(name.starts_with("sphinx_") && !name.ends_with("_total"), "{line}");
            assert!(page.contains(&format!("# HELP {name} ")), "{line}");
            let counter = values.keys().any(|series| series.starts_with(&format!("{name}_total")));
            let empty = !values.keys().any(|series| series.starts_with(name));
            assert_eq!(kind == "counter", counter || (kind == "counter" && empty), "{line}");
        }
    }
    for (series, value) in &values {
        assert!(value.is_finite() && *value >= 0.0, "{series} {value}");
    }
}

/// Nothing that a user has chosen, is known by, or has sent.
fn of_nobody(world: &World, page: &str) {
    assert!(!page.contains("needle"), "{page}");
    assert!(!page.contains(world.token.trim_start_matches("sphinx_")));
    let listed = world.json(&["tokens", "list", "--json"]);
    for credential in listed.as_array().unwrap() {
        assert!(!page.contains(credential["credential"].as_str().unwrap()), "{page}");
    }
    let fingerprints = world.json(&["keys", "list", "--json"]).to_string();
    for word in fingerprints.split('"').filter(|word| word.len() >= 16) {
        assert!(!page.contains(word), "{word}");
    }
    // Values of labels are words of the program, but for hashes of models.
    for label in page.lines().filter(|line| line.starts_with("sphinx_model_steps_total")) {
        let hash = label.split('"').nth(1).unwrap();
        assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_keeps_its_hash_and_another_of_its_name_has_another() {
    let world = World::with_key("").await;
    world.train(&[]);
    let hashes = |page: &str| {
        let lines = page.lines().filter(|line| line.starts_with("sphinx_model_steps_total{"));
        lines.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = hashes(&world.page("trainer"));
    assert_eq!(first.len(), 1);
    world.train(&[]);
    assert_eq!(hashes(&world.page("trainer")), first);
    world.json(&["models", "delete", "needle-model", "--json"]);
    world.train(&[]);
    assert_eq!(hashes(&world.page("trainer")).len(), 2);
}
