//! In whose name a request is made: the one place where it is written into a request.

use sphinx_access::Token;
use sphinx_proto::TenantId;
use sphinx_telemetry::traceparent;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use zeroize::Zeroizing;

/// A channel whose requests name the tenant and who calls.
pub type TenantChannel = InterceptedService<Channel, Caller>;

/// Adds the tenant's name, the caller's token if there is one, and the trace that runs, if one
/// does, to every request.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: TenantId,
    token: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// Who calls for `tenant` with `token`.
    pub(crate) fn new(tenant: &TenantId, token: Option<&Token>) -> Self {
        let bearer = |token: &Token| {
            let text = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value = MetadataValue::try_from(text.as_str()).ok()?;
            // Not shown by `Debug`, and never put into a table of repeated headers.
            value.set_sensitive(true);
            Some(value)
        };
        Self { tenant: tenant.clone(), token: token.and_then(bearer) }
    }

    /// Requests on `channel` by this caller.
    pub(crate) fn on(&self, channel: Channel) -> TenantChannel {
        InterceptedService::new(channel, self.clone())
    }
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let name = MetadataValue::try_from(self.tenant.as_str())
            .map_err(|_| Status::internal("a tenant's name is not a metadata value"))?;
        request.metadata_mut().insert(TenantId::FIELD, name);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let trace = traceparent().and_then(|trace| MetadataValue::try_from(trace).ok());
        if let Some(trace) = trace {
            request.metadata_mut().insert("traceparent", trace);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use rand::rand_core::UnwrapErr;
    use rand::rngs::SysRng;

    use super::*;

    #[test]
    fn a_request_has_the_token_and_shows_it_to_nobody() {
        let token = Token::generate(&mut UnwrapErr(SysRng));
        let mut caller = Caller::new(&TenantId::default(), Some(&token));
        let request = caller.call(Request::new(())).unwrap();
        let sent = request.metadata().get("authorization").unwrap();
        assert_eq!(sent.to_str().unwrap(), format!("Bearer {}", token.expose()));
        for shown in [format!("{caller:?}"), format!("{request:?}")] {
            assert!(!shown.contains(token.expose()) && shown.contains("Sensitive"), "{shown}");
        }
    }
}
