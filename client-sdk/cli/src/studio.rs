//! `sphinx studio`: the SDK in a browser on this machine.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use sphinx_client::workspace::Workspace;
use sphinx_client::{Endpoints, TenantId};
use sphinx_cluster::{ClusterOptions, LocalCluster};
use sphinx_studio::Studio as Served;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::context::Context;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Train, recognise and look behind the scenes in a browser on this machine
#[derive(Debug, Args)]
pub struct Studio {
    /// Port on the loopback interface [default: any free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Begin with services and a home of its own, which are gone afterwards
    #[arg(long)]
    demo: bool,
}

impl Studio {
    pub async fn run(
        &self,
        config: &Config,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        if !self.demo {
            let workspace = Context::open(config, output, interrupt.clone())?.workspace;
            return self.serve(workspace, output, interrupt).await;
        }
        let home = tempfile::tempdir().map_err(CliError::System)?;
        let cluster = LocalCluster::start(ClusterOptions::current_program()?).await?;
        let endpoints = Endpoints {
            trainer: cluster.trainer.to_string(),
            inference: cluster.inference.to_string(),
            keyvault: cluster.keyvault.to_string(),
            tenant: TenantId::default(),
            ..Endpoints::default()
        };
        let workspace = Workspace::open(&endpoints, home.path().to_owned())?;
        self.serve(workspace, output, interrupt).await?;
        Ok(cluster.shutdown().await?)
    }

    /// Serves until Ctrl-C.
    async fn serve(
        &self,
        workspace: Workspace,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address).await.map_err(CliError::System)?;
        let studio = Served::new(workspace, listener).map_err(CliError::System)?;
        let shown = serde_json::json!({ "address": studio.address() });
        output.result(&shown, || {
            format!(
                "The studio is open at\n\n  {}\n\nThe address opens once, in one browser. Ctrl-C closes the studio.",
                studio.address()
            )
        })?;
        studio.serve(interrupt.asked_times(1)).await.map_err(CliError::System)
    }
}
