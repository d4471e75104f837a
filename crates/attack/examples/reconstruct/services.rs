//! The same through real services: what is attacked are the bytes that the trainer was sent and the
//! weights it stores.

use std::error::Error;
use std::sync::Arc;

use sphinx_client::{
    EncryptedSession, Endpoints, KeyId, ModelId, Protocol, RootKey, SessionOptions, SphinxClient,
    TrainingOptions,
};
use sphinx_cluster::{ClusterOptions, LocalCluster};
use sphinx_proto::SessionId;

use crate::victim::{Commit, Protection, Seen, Victim};

struct Owner {
    client: SphinxClient,
    key: Arc<RootKey>,
    model_id: ModelId,
    key_id: KeyId,
}

/// Trains a model under encryption, then takes one encrypted step per image and protection.
pub async fn observe(victim: &Victim) -> Result<Seen, Box<dyn Error>> {
    let cluster = LocalCluster::start(ClusterOptions::find_command()?).await?;
    let seen = Box::pin(observe_on(&cluster, victim)).await;
    cluster.shutdown().await?;
    seen
}

async fn observe_on(cluster: &LocalCluster, victim: &Victim) -> Result<Seen, Box<dyn Error>> {
    let client = SphinxClient::new(&Endpoints {
        trainer: cluster.trainer.to_string(),
        inference: cluster.inference.to_string(),
        keyvault: cluster.keyvault.to_string(),
        ..Endpoints::default()
    })?;
    let key = Arc::new(RootKey::generate(&mut sphinx_client::secure_rng()));
    let (key_id, model_id) = (KeyId::parse("victim")?, ModelId::parse("victim")?);
    client.register_key(&key_id, &key.identity(), "attack").await?;
    client.create_model(&model_id, &key_id, &victim.spec, 5).await?;
    let owner = Owner { client, key, model_id, key_id };
    let examples = victim.earlier.len();
    let mut session = owner.session(Victim::options_before()?, examples, 200).await?;
    tokio::task::block_in_place(|| victim.prepare(&mut session))?;
    drop(session);

    let mut seen = Seen::new();
    for (index, protection) in
        [Protection::None, Protection::ExactBiases, Protection::Full].into_iter().enumerate()
    {
        let mut commits: Vec<Commit> = Vec::new();
        for image in 0..victim.images.len() {
            // The weights that the server stores; the biases are decrypted only to be compared.
            let before = owner.client.export_model(&owner.model_id, &owner.key).await?.stages;
            let id = (index * 50 + image) as u8;
            let mut session = owner.session(Victim::options(protection)?, 1, id).await?;
            let data = victim.single(image)?;
            commits.push(tokio::task::block_in_place(|| {
                victim.attacked_step(&mut session, &before, &data, protection, image as u8)
            })?);
        }
        seen.push((protection, commits, None));
    }
    Ok(seen)
}

impl Owner {
    async fn session(
        &self,
        options: TrainingOptions,
        examples: usize,
        id: u8,
    ) -> Result<EncryptedSession, Box<dyn Error>> {
        let options = SessionOptions {
            model_id: self.model_id.clone(),
            key_id: self.key_id.clone(),
            key: Arc::clone(&self.key),
            session_id: SessionId([id; 16]),
            rule: options.rule(examples)?,
            protocol: Protocol::default(),
        };
        Ok(EncryptedSession::open(&self.client, options).await?)
    }
}
