//! The two directions of a session's stream.

use std::time::Duration;

use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{TrainRequest, TrainResponse};
use sphinx_proto::{ConversionError, next_message};
use sphinx_runtime::CancellationToken;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::error::TrainerError;

/// What the client sends.
pub(crate) struct Inbound {
    stream: Streaming<TrainRequest>,
    shutdown: CancellationToken,
}

impl Inbound {
    pub fn new(stream: Streaming<TrainRequest>, shutdown: CancellationToken) -> Self {
        Self { stream, shutdown }
    }

    /// The next part; `during` says what would be cut short by an end of the stream.
    pub async fn next(&mut self, during: &'static str) -> Result<Part, Status> {
        let message = next_message(&mut self.stream).await?;
        match message {
            Some(message) => part(message),
            None => Err(TrainerError::CutShort { during }.into()),
        }
    }

    /// The next part with the trace that it goes on with, or the orderly end of the session.
    /// Between steps a draining service ends it.
    pub async fn next_or_end(&mut self) -> Result<Option<(Part, String)>, Status> {
        let traced = |mut message: TrainRequest| {
            let trace = std::mem::take(&mut message.traceparent);
            part(message).map(|part| (part, trace))
        };
        tokio::select! {
            biased;
            message = next_message(&mut self.stream) => message?.map(traced).transpose(),
            () = self.shutdown.cancelled() => Err(TrainerError::Draining.into()),
        }
    }
}

fn part(message: TrainRequest) -> Result<Part, Status> {
    let expected = "open, evaluate, input, commit, commit_chunk or follow";
    message.part.ok_or_else(|| ConversionError::Missing { field: "part", expected }.into())
}

/// What the client receives.
pub(crate) struct Outbound {
    sender: mpsc::Sender<Result<TrainResponse, Status>>,
    /// Longest wait for a client that does not read: it would hold its session's place for ever.
    patience: Duration,
}

impl Outbound {
    pub fn new(sender: mpsc::Sender<Result<TrainResponse, Status>>, patience: Duration) -> Self {
        Self { sender, patience }
    }

    /// Sends a reply, waiting while the client is slow. An error means that the client has gone or
    /// stopped reading.
    pub async fn send(&self, reply: Reply) -> Result<(), Status> {
        let sent = tokio::time::timeout(self.patience, self.sender.send(Ok(envelope(reply)))).await;
        let millis = self.patience.as_millis();
        let gone = |_| Status::cancelled("the client closed the session");
        sent.map_err(|_| TrainerError::Unread { millis })?.map_err(gone)
    }

    /// Ends the stream with a status.
    pub async fn fail(&self, status: Status) {
        // The client may have gone or stopped reading meanwhile; then nobody wants to know.
        let _ = tokio::time::timeout(self.patience, self.sender.send(Err(status))).await;
    }
}

/// Which part came at the wrong place.
pub(crate) fn out_of_order(part: &Part, expected: &'static str) -> TrainerError {
    let got = match part {
        Part::Open(_) => "open",
        Part::Evaluate(_) => "evaluate",
        Part::Input(_) => "input",
        Part::Commit(_) => "commit",
        Part::CommitChunk(_) => "commit_chunk",
        Part::Follow(_) => "follow",
    };
    TrainerError::Order { got, expected }
}

/// A reply in its envelope.
fn envelope(part: Reply) -> TrainResponse {
    TrainResponse { part: Some(part) }
}
