//! An inference service that lies: a real gRPC service before a real one, which alters what passes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::inference_server::{Inference, InferenceServer};
use sphinx_proto::v1::prepare_request::Part;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, FetchWeightsRequest, FetchWeightsResponse,
    InferBatchRequest, InferBatchResponse, InferLinearRequest, InferLinearResponse,
    InferOnceRequest, InferOnceResponse, InferRequest, InferResponse, PrepareRequest,
    PrepareResponse, SyncTicketsRequest, SyncTicketsResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::listen;

/// Alters a message, knowing what was asked; or refuses.
pub type Lie<Q, M> = Box<dyn Fn(&Q, &mut M) -> Result<(), Status> + Send + Sync>;

/// What a service lies about; what is left out passes as it is.
#[derive(Default)]
pub struct Lies {
    /// What is described.
    pub describe: Option<Lie<DescribeModelRequest, DescribeModelResponse>>,
    /// Weights, message by message.
    pub weights: Option<Lie<FetchWeightsRequest, FetchWeightsResponse>>,
    /// Preparations, message by message; what was asked is the stage.
    pub prepare: Option<Lie<u32, PrepareResponse>>,
    /// Questions before they are answered; what was asked is the number of questions before.
    pub question: Option<Lie<usize, InferRequest>>,
    /// Answers.
    pub infer: Option<Lie<InferRequest, InferResponse>>,
    /// Differences, message by message.
    pub sync: Option<Lie<SyncTicketsRequest, SyncTicketsResponse>>,
    /// Answers to batches in one shot, message by message.
    pub infer_batch: Option<Lie<(), InferBatchResponse>>,
    /// Answers of a linear layer to one image.
    pub infer_linear: Option<Lie<InferLinearRequest, InferLinearResponse>>,
    /// Answers in one shot.
    pub infer_once: Option<Lie<InferOnceRequest, InferOnceResponse>>,
}

/// A running liar; it ends with the runtime.
#[derive(Clone)]
pub struct Liar {
    /// Its address.
    pub url: String,
    state: Arc<State>,
}

struct State {
    real: InferenceClient<Channel>,
    lies: Lies,
    calls: AtomicUsize,
    questions: AtomicUsize,
}

/// The service.
struct Served(Arc<State>);

impl Liar {
    /// Starts a liar before the service at `real`.
    pub async fn start(real: &str, lies: Lies) -> Self {
        let real = InferenceClient::connect(real.to_owned()).await.unwrap();
        let (listener, url) = listen().await;
        let (calls, questions) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let state = Arc::new(State { real, lies, calls, questions });
        let served = InferenceServer::new(Served(Arc::clone(&state)));
        let server = Server::builder().add_service(served);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { url, state }
    }

    /// Calls of any kind so far.
    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Liar").field("url", &self.url).finish_non_exhaustive()
    }
}

fn tell<Q, M>(lie: Option<&Lie<Q, M>>, asked: &Q, message: &mut M) -> Result<(), Status> {
    lie.map_or(Ok(()), |lie| lie(asked, message))
}

impl Served {
    fn real(&self) -> InferenceClient<Channel> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        self.0.real.clone()
    }

    /// A stream whose messages are altered by the lie that `of` finds.
    fn altered<Q, M>(
        &self,
        replies: Streaming<M>,
        asked: Q,
        of: fn(&Lies) -> Option<&Lie<Q, M>>,
    ) -> Response<BoxStream<'static, Result<M, Status>>>
    where
        Q: Send + 'static,
        M: Send + 'static,
    {
        let state = Arc::clone(&self.0);
        let replies = replies.and_then(move |mut reply| {
            let told = tell(of(&state.lies), &asked, &mut reply).map(|()| reply);
            std::future::ready(told)
        });
        Response::new(replies.boxed())
    }
}

#[tonic::async_trait]
impl Inference for Served {
    type PrepareStream = BoxStream<'static, Result<PrepareResponse, Status>>;
    type InferBatchStream = BoxStream<'static, Result<InferBatchResponse, Status>>;
    type SyncTicketsStream = BoxStream<'static, Result<SyncTicketsResponse, Status>>;
    type FetchWeightsStream = BoxStream<'static, Result<FetchWeightsResponse, Status>>;

    async fn prepare(
        &self,
        request: Request<Streaming<PrepareRequest>>,
    ) -> Result<Response<Self::PrepareStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.unwrap_or_default();
        let stage = match &first.part {
            Some(Part::Header(header)) => header.stage,
            Some(Part::Input(_)) | None => u32::MAX,
        };
        let rest = requests.filter_map(|part| std::future::ready(part.ok()));
        let requests = stream::iter([first]).chain(rest);
        let replies = self.real().prepare(requests).await?.into_inner();
        Ok(self.altered(replies, stage, |lies| lies.prepare.as_ref()))
    }

    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        let mut asked = request.into_inner();
        let (mut real, lies) = (self.real(), &self.0.lies);
        let before = self.0.questions.fetch_add(1, Ordering::SeqCst);
        tell(lies.question.as_ref(), &before, &mut asked)?;
        let mut reply = real.infer(asked.clone()).await?;
        tell(lies.infer.as_ref(), &asked, reply.get_mut())?;
        Ok(reply)
    }

    async fn infer_once(
        &self,
        request: Request<InferOnceRequest>,
    ) -> Result<Response<InferOnceResponse>, Status> {
        let asked = request.into_inner();
        let mut reply = self.real().infer_once(asked.clone()).await?;
        tell(self.0.lies.infer_once.as_ref(), &asked, reply.get_mut())?;
        Ok(reply)
    }

    async fn infer_batch(
        &self,
        request: Request<Streaming<InferBatchRequest>>,
    ) -> Result<Response<Self::InferBatchStream>, Status> {
        let requests = request.into_inner();
        let requests = requests.filter_map(|part| std::future::ready(part.ok()));
        let replies = self.real().infer_batch(requests).await?.into_inner();
        Ok(self.altered(replies, (), |lies| lies.infer_batch.as_ref()))
    }

    async fn infer_linear(
        &self,
        request: Request<InferLinearRequest>,
    ) -> Result<Response<InferLinearResponse>, Status> {
        let asked = request.into_inner();
        let mut reply = self.real().infer_linear(asked.clone()).await?;
        tell(self.0.lies.infer_linear.as_ref(), &asked, reply.get_mut())?;
        Ok(reply)
    }

    async fn describe_model(
        &self,
        request: Request<DescribeModelRequest>,
    ) -> Result<Response<DescribeModelResponse>, Status> {
        let asked = request.into_inner();
        let mut reply = self.real().describe_model(asked.clone()).await?;
        tell(self.0.lies.describe.as_ref(), &asked, reply.get_mut())?;
        Ok(reply)
    }

    async fn sync_tickets(
        &self,
        request: Request<SyncTicketsRequest>,
    ) -> Result<Response<Self::SyncTicketsStream>, Status> {
        let asked = request.into_inner();
        let replies = self.real().sync_tickets(asked.clone()).await?.into_inner();
        Ok(self.altered(replies, asked, |lies| lies.sync.as_ref()))
    }

    async fn fetch_weights(
        &self,
        request: Request<FetchWeightsRequest>,
    ) -> Result<Response<Self::FetchWeightsStream>, Status> {
        let asked = request.into_inner();
        let replies = self.real().fetch_weights(asked.clone()).await?.into_inner();
        Ok(self.altered(replies, asked, |lies| lies.weights.as_ref()))
    }
}
