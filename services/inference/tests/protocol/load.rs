//! Many clients at once.

use futures::future::join_all;
use sphinx_linalg::packed_bits_len;
use sphinx_proto::v1::{PrepareRequest, prepare_request::Part};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::service::{INPUTS, Service, all};

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
