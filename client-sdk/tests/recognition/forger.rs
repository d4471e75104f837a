//! An inference service that claims another version than it computes with, or turns requests away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sphinx_proto::code::RETRY_AFTER_MS;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::inference_server::{Inference, InferenceServer};
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, InferOnceRequest, InferOnceResponse, InferRequest,
    InferResponse, PrepareOutput, PrepareRequest, PrepareResponse, SyncTicketsRequest,
    SyncTicketsResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use sphinx_testbed::listen;

/// Forwards everything to a real service; answers of `Infer` get the number of a later version,
/// those of `SyncTickets` lack their first message.
pub struct Forger {
    real: InferenceClient<Channel>,
    /// Added to the version.
    ahead: u64,
    /// Milliseconds that the next `Infer`, turned away, is told to wait; 0 turns none away.
    hint: AtomicU64,
    /// Messages of `Prepare` name as many rows as fit and have none.
    swollen: bool,
}

/// A byte each in a message of at most 4 MB.
const ROWS: usize = 3 << 20;

impl Forger {
    /// Starts it and returns its address.
    pub async fn start(real: &str) -> String {
        Self::serve(real, 1, Duration::ZERO, false).await
    }

    /// One that forges no version, but turns the first query away and tells it to wait.
    pub async fn busy(real: &str, hint: Duration) -> String {
        Self::serve(real, 0, hint, false).await
    }

    /// One whose preparations announce more rows than they have.
    pub async fn swollen(real: &str) -> String {
        Self::serve(real, 0, Duration::ZERO, true).await
    }

    async fn serve(real: &str, ahead: u64, hint: Duration, swollen: bool) -> String {
        let real = InferenceClient::connect(real.to_owned()).await.unwrap();
        let (listener, address) = listen().await;
        let hint = AtomicU64::new(hint.as_millis() as u64);
        let forger = Self { real, ahead, hint, swollen };
        let server = Server::builder().add_service(InferenceServer::new(forger));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }
}

#[tonic::async_trait]
impl Inference for Forger {
    type PrepareStream = BoxStream<'static, Result<PrepareResponse, Status>>;
    type SyncTicketsStream = BoxStream<'static, Result<SyncTicketsResponse, Status>>;

    async fn prepare(
        &self,
        request: Request<Streaming<PrepareRequest>>,
    ) -> Result<Response<Self::PrepareStream>, Status> {
        let requests = request.into_inner().filter_map(|part| std::future::ready(part.ok()));
        let replies = self.real.clone().prepare(requests).await?.into_inner();
        let swollen = self.swollen;
        let replies = replies.map_ok(move |mut reply| {
            if let Some(Part::Output(output)) = reply.part.as_mut().filter(|_| swollen) {
                *output = PrepareOutput { rows: vec![0; ROWS], ..PrepareOutput::default() };
            }
            reply
        });
        Ok(Response::new(replies.boxed()))
    }

    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        let hint = self.hint.swap(0, Ordering::Relaxed);
        if hint > 0 {
            let mut busy = Status::resource_exhausted("all places are taken");
            busy.metadata_mut().insert(RETRY_AFTER_MS, hint.into());
            return Err(busy);
        }
        let mut reply = self.real.clone().infer(request.into_inner()).await?;
        reply.get_mut().version += self.ahead;
        Ok(reply)
    }

    async fn infer_once(
        &self,
        _: Request<InferOnceRequest>,
    ) -> Result<Response<InferOnceResponse>, Status> {
        Err(Status::unimplemented("not forged"))
    }

    async fn describe_model(
        &self,
        request: Request<DescribeModelRequest>,
    ) -> Result<Response<DescribeModelResponse>, Status> {
        self.real.clone().describe_model(request.into_inner()).await
    }

    async fn sync_tickets(
        &self,
        request: Request<SyncTicketsRequest>,
    ) -> Result<Response<Self::SyncTicketsStream>, Status> {
        let replies = self.real.clone().sync_tickets(request.into_inner()).await?.into_inner();
        Ok(Response::new(replies.skip(1).boxed()))
    }
}
