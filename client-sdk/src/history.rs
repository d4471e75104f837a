//! The versions of a model: those that are kept, and those that come.

use sphinx_proto::ModelId;
use sphinx_proto::conversion::required;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{self, ListVersionsRequest, WatchModelRequest, WatchModelResponse};
use tonic::Streaming;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::ClientError;

/// What the trainer says of a version. Nothing of it is proven: it tells how a training goes on,
/// not what to compute with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number, which is that of commits before it.
    pub version: u64,
    /// The session's step that made it, from 0; none of version 0 and of a change of keys.
    pub step: Option<u64>,
    /// When it was stored, seconds since 1970-01-01 UTC.
    pub written_unix_seconds: i64,
    /// Seconds since the version before was stored, if that was seen too.
    pub seconds_since_previous: Option<i64>,
    /// Bytes that are stored of it.
    pub bytes: u64,
}

impl From<v1::VersionSummary> for VersionSummary {
    fn from(summary: v1::VersionSummary) -> Self {
        Self {
            version: summary.version,
            step: summary.step,
            written_unix_seconds: summary.written_unix_seconds,
            seconds_since_previous: summary.seconds_since_previous,
            bytes: summary.bytes,
        }
    }
}

/// The versions of a model as they come.
#[derive(Debug)]
pub struct ModelWatch {
    trainer: Connection,
    wanted: WatchModelRequest,
    stream: Streaming<WatchModelResponse>,
}

impl SphinxClient {
    /// The versions that are kept of a model, ascending.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is none.
    pub async fn versions(&self, model_id: &ModelId) -> Result<Vec<VersionSummary>, ClientError> {
        let list = |channel| async move {
            let request = ListVersionsRequest { model_id: model_id.to_string() };
            TrainerClient::new(channel).list_versions(request).await
        };
        let versions = self.trainer.call(list).await?.into_inner().versions;
        Ok(versions.into_iter().map(VersionSummary::from).collect())
    }

    /// Watches a model from a version on, or from its newest, up to a version, or for ever.
    ///
    /// # Errors
    /// As [`SphinxClient::versions`].
    pub async fn watch_model(
        &self,
        model_id: &ModelId,
        from: Option<u64>,
        until: Option<u64>,
    ) -> Result<ModelWatch, ClientError> {
        let wanted = WatchModelRequest {
            model_id: model_id.to_string(),
            from_version: from,
            until_version: until,
        };
        let stream = open(&self.trainer, &wanted).await?;
        Ok(ModelWatch { trainer: self.trainer.clone(), wanted, stream })
    }
}

impl ModelWatch {
    /// The next version, once it is there; `None` after the last that is wanted. A watch that
    /// breaks goes on where it was, by whichever replica answers.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND when the model is
    /// deleted; otherwise what the connection says.
    pub async fn next(&mut self) -> Result<Option<VersionSummary>, ClientError> {
        loop {
            let status = match self.stream.message().await {
                Ok(Some(message)) => {
                    let version = required("version", "a version", message.version);
                    let version =
                        version.map_err(|error| self.trainer.protocol(error, "a version"))?;
                    self.wanted.from_version = Some(version.version.saturating_add(1));
                    return Ok(Some(version.into()));
                }
                Ok(None) => return Ok(None),
                Err(status) => status,
            };
            let error = self.trainer.refused(&status);
            if !error.is_transient() {
                return Err(error);
            }
            tracing::info!(%error, "the watch broke; opening it again");
            self.stream = open(&self.trainer, &self.wanted).await?;
        }
    }
}

async fn open(
    trainer: &Connection,
    wanted: &WatchModelRequest,
) -> Result<Streaming<WatchModelResponse>, ClientError> {
    let watch = |channel| {
        let wanted = wanted.clone();
        async move { TrainerClient::new(channel).watch_model(wanted).await }
    };
    Ok(trainer.call(watch).await?.into_inner())
}
