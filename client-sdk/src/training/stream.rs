//! The stream of a training session, used from a blocking thread.

use prost::Message;
use sphinx_channel::traceparent;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{OpenSession, SessionOpened, TrainRequest, TrainResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::traffic::Traffic;
use crate::witness::Sight;

/// Messages (of at most 1 MiB) that wait in either direction.
const WAITING: usize = 4;

/// Both directions of an open session.
pub(crate) struct TrainStream {
    connection: Connection,
    requests: mpsc::Sender<TrainRequest>,
    replies: mpsc::Receiver<Result<TrainResponse, Status>>,
    traffic: Traffic,
}

impl TrainStream {
    /// Opens a session, again with growing pauses while the trainer is away.
    pub async fn open(
        connection: &Connection,
        open: &OpenSession,
    ) -> Result<(Self, SessionOpened), ClientError> {
        let (requests, mut stream) = connection
            .call(|channel| async move {
                let (requests, outgoing) = mpsc::channel(WAITING);
                let request = TrainRequest {
                    part: Some(Part::Open(open.clone())),
                    ..TrainRequest::default()
                };
                requests.send(request).await.map_err(|_| Status::cancelled("stream closed"))?;
                let outgoing = ReceiverStream::new(outgoing);
                let replies = TrainerClient::new(channel).train(outgoing).await?.into_inner();
                Ok((requests, replies))
            })
            .await?;
        let (sender, replies) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let reply = match stream.message().await {
                    Ok(Some(reply)) => Ok(reply),
                    Ok(None) => break,
                    Err(status) => Err(status),
                };
                if sender.send(reply).await.is_err() {
                    break;
                }
            }
        });
        let connection = connection.clone();
        let mut stream = Self { connection, requests, replies, traffic: Traffic::default() };
        let reply = stream.replies.recv().await;
        let reply = stream.reply(reply)?;
        let Reply::Opened(opened) = reply else {
            return Err(stream.unexpected(&reply, "opened"));
        };
        Ok((stream, opened))
    }

    /// Sends a part. A closed stream shows its cause at the next [`TrainStream::receive`].
    pub fn send(&mut self, part: Part) -> Result<(), ClientError> {
        let begins = matches!(part, Part::Evaluate(_) | Part::Commit(_) | Part::Follow(_));
        let traceparent = begins.then(traceparent).flatten().unwrap_or_default();
        let request = TrainRequest { part: Some(part), traceparent };
        self.traffic.up += request.encoded_len() as u64;
        if self.requests.blocking_send(request).is_ok() {
            return Ok(());
        }
        // The stream is closed: its status says why.
        loop {
            self.receive()?;
        }
    }

    /// The next reply.
    pub fn receive(&mut self) -> Result<Reply, ClientError> {
        let reply = self.replies.blocking_recv();
        self.reply(reply)
    }

    fn reply(
        &mut self,
        reply: Option<Result<TrainResponse, Status>>,
    ) -> Result<Reply, ClientError> {
        let ended = || Err(Status::unavailable("the session's stream ended"));
        let reply = reply.unwrap_or_else(ended);
        let reply = reply.map_err(|status| self.connection.refused(&status))?;
        self.traffic.down += reply.encoded_len() as u64;
        reply.part.ok_or_else(|| self.protocol("an empty reply", "a reply"))
    }

    /// An answer that the protocol does not allow.
    pub fn protocol(
        &self,
        got: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) -> ClientError {
        self.connection.protocol(got, expected)
    }

    /// A reply at the wrong place.
    pub fn unexpected(&self, reply: &Reply, expected: &'static str) -> ClientError {
        let got = match reply {
            Reply::Opened(_) => "opened",
            Reply::Result(_) => "result",
            Reply::Output(_) => "output",
            Reply::Committed(_) => "committed",
            Reply::Followed(_) => "followed",
        };
        self.protocol(got, expected)
    }

    /// What a witness, if there is one, is shown.
    pub fn show(&self, sight: Sight<'_>) {
        self.connection.show(sight);
    }

    /// Bytes of messages moved so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Counts bytes anew.
    pub fn forget_traffic(&mut self) {
        self.traffic = Traffic::default();
    }
}
