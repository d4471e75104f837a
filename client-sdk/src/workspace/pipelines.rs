//! The pipelines of models, kept at home beside their ledgers.

use std::path::PathBuf;

use sphinx_data::{Classes, Pipeline};
use sphinx_network::{NetworkSpec, Plan, Shape};
use sphinx_proto::{ModelId, TenantId};

use crate::error::ClientError;
use crate::sealed_state::written;
use crate::workspace::kept::{forget, keep, kept};
use crate::workspace::{Home, Workspace, WorkspaceError};

/// What networks took before models had pipelines.
const DIGITS: Shape = Shape::new(1, 28, 28);

impl Home {
    /// Where a model's pipeline is, as JSON.
    pub fn pipeline_path(&self, tenant: &TenantId, model: &ModelId) -> PathBuf {
        self.root_directory().join("pipelines").join(tenant.as_str()).join(format!("{model}.json"))
    }

    /// Keeps a model's pipeline in the place of another.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn keep_pipeline(
        &self,
        tenant: &TenantId,
        model: &ModelId,
        pipeline: &Pipeline,
    ) -> Result<(), WorkspaceError> {
        keep(&self.pipeline_path(tenant, model), &written(pipeline))
    }

    /// A model's pipeline, if it is here.
    ///
    /// # Errors
    /// [`WorkspaceError::File`], also for one that cannot be understood.
    pub fn pipeline(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<Option<Pipeline>, WorkspaceError> {
        kept(&self.pipeline_path(tenant, model))
    }

    /// Forgets the pipeline of a model that is gone.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub(super) fn forget_pipeline(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<(), WorkspaceError> {
        forget(&self.pipeline_path(tenant, model))
    }
}

impl Workspace {
    /// What pictures become before a model's network gets them: the pipeline that the model's owner
    /// sealed with its version, else the one that is kept here, else that of earlier releases,
    /// which knew digits alone.
    ///
    /// # Errors
    /// [`WorkspaceError::File`]; [`WorkspaceError::Client`] for a network that is none.
    pub fn pipeline(
        &self,
        model: &ModelId,
        network: &NetworkSpec,
        sealed: Option<&Pipeline>,
    ) -> Result<Pipeline, WorkspaceError> {
        let plan = Plan::new(network).map_err(ClientError::from)?;
        let fits = |pipeline: &Pipeline| {
            (pipeline.shape, pipeline.classes.len()) == (plan.input, plan.classes)
        };
        if let Some(pipeline) = sealed.filter(|pipeline| fits(pipeline)) {
            return Ok(pipeline.clone());
        }
        // One of a deleted model of the same name need not fit.
        if let Some(pipeline) = self.home.pipeline(&self.tenant, model)?.filter(fits) {
            return Ok(pipeline);
        }
        let classes = Classes::numbered(plan.classes);
        Ok(if plan.input == DIGITS {
            Pipeline::digit(classes)
        } else {
            Pipeline::plain(plan.input, classes)
        })
    }
}
