//! What the audit log is told: who begins what on which object, and how it ends.

use std::fmt;
use std::time::Duration;

use sphinx_audit::{AuditLog, Event, What};
use sphinx_proto::{ErrorCode, KeyId, ModelId, RpcError, TenantId};
use tonic::Code;

/// What a caller is told to wait when nothing can be recorded.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An object as the log names it: by ids, so that no contents can get there.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// The list of the tenant's models.
    Models,
    /// A model.
    Model(&'a ModelId),
    /// A version of a model.
    Version(&'a ModelId, u64),
    /// The list of the tenant's keys.
    Keys,
    /// A key.
    Key(&'a KeyId),
}

/// A request, as the log names it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) tenant: TenantId,
    /// Id of the credential; `None` where nobody is asked for one.
    pub(crate) credential: Option<String>,
    /// The RPC by its full name.
    pub(crate) rpc: String,
    /// Id of the request.
    pub(crate) request: String,
}

/// Where a service records.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) service: &'static str,
    /// `None` if the operator wants no log.
    pub(crate) log: Option<AuditLog>,
}

/// The request could not be recorded, and is not served for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the service cannot write its audit log and refuses what it cannot record; nothing was done: try again in a \
     while, or tell whoever runs the service"
)]
pub(crate) struct NotRecorded;

impl Recorder {
    /// Waits until it is recorded that somebody begins something.
    pub(crate) async fn begins(
        &self,
        who: &Subject,
        object: Object<'_>,
    ) -> Result<(), NotRecorded> {
        let Some(log) = &self.log else { return Ok(()) };
        let event = Event { object: object.to_string(), ..self.event(What::Begins, who) };
        // The cause is in the service's log, once for all that wait.
        log.record(event).await.map_err(|_| NotRecorded)
    }

    /// Records that a credential was refused. Nobody waits: nothing is done for him.
    pub(crate) fn denied(&self, credential: &str, rpc: &str, request: &str, code: Code) {
        let Some(log) = &self.log else { return };
        log.note(Event {
            what: What::Denied,
            service: self.service.to_owned(),
            request: request.to_owned(),
            rpc: rpc.to_owned(),
            tenant: String::new(),
            credential: credential.to_owned(),
            object: String::new(),
            outcome: format!("{code:?}"),
        });
    }

    /// Records how a request has ended. Nobody waits: what was done is done.
    pub(crate) fn ended(&self, who: &Subject, outcome: String) {
        if let Some(log) = &self.log {
            log.note(Event { outcome, ..self.event(What::Ended, who) });
        }
    }

    fn event(&self, what: What, who: &Subject) -> Event {
        Event {
            what,
            service: self.service.to_owned(),
            request: who.request.clone(),
            rpc: who.rpc.clone(),
            tenant: who.tenant.to_string(),
            credential: who.credential.clone().unwrap_or_default(),
            object: String::new(),
            outcome: String::new(),
        }
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Models => f.write_str("models"),
            Self::Model(id) => write!(f, "model {id}"),
            Self::Version(id, version) => write!(f, "model {id} version {version}"),
            Self::Keys => f.write_str("keys"),
            Self::Key(id) => write!(f, "key {id}"),
        }
    }
}

impl RpcError for NotRecorded {
    fn code(&self) -> ErrorCode {
        ErrorCode::Unavailable
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY_AFTER)
    }
}
