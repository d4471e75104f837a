//! Every query of the dashboard, answered by a real Prometheus that reads real services.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tools;
use crate::world::{World, free, get};

const DASHBOARD: &str = include_str!("../../../../deploy/grafana/sphinx.json");
const SCRAPES: &str = include_str!("../../../../deploy/prometheus/prometheus.yml");

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one that reads the services every second, otherwise as `deploy/prometheus` has it.
    async fn start(program: &std::path::Path, world: &World) -> Self {
        let mut config = SCRAPES.replace("scrape_interval: 15s", "scrape_interval: 1s");
        for (service, port) in [("trainer", 9101), ("inference", 9102), ("keyvault", 9103)] {
            let agreed = format!("127.0.0.1:{port}");
            assert!(config.contains(&agreed), "{agreed}");
            config = config.replace(&agreed, &world.metrics[service]);
        }
        let path = |name: &str| world.directory.path().join(name);
        fs::write(path("prometheus.yml"), config).unwrap();
        let address = free();
        let child = Command::new(program)
            .arg("--config.file")
            .arg(path("prometheus.yml"))
            .arg("--storage.tsdb.path")
            .arg(path("tsdb"))
            .args(["--web.listen-address", &address, "--log.level", "error"])
            .current_dir(world.directory.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "Prometheus does not listen");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { child, address }
    }

    /// The values that answer a query.
    fn ask(&self, query: &str) -> Vec<f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (_, body) = get(&self.address, &format!("/api/v1/query?query={encoded}"));
        // HTTP/1.0 has no chunks, but some servers send a length of chunks all the same.
        let start = body.find('{').unwrap_or_else(|| panic!("{query}: {body}"));
        let answer: Value = serde_json::from_str(body[start..].trim_end_matches(['\r', '\n', '0']))
            .unwrap_or_else(|error| panic!("{query}: {error}: {body}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let results = answer["data"]["result"].as_array().unwrap();
        results.iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }
}

/// Title and query of every panel.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    assert!(queries.len() > 20, "{queries:?}");
    queries
}

#[test]
fn the_dashboard_has_the_four_questions_and_no_panel_twice() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<_> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ["Healthy?", "What is slow?", "Who uses what?", "What does an image cost?"]);
    let of = |field: fn(&Value) -> String| {
        let mut all: Vec<_> = panels.iter().map(field).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    };
    of(|panel| panel["id"].to_string());
    of(|panel| panel["title"].to_string());
    of(|panel| panel["gridPos"].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_an_answer_of_real_services() {
    let Some(program) = tools::prometheus() else { return };
    let world = World::with_key("").await;
    let prometheus = Prometheus::start(&program, &world).await;
    let test = sphinx_mnist::load().unwrap().test;
    let digit = image::GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(world.directory.path().join("digit.png")).unwrap();
    // A rate needs two scrapes, and a series that begins counts from its second.
    for _ in 0..3 {
        // Without privacy there is no budget that ends the second.
        world.train(&["--privacy", "none"]);
        world.json(&["infer", "needle-model", "digit.png", "--json"]);
        world.json(&["infer", "needle-model", "digit.png", "--one-shot", "--batch", "--json"]);
        let missing = world.command(&["models", "show", "missing"]).output().unwrap();
        assert!(!missing.status.success());
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    let mut answers = String::new();
    for (title, query) in queries() {
        let values = prometheus.ask(&query.replace("$__rate_interval", "1m"));
        let finite = values.iter().filter(|value| value.is_finite()).count();
        assert!(finite > 0, "{title}: {query}: {values:?}");
        answers.push_str(&format!("{title}: {query}\n    {values:?}\n"));
    }
    println!("{answers}");
    // What the dashboard is asked first.
    assert_eq!(prometheus.ask(r#"up{job=~"sphinx-.*"}"#), [1.0; 3]);
    let cost = prometheus.ask(
        "sum by (job) (rate(sphinx_process_cpu_seconds_total[1m])) / (sum by (job) \
         (rate(sphinx_image_places_total[1m])) > 0)",
    );
    assert!(cost.iter().all(|seconds| (1e-7..1.0).contains(seconds)), "{cost:?}");
}
