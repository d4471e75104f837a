//! Requests: how many, how long, how many bytes.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use sphinx_access::TABLE;
use tonic::Code;

use super::seconds;

/// What is no RPC of the schema: whatever path a caller makes up is counted here.
const OTHER: &str = "other";
const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection";
/// The code of a request whose caller went before there was one.
const UNANSWERED: &str = "UNANSWERED";

type ByRpc = [(&'static str, &'static str); 1];
type ByCode = [(&'static str, &'static str); 2];

/// The families of all RPCs.
#[derive(Debug)]
pub(super) struct RpcMeters {
    ended: Family<ByCode, Counter>,
    time: Family<ByCode, Histogram, fn() -> Histogram>,
    received: Family<ByRpc, Counter>,
    sent: Family<ByRpc, Counter>,
    running: Family<ByRpc, Gauge>,
}

/// The meters of one request.
#[derive(Debug)]
pub(super) struct RpcMeter {
    pub(super) rpc: &'static str,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) running: Gauge,
}

impl RpcMeters {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let meters = Self {
            ended: Family::default(),
            time: Family::new_with_constructor(seconds),
            received: Family::default(),
            sent: Family::default(),
            running: Family::default(),
        };
        let Self { ended, time, received, sent, running } = &meters;
        registry.register("rpc_requests", "Requests that ended, by RPC and code", ended.clone());
        let help = "Time from a request's head to the end of its reply";
        registry.register_with_unit("rpc_duration", help, Unit::Seconds, time.clone());
        let help = "Bytes of requests, without what HTTP adds";
        registry.register_with_unit("rpc_received", help, Unit::Bytes, received.clone());
        let help = "Bytes of replies, without what HTTP adds";
        registry.register_with_unit("rpc_sent", help, Unit::Bytes, sent.clone());
        registry.register("rpc_running", "Requests that are being answered", running.clone());
        meters
    }

    /// The meters of a request on `path`.
    pub(super) fn of(&self, path: &str) -> RpcMeter {
        let rpc = name(path);
        let labels = [("rpc", rpc)];
        RpcMeter {
            rpc,
            received: self.received.get_or_create_owned(&labels),
            sent: self.sent.get_or_create_owned(&labels),
            running: self.running.get_or_create_owned(&labels),
        }
    }

    /// A request has ended after `time`.
    pub(super) fn ended(&self, rpc: &'static str, code: Option<Code>, time: Duration) {
        let labels = [("rpc", rpc), ("code", code.map_or(UNANSWERED, code_name))];
        self.ended.get_or_create(&labels).inc();
        self.time.get_or_create(&labels).observe(time.as_secs_f64());
    }
}

/// The name of an RPC by its path: a word of this program, whatever the caller wrote.
fn name(path: &str) -> &'static str {
    let path = path.strip_prefix('/').unwrap_or(path);
    let known = TABLE.iter().map(|(name, _)| *name).find(|name| *name == path);
    known.unwrap_or_else(|| {
        let begins = |service: &&str| path.starts_with(*service);
        [HEALTH, REFLECTION].into_iter().find(begins).unwrap_or(OTHER)
    })
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_makes_up_is_no_name() {
        assert_eq!(name("/sphinx.v1.Trainer/Train"), "sphinx.v1.Trainer/Train");
        assert_eq!(name("/grpc.health.v1.Health/Check"), HEALTH);
        assert_eq!(name("/grpc.reflection.v1alpha.ServerReflection/X"), REFLECTION);
        for made_up in ["", "/", "/sphinx.v1.Trainer/acme", "/sphinx.v1.Trainer/Train/acme"] {
            assert_eq!(name(made_up), OTHER);
        }
    }
}
