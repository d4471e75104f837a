//! Recognition in one shot: keys to removal, by the command alone and with another tool between
//! request and answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::GrayImage;
use serde_json::{Value, json};
use sphinx_proto::v1::InferOnceRequest;
use sphinx_proto::v1::inference_client::InferenceClient;

use crate::world::{World, assert_says};

const NETWORK: &str = r#"
name = "few-bits"
input = { channels = 1, height = 28, width = 28 }
layers = [
    { kind = "avg_pool", size = 4 },
    { kind = "dense", outputs = 16 },
    { kind = "quantised_tanh", levels = 8 },
    { kind = "dense", outputs = 10 },
]
"#;

/// What grpcurl does: JSON to protobuf, one call, protobuf to JSON.
async fn call(address: String, request: &str) -> String {
    let json: Value = serde_json::from_str(request).unwrap();
    let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
    let bytes = |field: &str| STANDARD.decode(text(field)).unwrap().into();
    let request = InferOnceRequest {
        model_id: text("model_id"),
        key_id: text("key_id"),
        version: Some(text("version").parse().unwrap()),
        incarnation: bytes("incarnation"),
        fingerprint: text("fingerprint"),
        seed: bytes("seed"),
        bodies: bytes("bodies"),
    };
    let mut client = InferenceClient::connect(address).await.unwrap();
    let answer = client.infer_once(request).await.unwrap().into_inner();
    let answer = json!({
        "version": answer.version.to_string(),
        "mask": STANDARD.encode(answer.mask),
        "bodies": STANDARD.encode(answer.bodies),
        "logitScale": answer.logit_scale,
        "fingerprint": answer.fingerprint,
    });
    answer.to_string()
}

