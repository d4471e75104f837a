//! `Train`: one training session over a bidirectional stream.

use std::time::Instant;

use sphinx_proto::ModelId;
use sphinx_proto::v1::TrainRequest;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_runtime::{Object, Principal, Share, follow as follow_trace};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::{Inbound, Outbound, Session, commit, evaluate, follow, out_of_order};

/// Replies that wait for the network; with the units in flight they bound a session's memory.
const REPLIES: usize = 4;

pub async fn handle(
    service: &TrainerService,
    request: Request<Streaming<TrainRequest>>,
) -> Result<
    Response<<TrainerService as sphinx_proto::v1::trainer_server::Trainer>::TrainStream>,
    Status,
> {
    let principal = Principal::of(&request)?;
    let mut inbound = Inbound::new(request.into_inner(), service.shutdown.clone());
    let (service, session, share) = open(service, principal, &mut inbound).await?;
    let (sender, replies) = mpsc::channel(REPLIES);
    let outbound = Outbound::new(sender, service.idle_timeout);
    let span = tracing::Span::current();
    let task = run(service, session, share, inbound, outbound);
    tokio::spawn(task.instrument(span));
    Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
}

async fn open(
    service: &TrainerService,
    principal: Principal,
    inbound: &mut Inbound,
) -> Result<(TrainerService, Session, Share), Status> {
    let part = inbound.next("the opening of a session").await?;
    let Part::Open(open) = part else {
        return Err(out_of_order(&part, "open").into());
    };
    let model_id = ModelId::parse(&*open.model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let share = service.sessions.take(&tenant, 1).map_err(TrainerError::from)?;
    service.require_room(&tenant, 0).await?;
    let service = service.of(&tenant);
    let session = Session::open(&service, principal, &tenant, open).await?;
    Ok((service, session, share))
}

/// Serves the session until its stream ends. An error ends the stream with its status.
async fn run(
    service: TrainerService,
    mut session: Session,
    _share: Share,
    mut inbound: Inbound,
    outbound: Outbound,
) {
    let opened = Reply::Opened(session.opened());
    let served = async {
        outbound.send(opened).await?;
        while let Some((part, trace)) = inbound.next_or_end().await? {
            let (name, begun) = (name(&part), Instant::now());
            let span = tracing::info_span!("part", name);
            follow_trace(&span, &trace);
            let served = serve(&service, &mut session, part, &mut inbound, &outbound);
            served.instrument(span).await?;
            service.metrics.trained(name, begun.elapsed());
        }
        Ok(())
    };
    if let Err(status) = served.await {
        outbound.fail(status).await;
    }
}

/// Serves one part of a step.
async fn serve(
    service: &TrainerService,
    session: &mut Session,
    part: Part,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    // Revoked while the session runs: nothing more is served.
    let key = service.keys.require(&session.meta.tenant, &session.meta.key_id);
    key.await.map_err(TrainerError::from)?;
    match part {
        Part::Evaluate(call) => evaluate(service, session, &call, inbound, outbound).await,
        Part::Commit(_) if session.follows => Err(TrainerError::Follows.into()),
        Part::Commit(header) => commit(service, session, &header, inbound, outbound).await,
        Part::Follow(call) => follow(service, session, &call, outbound).await,
        other @ (Part::Open(_) | Part::Input(_) | Part::CommitChunk(_)) => {
            Err(out_of_order(&other, "evaluate, commit or follow").into())
        }
    }
}

/// How a part is called where it is measured.
fn name(part: &Part) -> &'static str {
    match part {
        Part::Evaluate(_) => "evaluate",
        Part::Commit(_) => "commit",
        Part::Follow(_) => "follow",
        Part::Open(_) | Part::Input(_) | Part::CommitChunk(_) => "out_of_order",
    }
}
