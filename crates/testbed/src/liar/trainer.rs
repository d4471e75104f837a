//! A trainer that lies.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::trainer_server::{Trainer, TrainerServer};
use sphinx_proto::v1::{
    CompareVersionsRequest, CompareVersionsResponse, CreateModelRequest, CreateModelResponse,
    DeleteModelRequest, DeleteModelResponse, ExportModelRequest, ExportModelResponse,
    GetModelRequest, GetModelResponse, ListModelsRequest, ListModelsResponse, ListVersionsRequest,
    ListVersionsResponse, PutBiasesRequest, PutBiasesResponse, RotateKeyRequest, RotateKeyResponse,
    TrainRequest, TrainResponse, WatchModelRequest, WatchModelResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnboundedReceiverStream};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::listen;

/// A message on its way; the trick may alter it.
pub enum Passing<'a> {
    /// Of a `Train` stream, to the service.
    Asked(&'a mut TrainRequest),
    /// Of a `Train` stream, to the client.
    Answered(&'a mut TrainResponse),
    /// A model as it is described, with what was asked.
    Described(&'a GetModelRequest, &'a mut GetModelResponse),
}

/// What becomes of a message.
pub enum Answer {
    /// It goes on, altered or not.
    Pass,
    /// It goes nowhere.
    Nothing,
    /// What was asked goes nowhere and is answered with this.
    Instead(Box<TrainResponse>),
}

/// Decides over every message, in order.
pub type Trick = Box<dyn FnMut(Passing<'_>) -> Answer + Send>;

/// A running trainer that lies; it ends with the runtime.
pub struct LyingTrainer {
    /// Its address.
    pub url: String,
}

impl LyingTrainer {
    /// Starts one before the service at `real`.
    pub async fn start(real: &str, trick: Trick) -> Self {
        let real = TrainerClient::connect(real.to_owned()).await.unwrap();
        let real = real.max_decoding_message_size(16 << 20);
        let (listener, url) = listen().await;
        let served = Served { real, trick: Arc::new(Mutex::new(trick)) };
        let service = TrainerServer::new(served).max_decoding_message_size(16 << 20);
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { url }
    }
}

impl fmt::Debug for LyingTrainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LyingTrainer").field("url", &self.url).finish_non_exhaustive()
    }
}

struct Served {
    real: TrainerClient<Channel>,
    trick: Arc<Mutex<Trick>>,
}

fn play(trick: &Mutex<Trick>, passing: Passing<'_>) -> Answer {
    (trick.lock().unwrap_or_else(PoisonError::into_inner))(passing)
}

/// Sends on what a client asks, as the trick has it.
async fn send_on(
    mut asked: Streaming<TrainRequest>,
    trick: Arc<Mutex<Trick>>,
    real: mpsc::Sender<TrainRequest>,
    client: mpsc::UnboundedSender<Result<TrainResponse, Status>>,
) {
    while let Ok(Some(mut request)) = asked.message().await {
        match play(&trick, Passing::Asked(&mut request)) {
            Answer::Pass => {
                if real.send(request).await.is_err() {
                    return;
                }
            }
            Answer::Nothing => {}
            Answer::Instead(answer) => {
                let _ = client.send(Ok(*answer));
            }
        }
    }
}

#[tonic::async_trait]
impl Trainer for Served {
    type WatchModelStream = Streaming<WatchModelResponse>;
    type ExportModelStream = Streaming<ExportModelResponse>;
    type TrainStream = BoxStream<'static, Result<TrainResponse, Status>>;

    async fn train(
        &self,
        request: Request<Streaming<TrainRequest>>,
    ) -> Result<Response<Self::TrainStream>, Status> {
        let (to_real, for_real) = mpsc::channel(4);
        let (to_client, for_client) = mpsc::unbounded_channel();
        let trick = Arc::clone(&self.trick);
        let asked = request.into_inner();
        tokio::spawn(send_on(asked, Arc::clone(&trick), to_real, to_client.clone()));
        let requests = ReceiverStream::new(for_real);
        let mut replies = self.real.clone().train(requests).await?.into_inner();
        tokio::spawn(async move {
            loop {
                let reply = match replies.try_next().await {
                    Ok(Some(mut reply)) => match play(&trick, Passing::Answered(&mut reply)) {
                        Answer::Pass => Ok(reply),
                        Answer::Nothing => continue,
                        Answer::Instead(answer) => Ok(*answer),
                    },
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let broken = reply.is_err();
                if to_client.send(reply).is_err() || broken {
                    return;
                }
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(for_client).boxed()))
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        let asked = request.into_inner();
        let mut reply = self.real.clone().get_model(asked.clone()).await?;
        play(&self.trick, Passing::Described(&asked, reply.get_mut()));
        Ok(reply)
    }

    async fn create_model(
        &self,
        request: Request<CreateModelRequest>,
    ) -> Result<Response<CreateModelResponse>, Status> {
        self.real.clone().create_model(request.into_inner()).await
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        self.real.clone().list_models(request.into_inner()).await
    }

    async fn delete_model(
        &self,
        request: Request<DeleteModelRequest>,
    ) -> Result<Response<DeleteModelResponse>, Status> {
        self.real.clone().delete_model(request.into_inner()).await
    }

    async fn put_biases(
        &self,
        request: Request<PutBiasesRequest>,
    ) -> Result<Response<PutBiasesResponse>, Status> {
        self.real.clone().put_biases(request.into_inner()).await
    }

    async fn watch_model(
        &self,
        request: Request<WatchModelRequest>,
    ) -> Result<Response<Self::WatchModelStream>, Status> {
        self.real.clone().watch_model(request.into_inner()).await
    }

    async fn list_versions(
        &self,
        request: Request<ListVersionsRequest>,
    ) -> Result<Response<ListVersionsResponse>, Status> {
        self.real.clone().list_versions(request.into_inner()).await
    }

    async fn compare_versions(
        &self,
        request: Request<CompareVersionsRequest>,
    ) -> Result<Response<CompareVersionsResponse>, Status> {
        self.real.clone().compare_versions(request.into_inner()).await
    }

    async fn export_model(
        &self,
        request: Request<ExportModelRequest>,
    ) -> Result<Response<Self::ExportModelStream>, Status> {
        self.real.clone().export_model(request.into_inner()).await
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        self.real.clone().rotate_key(request.into_inner()).await
    }
}
