//! An inference service that claims another version than it computes with.

use futures::StreamExt;
use futures::stream::BoxStream;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::inference_server::{Inference, InferenceServer};
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, InferOnceRequest, InferOnceResponse, InferRequest,
    InferResponse, PrepareRequest, PrepareResponse, SyncTicketsRequest, SyncTicketsResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::world::listen;

/// Forwards everything to a real service; answers of `Infer` get the next version's number, those of `SyncTickets` lack
/// their first message.
pub struct Forger {
    real: InferenceClient<Channel>,
}

impl Forger {
    /// Starts it and returns its address.
    pub async fn start(real: &str) -> String {
        let real = InferenceClient::connect(real.to_owned()).await.unwrap();
        let (listener, address) = listen().await;
        let server = Server::builder().add_service(InferenceServer::new(Self { real }));
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
        Ok(Response::new(replies.boxed()))
    }

    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        let mut reply = self.real.clone().infer(request.into_inner()).await?;
        reply.get_mut().version += 1;
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
