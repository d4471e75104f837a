//! The whole way: from an empty home to a recognised picture, and what can be seen of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::world::{Answer, World};

/// A tab of the browser.
struct Tab<'a> {
    world: &'a World,
    cookie: String,
}

impl Tab<'_> {
    async fn get(&self, path: &str) -> Answer {
        self.world.ask(&format!("GET {path}"), &[("Cookie", &self.cookie)], "").await
    }

    async fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let origin = format!("http://{}", self.world.host);
        let headers = [("Cookie", &*self.cookie), ("Origin", &origin), ("Content-Type", kind)];
        self.world.send(&format!("POST {path}"), &headers, body).await
    }

    async fn json(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.post(path, "application/json", body.to_string().as_bytes()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// What the live page of a run is told until it is over.
    async fn events(&self, run: usize) -> (Vec<Value>, Value) {
        // As a browser gets it, in chunks.
        let body = self.get(&format!("/runs/{run}/events")).await.body;
        let data = |name: &str| -> Vec<Value> {
            let begins = format!("event: {name}\n");
            let events = body.split(&begins).skip(1);
            let data = events.filter_map(|event| event.strip_prefix("data: ")?.lines().next());
            data.map(|data| serde_json::from_str(data).unwrap()).collect()
        };
        (data("step"), data("end").pop().unwrap())
    }
}

fn order(model: &str, network: &str, epochs: &str) -> Value {
    json!({ "set": "mnist", "network": network, "model": model, "epsilon": "8", "epochs": epochs })
}

fn spread(mut order: Value, shards: &str) -> Value {
    order["shards"] = shards.into();
    order
}

/// Pictures of two classes: to train on, to choose by and to test with.
fn photos(directory: &Path) {
    for number in 0..120_u8 {
        let (class, split) = (["red", "blue"][usize::from(number % 2)], number / 2);
        let split = ["train", "train", "train", "train", "val", "test"][usize::from(split % 6)];
        let path = directory.join(format!("photos/{split}/{class}/{number}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let light = if class == "red" { [200, number, 0] } else { [number, 0, 200] };
        RgbImage::from_pixel(10, 10, Rgb(light)).save(path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_images_are_apart_from_test_images() {
    let world = World::start().await;
    let tab = Tab { world: &world, cookie: world.enter().await };
    let directory = tempfile::tempdir().unwrap();
    photos(directory.path());
    let path = directory.path().join("photos");
    assert_eq!(tab.json("/data", &json!({ "path": path.to_str().unwrap() })).await.0, 200);
    let page = tab.get("/data?set=photos").await.body;
    assert!(page.contains("80 images to train on, 20 to choose by, 20 to test with"), "{page}");
    let mut ordered = spread(order("colours", "auto", "1"), "1");
    ordered["set"] = "photos".into();
    let (status, told) = tab.json("/train", &ordered).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(tab.events(1).await.1["state"], "done");
    assert!(tab.get("/train").await.body.contains("/runs/1/validate"));
    for (how, expected) in [
        ("validate", ["of 20 validation images", "Choose among trainings by these."]),
        ("test", ["of 20 images that were held back", "Look at them once, after"]),
    ] {
        let (status, told) = tab.json(&format!("/runs/1/{how}"), &json!({})).await;
        let text = told["text"].as_str().unwrap();
        assert!(status == 200 && expected.iter().all(|part| text.contains(part)), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_home_to_a_recognised_picture() {
    let world = World::start().await;
    let tab = Tab { world: &world, cookie: world.enter().await };
    assert!(tab.get("/recognise").await.body.contains("There is no trained model yet"));
    assert!(tab.get("/cloud").await.body.contains("Nothing has left yet"));

    let (status, told) = tab.json("/train/estimate", &order("digits", "mlp-100", "1")).await;
    assert_eq!(status, 200, "{told}");
    assert!(told["text"].as_str().unwrap().contains("steps of about"), "{told}");
    // Nothing was made by asking.
    assert!(tab.get("/trust").await.body.contains("None yet"));

    let (status, told) = tab.json("/train", &order("digits", "mlp-100", "1")).await;
    assert_eq!(status, 200, "{told}");
    let (status, told) = tab.json("/train", &order("digits", "mlp-100", "1")).await;
    assert_eq!(status, 400, "{told}");
    assert!(told["error"].as_str().unwrap().contains("being trained already"), "{told}");
    let (steps, end) = tab.events(1).await;
    assert_eq!(end["state"], "done", "{end}");
    let numbers: Vec<u64> = steps.iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(steps.last().unwrap()["epsilon"].as_f64().unwrap() <= 8.0);
    // A page that was away, as behind a closed lid, misses nothing.
    assert_eq!(tab.events(1).await.0, steps);

    let (status, told) = tab.json("/runs/1/test", &json!({})).await;
    let told = told["text"].as_str().unwrap();
    assert!(
        status == 200 && told.contains("% of 10\u{202f}000 images that were held back"),
        "{told}"
    );
    let accuracy: f64 =
        told.split("recognises ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(accuracy > 60.0 && told.contains("Taken most often: "), "{told}");
    assert!(told.contains("too good") && !tab.get("/train").await.body.contains("/validate"));
    let (status, refused) = tab.json("/runs/1/validate", &json!({})).await;
    assert!(
        status == 400 && refused["error"].as_str().unwrap().contains("mnist has no validation"),
        "{refused}"
    );
    // It stays on the page.
    assert!(tab.get("/train").await.body.contains(told), "{told}");

    let picture = tab.get("/data/mnist/test/0").await.bytes;
    assert_eq!(tab.post("/recognise/digits/prepare", "text/plain", &[]).await.status, 200);
    let (mut best, mut evenness) = (Duration::MAX, Vec::new());
    for _ in 0..8 {
        let begun = Instant::now();
        let seen = tab.post("/recognise/digits", "application/octet-stream", &picture).await;
        best = best.min(begun.elapsed());
        let seen: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(seen["classes"].as_array().unwrap().len(), 10, "{seen}");
        assert_eq!(seen["class"], "7", "{seen}");
        let cloud = tab.get("/cloud").await.body;
        let p = cloud.rsplit("uniformity: p = ").next().and_then(|rest| rest.split(',').next());
        evenness.push(p.unwrap().parse::<f64>().unwrap());
    }
    // Random bytes have any p: eight in a row that are all large, or all small, are none.
    let between = |p: &f64| (0.02..=0.98).contains(p);
    assert!(evenness.iter().any(between), "{evenness:?}");
    assert!(best < Duration::from_millis(100), "{best:?}");
    let once = tab.post("/recognise/digits/one-shot", "application/octet-stream", &picture).await;
    let once: Value = serde_json::from_str(&once.body).unwrap();
    assert_eq!((once["kind"].as_str(), once["class"].as_str()), (Some("one shot"), Some("7")));

    let cloud = tab.get("/cloud").await.body;
    assert_eq!(cloud.matches("as random bytes have it").count(), 2, "{cloud}");
    assert!(!cloud.contains("Uneven"), "{cloud}");
    for part in ["training/hidden", "training/left", "recognition/hidden", "recognition/left"] {
        let picture = tab.get(&format!("/cloud/{part}")).await;
        assert!(picture.bytes.starts_with(b"\x89PNG"), "{part}");
    }
    let (_, verified) = tab.json("/trust/digits/verify", &json!({})).await;
    let expected = format!("✓ version {}, ", steps.len());
    assert!(verified["text"].as_str().unwrap().starts_with(&expected), "{verified}");
    let trust = tab.get("/trust").await.body;
    assert!(
        trust.contains("the same identity") && trust.contains("No answer was ever found wrong")
    );
    let unused = trust.split("<th scope=\"row\">digits</th>").last().unwrap();
    let counts: Vec<usize> = unused
        .split("<td>")
        .filter_map(|cell| cell.split("</td>").next()?.parse().ok())
        .take(3)
        .collect();
    assert!(counts[0] == steps.len() && counts[1] + counts[2] > 0, "tickets: {counts:?}");
    assert_eq!(trust.matches("clear text").count(), 3, "{trust}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_stop_go_on_and_keep_the_cap() {
    let world = World::start().await;
    let tab = Tab { world: &world, cookie: world.enter().await };
    let (status, told) = tab.json("/train", &order("long", "mlp-100", "60")).await;
    assert_eq!(status, 200, "{told}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, told) = tab.json("/runs/1/test", &json!({})).await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("being trained"), "{told}");
    assert_eq!(tab.json("/runs/7/test", &json!({})).await.0, 404);
    assert_eq!(tab.json("/runs/1/stop", &json!({})).await.0, 200);
    let (steps, end) = tab.events(1).await;
    assert!(end["state"] == "done" && steps.len() < 1000, "{end}");
    let mut run = 1;
    let more = loop {
        assert_eq!(tab.json(&format!("/runs/{run}/go-on"), &json!({})).await.0, 200);
        run += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(tab.json(&format!("/runs/{run}/stop"), &json!({})).await.0, 200);
        let (more, _) = tab.events(run).await;
        // It may have been stopped before its first step.
        if !more.is_empty() {
            break more;
        }
    };
    assert_eq!(more[0]["step"].as_u64().unwrap(), steps.len() as u64 + 1);

    // The budget is the images', whatever the model: a cap below what is spent is refused.
    let (status, told) = tab.json("/data/mnist/cap", &json!({ "epsilon": "0.0001" })).await;
    assert_eq!(status, 422, "{told}");
    assert_eq!(tab.json("/data/mnist/cap", &json!({ "epsilon": "nine" })).await.0, 400);
    assert_eq!(tab.json("/data/mnist/cap", &json!({ "epsilon": "8" })).await.0, 200);
    assert!(tab.get("/train").await.body.contains("of 8.00 spent"));
    let (status, told) = tab.json("/train", &order("other", "mlp-100", "60")).await;
    assert_eq!(status, 200, "{told}");
    let (_, end) = tab.events(run + 1).await;
    assert_eq!(end["state"], "failed", "{end}");
    assert!(end["text"].as_str().unwrap().contains("sphinx privacy cap"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why() {
    let world = World::start().await;
    let tab = Tab { world: &world, cookie: world.enter().await };
    for (wrong, expected) in [
        (order("digits", "no-such-network", "1"), "no network \"no-such-network\""),
        (order("not a name", "auto", "1"), "not a name"),
        (order("digits", "auto", "many"), "no number"),
        (order("digits", "auto", "-1"), "epochs"),
        (spread(order("digits", "mlp-100", "1"), "some"), "no number of connections"),
        (spread(order("digits", "mlp-100", "1"), "0"), "no number of connections"),
        (spread(order("digits", "mlp-100", "1"), "3"), "3 shards for steps of"),
    ] {
        let (status, told) = tab.json("/train", &wrong).await;
        assert!(status >= 400 && told["error"].as_str().unwrap().contains(expected), "{told}");
    }
    let (status, told) = tab.json("/data", &json!({ "path": "/no/such/place" })).await;
    assert!(status == 422 && told["error"].as_str().unwrap().contains("/no/such/place"), "{told}");
    let seen = tab.post("/recognise/none", "application/octet-stream", b"").await;
    assert!(seen.status == 422 && seen.body.contains("none"), "{}", seen.body);
}
