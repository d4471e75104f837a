//! The stream of one request, used from a blocking thread.

use std::sync::Arc;

use sphinx_channel::TenantChannel;
use sphinx_linalg::SEED_BYTES;
use sphinx_proto::v1::infer_batch_request::Part;
use sphinx_proto::v1::infer_batch_response::Part as Reply;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{
    InferBatchHeader, InferBatchRequest, InferBatchResponse, InferBatchResult, InputRows,
    OutputRows,
};
use sphinx_wire::rows::{AwaitedRows, training_rows};
use sphinx_wire::training::profile_message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Batches;
use crate::connection::Connection;
use crate::error::{ClientError, RecognitionError};
use crate::product::{Evaluation, ResultRows, RowServer, UploadRows};
use crate::recognition::model::OpenedVersion;
use crate::traffic::Counter;

/// Messages (of about half a megabyte) that wait in either direction.
const WAITING: usize = 4;

/// Both directions of an open request.
pub(super) struct BatchRows {
    connection: Connection,
    counter: Arc<Counter>,
    /// Gone once all inputs are sent: the service waits for the end of the stream.
    requests: Option<mpsc::Sender<InferBatchRequest>>,
    replies: mpsc::Receiver<Result<InferBatchResponse, Status>>,
    version: u64,
    inputs: usize,
    outputs: usize,
    awaited: AwaitedRows,
}

impl BatchRows {
    /// Opens a request for so many blocks.
    pub async fn open(
        batches: &Batches,
        channel: TenantChannel,
        blocks: usize,
    ) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(WAITING);
        let OpenedVersion { model_id, key_id, incarnation, version, .. } = &batches.model.opened;
        let profile = batches.model.profile;
        let header = Part::Header(InferBatchHeader {
            model_id: model_id.to_string(),
            key_id: key_id.to_string(),
            version: *version,
            incarnation: incarnation.clone(),
            profile: profile_message(profile).into(),
            blocks: blocks as u32,
        });
        let request = InferBatchRequest { part: Some(header) };
        batches.counter.sent(&request);
        requests.send(request).await.map_err(|_| Status::cancelled("stream closed"))?;
        let mut client = InferenceClient::new(channel);
        let mut stream = client.infer_batch(ReceiverStream::new(outgoing)).await?.into_inner();
        let (sender, replies) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Some(reply) = stream.message().await.transpose() {
                if sender.send(reply).await.is_err() {
                    break;
                }
            }
        });
        let map = &batches.model.product.map;
        let (inputs, outputs) = (map.inputs(), map.outputs());
        let awaited = AwaitedRows::new(training_rows(profile), outputs, blocks * profile.bodies());
        Ok(Self {
            connection: batches.inference.clone(),
            counter: Arc::clone(&batches.counter),
            requests: Some(requests),
            replies,
            version: *version,
            inputs,
            outputs,
            awaited,
        })
    }

    fn reply(&mut self) -> Result<Reply, ClientError> {
        let ended = || Err(Status::unavailable("the stream of the batch ended"));
        let reply = self.replies.blocking_recv().unwrap_or_else(ended);
        let reply = reply.map_err(|status| self.connection.refused(&status))?;
        self.counter.received(&reply);
        let empty = || self.connection.protocol("an empty reply", "a reply");
        reply.part.ok_or_else(empty)
    }

    fn header(&mut self) -> Result<(), ClientError> {
        let Reply::Result(InferBatchResult { version: got, rows }) = self.reply()? else {
            return Err(self.connection.protocol("output", "the header of a result"));
        };
        let expected = self.version;
        if got != expected {
            return Err(RecognitionError::VersionMismatch { got, expected }.into());
        }
        match rows as usize == self.outputs {
            true => Ok(()),
            false => Err(self.connection.protocol(format_args!("{rows} rows"), self.outputs)),
        }
    }
}

impl RowServer for BatchRows {
    fn announce(&mut self, _: &Evaluation<'_>) -> Result<(), ClientError> {
        self.header()
    }

    fn send(&mut self, rows: UploadRows) -> Result<(), ClientError> {
        let UploadRows { first_row, seeds, bodies } = rows;
        let end = first_row + seeds.len() / SEED_BYTES;
        let input = Part::Input(InputRows { first_row: first_row as u32, seeds, bodies });
        let request = InferBatchRequest { part: Some(input) };
        self.counter.sent(&request);
        let sent =
            self.requests.as_ref().is_some_and(|sender| sender.blocking_send(request).is_ok());
        if end >= self.inputs {
            self.requests = None;
        }
        if sent {
            return Ok(());
        }
        // The stream is closed: its status says why.
        loop {
            self.reply()?;
        }
    }

    fn receive(&mut self) -> Result<Option<ResultRows>, ClientError> {
        if self.awaited.missing() == 0 {
            return Ok(None);
        }
        let Reply::Output(OutputRows { rows, masks, bodies }) = self.reply()? else {
            return Err(self.connection.protocol("another header", "result rows"));
        };
        let taken = self.awaited.take(&rows, masks.len(), bodies.len());
        taken.map_err(|wrong| self.connection.mismatch(wrong))?;
        Ok(Some(ResultRows { rows, masks, bodies }))
    }
}
