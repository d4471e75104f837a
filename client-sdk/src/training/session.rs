//! A training session at the trainer, on ciphertexts, every product checked.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sphinx_gradient::Tensor;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{self, Commit, OpenSession, ParameterSet};
use sphinx_proto::{KeyId, ModelId, SessionId};
use sphinx_secret::RootKey;
use sphinx_wire::commit;
use sphinx_wire::sealed as wire;
use sphinx_wire::training::{Form, Geometries, StageIntegers, profile_message, working_sha256};
use tokio::runtime::Handle;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, StateError, TrainingError};
use crate::suspects::mark::build;
use crate::traffic::Traffic;
use crate::training::evaluator::{Direction, Evaluator, Shard, Update};
use crate::training::link::{Common, Link, LinkShard, no_product};
use crate::training::mirror::{ModelMirror, NextVersion, SessionMirror};
use crate::training::protocol::{BiasForm, Protocol};
use crate::training::randomness::StepRandomness;
use crate::training::sealed::Sealed;
use crate::training::stream::TrainStream;

/// What a session needs to be opened, and opened again.
#[derive(Clone)]
pub struct SessionOptions {
    /// The model to train.
    pub model_id: ModelId,
    /// The key it was made with.
    pub key_id: KeyId,
    /// The root of that key.
    pub key: Arc<RootKey>,
    /// Chosen at random for a new session; the same again to go on after a break.
    pub session_id: SessionId,
    /// Update rule and learning rates.
    pub rule: TrainingRule,
    /// Forms of the protocol; the default is what everybody should use.
    pub protocol: Protocol,
}

/// An open session: encrypts what goes out, decrypts and checks what comes back.
pub struct EncryptedSession {
    client: SphinxClient,
    options: SessionOptions,
    runtime: Handle,
    /// The stream that commits.
    leader: Link,
    /// Streams that only evaluate; those that cannot be opened again are missing.
    followers: Vec<Link>,
    /// Where followers go.
    others: Vec<Connection>,
    geometries: Arc<Geometries>,
    mirror: SessionMirror,
    /// Of the mirror's weights.
    integers: Vec<StageIntegers>,
    last_step: Option<u64>,
    /// Where the sealed update leads.
    next: Option<NextVersion>,
    /// Of keys and ciphertexts, where a training has to be repeatable.
    randomness: Option<Arc<StepRandomness>>,
    /// Bytes moved and CPU time of checks by streams that were closed since.
    earlier: (Traffic, Duration),
}

impl EncryptedSession {
    /// Opens a session at the model's newest version, which is brought home and verified first.
    /// Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`StateError`] if the model is not what its owner left; [`ClientError`] if the trainer
    /// refuses or does not answer.
    pub async fn open(client: &SphinxClient, options: SessionOptions) -> Result<Self, ClientError> {
        let mirror = ModelMirror::fetch(client, &options.key, &options.model_id).await?;
        Self::open_at(client, options, mirror).await
    }

    /// As [`Self::open`], at a version that is here already.
    pub(crate) async fn open_at(
        client: &SphinxClient,
        options: SessionOptions,
        mirror: ModelMirror,
    ) -> Result<Self, ClientError> {
        let plan = mirror.plan.as_ref().clone();
        let form = options.protocol.form(&plan)?;
        let geometries = Arc::new(Geometries::new(plan, form, mirror.spec.bias_bound));
        let mirror = mirror.opened(options.session_id, options.rule)?;
        let integers = geometries.lower(&mirror.trained.weights.weights)?;
        let (leader, last_step) =
            open(&client.trainer, &options, (form, None), &mirror, &integers).await?;
        Ok(Self {
            client: client.clone(),
            options,
            runtime: Handle::current(),
            leader,
            followers: Vec::new(),
            others: Vec::new(),
            geometries,
            mirror,
            integers,
            last_step,
            next: None,
            randomness: None,
            earlier: <(Traffic, Duration)>::default(),
        })
    }

    /// Spreads the blocks of every step over so many streams in all, each over a connection of its
    /// own: to the trainer and [`crate::Endpoints::further_trainers`] in turn, which have one store
    /// and may be one service. The first commits, the others only evaluate. Each has keys and masks
    /// of its own, and every product of each is checked.
    ///
    /// # Errors
    /// [`TrainingError::Shard`] that names the trainer that cannot take part.
    pub async fn sharded(mut self, shards: NonZeroUsize) -> Result<Self, ClientError> {
        self.others = self.client.further_trainers(shards.get() - 1)?;
        for number in 0..self.others.len() {
            let link = self.follower(number).await;
            let address = || self.others[number].address().to_string();
            let apart = |cause| TrainingError::Shard { address: address(), cause: Box::new(cause) };
            self.followers.push(link.map_err(apart)?);
        }
        Ok(self)
    }

