//! One model from start to end, on services of its own or on others: key, training under
//! encryption, test, deletion.

use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_client::data::Dataset;
use sphinx_client::recognition::Recogniser;
use sphinx_client::workspace::{Evaluation, Trained};
use sphinx_client::{
    Endpoints, KeyId, Memory, ModelId, ModelLedger, Protocol, SphinxClient, TrainingOptions,
    TrainingRequest, identity_fingerprint, secure_rng,
};
use sphinx_cluster::{ClusterOptions, LocalCluster};
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;
use sphinx_secret::{ModelName, RootKey};

use crate::error::CliError;
use crate::evaluation::{self, Engine};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::training::{self, Ended};

/// What to train and test.
pub struct Trial<'a> {
    /// Of the model and its key.
    pub name: &'a str,
    pub spec: &'a NetworkSpec,
    pub train: &'a Arc<Dataset>,
    pub test: &'a Dataset,
    pub options: TrainingOptions,
    pub delta: Delta,
    /// Of the public initial weights.
    pub seed: u64,
    /// Let the services log to standard error.
    pub verbose: bool,
}

impl Trial<'_> {
    /// Starts services, does everything that a user of running services does, and stops them.
    ///
    /// # Errors
    /// [`CliError::Interrupted`] if Ctrl-C ended it before the model was tested.
    pub async fn run(
        self,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(Trained, Evaluation), CliError> {
        let mut options = ClusterOptions::current_program()?;
        options.verbose = self.verbose;
        let cluster = interrupt.guard(LocalCluster::start(options)).await?;
        let endpoints = Endpoints {
            trainer: cluster.trainer.to_string(),
            inference: cluster.inference.to_string(),
            keyvault: cluster.keyvault.to_string(),
            ..Endpoints::default()
        };
        let result = Box::pin(self.run_on(&endpoints, output, interrupt)).await;
        let stopped = cluster.shutdown().await;
        let done = result?;
        stopped?;
        Ok(done)
    }

    /// The same on services that run, where model and key of its name are gone afterwards.
    ///
    /// # Errors
    /// As [`Trial::run`].
    pub async fn run_on(
        self,
        endpoints: &Endpoints,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(Trained, Evaluation), CliError> {
        let Endpoints { trainer, inference, keyvault, .. } = endpoints;
        output.note(&format!("services  {trainer}, {inference}, {keyvault}"))?;
        let client = SphinxClient::new(endpoints)?;
        let (key_id, model_id) = (KeyId::parse(self.name)?, ModelId::parse(self.name)?);
        let key = Arc::new(RootKey::generate(&mut secure_rng()));
        let identity = key.identity();
        interrupt.guard(client.register_key(&key_id, &identity, "one trial")).await?;
        output.note(&format!("key       {} (fingerprint)", identity_fingerprint(&identity)))?;
        let result = self.with_key((endpoints, &client), &key, output, interrupt).await;
        // What failed may have made no model; that it failed counts more than what is left of it.
        let deleted = client.delete_model(&model_id).await;
        let revoked = client.revoke_key(&key_id).await;
        let done = result?;
        deleted?;
        revoked?;
        Ok(done)
    }

    async fn with_key(
        self,
        (endpoints, client): (&Endpoints, &SphinxClient),
        key: &Arc<RootKey>,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(Trained, Evaluation), CliError> {
        let (key_id, model_id) = (KeyId::parse(self.name)?, ModelId::parse(self.name)?);
        let creation = client.create_model(&model_id, &key_id, self.spec, self.seed);
        let model = interrupt.guard(creation).await?;
        let (weights, biases) = (model.weights, model.biases);
        let name = &self.spec.name;
        output.note(&format!(
            "model     {name}: {weights} weights, {biases} biases that stay here"
        ))?;

        let directory = tempfile::tempdir().map_err(CliError::System)?;
        let ledger = directory.path().join("ledger.redb");
        ModelLedger::create(&ledger, model_id.as_str(), self.train.len(), self.delta)?;
        let request = TrainingRequest {
            model_id: model_id.clone(),
            key_id: key_id.clone(),
            key: Arc::clone(key),
            data: Arc::clone(self.train),
            options: self.options,
            ledger,
            delta: self.delta,
            seed: None,
            protocol: Protocol::default(),
            shards: NonZeroUsize::MIN,
            pipeline: None,
            memory: Memory::default(),
            account: None,
        };
        let Ended { trained, interrupted } =
            training::run(client, request, output, interrupt).await?;
        if interrupted {
            return Err(CliError::Interrupted);
        }
        let test = async {
            let incarnation = model.incarnation;
            let (tenant, model) = (endpoints.tenant.to_string(), model_id.to_string());
            let read_key = Arc::new(key.read_key(&ModelName { tenant, model, incarnation }));
            let recogniser = Recogniser::new(client, read_key).await?;
            let engine = Engine::Tickets(Box::new(recogniser));
            evaluation::run(&engine, self.test, None, output).await
        };
        let evaluation = interrupt.guard(test).await?;
        Ok((trained, evaluation))
    }
}
