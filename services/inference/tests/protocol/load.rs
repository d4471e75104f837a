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
/// Latencies that are kept: they are no part of the memory that is looked at.
const KEPT: usize = 1 << 18;
/// Images of a question: enough that a place is held for most of the time that a client waits.
const IMAGES: usize = 4000;
/// How long one crowd asks at a stretch.
const SLICE: Duration = Duration::from_millis(500);
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
    /// Of requests that were served, [`KEPT`] at most.
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
            let question = service.question(0, IMAGES as u32, vec![0; IMAGES * size]);
            async move {
                // A connection of its own.
                let mut client = service.another_client().await;
                let mut met = Self::default();
                while Instant::now() < until {
                    let begun = Instant::now();
                    match client.infer(question.clone()).await {
                        Ok(_) => {
                            met.served += 1;
                            met.latencies.push(begun.elapsed());
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
        join_all(each).await.into_iter().for_each(|met| crowd.join(met));
        crowd
    }

    fn join(&mut self, mut other: Self) {
        other.latencies.truncate(KEPT.saturating_sub(self.latencies.len()));
        self.latencies.append(&mut other.latencies);
        self.served += other.served;
        self.refused += other.refused;
    }

    fn median(&mut self) -> Duration {
        self.latencies.sort();
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
    Crowd::ask(&service, PLACES, SLICE).await;
    // By turns, so that whatever else this machine does meets both alike.
    let (mut unloaded, mut overloaded) = (Crowd::default(), Crowd::default());
    let (until, mut memory) = (Instant::now() + Duration::from_secs(seconds), None);
    while Instant::now() < until {
        unloaded.join(Crowd::ask(&service, PLACES, SLICE).await);
        overloaded.join(Crowd::ask(&service, 4 * PLACES, SLICE).await);
        memory.get_or_insert_with(resident);
    }
    let (begun, ended) = (memory.unwrap(), resident());
    let grown = ended.saturating_sub(begun);
    println!(
        "unloaded {:?}, overloaded {:?}; {} and {} served, {} refused; {} kB after the first crowds, {} kB at the end",
        unloaded.median(),
        overloaded.median(),
        unloaded.served,
        overloaded.served,
        overloaded.refused,
        begun >> 10,
        ended >> 10,
    );
    assert_eq!(unloaded.refused, 0);
    assert!(overloaded.refused > 4 * PLACES, "{} refused", overloaded.refused);
    assert!(overloaded.served > 100, "{} served", overloaded.served);
    assert!(overloaded.median() <= 2 * unloaded.median());
    assert!(grown < 16 << 20, "{grown} bytes more");
}