fn decrypt(world: &World, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = world.command(&[&["decrypt", "--json"], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_recognised_in_one_shot_until_the_keys_are_removed() {
    let world = World::start().await;
    let made = world.run(&["keys", "new", "--id", "mine", "--evaluation", "--json"]).json();
    let print = made["evaluation"]["fingerprint"].clone();
    let bytes = made["evaluation"]["bytes"].as_u64().unwrap();
    assert!(bytes <= 20_000_000, "{bytes}");
    let registered = world.run(&["keys", "register", "--json"]).json();
    let sent = |json: &Value| json["evaluation"]["sent_bytes"].as_u64().unwrap();
    assert_eq!((&registered["evaluation"]["fingerprint"], sent(&registered)), (&print, bytes));
    let again = world.run(&["keys", "register", "--json"]).json();
    assert_eq!((&again["evaluation"]["already_registered"], sent(&again)), (&json!(true), 0));
    let shown = world.run(&["keys", "show", "--json"]).json();
    assert_eq!(shown["evaluation"]["local_fingerprint"], print);
    assert_eq!(shown["evaluation"]["registered_fingerprint"], print);
    let listed = world.run(&["keys", "list", "--json"]).json();
    assert_eq!(listed[0]["registered_evaluation"], print);

    let network = world.machine.file("few-bits.toml", NETWORK);
    let train = ["train", "--network", &network, "--epochs", "0.3", "--privacy", "none"];
    world.run(&[&train[..], &["--lr", "0.02", "--warmup", "0"]].concat()).succeeded();
    let test = sphinx_mnist::load().unwrap().test;
    let digit = GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(world.machine.directory.path().join("digit.png")).unwrap();

    let clear = world.run(&["infer", "few-bits", "digit.png", "--json"]).json();
    let seen =
        world.run(&["infer", "few-bits", "digit.png", "digit.png", "--one-shot", "--json"]).json();
    // Of the services only inference is needed.
    let request = ["request", "one-shot", "few-bits", "digit.png"];
    let nobody = ["--trainer", "http://127.0.0.1:1", "--keyvault", "http://127.0.0.1:1"];
    let request = world.run(&[&request[..], &nobody].concat()).succeeded().stdout;
    let answer = call(world.inference(), &request).await;
    let (code, text, error) = decrypt(&world, &[], &answer);
    assert_eq!(code, Some(0), "{error}");
    let decrypted: Value = serde_json::from_str(&text).unwrap();
    // The same probabilities but for the noise, which can move an activation to the next of its
    // values.
    for one_shot in [&seen[0], &seen[1], &decrypted] {
        let pairs = clear[0]["probabilities"].as_array().unwrap().iter();
        for (clear, noisy) in pairs.zip(one_shot["probabilities"].as_array().unwrap()) {
            let (clear, noisy) = (clear.as_f64().unwrap(), noisy.as_f64().unwrap());
            assert!((clear - noisy).abs() < 0.2, "{noisy} instead of {clear}");
        }
    }
    // Ten logits, all of them or none, and none under a mask that is cut.
    let bodies = "A".repeat(208);
    for (json, expected, says) in [
        (json!({"mask": "AAAA", "bodies": bodies, "logitScale": 1}), 1, "3 bytes of mask"),
        (json!({"mask": "AAAA", "bodies": "", "logitScale": 1}), 2, "bodies of the answer have 0"),
        (json!({"mask": "AAAA", "bodies": "AAAA", "logitScale": 1}), 2, "empty or cut short"),
        (json!({"mask": "AAAA", "bodies": bodies}), 2, "missing field `logitScale`"),
        (json!({}), 2, "missing field"),
    ] {
        let (code, text, error) = decrypt(&world, &[], &json.to_string());
        assert_eq!((code, text.as_str()), (Some(expected), ""), "{json}");
        assert_says(&error, &[says]);
    }
    let (code, _, error) = decrypt(&world, &[], "no JSON");
    assert_eq!(code, Some(2));
    assert_says(&error, &["no answer of InferOnce"]);

    assert_ne!(seen[0]["milliseconds"], seen[1]["milliseconds"]);

    keys_are_told_apart(&world, &answer, &decrypted);
    let print = print.as_str().unwrap();
    recognised_until_removed(&world, || {
        let removed = world.run(&["keys", "remove", "mine", "--evaluation", "--json"]).json();
        assert_eq!(removed["fingerprint"], print);
    });
    let error = world.run(&["infer", "few-bits", "digit.png", "--one-shot"]).refused(1);
    assert_says(&error, &["no evaluation keys are registered", "FailedPrecondition"]);
    let error = world.run(&["keys", "remove", "mine", "--evaluation"]).refused(1);
    assert_says(&error, &["NotFound"]);
}

/// With three keys here, an answer is decrypted with its own and with no other.
fn keys_are_told_apart(world: &World, answer: &str, decrypted: &Value) {
    world.run(&["keys", "new", "--id", "plain"]).succeeded();
    world.run(&["keys", "new", "--id", "third", "--evaluation"]).succeeded();
    for arguments in [&[][..], &["--key", "mine"]] {
        let (code, text, error) = decrypt(world, arguments, answer);
        assert_eq!(code, Some(0), "{error}");
        assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), decrypted);
    }
    for other in ["plain", "third"] {
        let (code, text, error) = decrypt(world, &["--key", other], answer);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{error}");
        assert_says(&error, &[other, "cannot decrypt this answer", "those of key mine"]);
    }
    let mut foreign: Value = serde_json::from_str(answer).unwrap();
    foreign["fingerprint"] = json!("0123");
    let (code, _, error) = decrypt(world, &["--key", "third"], &foreign.to_string());
    assert_eq!(code, Some(2));
    assert_says(&error, &["evaluation keys 0123", "of no key here"]);
}

/// Images are told one by one: those before a refusal are not lost with it.
fn recognised_until_removed(world: &World, remove: impl FnOnce()) {
    const IMAGES: usize = 200;
    let images = vec!["digit.png"; IMAGES];
    let arguments = ["infer", "few-bits", "--one-shot", "--output", "jsonl"];
    let mut command = world.command(&[&arguments[..], &images].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["file"], "digit.png");
    remove();
    let told = 1 + lines.count();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{error}");
    assert_says(&error, &["no evaluation keys are registered"]);
    assert!(told < IMAGES, "{told}");
}
