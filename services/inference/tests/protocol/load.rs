//! Many clients at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sphinx_linalg::packed_bits_len;
use sphinx_proto::v1::{PrepareRequest, prepare_request::Part};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::service::{INPUTS, Service, all};

/// How long the overload lasts; another time by [`SECONDS_VARIABLE`].
const SECONDS: u64 = 6;
/// Latencies that a client keeps: they are no part of the memory that is looked at.
const KEPT: usize = 10_000;
const SECONDS_VARIABLE: &str = "SPHINX_TEST_OVERLOAD_SECONDS";

/// Requests at once beside the preparations: with them fewer than a connection has streams. Beyond
/// that the transport itself holds callers back or refuses, before the service sees them.
const SURPLUS: usize = 12;

/// The pause that a refusal asks for.
fn asked_pause(status: &Status) -> u64 {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    status.metadata().get("retry-after-ms").unwrap().to_str().unwrap().parse().unwrap()
}

/// All places are held by preparations; everything else is turned away at once, and served when
/// they end.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_the_surplus_with_a_hint_and_serves_it_later() {
    const PLACES: usize = 3;
    let mut service =
        Service::with_config(|config| config.server.max_concurrent_requests = PLACES).await;
    let header = Part::Header(service.header(0));
    let rows = Part::Input(service.rows(0, INPUTS));
    let mut open = Vec::new();
    for _ in 0..PLACES {
        let (parts, stream) = mpsc::channel(4);
        parts.send(PrepareRequest { part: Some(header.clone()) }).await.unwrap();
        let replies = service.client.clone().prepare(ReceiverStream::new(stream)).await.unwrap();
        open.push((parts, replies.into_inner()));
    }
    let size = packed_bits_len(INPUTS, service.described.stages[0].modulus_bits);
    let question = service.question(0, 1, vec![0; size]);
    let asked = (0..SURPLUS).map(|_| {
        let (mut client, question) = (service.client.clone(), question.clone());
        async move { client.infer(question).await.unwrap_err() }
    });
    for refused in join_all(asked).await {
        assert!(asked_pause(&refused) > 0);
    }
    let refused = service.prepare(vec![header.clone(), rows.clone()]).await.unwrap_err();
    assert!(asked_pause(&refused) > 0);

    for (parts, replies) in open {
        parts.send(PrepareRequest { part: Some(rows.clone()) }).await.unwrap();
        drop(parts);
        all(replies).await.unwrap();
    }
    // The places are free again, and nobody who comes back is refused for ever.
    let served = (0..SURPLUS).map(|_| {
        let (mut client, question) = (service.client.clone(), question.clone());
        async move {
            loop {
                match client.infer(question.clone()).await {
                    Ok(reply) => return reply.into_inner().values,
                    Err(busy) => {
                        let pause = std::time::Duration::from_millis(asked_pause(&busy) / 20);
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
    });
    let values = join_all(served).await;
    assert!(values.iter().all(|other| *other == values[0]));
}

/// What a crowd of clients met.
#[derive(Default)]
struct Crowd {
    /// Of requests that were served, the first [`KEPT`] of each client.
    latencies: Vec<Duration>,
    served: usize,
    refused: usize,
}

impl Crowd {
    /// Lets so many clients ask without a pause, but for that which a refusal asks for.
    async fn ask(service: &Service, clients: usize, time: Duration) -> Self {
        let size = packed_bits_len(INPUTS, service.described.stages[0].modulus_bits);
        let until = Instant::now() + time;
        let each = (0..clients).map(|_| {
            let question = service.question(0, 1, vec![0; size]);
            async move {
                // A connection of its own.
                let mut client = service.another_client().await;
                let mut met = Self::default();
                while Instant::now() < until {
                    let begun = Instant::now();
                    match client.infer(question.clone()).await {
                        Ok(_) => {
                            met.served += 1;
                            if met.latencies.len() < KEPT {
                                met.latencies.push(begun.elapsed());
                            }
                        }
                        Err(busy) => {
                            met.refused += 1;
                            tokio::time::sleep(Duration::from_millis(asked_pause(&busy))).await;
                        }
                    }
                }
                met
            }
        });
        let mut crowd = Self::default();
        for met in join_all(each).await {
            crowd.latencies.extend(met.latencies);
            crowd.served += met.served;
            crowd.refused += met.refused;
        }
        crowd.latencies.sort();
        crowd
    }

    fn median(&self) -> Duration {
        self.latencies[self.latencies.len() / 2]
    }
}

/// Memory of this process, bytes: services and clients.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Four times more clients than places: nothing ends, what is accepted is served as fast as by a
/// service that is not asked for more, the rest is told when to come back, and memory stays.
#[tokio::test(flavor = "multi_thread")]
async fn overload_is_shed_and_does_not_slow_down_what_is_accepted() {
    const PLACES: usize = 2;
    let seconds = std::env::var(SECONDS_VARIABLE).map_or(SECONDS, |time| time.parse().unwrap());
    let service =
        Service::with_config(|config| config.server.max_concurrent_requests = PLACES).await;
    Crowd::ask(&service, PLACES, Duration::from_millis(500)).await;
    let third = Duration::from_secs(seconds) / 3;
    let before = Crowd::ask(&service, PLACES, third / 2).await;
    assert_eq!(before.refused, 0);
    let first = Crowd::ask(&service, 4 * PLACES, third).await;
    let memory = resident();
    let last = Crowd::ask(&service, 4 * PLACES, third).await;
    let grown = resident().saturating_sub(memory);
    let after = Crowd::ask(&service, PLACES, third / 2).await;
    let unloaded = before.median().max(after.median());
    println!(
        "unloaded {:?}, overloaded {:?} and {:?}; {} served, {} refused, {} kB more",
        unloaded,
        first.median(),
        last.median(),
        first.served + last.served,
        first.refused + last.refused,
        grown >> 10,
    );
    for crowd in [&first, &last] {
        assert!(crowd.refused > 4 * PLACES, "{} refused", crowd.refused);
        assert!(crowd.served > 100, "{} served", crowd.served);
        assert!(crowd.median() <= 2 * unloaded, "{:?}, unloaded {unloaded:?}", crowd.median());
    }
    assert!(grown < 16 << 20, "{grown} bytes more");
}
