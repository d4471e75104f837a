//! In whose name a request is made: the one place where it is written into a request.

use sphinx_proto::TenantId;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A channel whose requests name the tenant.
pub type TenantChannel = InterceptedService<Channel, NameTenant>;

/// Adds the tenant's name to every request.
#[derive(Debug, Clone)]
pub struct NameTenant(TenantId);

/// Requests on `channel` in the name of `tenant`.
pub(crate) fn in_the_name_of(tenant: &TenantId, channel: Channel) -> TenantChannel {
    InterceptedService::new(channel, NameTenant(tenant.clone()))
}

impl Interceptor for NameTenant {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let name = MetadataValue::try_from(self.0.as_str())
            .map_err(|_| Status::internal("a tenant's name is not a metadata value"))?;
        request.metadata_mut().insert(TenantId::FIELD, name);
        Ok(request)
    }
}
