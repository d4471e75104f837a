//! Keys, models and ledgers.

use std::path::PathBuf;

use pyo3::prelude::*;
use serde_json::{Value, json};
use sphinx_client::workspace::Workspace;
use sphinx_client::{
    ClientError, DataStatus, Endpoints, ModelId, Security, TenantId, TlsIdentity, Token,
};
use sphinx_privacy::{PlanError, Target};

use crate::accountant::checked_delta;
use crate::error::{Failure, unusable};
use crate::recogniser::NativeRecogniser;
use crate::waiting::{runtime, wait};

/// A home and the services that it is used with.
#[pyclass(name = "NativeClient", frozen)]
pub struct NativeClient {
    pub workspace: Workspace,
}

#[pymethods]
impl NativeClient {
    /// Addresses are those of the environment where none is given.
    #[new]
    #[pyo3(signature = (home, trainer=None, inference=None, keyvault=None, tenant=None, ca=None,
                        certificate=None, token=None, insecure_cleartext=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        home: PathBuf,
        trainer: Option<String>,
        inference: Option<String>,
        keyvault: Option<String>,
        tenant: Option<String>,
        ca: Option<PathBuf>,
        certificate: Option<(PathBuf, PathBuf)>,
        token: Option<&str>,
        insecure_cleartext: bool,
    ) -> PyResult<Self> {
        let known = Endpoints::from_environment().map_err(Failure::from)?;
        let token = token.map(Token::parse).transpose();
        let token = token.map_err(|error| Failure::from(ClientError::from(error)))?;
        let identity = certificate.map(|(certificate, key)| TlsIdentity { certificate, key });
        let tenant = tenant.map(TenantId::parse).transpose();
        let tenant = tenant.map_err(|error| Failure::from(ClientError::from(error)))?;
        let endpoints = Endpoints {
            trainer: trainer.unwrap_or(known.trainer),
            further_trainers: known.further_trainers,
            inference: inference.unwrap_or(known.inference),
            keyvault: keyvault.unwrap_or(known.keyvault),
            tenant: tenant.unwrap_or(known.tenant),
            security: Security {
                ca: ca.or(known.security.ca),
                identity: identity.or(known.security.identity),
                token: token.or(known.security.token),
                insecure_cleartext,
            },
        };
        // Connections are made by tasks of the runtime.
        let _inside = runtime()?.enter();
        let workspace = Workspace::open(&endpoints, home).map_err(Failure::from)?;
        Ok(Self { workspace })
    }

    /// The only key, registered; made where there is none.
    fn any_key(&self, python: Python<'_>) -> PyResult<String> {
        let workspace = self.workspace.clone();
        let key = wait(python, async move { workspace.any_key().await })?;
        Ok(key.to_string())
    }

    /// Keys whose secret half is here, each with the fingerprint of its identity.
    fn keys(&self) -> PyResult<Vec<(String, String)>> {
        let home = self.workspace.home();
        let ids = home.key_ids().map_err(Failure::from)?;
        let keys = ids.iter().map(|id| Ok((id.to_string(), home.fingerprint(id)?.to_string())));
        Ok(keys.collect::<Result<_, sphinx_client::WorkspaceError>>().map_err(Failure::from)?)
    }

    /// Models as JSON.
    fn models(&self, python: Python<'_>) -> PyResult<String> {
        let client = self.workspace.client().clone();
        let models = wait(python, async move { client.list_models().await })?;
        let models = models.into_iter().map(|model| {
            json!({
                "id": model.model_id.to_string(),
                "key": model.key_id.to_string(),
                "version": model.version,
                "network": model.network.name,
                "shape": [model.network.input.channels, model.network.input.height,
                          model.network.input.width],
            })
        });
        Ok(Value::from_iter(models).to_string())
    }

    /// Deletes a model; its ledger is put aside.
    fn delete_model(&self, python: Python<'_>, model: &str) -> PyResult<()> {
        let (workspace, model) = (self.workspace.clone(), named(model)?);
        wait(python, async move { workspace.delete_model(&model).await }).map(drop)
    }

    /// What a model has spent, as JSON.
    fn ledger(&self, python: Python<'_>, model: &str) -> PyResult<String> {
        let model = named(model)?;
        let (home, tenant) = (self.workspace.home(), self.workspace.tenant());
        let status = python.detach(|| home.ledger_status(tenant, &model));
        let status = status.map_err(Failure::from)?;
        let bounds = status.spent.map(|spent| json!([spent.pld, spent.rdp, spent.classical]));
        let mut value = serde_json::to_value(&status).unwrap_or_default();
        value["bounds"] = bounds.unwrap_or_default();
        Ok(value.to_string())
    }

    /// What all models together have spent of every data set, as JSON.
    fn data_sets(&self, python: Python<'_>, delta: f64) -> PyResult<String> {
        let delta = checked_delta(delta)?;
        let sets = python.detach(|| self.workspace.home().data_sets(delta));
        let sets = sets.map_err(Failure::from)?;
        Ok(Value::from_iter(sets.iter().map(data_set)).to_string())
    }

    /// Sets the cap of a data set, or takes it away.
    fn cap_data(&self, name: &str, epsilon: Option<f64>, delta: f64) -> PyResult<()> {
        let wrong = |error| Failure::from(ClientError::from(PlanError::from(error)));
        let delta = checked_delta(delta)?;
        let target = epsilon.map(|epsilon| Target::new(epsilon, delta)).transpose();
        let capped = self.workspace.home().cap_data(name, target.map_err(wrong)?);
        Ok(capped.map_err(Failure::from)?)
    }

    /// A recogniser with the newest version of a model, its tickets kept in the home.
    fn recogniser(&self, python: Python<'_>, model: &str) -> PyResult<NativeRecogniser> {
        NativeRecogniser::open(python, &self.workspace, named(model)?)
    }
}

/// The id of a model.
pub fn named(model: &str) -> PyResult<ModelId> {
    ModelId::parse(model).map_err(unusable)
}

fn data_set(set: &DataStatus) -> Value {
    json!({
        "name": set.name,
        "images": set.examples,
        "private": set.private,
        "models": set.models.iter().map(|share| share.model.as_str()).collect::<Vec<_>>(),
        "delta": set.delta.get(),
        "epsilon": set.spent.as_ref().ok().map(|spent| spent.proven()),
        "cap": set.cap.map(Target::epsilon),
        "left": set.left(),
    })
}