    /// Opens a follower at the mirrored version.
    async fn follower(&self, number: usize) -> Result<Link, ClientError> {
        let form = (self.geometries.form(), Some(self.mirror.version()));
        let connection = &self.others[number];
        let opening = open(connection, &self.options, form, &self.mirror, &self.integers);
        Ok(opening.await?.0)
    }

    /// Draws keys and ciphertexts as a function of a seed, so that a training can be repeated bit
    /// for bit: whoever knows the seed can decrypt it.
    pub(crate) fn repeatable(self, seed: [u8; 32]) -> Self {
        Self { randomness: Some(Arc::new(StepRandomness::new(seed))), ..self }
    }

    /// The streams, and what they compute with.
    fn parts(&mut self) -> (impl Iterator<Item = &mut Link>, Common<'_>) {
        let common = Common {
            model_id: &self.options.model_id,
            checks: self.options.protocol.checks,
            form: self.geometries.form(),
            mirror: &self.mirror,
            integers: &self.integers,
            randomness: self.randomness.as_deref(),
        };
        (std::iter::once(&mut self.leader).chain(&mut self.followers), common)
    }

    /// The network's stages.
    pub fn plan(&self) -> &Arc<Plan> {
        self.mirror.plan()
    }

    /// The network's description.
    pub fn spec(&self) -> &NetworkSpec {
        self.mirror.spec()
    }

    /// The last step of this session that is committed.
    pub fn last_step(&self) -> Option<u64> {
        self.last_step
    }

    /// h of the version that evaluations use.
    pub fn chain(&self) -> [u8; 32] {
        self.mirror.chain()
    }
}

impl Evaluator for EncryptedSession {
    fn version(&self) -> u64 {
        self.mirror.version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        &self.mirror.trained.biases
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        let (mut links, common) = self.parts();
        let Some(link) = links.next() else {
            return Err(no_product(stage, blocks, common.mirror.plan().stages.len()));
        };
        link.evaluate(common, (stage, direction), 0, blocks)
    }

    fn shards(&mut self) -> Vec<Box<dyn Shard + '_>> {
        let (links, common) = self.parts();
        links.map(|link| Box::new(LinkShard { link, common }) as Box<dyn Shard>).collect()
    }

    fn steps(&self) -> u64 {
        self.mirror.steps
    }

    fn seal(&mut self, step: u64, update: &Update, last: bool) -> Result<Sealed, ClientError> {
        let next = self.mirror.next(&self.geometries, step, update, last)?;
        let rates = v1::StepRates {
            learning_rate: next.rates.learning_rate,
            first_correction: next.rates.first_correction,
            second_correction: next.rates.second_correction,
        };
        let header = Commit {
            step,
            base_version: self.mirror.version(),
            adopt_average: update.adopts_average,
            rates: (!update.adopts_average).then_some(rates),
            chain: Bytes::copy_from_slice(&next.chain),
        };
        let parts = commit::parts(&header, &update.gradient, next.sealed.clone());
        self.next = Some(next);
        Ok(Sealed::of(wire::Sealed::new(
            opening(&self.options, (self.geometries.form(), None)),
            header,
            parts,
        )))
    }

    fn commit(&mut self, step: u64, sealed: &Sealed, _: &Update) -> Result<(), ClientError> {
        self.commit_sealed(step, sealed)?;
        self.arrive()
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        self.earlier = self.cost();
        self.leader.forget_cost();
        // What its streams were in the middle of is not awaited, and their places become free.
        self.followers.clear();
        // Where the model is: at the version that is mirrored, at the one that was to follow, or
        // where somebody else's update has led.
        if self.connect()? {
            return Ok(self.last_step == Some(step));
        }
        if let Some(next) = self.next.take() {
            self.integers = self.mirror.committed(next);
            if self.connect()? {
                return Ok(self.last_step == Some(step));
            }
        }
        let (client, options) = (self.client.clone(), self.options.clone());
        let opened = self.runtime.block_on(Self::open(&client, options))?;
        let (earlier, randomness) = (self.earlier, self.randomness.take());
        let others = std::mem::take(&mut self.others);
        *self = Self { earlier, randomness, others, ..opened };
        self.gather()?;
        Ok(self.last_step == Some(step))
    }

    fn traffic(&self) -> Traffic {
        self.cost().0
    }

    fn check_cpu(&self) -> Duration {
        self.cost().1
    }
}

