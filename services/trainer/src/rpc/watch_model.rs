//! `WatchModel`: the versions of a model as they come.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use sphinx_models::ModelMeta;
use sphinx_proto::ModelId;
use sphinx_proto::v1::{WatchModelRequest, WatchModelResponse};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::summary::Summaries;

/// Pause between two looks. Another replica may make the versions, so that nobody here is told.
const PAUSE: Duration = Duration::from_secs(1);

/// Which versions of which model are still to come.
struct Watch {
    service: TrainerService,
    meta: ModelMeta,
    wanted: RangeInclusive<u64>,
    /// Versions that were there at the last look and were not sent.
    found: VecDeque<u64>,
    summaries: Summaries,
    looked: bool,
}

pub async fn handle(
    service: &TrainerService,
    request: Request<WatchModelRequest>,
) -> Result<
    Response<<TrainerService as sphinx_proto::v1::trainer_server::Trainer>::WatchModelStream>,
    Status,
> {
    let principal = Principal::of(&request)?;
    let WatchModelRequest { model_id, from_version, until_version } = request.into_inner();
    let model_id = ModelId::parse(model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let stored = service.store.get(&tenant, &model_id).await.map_err(TrainerError::from)?;
    let watch = Watch {
        service: service.of(&tenant),
        meta: stored.meta,
        wanted: from_version.unwrap_or(stored.head)..=until_version.unwrap_or(u64::MAX),
        found: VecDeque::new(),
        summaries: Summaries::new(),
        looked: false,
    };
    Ok(Response::new(watch.versions().boxed()))
}

impl Watch {
    /// The versions; ends after the last that is wanted, or with an error.
    fn versions(self) -> impl Stream<Item = Result<WatchModelResponse, Status>> + Send {
        stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(Some(version)) => Some((Ok(version), Some(watch))),
                Ok(None) => None,
                Err(error) => Some((Err(error.into()), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<WatchModelResponse>, TrainerError> {
        loop {
            while let Some(number) = self.found.pop_front() {
                let store = &self.service.store;
                if let Some(version) = self.summaries.read(store, &self.meta, number).await? {
                    return Ok(Some(WatchModelResponse { version: Some(version) }));
                }
            }
            if self.wanted.is_empty() {
                return Ok(None);
            }
            if std::mem::replace(&mut self.looked, true) {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.service.shutdown.cancelled() => return Err(TrainerError::Draining),
                }
            }
            self.look().await?;
        }
    }

    async fn look(&mut self) -> Result<(), TrainerError> {
        // One of the same name that was made since is another.
        let stored = self.service.store.get(&self.meta.tenant, &self.meta.model_id).await?;
        if stored.meta.incarnation != self.meta.incarnation {
            return Err(TrainerError::OtherIncarnation { model: stored.meta.model_id });
        }
        if stored.head < *self.wanted.start() {
            return Ok(());
        }
        // Something is there to be sent, which is worth a listing.
        let kept = self.service.store.kept(&self.meta).await?;
        let new = kept.into_iter().filter(|version| self.wanted.contains(version));
        self.found.extend(new);
        if let Some(last) = self.found.back() {
            let end = *self.wanted.end();
            // The last number there can be is followed by none.
            self.wanted = match last.checked_add(1) {
                Some(next) => next..=end,
                None => RangeInclusive::new(1, 0),
            };
        }
        Ok(())
    }
}
