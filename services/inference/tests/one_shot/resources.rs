//! What a service takes: processor after a cancellation, memory with one tenant's keys and with
//! those of ten.

use std::time::Duration;

use sphinx_proto::v1::DescribeModelRequest;
use tonic::{Code, Request};

use crate::world::{HUGE, LARGE, SMALL, World, party};

/// Clock ticks of 10 ms that the process has spent so far.
fn ticks(world: &World) -> u64 {
    let stat = read(world, "stat");
    // Behind the name in parentheses: state is field 3, user and system time are 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn resident_megabytes(world: &World) -> u64 {
    let status = read(world, "status");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn read(world: &World, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", world.process.id().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_and_one_past_its_deadline_stop_computing() {
    let world = World::start(&[]).await;
    let model = world.model("large", "mine", LARGE).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = model.image(0);
    world.infer(model.request(&image)).await.unwrap();

    for deadline in [false, true] {
        let mut client = world.inference.clone();
        let mut request = Request::new(model.request(&image));
        if deadline {
            request.set_timeout(Duration::from_millis(300));
        }
        let before = ticks(&world);
        let running = tokio::spawn(async move { client.infer_once(request).await });
        if deadline {
            let status = running.await.unwrap().unwrap_err();
            let codes = [Code::Cancelled, Code::DeadlineExceeded];
            assert!(codes.contains(&status.code()), "{status:?}");
            assert!(ticks(&world) > before, "nothing was computed");
        } else {
            while ticks(&world) < before + 10 {
                assert!(!running.is_finished(), "nothing was computed");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running.abort();
            let _ = running.await;
        }
        // A neuron takes about 10 ms of one core; what is left over would take seconds.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let stopped = ticks(&world);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = ticks(&world);
        assert!(after <= stopped + 3, "{} ticks after the end of the request", after - stopped);
    }
    world.infer(model.request(&image)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_the_surplus_at_once_and_goes_on_with_other_calls() {
    // One is computed, 16 wait.
    const SURPLUS: usize = 5;
    let world = World::start(&[
        ("SPHINX_INFERENCE__LIMITS__MAX_ONE_SHOT_EVALUATIONS", "1"),
        ("SPHINX_INFERENCE__SERVER__MAX_STREAMS_PER_CONNECTION", "64"),
    ])
    .await;
    let small = world.model("small", "mine", SMALL).await;
    let huge = world.model("huge", "mine", HUGE).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = small.image(0);
    small.check(&image, world.infer(small.request(&image)).await.unwrap());
    let request = huge.request(&huge.image(0));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..17 + SURPLUS {
        let (mut client, request) = (world.inference.clone(), request.clone());
        asked.spawn(async move { client.infer_once(request).await.map(drop) });
    }
    for _ in 0..SURPLUS {
        let status = asked.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.metadata().get("retry-after-ms").is_some(), "{status:?}");
    }
    let described = DescribeModelRequest { model_id: "huge".to_owned(), version: None };
    world.inference.clone().describe_model(described).await.unwrap();
    // Those that leave give their places back, and whoever comes again is served.
    asked.shutdown().await;
    let served = async {
        loop {
            match world.infer(small.request(&image)).await {
                Ok(answer) => return answer,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    small.check(&image, tokio::time::timeout(Duration::from_secs(60), served).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_holds_with_the_keys_of_one_tenant_and_of_ten() {
    // One tenant's keys take about 95 MB.
    let bound = (200u64 << 20).to_string();
    let world = World::start(&[("SPHINX_INFERENCE__LIMITS__MAX_KEY_BYTES", bound.as_str())]).await;
    let names = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];
    let mut largest = 0;
    for (index, name) in names.into_iter().enumerate() {
        let model = world.model(name, name, SMALL).await;
        world.register(name, &party().evaluation[index % 2]).await;
        world.infer(model.request(&model.image(0))).await.unwrap();
        let resident = resident_megabytes(&world);
        largest = largest.max(resident);
        if index == 0 {
            assert!(resident <= 400, "{resident} MB with one tenant's keys");
        }
    }
    // The bound, one set of keys in use and one being expanded, and what the service takes itself.
    assert!(largest <= 480, "{largest} MB with ten tenants' keys");
    println!("at most {largest} MB");
}