impl EncryptedSession {
    /// Sends a sealed commit as it is and waits until it is stored. The session is at the version
    /// before until it is opened again.
    ///
    /// # Errors
    /// [`crate::TrainingError::Sealed`] for one of another step or version; after a transient error
    /// reopen and repeat.
    pub fn commit_sealed(&mut self, step: u64, sealed: &Sealed) -> Result<(), ClientError> {
        let commit = sealed.commit();
        let (header, version) = (commit.header().clone(), self.mirror.version());
        if (header.step, header.base_version) != (step, version) {
            let cause = format!(
                "it is step {} on version {}, asked for is step {step} on version {version}",
                header.step, header.base_version
            );
            return Err(TrainingError::Sealed { cause }.into());
        }
        let chain = header.chain.clone();
        self.leader.stream.send(Part::Commit(header))?;
        for part in commit.parts() {
            self.leader.stream.send(Part::CommitChunk(part.clone()))?;
        }
        let reply = self.leader.stream.receive()?;
        let Reply::Committed(committed) = reply else {
            return Err(self.leader.stream.unexpected(&reply, "committed"));
        };
        if committed.step != step || committed.version != version + 1 {
            let got = format!("step {} as version {}", committed.step, committed.version);
            let expected = format!("step {step} as version {}", version + 1);
            return Err(self.leader.stream.protocol(got, expected));
        }
        if committed.chain != chain {
            let model = self.options.model_id.to_string();
            return Err(StateError::OtherChain { model, version: version + 1 }.into());
        }
        self.last_step = Some(step);
        Ok(())
    }

    /// Moves the mirror on to the version that was sealed and is committed.
    fn arrive(&mut self) -> Result<(), ClientError> {
        let cause = || "it was sealed by another session".to_owned();
        let next = self.next.take().ok_or_else(|| TrainingError::Sealed { cause: cause() })?;
        self.integers = self.mirror.committed(next);
        if !self.followers.is_empty() {
            let version = self.mirror.version();
            let optimizer = self.mirror.trained.weights.optimizer_sha256();
            let working = working_sha256(&self.integers, &optimizer);
            self.followers.iter_mut().for_each(|link| link.follow(version, working));
        }
        Ok(())
    }

    /// Bytes moved and CPU time of checks so far.
    fn cost(&self) -> (Traffic, Duration) {
        let links = std::iter::once(&self.leader).chain(&self.followers);
        links.map(Link::cost).fold(self.earlier, |(sum, cpu), (traffic, more)| {
            (Traffic { up: sum.up + traffic.up, down: sum.down + traffic.down }, cpu + more)
        })
    }

    /// Opens the followers again at the mirrored version. One that is away is done without: the
    /// others take its blocks.
    fn gather(&mut self) -> Result<(), ClientError> {
        self.followers.clear();
        for number in 0..self.others.len() {
            match self.runtime.block_on(self.follower(number)) {
                Ok(link) => self.followers.push(link),
                Err(error) if error.is_transient() => {
                    let address = self.others[number].address();
                    tracing::warn!(%address, %error, "a shard is away; the others take its blocks");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Opens the stream again at the mirrored version; false if the service is at another.
    fn connect(&mut self) -> Result<bool, ClientError> {
        let form = (self.geometries.form(), None);
        let (connection, integers) = (&self.client.trainer, &self.integers);
        let opening = open(connection, &self.options, form, &self.mirror, integers);
        match self.runtime.block_on(opening) {
            Ok((leader, last_step)) => {
                (self.leader, self.last_step) = (leader, last_step);
                self.gather()?;
                Ok(true)
            }
            Err(ClientError::State(StateError::OtherChain { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The first message of a session's stream, which commits or follows from a version.
fn opening(options: &SessionOptions, (form, follows): (Form, Option<u64>)) -> OpenSession {
    OpenSession {
        model_id: options.model_id.to_string(),
        key_id: options.key_id.to_string(),
        session_id: options.session_id.0.to_vec().into(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        profile: profile_message(form.profile).into(),
        optimizer: Some((&options.rule).into()),
        biases: match form.biases {
            BiasForm::AtHome => v1::BiasForm::AtHome,
            BiasForm::Encrypted => v1::BiasForm::Encrypted,
        }
        .into(),
        follows,
    }
}

/// Opens a stream and compares, before the first ciphertext leaves, where the service stands and
/// what it computes with.
async fn open(
    connection: &Connection,
    options: &SessionOptions,
    (form, follows): (Form, Option<u64>),
    mirror: &SessionMirror,
    integers: &[StageIntegers],
) -> Result<(Link, Option<u64>), ClientError> {
    let (stream, opened) =
        TrainStream::open(connection, &opening(options, (form, follows))).await?;
    if opened.follows != follows.is_some() {
        let expected = "one that follows another: trainers of this release";
        return Err(stream.protocol("a stream that commits", expected));
    }
    let state = opened.state.as_ref();
    let state = state.ok_or_else(|| stream.protocol("no state", "the version's state"))?;
    let model = options.model_id.to_string();
    if (state.version, &*state.chain) != (mirror.version(), &mirror.chain()[..]) {
        return Err(StateError::OtherChain { model, version: state.version }.into());
    }
    let working = working_sha256(integers, &mirror.trained.weights.optimizer_sha256());
    if *opened.working_sha256 != working {
        return Err(StateError::OtherBuild { model, ours: build(), theirs: opened.build }.into());
    }
    let last_step = opened.last_step;
    Ok((Link::new(stream, opened), last_step))
}
